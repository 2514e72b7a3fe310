import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { type ErrorCode, OncewardError } from '../../core/errors.ts'
import { changelogTopic } from '../../core/topics.ts'
import { decideRetry } from '../../pipeline/partition-slot.ts'
import { isRecoverable } from '../../pipeline/task.ts'
import { ManualClock } from '../support/clocks.ts'
import { Disk } from '../support/disk.ts'
import { commitUnknown, type LogFaults, unavailable } from '../support/faulty-log.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { SHARED_RULES } from '../support/shared-rules.ts'
import { APPLICATION, expectReference, Lab } from '../support/worker-harness.ts'

let lab: Lab | undefined
afterEach(async () => {
  await lab?.close()
  lab = undefined
})

const BETS = generatedBets(300, 17)

/** Fails `times` times in a row, from the n-th call on. */
function failing(times: number, error: () => OncewardError, from = 1): () => Promise<void> {
  let calls = 0
  return () => (++calls >= from && calls < from + times ? Promise.reject(error()) : Promise.resolve())
}

const PLACES: [name: string, faults: (fail: () => Promise<void>) => LogFaults][] = [
  ['the commit', (fail) => ({ commit: (_id, _commit, apply) => fail().then(apply) })],
  ['opening the partition', (fail) => ({ opening: () => fail() })],
]

describe.each(PLACES)('%s fails, in a row', (_place, faults) => {
  test('8 times: it is survived, and nothing is lost or doubled', async () => {
    const here = (lab = await Lab.open({ partitions: 1, rules: RULE_FILES }))
    const worker = here.start({ faults: faults(failing(8, unavailable)) })
    await here.produce(BETS)
    await here.caughtUp()
    await expectReference(here, SHARED_RULES)
    expect(worker.warnings).toHaveLength(8)
  })

  test('9 times: the worker gives up, and names the partition and the cause', async () => {
    const here = (lab = await Lab.open({ partitions: 1, rules: RULE_FILES }))
    await here.produce(BETS)
    const worker = here.start({ faults: faults(failing(9, unavailable)) })
    const error = await worker.fails()
    expect(error).toMatchObject({ code: 'ONCEWARD_E_GAVE_UP', cause: { code: 'ONCEWARD_E_LOG_UNAVAILABLE' } })
    expect(String(error)).toMatch(/partition 0 failed 9 times in a row.*no broker answers/)
    expect(worker.disk.openStores).toBe(0)
  })

  test('8 times, a success, 8 times: the success counts', async () => {
    const here = (lab = await Lab.open({ partitions: 1, rules: RULE_FILES }))
    const twice = [failing(8, unavailable), failing(8, unavailable, 10)]
    const worker = here.start({ faults: faults(async () => void (await Promise.all(twice.map((fail) => fail())))) })
    await here.produce(BETS)
    await here.caughtUp()
    await expectReference(here, SHARED_RULES)
    expect(worker.warnings.length).toBeGreaterThanOrEqual(8)
  })

  test('once, with what trying again cannot help: the worker of this one partition ends at once, with that error', async () => {
    const here = (lab = await Lab.open({ partitions: 1, rules: RULE_FILES }))
    await here.produce(BETS)
    const worker = here.start({ faults: faults(failing(1, refused)) })
    expect(await worker.fails()).toMatchObject({ code: 'ONCEWARD_E_LOG_REFUSED' })
    expect(worker.warnings).toEqual([])
    expect(worker.errors).toHaveLength(1)
    expect(worker.disk.openStores).toBe(0)
  })

  test('once, with what trying again cannot help, on one of two partitions: it says so and comes back', async () => {
    const here = (lab = await Lab.open({ partitions: 2, rules: RULE_FILES }))
    await here.produce(BETS)
    const worker = here.start({ faults: faults(failing(1, refused)) })
    await here.until('one has failed', () => Promise.resolve(worker.errors.length === 1))
    await here.caughtUp()
    await expectReference(here, SHARED_RULES)
    expect(worker.failure).toBeUndefined()
    expect(worker.infos).toContain('partition works again after it had failed')
    expect(worker.worker.health()).toEqual({ alive: true, ready: true, reasons: [] })
  })
})

const refused = (): OncewardError => new OncewardError('ONCEWARD_E_LOG_REFUSED', 'not allowed')

test('a partition that stays failed is named by the health report, and the others go on', async () => {
  const here = (lab = await Lab.open({ partitions: 2, rules: RULE_FILES }))
  const worker = here.start({
    faults: { commit: (id, _commit, apply) => (id === `${APPLICATION}.0` ? Promise.reject(refused()) : apply()) },
  })
  await here.produce(BETS)
  await here.until('the other is done', async () => {
    const inputs = [0, 1].map((partition) => ({ topic: here.topics.events, partition }))
    const [, committed] = await here.log.committed(APPLICATION, inputs)
    const [, bounds] = await here.log.bounds(inputs)
    return committed === bounds?.end && worker.errors.length > 1
  })
  expect(worker.worker.health()).toEqual({
    alive: true,
    ready: false,
    reasons: ['partition 0 has failed: not allowed'],
  })
  expect(worker.failure).toBeUndefined()
})

test('reading the changelog back is tried again', async () => {
  const here = (lab = await Lab.open({ partitions: 1, rules: RULE_FILES }))
  const first = here.start()
  await here.produce(BETS.slice(0, 150))
  await here.caughtUp()
  await first.stop()
  await here.produce(BETS.slice(150))
  const fail = failing(4, unavailable)
  const second = here.start({
    faults: { reading: ({ topic }) => (topic === changelogTopic(APPLICATION) ? fail() : Promise.resolve()) },
  })
  await here.caughtUp()
  expect(second.warnings).toHaveLength(4)
  await expectReference(here, SHARED_RULES)
})

test('a partition that fails does not hold up the others', async () => {
  const here = (lab = await Lab.open({ partitions: 2, rules: RULE_FILES }))
  let failures = 0
  let finished = false
  const worker = here.start({
    faults: {
      commit: (id, _commit, apply) => {
        if (id !== `${APPLICATION}.0` || finished) return apply()
        failures++
        return Promise.reject(commitUnknown())
      },
    },
  })
  await here.produce(BETS)
  await here.until('the other is done', async () => {
    const inputs = [0, 1].map((partition) => ({ topic: here.topics.events, partition }))
    const [, committed] = await here.log.committed(APPLICATION, inputs)
    const [, bounds] = await here.log.bounds(inputs)
    return committed === bounds?.end && failures > 1
  })
  finished = true
  await here.caughtUp()
  await expectReference(here, SHARED_RULES)
  expect(worker.failure).toBeUndefined()
})

describe('stop returns soon', () => {
  /** The clock stands still: whatever is waited for by time alone never ends. */
  async function stopsSoon(faults: LogFaults, at: (warnings: readonly string[]) => boolean, disk = new Disk()) {
    const here = lab
    if (here === undefined) throw new Error('no lab')
    const worker = here.start({ faults, disk, clock: new ManualClock(Date.parse('2025-11-03T20:00:00Z')) })
    await here.until('it is there', () => at(worker.warnings))
    await worker.stop()
    expect(worker.failure).toBeUndefined()
    expect(disk.openStores).toBe(0)
  }

  test('while it backs off', async () => {
    lab = await Lab.open({ partitions: 1, rules: RULE_FILES })
    await lab.produce(BETS)
    const faults: LogFaults = { commit: () => Promise.reject(unavailable()) }
    await stopsSoon(faults, (warnings) => warnings.length > 0)
  })

  test('while it backs off before the partition was ever opened', async () => {
    lab = await Lab.open({ partitions: 1, rules: RULE_FILES })
    await stopsSoon({ opening: () => Promise.reject(unavailable()) }, (warnings) => warnings.length > 0)
  })

  test('while a state is rebuilt', async () => {
    const here = (lab = await Lab.open({ partitions: 1, rules: RULE_FILES }))
    const first = here.start()
    await here.produce(BETS)
    await here.caughtUp()
    await first.stop()
    const disk = new Disk()
    let reads = 0
    // A changelog without end: each read brings one record more.
    const faults: LogFaults = {
      bounds: (bounds, { topic }) => (topic === changelogTopic(APPLICATION) ? { ...bounds, end: 1e12 } : bounds),
      reading: ({ topic }) => (topic === changelogTopic(APPLICATION) ? systemClock.sleep(1) : Promise.resolve()),
      answering: (batch) => {
        if (batch.topic !== changelogTopic(APPLICATION)) return batch
        reads++
        return { ...batch, records: batch.records.slice(0, 1), nextOffset: batch.fetchOffset + 1 }
      },
    }
    let before = 0
    await stopsSoon(faults, () => (before = reads) > 10, disk)
    expect(reads).toBeLessThanOrEqual(before + 2)
  })

  test('while it waits for rules', async () => {
    lab = await Lab.open({ partitions: 1 })
    await stopsSoon({}, (warnings) => warnings.some((text) => text.includes('no rules are published')))
  })
})

const lost = new OncewardError('ONCEWARD_E_STATE_INPUT_LOST', 'x')
const fenced = new OncewardError('ONCEWARD_E_LOG_FENCED', 'x')
test.each<[name: string, error: unknown, failures: number, kind: string, waitMs: number]>([
  ['the first failure is tried again at once, nearly', unavailable(), 1, 'soon', 100],
  ['each further one later', unavailable(), 3, 'soon', 400],
  ['with a bound', unavailable(), 8, 'soon', 5_000],
  ['beyond 8 in a row the partition has failed', unavailable(), 9, 'failed', 30_000],
  ['what trying again cannot help has failed at once', lost, 1, 'failed', 30_000],
  ['a bug has failed at once', new Error('x'), 1, 'failed', 30_000],
  ['a fenced task leaves the group a second', fenced, 1, 'soon', 1_000],
  ['and more where it is fenced again and again', fenced, 6, 'soon', 3_200],
  ['but not for ever', fenced, 9, 'failed', 30_000],
])('%s', (_name, ...[error, failures, kind, waitMs]) => {
  expect(decideRetry(error, failures)).toEqual({ kind, waitMs })
})

test.each<[ErrorCode, boolean]>([
  ['ONCEWARD_E_LOG_UNAVAILABLE', true],
  ['ONCEWARD_E_LOG_COMMIT_UNKNOWN', true],
  ['ONCEWARD_E_LOG_FENCED', true],
  ['ONCEWARD_E_STATE_LOCKED', true],
  ['ONCEWARD_E_STATE_CORRUPT', true],
  ['ONCEWARD_E_LOG_REFUSED', false],
  ['ONCEWARD_E_LOG_CLOSED', false],
  ['ONCEWARD_E_STATE_UNUSABLE', false],
  ['ONCEWARD_E_STATE_INPUT_LOST', false],
])('after %s a fresh task may help: %s', (code, may) => {
  expect(isRecoverable(new OncewardError(code, 'x'))).toBe(may)
  expect(isRecoverable(new Error('x'))).toBe(false)
})
