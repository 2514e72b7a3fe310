import { afterEach, describe, expect, test } from 'vitest'
import { hasCode } from '../../core/errors.ts'
import type { AppendEnd } from '../../core/ports/log.ts'
import { changelogTopic } from '../../core/topics.ts'
import type { LogFaults } from '../support/faulty-log.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { SHARED_RULES } from '../support/shared-rules.ts'
import { APPLICATION, expectFold, expectReference, Lab, strictly } from '../support/worker-harness.ts'

let lab: Lab | undefined
afterEach(async () => {
  await lab?.close()
  lab = undefined
})

/** Holds up the n-th commit until it is let go; tells what became of it. */
class Gate {
  readonly faults: LogFaults
  arrived = false
  code: string | undefined
  #open: () => void = () => undefined
  readonly #opened = new Promise<void>((resolve) => {
    this.#open = resolve
  })
  #commits = 0

  constructor(nth: number) {
    this.faults = {
      commit: async (_id, _commit, apply): Promise<readonly AppendEnd[]> => {
        if (++this.#commits !== nth) return apply()
        this.arrived = true
        await this.#opened
        try {
          return await apply()
        } catch (error) {
          this.code = hasCode(error, 'ONCEWARD_E_LOG_FENCED') ? error.code : 'another error'
          throw error
        }
      },
    }
  }

  letGo(): void {
    this.#open()
  }
}

const BETS = generatedBets(400, 13)
const END = Date.parse('2025-11-04T12:00:00Z')

describe.each([
  ['at once', RULE_FILES],
  ['in the strict lane', strictly(RULE_FILES)],
])('a zombie, scoring %s', (_lane, rules) => {
  test('a commit that comes after the take-over is refused; nothing is doubled, and both work on', async () => {
    const here = (lab = await Lab.open({ partitions: 2, rules }))
    const gate = new Gate(3)
    const zombie = here.start({ faults: gate.faults, sessionTimeoutMs: 3_000 })
    await here.produce(BETS.slice(0, 200))
    await here.until('a commit hangs', () => gate.arrived)
    const heir = here.start({ sessionTimeoutMs: 1e9 })
    await here.until('the zombie was thrown out and another works', () => heir.batches > 3)
    gate.letGo()
    await here.until('the zombie knows', () => gate.code !== undefined)
    expect(gate.code).toBe('ONCEWARD_E_LOG_FENCED')
    await here.produce(BETS.slice(200))
    await here.tick(END)
    await here.caughtUp()
    await here.until('both have settled', () => zombie.worker.health().ready && heir.worker.health().ready)
    await expectReference(here, SHARED_RULES)
    const opened = [zombie, heir].flatMap(({ log }) => [...log.opened.values()]).reduce((sum, n) => sum + n, 0)
    expect(opened).toBeLessThanOrEqual(12)
    await zombie.stop()
    await here.until('one has both', () => heir.worker.health().ready && heir.disk.openStores === 2)
    await heir.stop()
    for (const partition of [0, 1]) await expectFold(here, heir.disk, partition)
  })

  test('two that both believe to own every partition, for good: nothing is doubled, and the work comes to its end', async () => {
    const here = (lab = await Lab.open({ partitions: 2, rules }))
    let looks = 0
    const reading = (): Promise<void> => {
      looks++
      return Promise.resolve()
    }
    const alone = (name: string): LogFaults => ({ group: (group) => `${group}-${name}`, reading })
    const first = here.start({ faults: alone('first'), batchBytesMax: 4_000 })
    const second = here.start({ faults: alone('second'), batchBytesMax: 4_000 })
    await here.produce(BETS)
    await here.tick(END)
    await here.caughtUp()
    await here.until('both have all', () => first.worker.health().ready && second.worker.health().ready)
    await expectReference(here, SHARED_RULES)
    const opened = (): number =>
      [first, second].flatMap(({ log }) => [...log.opened.values()]).reduce((sum, n) => sum + n, 0)
    expect(opened()).toBeGreaterThan(3)
    // Every take-over is followed by a batch that commits, so their number is bounded by that of the batches.
    expect(opened()).toBeLessThan(2 * (4 + first.batches + second.batches))
    // With nothing left to do neither disturbs the other.
    const before = opened()
    const seen = looks
    await here.until('both have looked for new rules, again and again', () => looks > seen + 20)
    expect(opened()).toBe(before)
  })
})

test('a zombie that is thrown out while its partition recovers gives way to the heir', async () => {
  const here = (lab = await Lab.open({ partitions: 1, rules: RULE_FILES }))
  let release: () => void = () => undefined
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  let opening = 0
  const zombie = here.start({
    faults: { opening: () => (++opening === 1 ? held : Promise.resolve()), group: (group) => `${group}-hidden` },
  })
  await here.until('it hangs', () => opening === 1)
  const heir = here.start()
  await here.produce(BETS.slice(0, 100))
  await here.until('the heir works', () => heir.batches > 1)
  release()
  await here.produce(BETS.slice(100))
  await here.caughtUp()
  await expectReference(here, SHARED_RULES)
  await zombie.stop()
  expect(zombie.failure).toBeUndefined()
})

test('a zombie that finds the state ahead of what it knew of the group is no case for a person: it looks again', async () => {
  const here = (lab = await Lab.open({ partitions: 1, rules: RULE_FILES }))
  const first = here.start()
  await here.produce(BETS.slice(0, 200))
  await here.caughtUp()
  await first.stop()
  let letGo: () => void = () => undefined
  const held = new Promise<void>((resolve) => {
    letGo = resolve
  })
  let reads = 0
  const zombie = here.start({
    faults: {
      group: (group) => `${group}-hidden`,
      reading: ({ topic }) => (topic === changelogTopic(APPLICATION) && ++reads === 1 ? held : Promise.resolve()),
    },
  })
  await here.until('it recovers', () => reads === 1)
  const heir = here.start({ disk: first.disk })
  await here.produce(BETS.slice(200))
  await here.caughtUp()
  letGo()
  await here.until('it has recovered', () => zombie.worker.health().ready)
  expect(zombie.warnings.join()).toMatch(/another worker took the partition over/)
  expect([zombie.failure, heir.failure]).toEqual([undefined, undefined])
  await expectReference(here, SHARED_RULES)
})
