import { afterEach, describe, expect, test } from 'vitest'
import { seededRandom } from '../../core/random.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { SHARED_RULES } from '../support/shared-rules.ts'
import { expectFold, expectReference, Lab, strictly } from '../support/worker-harness.ts'
import { withBroken, withRepeats } from '../support/workload.ts'

let lab: Lab | undefined
afterEach(async () => {
  await lab?.close()
  lab = undefined
})

/** Bets with repeats, broken lines and events that come far too late. */
function feed(count: number, seed: number): string[] {
  const random = seededRandom(seed)
  const bets = generatedBets(count, seed)
  const late = generatedBets(count, seed + 1).slice(0, 20)
  const lines = withBroken(withRepeats(bets, 0.05, random), 15, random)
  late.forEach((line, i) => lines.splice(Math.floor(count * 0.6) + i * 7, 0, line))
  return lines
}

describe.each([
  ['at once', RULE_FILES],
  ['in the strict lane', strictly(RULE_FILES)],
])('a group of workers, scoring %s', (_lane, rules) => {
  test.each([1, 2, 3])('%i workers: totals, rewards and dead letters equal the plain reference', async (workers) => {
    lab = await Lab.open({ partitions: 4, rules })
    const running = Array.from({ length: workers }, () => lab?.start())
    await lab.until('each has its share', () => running.every((worker) => (worker?.disk.openStores ?? 0) > 0))
    await lab.produce(feed(2_000, 7))
    await lab.tick(Date.parse('2025-11-04T12:00:00Z'))
    await lab.caughtUp()
    await expectReference(lab, SHARED_RULES)
    expect(running.every((worker) => (worker?.batches ?? 0) > 0)).toBe(true)
    const reasons = new Set((await lab.results()).dlq.map(({ reason }) => reason))
    expect([...reasons].sort()).toEqual(['late', 'schema'])
  })

  test('workers that join and leave while events flow neither lose nor double anything', async () => {
    const here = (lab = await Lab.open({ partitions: 4, rules }))
    const lines = feed(3_000, 11)
    const part = Math.ceil(lines.length / 6)
    const step = async (index: number): Promise<void> => {
      const before = await here.processed()
      await here.produce(lines.slice(index * part, (index + 1) * part))
      await here.until('some of it is processed', async () => (await here.processed()) > before)
    }
    const first = here.start()
    await step(0)
    const second = here.start()
    await step(1)
    const third = here.start()
    await step(2)
    await first.stop()
    await step(3)
    const again = here.start({ disk: first.disk })
    await third.kill()
    await step(4)
    await second.stop()
    await step(5)
    await here.tick(Date.parse('2025-11-04T12:00:00Z'))
    await here.caughtUp()
    await expectReference(here, SHARED_RULES)
    expect(second.batches).toBeGreaterThan(0)
    await again.stop()
    for (let partition = 0; partition < 4; partition++) await expectFold(here, again.disk, partition)
  })
})

test('a worker that gets no partition is ready all the same: to take over', async () => {
  const here = (lab = await Lab.open({ partitions: 1, rules: RULE_FILES }))
  const first = here.start()
  await here.until('the first has it', () => first.worker.health().ready && first.disk.openStores === 1)
  const second = here.start()
  await here.until('the second is ready', () => second.worker.health().ready)
  expect(second.disk.openStores).toBe(0)
})

test('a worker that stops leaves the group and closes every store', async () => {
  lab = await Lab.open({ partitions: 3, rules: RULE_FILES })
  const worker = lab.start()
  await lab.produce(generatedBets(100, 1))
  await lab.caughtUp()
  expect(worker.worker.health()).toEqual({ alive: true, ready: true, reasons: [] })
  expect(worker.disk.openStores).toBe(3)
  await worker.stop()
  expect(worker.disk.openStores).toBe(0)
  expect(worker.failure).toBeUndefined()
  expect(worker.worker.health()).toMatchObject({ ready: false })
})
