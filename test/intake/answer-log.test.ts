import { describe, expect, it } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import type { StoredAnswer } from '../../core/ports/gateway.ts'
import type { Log } from '../../core/ports/log.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { type AnswerLogOptions, type GatewayAnswerLog, openAnswerLog } from '../../pipeline/gateway/answer-log.ts'
import { ManualClock } from '../support/clocks.ts'
import { unavailable } from '../support/faulty-log.ts'
import { codeOf, holdingLog, memoryLog, topics } from './harness.ts'

function opened(log: Log, options: Partial<AnswerLogOptions> = {}): Promise<GatewayAnswerLog> {
  return openAnswerLog({ log, topics, clock: systemClock, logger: silentLogger, ...options })
}

/** Counts how often it was done. */
function work(body: string): { (): Promise<StoredAnswer>; times: number } {
  const doing = Object.assign(
    () => {
      doing.times++
      return Promise.resolve({ status: 202, body })
    },
    { times: 0 },
  )
  return doing
}

const request = { id: 'gameco/r1', content: 'c1' }

describe('a request with an id of its own is answered once', () => {
  it('and then from what was kept', async () => {
    const answers = await opened(await memoryLog())
    const doing = work('first')
    expect(await answers.once(request, doing)).toEqual({ status: 202, body: 'first', replayed: false })
    expect(await answers.once(request, work('second'))).toEqual({ status: 202, body: 'first', replayed: true })
    expect(doing.times).toBe(1)
    await answers.close()
  })

  it('other content under the same id is a conflict', async () => {
    const answers = await opened(await memoryLog())
    await answers.once(request, work('first'))
    const other = work('second')
    expect(await codeOf(answers.once({ ...request, content: 'c2' }, other))).toBe('ONCEWARD_E_REQUEST_CONFLICT')
    expect(other.times).toBe(0)
    await answers.close()
  })

  it('two at once do the work once', async () => {
    const answers = await opened(await memoryLog())
    const [one, other, third] = [work('one'), work('other'), work('third')]
    const calls = await Promise.all([
      answers.once(request, one),
      answers.once(request, other),
      codeOf(answers.once({ ...request, content: 'c2' }, third)),
    ])
    expect(calls).toEqual([
      { status: 202, body: 'one', replayed: false },
      { status: 202, body: 'one', replayed: true },
      'ONCEWARD_E_REQUEST_CONFLICT',
    ])
    expect([one.times, other.times, third.times]).toEqual([1, 0, 0])
    await answers.close()
  })

  it('what was rejected is not kept', async () => {
    const answers = await opened(await memoryLog())
    const failing = [
      codeOf(answers.once(request, () => Promise.reject(unavailable()))),
      codeOf(answers.once(request, work('no'))),
    ]
    expect(await Promise.all(failing)).toEqual(['ONCEWARD_E_LOG_UNAVAILABLE', 'ONCEWARD_E_LOG_UNAVAILABLE'])
    expect(await answers.once(request, work('yes'))).toMatchObject({ body: 'yes', replayed: false })
    await answers.close()
  })

  it('the same from a gateway that comes later, and from another one that has heard of it', async () => {
    const log = await memoryLog()
    const [one, other] = [await opened(log), await opened(log)]
    await one.once(request, work('first'))
    for (let i = 0; ; i++) {
      const probe = { id: `probe${i}`, content: 'c' }
      await one.once(probe, work('one'))
      if ((await other.once(probe, work('other'))).body === 'one') break
    }
    expect(await other.once(request, work('second'))).toMatchObject({ body: 'first', replayed: true })
    await Promise.all([one.close(), other.close()])
    const later = await opened(log)
    expect(await later.once(request, work('third'))).toMatchObject({ body: 'first', replayed: true })
    await later.close()
  })

  it('for a day', async () => {
    const clock = new ManualClock(1_764_320_400_000)
    const log = await memoryLog(clock)
    const answers = await opened(log, { clock })
    await answers.once(request, work('first'))
    clock.advance(86_400_000)
    expect(await answers.once(request, work('second'))).toMatchObject({ body: 'first', replayed: true })
    clock.advance(1)
    expect(await answers.once(request, work('third'))).toMatchObject({ body: 'third', replayed: false })
    await answers.close()
  })

  it('in bounded memory: the oldest go first', async () => {
    const answers = await opened(await memoryLog(), { answersMax: 3 })
    for (let i = 0; i < 4; i++) await answers.once({ id: `r${i}`, content: 'c' }, work('first'))
    expect(await answers.once({ id: 'r1', content: 'c' }, work('second'))).toMatchObject({ replayed: true })
    expect(await answers.once({ id: 'r0', content: 'c' }, work('second'))).toMatchObject({ replayed: false })
    await answers.close()
  })

  it('a bus that does not take it delays the answer and does not change it', async () => {
    const clock = new ManualClock(1_764_320_400_000)
    const held = holdingLog(await memoryLog(clock), topics.gatewayAnswers)
    const answers = await opened(held.log, { clock, writeMsMax: 500 })
    const call = answers.once(request, work('first'))
    await held.next()
    clock.advance(500)
    expect(await call).toEqual({ status: 202, body: 'first', replayed: false })
    expect(await answers.once(request, work('second'))).toMatchObject({ body: 'first', replayed: true })
    await answers.close()
  })
})
