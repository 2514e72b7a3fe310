import * as fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { type BatchLimits, BATCH_LIMITS } from '../../pipeline/batch.ts'
import { decodeStamp, NO_INPUT_OFFSET } from '../../state/stamp.ts'
import { META, STAMP_KEY, TASK_META_KEY } from '../../state/stores.ts'
import { Disk } from '../support/disk.ts'
import { eventLine, TestEngine, testRule } from '../support/engine.ts'
import { RULE_FILES } from '../support/generated-bets.ts'
import { SHARED_RULES } from '../support/shared-rules.ts'
import { expectFold, expectReference, Lab, type RunningWorker, strictly } from '../support/worker-harness.ts'

const T0 = Date.parse('2025-11-03T20:00:00Z')
const END = T0 + 3_600_000
const BOUND = BATCH_LIMITS.held
const login = (n: number): string => eventLine({ id: `e${String(n).padStart(5, '0')}`, ts: T0 + n })

async function engineHolding(events: number, limits?: Partial<BatchLimits>): Promise<TestEngine> {
  const engine = new TestEngine([testRule({ ruleId: 'r', ordering: 'strict' })], limits)
  await engine.feed(Array.from({ length: events }, (_, n) => ({ value: login(n) })))
  return engine
}

describe('held events that have their turn at once', () => {
  test('as many as a batch takes are released together', async () => {
    const engine = await engineHolding(BOUND.events)
    await engine.feed([{ value: '', tick: END }])
    expect(engine.output.scores).toHaveLength(BOUND.events)
    expect(engine.overdue).toBe(false)
  })

  test('one more waits for the next batch, which needs no input', async () => {
    const engine = await engineHolding(BOUND.events + 1)
    await engine.feed([{ value: '', tick: END }])
    expect(engine.output.scores).toHaveLength(BOUND.events)
    expect(engine.overdue).toBe(true)
    const { scores } = await engine.feed([])
    expect(scores.map(({ value }) => value.event_id)).toEqual(['e02000'])
    expect(engine.overdue).toBe(false)
  })

  test('large ones are bounded by their bytes, and one is released however large it is', async () => {
    const large = (n: number): string =>
      eventLine({ id: `e${n}`, ts: T0 + n, payload: { note: 'x'.repeat(BOUND.bytes / 4) } })
    const engine = new TestEngine([testRule({ ruleId: 'r', ordering: 'strict' })])
    await engine.feed([0, 1, 2, 3, 4].map((n) => ({ value: large(n) })))
    const released = [(await engine.feed([{ value: '', tick: END }])).scores.length]
    while (engine.overdue) released.push((await engine.feed([])).scores.length)
    expect(released).toEqual([3, 2])
    const small = await engineHolding(3, { held: { events: 10, bytes: 1 } })
    await small.feed([{ value: '', tick: END }])
    expect(small.output.scores).toHaveLength(1)
  })

  test('come in the same order whatever a batch takes, and whether or not input comes in between', async () => {
    const rules = [testRule({ ruleId: 's', ordering: 'strict' }), testRule({ ruleId: 'a', ordering: 'any' })]
    const steps = fc.array(fc.tuple(fc.nat(60), fc.nat(90), fc.nat(2)), { maxLength: 50 })
    const bounds = fc.record({
      held: fc.record({ events: fc.integer({ min: 1, max: 4 }), bytes: fc.integer({ min: 1, max: 900 }) }),
      outputs: fc.integer({ min: 1, max: 6 }),
    })
    await fc.assert(
      fc.asyncProperty(steps, bounds, fc.array(fc.nat(7), { maxLength: 20 }), async (events, bound, cuts) => {
        const lines = events.map(([id, ahead, user], index) => ({
          value: eventLine({ id: `e${id}`, user: `u${user}`, ts: T0 + (index * 20 + ahead) * 1_000 }),
        }))
        const free = new TestEngine(rules)
        await free.feed(lines)
        await free.finish()
        const bounded = new TestEngine(rules, bound)
        let at = 0
        for (const cut of [...cuts, lines.length]) {
          await bounded.feed(lines.slice(at, at + cut))
          if (cut === 3) bounded.restart()
          at += cut
        }
        await bounded.finish()
        const strict = (engine: TestEngine): unknown[] =>
          engine.output.scores.filter(({ value }) => value.rule_id === 's').map(({ value }) => value)
        expect(strict(bounded)).toEqual(strict(free))
        expect(bounded.points()).toEqual(free.points())
        expect(bounded.output.counts).toEqual(free.output.counts)
      }),
      { numRuns: 150 },
    )
  })
})

describe('what events bring forth', () => {
  const LIMIT = 6
  /** Two scores an event. */
  const twice = (ordering: 'any' | 'strict') => ['a', 'b'].map((ruleId) => testRule({ ruleId, ordering }))

  test.each([
    [3, [6]],
    [4, [6, 2]],
    [7, [6, 6, 2]],
  ])('%i events at once: transactions of %j outputs', async (events, sizes) => {
    const engine = new TestEngine(twice('any'), { outputs: LIMIT })
    const lines = Array.from({ length: events }, (_, n) => ({ value: login(n) }))
    const scores: number[] = []
    engine.onBatch = ({ output }) => void scores.push(output.scores.length)
    await engine.feed(lines)
    expect(scores).toEqual(sizes)
    expect(engine.output.counts).toMatchObject({ events, unique: events })
  })

  test('held events wait in the same way, and dead letters count', async () => {
    const engine = new TestEngine(twice('strict'), { outputs: LIMIT })
    await engine.feed([0, 1, 2, 3].map((n) => ({ value: login(n) })))
    await engine.feed([{ value: '{' }, { value: '{' }, { value: '', tick: END }])
    // Two letters leave room for two events, of two scores each.
    expect([engine.output.dlq.length, engine.output.scores.length, engine.overdue]).toEqual([2, 4, true])
    await engine.feed([])
    expect([engine.output.scores.length, engine.overdue]).toEqual([8, false])
  })

  test('those of one event are never parted, however many they are', async () => {
    const engine = new TestEngine(twice('any'), { outputs: 1 })
    await engine.feed([{ value: login(0) }, { value: login(1) }])
    expect(engine.output.scores).toHaveLength(4)
  })
})

describe('a worker that releases held events in several transactions', () => {
  const LIMITS: BatchLimits = { records: 1_000, held: { events: 10, bytes: 1 << 20 }, outputs: 1_000 }
  const STRICT = strictly(RULE_FILES)
  const COUNT = 35
  let lab: Lab | undefined
  afterEach(async () => {
    await lab?.close()
    lab = undefined
  })

  const bets = Array.from({ length: COUNT }, (_, n) =>
    eventLine({ id: `e${n}`, ts: T0 + n * 1_000, user: `u_${n % 3}`, name: 'bet', payload: { bet: 1, win: 2 } }),
  )
  const rounds = async (here: Lab): Promise<string[]> =>
    (await here.results()).scores.filter(({ rule_id }) => rule_id === 'r_rounds').map(({ event_id }) => event_id)

  async function holding(): Promise<{ here: Lab; worker: RunningWorker }> {
    const here = (lab = await Lab.open({ partitions: 1, rules: STRICT }))
    const worker = here.start({ limits: LIMITS })
    await here.produce(bets)
    await here.caughtUp()
    expect(await rounds(here)).toEqual([])
    return { here, worker }
  }

  async function expectAll(here: Lab): Promise<void> {
    await here.until('all are released', async () => (await rounds(here)).length >= COUNT)
    expect(await rounds(here)).toEqual(Array.from({ length: COUNT }, (_, n) => `e${n}`))
    await expectReference(here, SHARED_RULES)
  }

  test('goes on without further input until none is left, and its store is level then', async () => {
    const { here, worker } = await holding()
    const before = worker.batches
    await here.tick(END)
    await expectAll(here)
    expect(worker.batches - before).toBe(Math.ceil(COUNT / LIMITS.held.events))
    await worker.stop()
    await expectFold(here, worker.disk, 0)
    const again = here.start({ disk: worker.disk })
    await here.until('it has recovered', () => again.decisions.length > 0)
    expect(again.decisions).toEqual(['ready'])
  })

  // Each write of the store is one transaction; the tick's own is the first.
  test.each([1, 2, 3, 4])('killed before write %i of the store, nothing is lost or doubled', async (write) => {
    const { here, worker } = await holding()
    let writes = 0
    let killed: Promise<void> | undefined
    worker.disk.beforeWrite = () => {
      if (++writes === write) killed = worker.kill()
    }
    await here.tick(END)
    await here.until('it was killed', () => killed !== undefined)
    await killed
    worker.disk.beforeWrite = undefined
    const second = here.start({ disk: worker.disk, limits: LIMITS })
    await expectAll(here)
    expect(second.decisions).toEqual(['replay-tail'])
    await second.stop()
    await expectFold(here, second.disk, 0)
  })

  test('killed again after a recovery in between, before the write of its first release: neither lost nor doubled', async () => {
    const { here, worker } = await holding()
    const killBeforeWrite = (running: RunningWorker, number: number): Promise<void> =>
      new Promise((resolve) => {
        let writes = 0
        running.disk.beforeWrite = (_partition, ops) => {
          // Not the stamp alone, which a recovery writes.
          if (ops.length > 1 && ++writes === number) resolve(running.kill())
        }
      })
    const first = killBeforeWrite(worker, 3)
    await here.tick(END)
    await first
    worker.disk.beforeWrite = undefined
    const second = here.start({ disk: worker.disk, limits: LIMITS })
    // The first write that is more than a stamp is the recovery's, of what the last commit changed.
    await killBeforeWrite(second, 2)
    second.disk.beforeWrite = undefined
    const third = here.start({ disk: second.disk, limits: LIMITS })
    await expectAll(here)
    expect(third.decisions).toEqual(['replay-tail'])
    await third.stop()
    await expectFold(here, third.disk, 0)
  })

  test('a store between two of them names no input offset, on the owner and on a standby copy alike', async () => {
    const here = (lab = await Lab.open({ partitions: 1, rules: STRICT }))
    const seen: (readonly [overdue: boolean, named: boolean])[] = []
    const watched = (): Disk => {
      const disk = new Disk()
      disk.beforeWrite = (_partition, ops) => {
        const value = (key: Buffer): Buffer | undefined =>
          ops.flatMap((op) => (op.type === 'put' && op.key.equals(key) ? [op.value] : [])).at(-1)
        const meta = value(Buffer.from(META.prefix + TASK_META_KEY))
        const stamp = decodeStamp(value(STAMP_KEY) ?? Buffer.alloc(0))
        if (meta !== undefined) seen.push([META.decode(meta).overdue === true, stamp?.inputOffset !== NO_INPUT_OFFSET])
      }
      return disk
    }
    const workers = [0, 1].map(() => here.start({ limits: LIMITS, standby: 1, disk: watched() }))
    await here.produce(bets)
    await here.caughtUp()
    await here.until('a copy is level', () => workers.some(({ infos }) => infos.includes('standby copy is level')))
    await here.tick(END)
    await expectAll(here)
    const overdue = seen.filter(([waits]) => waits)
    expect(overdue.length).toBeGreaterThanOrEqual(3)
    expect(overdue.filter(([, named]) => named)).toEqual([])
  })

  test('a standby copy takes over in between', async () => {
    const here = (lab = await Lab.open({ partitions: 1, rules: STRICT }))
    const workers = [0, 1].map(() => here.start({ limits: LIMITS, standby: 1 }))
    await here.produce(bets)
    await here.caughtUp()
    const owner = workers.find(({ decisions }) => decisions.length > 0)
    await here.until('a copy is level', () => workers.some(({ infos }) => infos.includes('standby copy is level')))
    let writes = 0
    let killed: Promise<void> | undefined
    if (owner !== undefined) {
      owner.disk.beforeWrite = () => {
        if (++writes === 2) killed = owner.kill()
      }
    }
    await here.tick(END)
    await here.until('the owner was killed', () => killed !== undefined)
    await expectAll(here)
    const heir = workers.find((worker) => worker !== owner)
    expect(heir?.decisions.at(-1)).toMatch(/ready|replay-tail/)
  })

  test('goes on where a transaction ended because of what it had brought forth, in either lane', async () => {
    const rules = { ...RULE_FILES, ...Object.fromEntries(Object.entries(STRICT).slice(1)) }
    const here = (lab = await Lab.open({ partitions: 1, rules }))
    await here.produce(bets)
    await here.tick(END)
    const worker = here.start({ limits: { ...LIMITS, outputs: 4 }, batchBytesMax: 1 << 20 })
    await here.until('all are scored', async () => (await here.results()).scores.length >= 2 * COUNT)
    await expectReference(here, SHARED_RULES)
    expect(worker.batches).toBeGreaterThan((2 * COUNT) / 5)
    await worker.stop()
    await expectFold(here, worker.disk, 0)
  })

  test('never takes more records of the input into one transaction than the limit, and each of them once', async () => {
    const here = (lab = await Lab.open({ partitions: 1, rules: RULE_FILES }))
    const worker = here.start({ limits: { ...LIMITS, records: COUNT - 1 }, batchBytesMax: 1 << 20 })
    await here.produce(bets)
    await here.caughtUp()
    const batches = worker.batches
    await expectReference(here, SHARED_RULES)
    await worker.stop()
    const other = here.start({
      application: 'other',
      limits: { ...LIMITS, records: COUNT },
      batchBytesMax: 1 << 20,
      topics: await here.createOutputs('other.'),
    })
    await here.caughtUp('other')
    expect([batches, other.batches]).toEqual([2, 1])
  })
})
