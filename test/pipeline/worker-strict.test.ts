import { afterEach, describe, expect, test } from 'vitest'
import { TICK_HEADER } from '../../core/topics.ts'
import { decideTick } from '../../pipeline/ticker.ts'
import { ManualClock } from '../support/clocks.ts'
import { Disk } from '../support/disk.ts'
import { eventLine } from '../support/engine.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { SHARED_RULES } from '../support/shared-rules.ts'
import { expectFold, expectReference, Lab, type RunningWorker, strictly, valuesOf } from '../support/worker-harness.ts'

let lab: Lab | undefined
afterEach(async () => {
  await lab?.close()
  lab = undefined
})

const STRICT = strictly(RULE_FILES)
const T0 = Date.parse('2025-11-03T20:00:00Z')
const END = Date.parse('2025-11-04T12:00:00Z')
const TICK_AFTER_MS = 10_000

const bet = (id: string, ts: number, user = 'u_0'): string =>
  eventLine({ id, ts, user, name: 'bet', payload: { bet: 1, win: 1 } })

async function ticks(here: Lab): Promise<number[]> {
  const found: number[] = []
  for (let partition = 0; partition < here.partitions; partition++) {
    for (const { headers } of await here.read({ topic: here.topics.events, partition })) {
      const tick = headers?.[TICK_HEADER]
      if (tick !== undefined) found.push(Number(tick.toString()))
    }
  }
  return found
}

describe('held events', () => {
  test.each([
    ['a restart', 'ready', (worker: RunningWorker) => worker.disk],
    ['the loss of the disk', 'rebuild', () => new Disk()],
  ] as const)('survive %s', async (_name, decision, disk) => {
    const here = (lab = await Lab.open({ partitions: 1, rules: STRICT }))
    const first = here.start()
    await here.produce(generatedBets(80, 2))
    await here.caughtUp()
    await first.stop()
    const before = (await here.results()).scores.length
    const second = here.start({ disk: disk(first) })
    await here.tick(END)
    await here.caughtUp()
    expect(second.decisions).toEqual([decision])
    expect((await here.results()).scores.length).toBeGreaterThan(before)
    await expectReference(here, SHARED_RULES)
    await second.stop()
    await expectFold(here, second.disk, 0)
  })

  test('are scored in event-time order across workers that come and go', async () => {
    const here = (lab = await Lab.open({ partitions: 1, rules: STRICT }))
    const bets = generatedBets(300, 4)
    let disk = new Disk()
    for (let at = 0; at < bets.length; at += 75) {
      const worker = here.start({ disk })
      await here.produce(bets.slice(at, at + 75))
      await here.caughtUp()
      await (at % 2 === 0 ? worker.stop() : worker.kill())
      disk = at === 150 ? new Disk() : worker.disk
    }
    here.start({ disk })
    await here.tick(END)
    await here.caughtUp()
    const rounds = (await here.results()).scores.filter(({ rule_id }) => rule_id === 'r_rounds')
    const order = rounds.map(({ event_ts, event_id }) => `${event_ts} ${event_id}`)
    expect(order).toHaveLength(bets.length)
    expect(order).toEqual([...order].sort())
    await expectReference(here, SHARED_RULES)
  })
})

describe('ticks', () => {
  /** Moves the clock as the ticker looks at it, half a second at a time. */
  async function pass(here: Lab, clock: ManualClock, ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 500) {
      clock.advance(500)
      await here.until('the ticker has looked', () => clock.sleeping > 0)
      await here.caughtUp()
    }
  }

  test('move a partition that has fallen silent, at the pace of the wall clock, until nothing is held', async () => {
    const here = (lab = await Lab.open({ partitions: 2, rules: STRICT }))
    const clock = new ManualClock(T0 + 3_600_000)
    here.start({ clock, tickAfterMs: TICK_AFTER_MS })
    await here.produce([bet('a', T0), bet('b', T0 + 1_000)])
    await here.caughtUp()
    await pass(here, clock, TICK_AFTER_MS - 500)
    expect(await ticks(here)).toEqual([])
    await pass(here, clock, 500)
    expect(await ticks(here)).toEqual([T0 + 1_000 + TICK_AFTER_MS])
    await pass(here, clock, 65_000)
    expect((await here.results()).scores.map(({ event_id }) => event_id)).toEqual(['a', 'a', 'b', 'b'])
    const last = await ticks(here)
    expect(last).toEqual([...last].sort((a, b) => a - b))
    // Nothing is held any more, so nothing is ticked any more; the other partition never had anything.
    await pass(here, clock, 30_000)
    expect(await ticks(here)).toEqual(last)
    await expectReference(here, SHARED_RULES)
  })

  test('never run ahead of the wall clock', async () => {
    const here = (lab = await Lab.open({ partitions: 1, rules: STRICT }))
    const clock = new ManualClock(T0 - 5_000)
    here.start({ clock, tickAfterMs: TICK_AFTER_MS })
    await here.produce([bet('a', T0)])
    await here.caughtUp()
    await pass(here, clock, 20_000)
    const found = await ticks(here)
    expect(found.length).toBeGreaterThan(0)
    expect(Math.max(...found)).toBeLessThanOrEqual(clock.now())
  })

  test('are tried again where the log does not take them', async () => {
    const here = (lab = await Lab.open({ partitions: 1, rules: STRICT }))
    const clock = new ManualClock(T0 + 3_600_000)
    let failures = 3
    const faults = { sending: () => (failures-- > 0 ? Promise.reject(new Error('no broker')) : Promise.resolve()) }
    const worker = here.start({ clock, tickAfterMs: TICK_AFTER_MS, faults })
    await here.produce([bet('a', T0)])
    await here.caughtUp()
    await pass(here, clock, 80_000)
    expect(worker.warnings).toHaveLength(3)
    expect((await here.results()).scores).toHaveLength(2)
  })

  const facts = {
    watermark: T0,
    heldSince: T0,
    nextTimer: undefined,
    silentMs: 20_000,
    now: T0 + 3_600_000,
    tickAfterMs: TICK_AFTER_MS,
  }
  test.each<[string, Partial<Parameters<typeof decideTick>[0]>, number | undefined]>([
    ['a silent partition goes on at the pace of the wall clock', {}, T0 + 20_000],
    ['exactly at the bound it is silent', { silentMs: TICK_AFTER_MS }, T0 + TICK_AFTER_MS],
    ['just below it is not', { silentMs: TICK_AFTER_MS - 1 }, undefined],
    ['nothing held, no tick', { heldSince: undefined }, undefined],
    ['no event seen, no tick', { watermark: undefined }, undefined],
    ['never beyond now', { now: T0 + 15_000 }, T0 + 15_000],
    ['event time that is at now already stays', { now: T0 }, undefined],
    ['event time that is ahead of now stays', { now: T0 - 1 }, undefined],
    ['a tick is a whole millisecond', { silentMs: 20_000.7 }, T0 + 20_000],
    [
      'a timer that event time would have come to is one',
      { heldSince: undefined, nextTimer: T0 + 20_000 },
      T0 + 20_000,
    ],
    ['a timer that lies ahead is none', { heldSince: undefined, nextTimer: T0 + 20_001 }, undefined],
    ['a timer ahead does not keep held events waiting', { nextTimer: T0 + 20_001 }, T0 + 20_000],
  ])('%s', (_name, change, expected) => {
    expect(decideTick({ ...facts, ...change })).toBe(expected)
  })
})

describe('a replay by a new application', () => {
  test.each([1, 2, 3])('with %i workers: exactly the same scores, rewards and dead letters', async (workers) => {
    const here = (lab = await Lab.open({ partitions: 3, rules: { ...RULE_FILES, ...onlyRounds() } }))
    const clock = new ManualClock(T0 + 86_400_000)
    const bets = generatedBets(400, 6)
    here.start({ clock, tickAfterMs: TICK_AFTER_MS })
    await here.produce(bets.slice(0, 200))
    await here.caughtUp()
    clock.advance(100_000)
    await here.until('it ticked', async () => (await ticks(here)).length >= 3)
    // The ticks have made these late.
    await here.produce(bets.slice(200))
    await here.tick(END)
    await here.caughtUp()
    const original = await here.results()
    expect(original.dlq.map(({ reason }) => reason)).toContain('late')
    const topics = await here.createOutputs('replay.')
    const replayers = Array.from({ length: workers }, (_, i) =>
      here.start({ application: 'replay', topics, batchBytesMax: 1_000 + i * 7_000 }),
    )
    await here.caughtUp('replay')
    const replayed = await here.results(topics)
    expect(valuesOf(replayed)).toEqual(valuesOf(original))
    const places = (dlq: typeof original.dlq): string[] => dlq.map((value) => JSON.stringify(value)).sort()
    expect(places(replayed.dlq)).toEqual(places(original.dlq))
    expect(replayers.flatMap(({ warnings }) => warnings)).toEqual([])
  })

  /** One rule in each lane. */
  function onlyRounds(): Record<string, string> {
    return Object.fromEntries(Object.entries(STRICT).filter(([file]) => file === 'rounds.yaml'))
  }
})
