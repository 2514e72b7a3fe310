import { describe, expect, it } from 'vitest'
import { OncewardError } from '../../core/errors.ts'
import type { EventAnswer, EventIntake, EventSource } from '../../core/ports/gateway.ts'
import type { Log } from '../../core/ports/log.ts'
import { partitionOf } from '../../core/partitioner.ts'
import { unavailable } from '../support/faulty-log.ts'
import { ManualClock } from '../support/clocks.ts'
import {
  backend,
  bet,
  browser,
  codeOf,
  deposit,
  eventsOn,
  facts,
  holdingLog,
  intakeOn,
  lettersOn,
  memoryLog,
  PARTITIONS,
  recordsOf,
  topics,
} from './harness.ts'

function send(intake: EventIntake, events: readonly unknown[], source: EventSource = backend) {
  return intake.take({ source, events, facts })
}

function statusesOf(answers: readonly EventAnswer[]): readonly string[] {
  return answers.map((answer) => (answer.status === 'accepted' ? 'accepted' : answer.reason))
}

async function untilAvailable(intake: EventIntake): Promise<void> {
  while (!intake.state().available) await new Promise((resolve) => setImmediate(resolve))
}

describe('what is accepted stands on the bus', () => {
  it('as it came, keyed by user, at the time it was sent', async () => {
    const clock = new ManualClock(1_764_320_400_000)
    const log = await memoryLog(clock)
    const intake = await intakeOn(log, { clock })
    const event = { ...bet('e1'), user: { id: 'ü_1' }, extra: { of: ['the', 'sender'] } }
    expect(await send(intake, [event])).toEqual([{ status: 'accepted', event_id: 'e1' }])
    const [record] = await recordsOf(log, topics.events)
    expect(JSON.parse(String(record?.value))).toEqual(event)
    expect(record?.key?.toString()).toBe('ü_1')
    expect(record?.partition).toBe(partitionOf('ü_1', PARTITIONS))
    expect(record?.timestamp).toBe(1_764_320_400_000)
    await intake.close()
  })

  it('and what is rejected does not: each is answered in its place', async () => {
    const log = await memoryLog()
    const intake = await intakeOn(log)
    const source = { ...backend, events: new Set(['bet']) }
    const answers = await send(
      intake,
      [bet('e1'), 7, deposit('e2', 'u'), { ...bet('e3'), ts: 'now' }, bet('e4')],
      source,
    )
    expect(statusesOf(answers)).toEqual(['accepted', 'schema', 'forbidden', 'schema', 'accepted'])
    expect(answers[2]).toMatchObject({ event_id: 'e2', detail: expect.stringContaining('it may send bet') })
    expect(answers[3]).toMatchObject({ event_id: 'e3', detail: expect.stringContaining('ts is the text "now"') })
    expect((await eventsOn(log)).map(({ event_id }) => event_id)).toEqual(expect.arrayContaining(['e1', 'e4']))
    await intake.close()
  })

  it('nobody can take an id of others before they do', async () => {
    const log = await memoryLog()
    const intake = await intakeOn(log)
    const page = { ...browser, reserved: ['gameco'] }
    const taken = await send(intake, [bet('gameco:7'), bet('gameco_7'), bet('gamecorp:7'), bet('gameco')], page)
    expect(statusesOf(taken)).toEqual(['forbidden', 'accepted', 'accepted', 'accepted'])
    expect(taken[0]).toMatchObject({ event_id: 'gameco:7', detail: expect.stringContaining('"gameco:"') })
    expect(statusesOf(await send(intake, [deposit('gameco:7', 'u')]))).toEqual(['accepted'])
    await intake.close()
  })

  it('an event that is larger than a record is rejected before it is sent', async () => {
    const log = await memoryLog()
    const intake = await intakeOn(log, { eventBytesMax: 1_000 })
    const large = { ...bet('e1'), note: 'ä'.repeat(500) }
    expect(statusesOf(await send(intake, [large, bet('e2')]))).toEqual(['schema', 'accepted'])
    expect(await eventsOn(log)).toHaveLength(1)
    await intake.close()
  })

  it('what is rejected goes to the DLQ of a source that wants it, with whence it came', async () => {
    const log = await memoryLog()
    const intake = await intakeOn(log)
    const bad = { ...bet('e1'), payload: {} }
    await send(intake, [bad], { ...backend, kind: 'webhook', name: 'gameco' })
    await send(intake, [bad])
    await send(intake, [bad], browser)
    const letters = await lettersOn(log)
    expect(new Set(letters.map(({ from }) => from))).toEqual(new Set(['gateway/backend', 'webhook/gameco']))
    expect(letters[0]).toMatchObject({ reason: 'schema', event_id: 'e1', user_id: 'u_2', source: null })
    expect(JSON.parse(letters[0]?.raw ?? '')).toEqual(bad)
    await intake.close()
  })

  it('nothing crashes on what nobody would send', async () => {
    const log = await memoryLog()
    const intake = await intakeOn(log)
    const deep = JSON.parse(`${'['.repeat(50_000)}${']'.repeat(50_000)}`) as unknown
    const polluted = JSON.parse(JSON.stringify(bet('e1')).replace('{', '{"__proto__":{"polluted":1},')) as unknown
    const answers = await send(intake, [deep, null, { ...bet('e2'), deep }, polluted])
    expect(statusesOf(answers)).toEqual(['schema', 'schema', 'schema', 'accepted'])
    expect(await lettersOn(log)).toHaveLength(3)
    await intake.close()
  })
})

describe('whoever sends again gets the same answer (G3)', () => {
  async function opened(): Promise<{ log: Log; intake: EventIntake }> {
    const log = await memoryLog()
    return { log, intake: await intakeOn(log) }
  }

  it('and the event stands on the bus once', async () => {
    const { log, intake } = await opened()
    const [first] = await send(intake, [bet('e1')])
    const reordered = { payload: { bet: 1 }, user: { id: 'u_2' }, ts: bet('e1').ts, event_name: 'bet', event_id: 'e1' }
    expect(await send(intake, [bet('e1'), reordered])).toEqual([first, first])
    expect(await eventsOn(log)).toHaveLength(1)
    await intake.close()
  })

  it('unless it says something else', async () => {
    const { log, intake } = await opened()
    await send(intake, [bet('e1')])
    expect(statusesOf(await send(intake, [bet('e1', { payload: { bet: 2 } })]))).toEqual(['conflict'])
    expect(await eventsOn(log)).toEqual([bet('e1')])
    await intake.close()
  })

  it("and what a browser sends takes no id of a provider's next transaction", async () => {
    const log = await memoryLog()
    const intake = await intakeOn(log)
    const claimed = { ...bet('gameco:2'), user: { id: 'somebody' } }
    expect(statusesOf(await send(intake, [bet('e1'), claimed], browser))).toEqual(['accepted', 'accepted'])
    expect(statusesOf(await send(intake, [bet('gameco:2')], backend))).toEqual(['accepted'])
    // Among themselves they are told as ever.
    expect(statusesOf(await send(intake, [{ ...claimed, user: { id: 'u' } }], browser))).toEqual(['conflict'])
    expect(statusesOf(await send(intake, [{ ...bet('gameco:2'), user: { id: 'u' } }], backend))).toEqual(['conflict'])
    expect((await eventsOn(log)).map(({ event_id: id }) => id).toSorted()).toEqual(['e1', 'gameco:2', 'gameco:2'])
    await intake.close()
  })

  it('twice in one request as well', async () => {
    const { log, intake } = await opened()
    const answers = await send(intake, [bet('e1'), bet('e1'), bet('e1', { payload: { bet: 2 } }), bet('e2')])
    expect(statusesOf(answers)).toEqual(['accepted', 'accepted', 'conflict', 'accepted'])
    expect(await eventsOn(log)).toHaveLength(2)
    await intake.close()
  })

  it('twice at once: the second waits for the first', async () => {
    const held = holdingLog(await memoryLog(), topics.events)
    const intake = await intakeOn(held.log)
    const calls = [
      send(intake, [bet('e1')]),
      send(intake, [bet('e1')]),
      send(intake, [bet('e1', { payload: { bet: 2 } })]),
    ]
    const first = await held.next()
    await first.pass()
    expect((await Promise.all(calls)).map(statusesOf)).toEqual([['accepted'], ['accepted'], ['conflict']])
    expect(held.held).toBe(0)
    expect(await eventsOn(held.log)).toEqual([bet('e1')])
    await intake.close()
  })

  it('on another gateway, and on one that comes later, as soon as it has heard of it', async () => {
    const { log, intake } = await opened()
    const other = await intakeOn(log)
    await send(intake, [bet('e1')])
    // It hears of it within moments: until then it takes the event again, which the worker would drop.
    for (;;) {
      const id = `probe${Math.floor(performance.now() * 1_000)}`
      await send(intake, [bet(id)])
      const before = (await eventsOn(log)).length
      await send(other, [bet(id)])
      if ((await eventsOn(log)).length === before) break
    }
    expect(statusesOf(await send(other, [bet('e1'), bet('e1', { payload: { bet: 2 } })]))).toEqual([
      'accepted',
      'conflict',
    ])
    await intake.close()
    const later = await intakeOn(log)
    expect(statusesOf(await send(later, [bet('e1'), bet('e1', { payload: { bet: 2 } })]))).toEqual([
      'accepted',
      'conflict',
    ])
    expect((await eventsOn(log)).filter(({ event_id }) => event_id === 'e1')).toHaveLength(1)
    await Promise.all([other.close(), later.close()])
  })
})

describe('what is refused is nowhere (G2)', () => {
  it('where the bus does not answer, what waits and what comes is refused, and what was sent is answered late', async () => {
    const clock = new ManualClock(1_764_320_400_000)
    const held = holdingLog(await memoryLog(clock), topics.events)
    const intake = await intakeOn(held.log, { clock, busPatienceMs: 2_000 })
    const sent = send(intake, [bet('sent')])
    const first = await held.next()
    const waiting = codeOf(send(intake, [bet('waits')]))
    expect(intake.state()).toMatchObject({ available: true })
    clock.advance(2_000)
    expect(await waiting).toBe('ONCEWARD_E_LOG_UNAVAILABLE')
    expect(intake.state()).toMatchObject({ available: false })
    expect(await codeOf(send(intake, [bet('comes')]))).toBe('ONCEWARD_E_LOG_UNAVAILABLE')
    expect(await codeOf(send(intake, [bet('comes too'), bet('sent')]))).toBe('ONCEWARD_E_LOG_COMMIT_UNKNOWN')
    await first.pass()
    expect(statusesOf(await sent)).toEqual(['accepted'])
    expect(intake.state()).toEqual({ available: true, pendingBytes: 0 })
    expect(await eventsOn(held.log)).toEqual([bet('sent')])
    const again = send(intake, [bet('waits'), bet('comes'), bet('sent')])
    await (await held.next()).pass()
    expect(statusesOf(await again)).toEqual(['accepted', 'accepted', 'accepted'])
    expect(await eventsOn(held.log)).toHaveLength(3)
    await intake.close()
  })

  it('where a send fails, its callers get no answer, those behind it a refusal, and the next one is new', async () => {
    const held = holdingLog(await memoryLog(), topics.events)
    const intake = await intakeOn(held.log)
    const sent = codeOf(send(intake, [bet('sent')]))
    const first = await held.next()
    const waiting = codeOf(send(intake, [bet('waits')]))
    await first.fail(unavailable(), { appended: true })
    expect([await sent, await waiting]).toEqual(['ONCEWARD_E_LOG_COMMIT_UNKNOWN', 'ONCEWARD_E_LOG_UNAVAILABLE'])
    expect(await eventsOn(held.log)).toEqual([bet('sent')])
    await untilAvailable(intake)
    const again = send(intake, [bet('sent')])
    await (await held.next()).pass()
    expect(statusesOf(await again)).toEqual(['accepted'])
    await intake.close()
  })

  it('other gateways hear of an event once the bus has it, and never before', async () => {
    const held = holdingLog(await memoryLog(), topics.events)
    const intake = await intakeOn(held.log)
    const heard = async (): Promise<number> => (await recordsOf(held.log, topics.gatewayAnswers)).length
    const doubtful = codeOf(send(intake, [bet('e1')]))
    const first = await held.next()
    expect(await heard()).toBe(0)
    await first.fail(unavailable())
    await doubtful
    await untilAvailable(intake)
    expect(await heard()).toBe(0)
    const sent = send(intake, [bet('e1')])
    await (await held.next()).pass()
    await sent
    await expect.poll(heard).toBe(1)
    await intake.close()
  })

  it('a record that the broker finds too large is refused and not in doubt', async () => {
    const held = holdingLog(await memoryLog(), topics.events)
    const intake = await intakeOn(held.log)
    const sent = codeOf(send(intake, [bet('e1')]))
    await (await held.next()).fail(new OncewardError('ONCEWARD_E_LOG_RECORD_TOO_LARGE', 'too large'))
    expect(await sent).toBe('ONCEWARD_E_LOG_UNAVAILABLE')
    await untilAvailable(intake)
    const two = codeOf(send(intake, [bet('e1'), bet('e2')]))
    await (await held.next()).fail(new OncewardError('ONCEWARD_E_LOG_RECORD_TOO_LARGE', 'too large'))
    expect(await two).toBe('ONCEWARD_E_LOG_COMMIT_UNKNOWN')
    await intake.close()
  })

  it('no more waits than has room', async () => {
    const held = holdingLog(await memoryLog(), topics.events)
    const intake = await intakeOn(held.log, { pendingBytesMax: 2_000 })
    const calls = Array.from({ length: 30 }, (_, i) => codeOf(send(intake, [bet(`e${i}`)])))
    expect(intake.state().pendingBytes).toBeLessThan(2_500)
    await (await held.next()).pass()
    await (await held.next()).pass()
    const codes = await Promise.all(calls)
    const taken = codes.filter((code) => code === 'ok').length
    expect(taken).toBeGreaterThan(3)
    expect(codes.filter((code) => code === 'ONCEWARD_E_LOG_UNAVAILABLE')).toHaveLength(30 - taken)
    expect(await eventsOn(held.log)).toHaveLength(taken)
    await intake.close()
  })

  it('closing sends what waits and refuses what comes', async () => {
    const held = holdingLog(await memoryLog(), topics.events)
    const intake = await intakeOn(held.log)
    const calls = [send(intake, [bet('e1')]), send(intake, [bet('e2')])]
    const first = await held.next()
    const closed = intake.close()
    expect(await codeOf(send(intake, [bet('e3')]))).toBe('ONCEWARD_E_LOG_UNAVAILABLE')
    await first.pass()
    await (await held.next()).pass()
    expect((await Promise.all(calls)).map(statusesOf)).toEqual([['accepted'], ['accepted']])
    await closed
    expect(await eventsOn(held.log)).toHaveLength(2)
  })
})

describe('requests whose signature does not hold', () => {
  it('are set aside, but not more than a person could read', async () => {
    const clock = new ManualClock(1_764_320_400_000)
    const log = await memoryLog(clock)
    let left = 0
    const metrics = { answered: () => {}, sent: () => {}, notShared: () => {}, notSetAside: (n: number) => (left += n) }
    const intake = await intakeOn(log, { clock, metrics })
    const letter = { from: 'webhook/gameco', detail: 'the signature does not hold', raw: Buffer.from('{}') }
    for (let i = 0; i < 1_000; i++) await intake.setAside(letter)
    const letters = await lettersOn(log)
    expect(letters[0]).toMatchObject({ reason: 'signature', from: 'webhook/gameco', source: null, raw: '{}' })
    expect(letters).toHaveLength(50)
    expect(left).toBe(950)
    clock.advance(1_000)
    await intake.setAside(letter)
    expect(await lettersOn(log)).toHaveLength(51)
    await intake.close()
  })
})
