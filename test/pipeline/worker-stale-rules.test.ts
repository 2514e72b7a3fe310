import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import type { GroupControl, GroupHandler, RecordBatch } from '../../core/ports/log.ts'
import { RULES_AGE_MS_MAX } from '../../pipeline/rule-feed.ts'
import { EFFECTIVE_MARGIN_MS } from '../../rules/control.ts'
import { clockAt, ManualClock } from '../support/clocks.ts'
import { unavailable } from '../support/faulty-log.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { HandDriven } from '../support/hand-driven.ts'
import { APPLICATION, Lab, type RunningWorker } from '../support/worker-harness.ts'

let lab: Lab | undefined
let answerAll: () => void = () => undefined
afterEach(async () => {
  answerAll()
  await lab?.close()
  lab = undefined
})

const EVENTS = { topic: 'events.raw', partition: 0 }
const WAITS = 'the rules may be out of date; events wait until they can be read again'
const GOES_ON = 'the rules are up to date again; events go on'

const LATE_RULE = `
rule_id: r_late
when: { event_name: bet }
score: { formula: "7" }
meta: { version: "1" }
`

/** How the control topic answers: as it is, with an error, or not at all. */
type Mood = 'answers' | 'fails' | 'hangs'

interface Driven {
  readonly here: Lab
  readonly worker: RunningWorker
  readonly handler: GroupHandler
  readonly clock: ManualClock
  readonly mood: (mood: Mood) => void
  /** Reads of the control topic that the worker has begun. */
  readonly reads: () => number
  readonly control: GroupControl
  /** Heartbeats that the worker gave. */
  readonly beats: () => number
}

/** A worker with one partition, on a clock that stands still, whose every batch the test hands in. */
async function driven(): Promise<Driven> {
  const here = (lab = await Lab.open({ partitions: 1, rules: RULE_FILES }))
  await here.produce(generatedBets(20, 1))
  const clock = new ManualClock(Date.parse('2025-11-03T20:00:00Z'))
  const consumer = new HandDriven()
  let mood: Mood = 'answers'
  let reads = 0
  let answered = (): void => undefined
  let hanging = Promise.resolve()
  const worker = here.start({
    clock,
    rulesAgeMsMax: RULES_AGE_MS_MAX,
    faults: {
      consumer: () => consumer,
      reading: async ({ topic }) => {
        if (topic !== here.topics.control) return
        reads++
        if (mood === 'fails') throw unavailable()
        if (mood === 'hangs') await hanging
      },
    },
  })
  await here.until('it has joined', () => consumer.handler !== undefined)
  const { handler } = consumer
  if (handler === undefined) throw new Error('no handler')
  await handler.rebalanced({ gained: [EVENTS], lost: [] })
  const change = (to: Mood): void => {
    answered()
    mood = to
    if (to === 'hangs') hanging = new Promise((resolve) => (answered = resolve))
  }
  answerAll = () => change('answers')
  let beats = 0
  const control = { heartbeat: () => Promise.resolve(void beats++) }
  return { here, worker, handler, clock, control, mood: change, reads: () => reads, beats: () => beats }
}

async function batch(here: Lab, from: number, to: number): Promise<RecordBatch> {
  const records = (await here.read(EVENTS)).filter(({ offset }) => offset >= from && offset < to)
  return { ...EVENTS, records, fetchOffset: from, nextOffset: to, end: 20 }
}

const committed = async (here: Lab): Promise<number | undefined> => (await here.log.committed(APPLICATION, [EVENTS]))[0]

/** The control topic answers nothing from here on: the read under way has ended, and the next one has begun. */
async function silence({ here, mood, reads }: Driven, how: Exclude<Mood, 'answers'>): Promise<void> {
  mood(how)
  const before = reads()
  await here.until('the next read has begun', () => reads() > before)
}

const turns = async (): Promise<void> => {
  for (let count = 0; count < 50; count++) await nextTurn()
}

test('rules that are relied on are younger by far than a version is published ahead', () => {
  expect(RULES_AGE_MS_MAX).toBeLessThanOrEqual(EFFECTIVE_MARGIN_MS / 2)
})

describe.each(['fails', 'hangs'] as const)('while the control topic %s', (how) => {
  test('a batch begins as long as the rules are young enough; one that waits begins once they are read', async () => {
    const d = await driven()
    const { here, worker, handler, control, clock, mood } = d
    await silence(d, how)
    await here.publish({ 'late.yaml': LATE_RULE }, clockAt('2025-11-01T00:00:00Z', here.clock))
    clock.advance(RULES_AGE_MS_MAX)
    expect(await handler.batch(await batch(here, 0, 5), control)).toBe(5)
    clock.advance(1)
    const held = handler.batch(await batch(here, 5, 10), control)
    await turns()
    expect(worker.worker.health()).toMatchObject({
      alive: true,
      ready: false,
      reasons: ['rule updates cannot be read; events wait until they can'],
    })
    expect(await committed(here)).toBe(5)
    mood('answers')
    await here.until('they are read', () => (clock.advance(100), worker.infos.includes(GOES_ON)))
    expect(await held).toBe(10)
    // With what was published meanwhile.
    const late = (await here.results()).scores.filter(({ rule_id }) => rule_id === 'r_late')
    const second = here.lines.slice(5, 10).map((line) => (JSON.parse(line) as { event_id: string }).event_id)
    expect(late.map(({ event_id }) => event_id).toSorted()).toEqual(second.toSorted())
    expect(worker.worker.health().ready).toBe(true)
  })

  test('one that waits shows the group that it is alive, and says so once', async () => {
    const d = await driven()
    const { here, worker, handler, control, clock, mood, beats } = d
    await silence(d, how)
    clock.advance(RULES_AGE_MS_MAX + 1)
    const held = handler.batch(await batch(here, 0, 5), control)
    await here.until('it has beaten for a while', () => (clock.advance(500), beats() >= 20))
    const unreadable = 'cannot read rule updates; trying again: no broker answers'
    expect(worker.warnings.toSorted()).toEqual(how === 'fails' ? [unreadable, WAITS] : [WAITS])
    mood('answers')
    await here.until('they are read', () => (clock.advance(100), worker.infos.includes(GOES_ON)))
    expect(await held).toBe(5)
    expect(worker.infos.filter((line) => line === GOES_ON)).toHaveLength(1)
  })

  test('a hand-over does not wait for the rules, and the batch is left to the next owner', async () => {
    const d = await driven()
    const { here, worker, handler, control, clock } = d
    await silence(d, how)
    clock.advance(RULES_AGE_MS_MAX + 1)
    const held = handler.batch(await batch(here, 0, 5), control)
    await turns()
    await handler.rebalanced({ gained: [], lost: [EVENTS] })
    expect(await held).toBe(0)
    expect(await committed(here)).toBeUndefined()
    expect(worker.disk.openStores).toBe(0)
  })

  test('a stop does not wait for them either', async () => {
    const d = await driven()
    const { here, worker, handler, control, clock, mood } = d
    await silence(d, how)
    clock.advance(RULES_AGE_MS_MAX + 1)
    const held = handler.batch(await batch(here, 0, 5), control)
    await turns()
    const stopping = worker.worker.stop()
    expect(await held).toBe(0)
    await stopping
    mood('answers')
    await worker.ended
    expect(await committed(here)).toBeUndefined()
  })
})
