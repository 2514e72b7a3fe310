import { afterEach, describe, expect, test } from 'vitest'
import { topicNames } from '../../core/topics.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { Lab, valuesOf } from '../support/worker-harness.ts'
import { replay } from './replay-lab.ts'

let lab: Lab
afterEach(() => lab.close())

async function played(lines: readonly string[], rules = RULE_FILES): Promise<void> {
  lab = await Lab.open({ partitions: 3, rules })
  await lab.produce(lines)
  const worker = lab.start()
  await lab.caughtUp()
  await worker.stop()
}

describe('shadow', () => {
  test('the same rules over the same events differ in nothing, and write the very same records', async () => {
    await played(generatedBets(3_000, 1))
    const { code, differences, summary } = await replay(lab, { settings: { failOnDifference: true } })
    expect({ code, differences }).toEqual({ code: 0, differences: [] })
    const issued = await lab.results()
    const own = await lab.results({ ...topicNames('again.'), events: lab.topics.events })
    expect(valuesOf(own)).toEqual(valuesOf(issued))
    expect(issued.rewards.length).toBeGreaterThan(15)
    expect(summary).toMatchObject({ differs: false, missing: 0, extra: 0, different: 0, moved: 0, points_users: 0 })
  })
})
