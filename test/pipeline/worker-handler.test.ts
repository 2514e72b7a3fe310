import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { OncewardError } from '../../core/errors.ts'
import type { GroupHandler, RecordBatch } from '../../core/ports/log.ts'
import { ManualClock } from '../support/clocks.ts'
import { unavailable } from '../support/faulty-log.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { HandDriven } from '../support/hand-driven.ts'
import { APPLICATION, Lab, type RunningWorker, type StartOptions } from '../support/worker-harness.ts'

let lab: Lab | undefined
afterEach(async () => {
  await lab?.close()
  lab = undefined
})

const EVENTS = { topic: 'events.raw', partition: 0 }
const control = { heartbeat: () => Promise.resolve() }

async function driven(
  options: StartOptions = {},
): Promise<{ here: Lab; worker: RunningWorker; handler: GroupHandler }> {
  const here = (lab = await Lab.open({ partitions: 1, rules: RULE_FILES }))
  await here.produce(generatedBets(20, 1))
  const consumer = new HandDriven()
  const worker = here.start({ ...options, faults: { ...options.faults, consumer: () => consumer } })
  await here.until('it has joined', () => consumer.handler !== undefined)
  const { handler } = consumer
  if (handler === undefined) throw new Error('no handler')
  return { here, worker, handler }
}

async function batch(here: Lab, from: number, to: number): Promise<RecordBatch> {
  const records = (await here.read(EVENTS)).filter(({ offset }) => offset >= from && offset < to)
  return { ...EVENTS, records, fetchOffset: from, nextOffset: to, end: 20 }
}

const committed = async (here: Lab): Promise<number | undefined> => (await here.log.committed(APPLICATION, [EVENTS]))[0]

describe('what a worker answers its group', () => {
  test('the position after the batch, and where to begin', async () => {
    const { here, handler } = await driven()
    await handler.rebalanced({ gained: [EVENTS], lost: [] })
    expect(handler.startOffset(EVENTS)).toBe(0)
    expect(await handler.batch(await batch(here, 0, 5), control)).toBe(5)
    expect(handler.startOffset(EVENTS)).toBe(5)
    expect(await committed(here)).toBe(5)
  })

  test('a batch that leaves a gap is asked for again, from where the task stands', async () => {
    const { here, handler } = await driven()
    await handler.rebalanced({ gained: [EVENTS], lost: [] })
    await handler.batch(await batch(here, 0, 5), control)
    expect(await handler.batch(await batch(here, 8, 12), control)).toBe(5)
    expect(await committed(here)).toBe(5)
  })

  test('a batch of a partition that it does not have, or has no more, is left alone', async () => {
    const { here, worker, handler } = await driven()
    expect(await handler.batch(await batch(here, 0, 5), control)).toBe(0)
    await handler.rebalanced({ gained: [EVENTS], lost: [] })
    await handler.rebalanced({ gained: [], lost: [EVENTS] })
    expect(await handler.batch(await batch(here, 0, 5), control)).toBe(0)
    expect(handler.startOffset(EVENTS)).toBeUndefined()
    expect(await committed(here)).toBeUndefined()
    expect(worker.disk.openStores).toBe(0)
  })

  test('a batch that comes while it stops is left for the next worker', async () => {
    const { here, worker, handler } = await driven()
    await handler.rebalanced({ gained: [EVENTS], lost: [] })
    const late = await batch(here, 0, 5)
    const stopping = worker.stop()
    expect(await handler.batch(late, control)).toBe(0)
    await stopping
    expect(await committed(here)).toBeUndefined()
  })

  test('a partition that comes while it stops is not opened', async () => {
    const { worker, handler } = await driven()
    const stopping = worker.stop()
    await handler.rebalanced({ gained: [EVENTS], lost: [] })
    await stopping
    expect(worker.log.opened.size).toBe(0)
    expect(worker.disk.openStores).toBe(0)
  })

  test('a hand-over waits for the batch under way', async () => {
    const { here, worker, handler } = await driven()
    await handler.rebalanced({ gained: [EVENTS], lost: [] })
    const work = handler.batch(await batch(here, 0, 5), control)
    const handedOver = handler.rebalanced({ gained: [], lost: [EVENTS] })
    expect(await work).toBe(5)
    await handedOver
    expect(await committed(here)).toBe(5)
    expect(worker.disk.openStores).toBe(0)
    expect(worker.warnings).toEqual([])
  })

  test('a partition that comes and goes and comes again is recovered each time', async () => {
    const { here, worker, handler } = await driven()
    for (const from of [0, 5, 10]) {
      await handler.rebalanced({ gained: [EVENTS], lost: [] })
      expect(handler.startOffset(EVENTS)).toBe(from)
      await handler.batch(await batch(here, from, from + 5), control)
      await handler.rebalanced({ gained: [], lost: [EVENTS] })
    }
    expect(worker.decisions).toEqual(['ready', 'ready', 'ready'])
  })

  test('a fenced task waits a second before it takes the partition back: the group may be taking it away', async () => {
    const clock = new ManualClock(Date.parse('2025-11-03T20:00:00Z'))
    let fenced = true
    const { here, worker, handler } = await driven({
      clock,
      faults: { commit: (_id, _commit, apply) => (fenced ? Promise.reject(fencedError()) : apply()) },
    })
    await handler.rebalanced({ gained: [EVENTS], lost: [] })
    const work = handler.batch(await batch(here, 0, 5), control)
    await here.until('it has failed', () => worker.warnings.length === 1)
    fenced = false
    clock.advance(999)
    // The batch is given back meanwhile, so that a hand-over need not wait for it.
    expect(await work).toBe(0)
    expect(worker.log.opened.get(`${APPLICATION}.0`)).toBe(1)
    clock.advance(1)
    await here.until('it is open again', () => worker.worker.health().ready)
    expect(worker.log.opened.get(`${APPLICATION}.0`)).toBe(2)
    expect(await handler.batch(await batch(here, 0, 5), control)).toBe(5)
  })

  /** A worker whose first commit failed and whose partition is being opened again, which lasts until `letGo`. */
  async function reopening() {
    const clock = new ManualClock(Date.parse('2025-11-03T20:00:00Z'))
    let letGo: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      letGo = resolve
    })
    let openings = 0
    const driver = await driven({
      clock,
      faults: {
        commit: () => Promise.reject(unavailable()),
        opening: () => (++openings === 2 ? held : Promise.resolve()),
      },
    })
    const { here, worker, handler } = driver
    await handler.rebalanced({ gained: [EVENTS], lost: [] })
    const work = handler.batch(await batch(here, 0, 5), control)
    await here.until('the commit has failed', () => worker.warnings.length === 1)
    clock.advance(100)
    await here.until('it is opened again', () => openings === 2)
    clock.advance(500)
    expect(await work).toBe(0)
    return { ...driver, clock, letGo }
  }

  test('a stop waits for a partition that is just being opened, and closes it', async () => {
    const { worker, letGo } = await reopening()
    let stopped = false
    const stopping = (async () => {
      await worker.stop()
      stopped = true
    })()
    for (let turns = 0; turns < 50; turns++) await nextTurn()
    expect(stopped).toBe(false)
    letGo()
    await stopping
    expect(worker.log.opened.get(`${APPLICATION}.0`)).toBe(2)
    expect(worker.disk.openStores).toBe(0)
  })

  test('a stop that has waited long enough goes on without it; what is opened after all is closed at once', async () => {
    const { here, worker, clock, letGo } = await reopening()
    const stopping = worker.stop()
    clock.advance(60_000)
    await stopping
    letGo()
    await here.until('it is open', () => worker.log.opened.get(`${APPLICATION}.0`) === 2)
    await here.until('it is closed', () => worker.disk.openedStores === 2 && worker.disk.openStores === 0)
    expect(await committed(here)).toBeUndefined()
  })
})

function fencedError(): OncewardError {
  return new OncewardError('ONCEWARD_E_LOG_FENCED', 'another has this id')
}
