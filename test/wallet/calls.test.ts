import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { RETRY_AFTER_MS_MAX, retryAfterMs } from '../../connectors/wallet/answer.ts'
import { openDeadlines } from '../../connectors/wallet/deadlines.ts'
import { httpWallet } from '../../connectors/wallet/http-wallet.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import type { PartnerSpec } from '../../core/model/partner.ts'
import type { Wallet } from '../../core/ports/wallet.ts'
import { cleaning, listenHttp, order, PAID, partnerSpec } from './support.ts'

const { keep, clean } = cleaning()
afterEach(clean)

function wallet(url: string, change: Partial<PartnerSpec> = {}, clock: Clock = systemClock): Wallet {
  const made = httpWallet({ spec: partnerSpec(url, change), clock })
  keep(() => made.close())
  return made
}

async function serve(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const { url, close } = await listenHttp(handler)
  keep(close)
  return url
}

describe('Retry-After', () => {
  const now = Date.parse('2025-10-24T11:37:21.500Z')
  test.each([
    ['0', 0],
    ['7', 7_000],
    [' 7 ', 7_000],
    ['86400', RETRY_AFTER_MS_MAX],
    ['9'.repeat(400), RETRY_AFTER_MS_MAX],
    ['Fri, 24 Oct 2025 11:37:31 GMT', 9_500],
    ['Fri, 24 Oct 2025 11:37:01 GMT', 0],
    ['Fri, 31 Dec 2199 23:59:59 GMT', RETRY_AFTER_MS_MAX],
    ['Fri, 99 Oct 2025 11:37:31 GMT', undefined],
    ['-1', undefined],
    ['1.5', undefined],
    ['1e9', undefined],
    ['5 apples', undefined],
    ['2025-10-24', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%s', (header, ms) => expect(retryAfterMs(header, now)).toBe(ms))

  test.each([429, 503])('of a %i says when to come again', async (status) => {
    const url = await serve((_request, response) => void response.writeHead(status, { 'retry-after': '3' }).end())
    expect(await wallet(url).credit(order())).toMatchObject({ kind: 'unavailable', retryAfterMs: 3_000 })
  })

  test('of an answer that is final means nothing', async () => {
    const url = await serve((_request, response) => void response.writeHead(400, { 'retry-after': '3' }).end())
    expect(await wallet(url).credit(order())).toEqual({ kind: 'refused', detail: 'HTTP 400' })
  })
})

describe('the time-out', () => {
  test('ends an answer that comes in drops, however many', async () => {
    const url = await serve((_request, response) => {
      response.on('error', () => undefined)
      const drip = async (): Promise<void> => {
        while (!response.destroyed && response.write(' ')) await sleep(5)
      }
      void drip()
    })
    const began = performance.now()
    expect(await wallet(url, { timeoutMs: 150 }).credit(order())).toMatchObject({ kind: 'unavailable' })
    expect(performance.now() - began).toBeLessThan(10_000)
  })

  test('holds for each call on its own, and costs the others nothing', async () => {
    const url = await serve((request, response) => {
      if (request.headers['x-request-id'] !== order(2).requestId) response.end(PAID)
    })
    const client = wallet(url, { timeoutMs: 1_000 })
    const outcomes = await Promise.all([1, 2, 3, 4].map((n) => client.credit(order(n))))
    expect(outcomes.map(({ kind }) => kind)).toEqual(['paid', 'unavailable', 'paid', 'paid'])
    expect(await client.credit(order(5))).toMatchObject({ kind: 'paid' })
  })

  test('counts while a call waits for a connection; given up, it is not sent after all', async () => {
    const seen: unknown[] = []
    let release = (): void => undefined
    const url = await serve((request, response) => {
      seen.push(request.headers['x-request-id'])
      release = () => void response.end(PAID)
    })
    const client = wallet(url, { concurrency: 1, timeoutMs: 5_000 })
    const first = client.credit(order(1))
    await expect.poll(() => seen.length).toBe(1)
    const stop = new AbortController()
    const second = client.credit(order(2), stop.signal)
    const third = client.credit(order(3))
    stop.abort()
    expect(await second).toMatchObject({ kind: 'unavailable', detail: expect.stringMatching(/abandoned/) })
    release()
    expect(await first).toMatchObject({ kind: 'paid' })
    await expect.poll(() => seen.length).toBe(2)
    release()
    expect(await third).toMatchObject({ kind: 'paid' })
    expect(seen).toEqual([order(1).requestId, order(3).requestId])
  })
})

test('no more calls are on their way at once than the partner is to have', async () => {
  const waiting: ServerResponse[] = []
  let most = 0
  // Answers only once three are there, and gives a fourth the time to come.
  const url = await serve((_request, response) => {
    most = Math.max(most, waiting.push(response))
    if (waiting.length === 3) void sleep(5).then(() => waiting.splice(0).forEach((each) => each.end(PAID)))
  })
  const client = wallet(url, { concurrency: 3 })
  const outcomes = await Promise.all(Array.from({ length: 30 }, (_, n) => client.credit(order(n))))
  expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(['paid']))
  expect(most).toBe(3)
})

test('a closed wallet answers, and calls nobody', async () => {
  let calls = 0
  const url = await serve(() => calls++)
  const client = wallet(url, { timeoutMs: 60_000 })
  const open = client.credit(order(1))
  await expect.poll(() => calls).toBe(1)
  await client.close()
  expect(await open).toMatchObject({ kind: 'unavailable' })
  expect(await client.credit(order(2))).toMatchObject({ kind: 'unavailable' })
  expect(calls).toBe(1)
})

test('the request id, the signatures and the same bytes go out on every try', async () => {
  const seen: string[][] = []
  const url = await serve((request, response) => {
    const parts: string[] = []
    request.on('data', (part: Buffer) => parts.push(part.toString()))
    request.on('end', () => {
      const { headers } = request
      seen.push([...['x-request-id', 'x-signature', 'webhook-id'].map((name) => String(headers[name])), parts.join('')])
      response.writeHead(500).end()
    })
  })
  const client = wallet(url)
  for (let n = 0; n < 3; n++) await client.credit(order(1))
  expect(seen).toHaveLength(3)
  expect(new Set(seen.map((each) => JSON.stringify(each))).size).toBe(1)
})

test.each([
  [{ concurrency: 0 }, /concurrency is 0/],
  [{ concurrency: 1.5 }, /concurrency is 1.5/],
  [{ timeoutMs: 0 }, /timeoutMs is 0/],
  [{ timeoutMs: Number.NaN }, /timeoutMs is NaN/],
  [{ timeoutMs: 600_001 }, /timeoutMs is 600001/],
  [{ secrets: [] }, /partner acme: there is no secret/],
] as const)('a partner with %o is refused', (change, why) => {
  expect(() => wallet('https://wallet.example', change)).toThrow(why)
})

describe('deadlines', () => {
  test('expire in order, each at its time, unless it is over before; one sleep at a time does for all', async () => {
    let now = 0
    const sleeps: { ms: number; wake: () => void }[] = []
    const clock: Clock = {
      now: () => now,
      monotonic: () => now,
      sleep: (ms, signal) =>
        new Promise((wake) => {
          sleeps.push({ ms, wake })
          signal?.addEventListener('abort', () => wake())
        }),
    }
    const pass = async (ms: number): Promise<void> => {
      now += ms
      sleeps.splice(0).forEach(({ wake }) => wake())
      await new Promise(setImmediate)
    }
    const deadlines = openDeadlines(clock, 100)
    const expired: string[] = []
    const begin = (name: string): (() => void) => deadlines.begin(() => expired.push(name))
    begin('a')
    now = 40
    const over = begin('b')
    begin('c')
    expect(sleeps.map(({ ms }) => ms)).toEqual([100])
    await pass(60)
    expect(expired).toEqual(['a'])
    over()
    await pass(39)
    expect(expired).toEqual(['a'])
    await pass(1)
    expect(expired).toEqual(['a', 'c'])
    // Nothing waits, so nothing sleeps; the next one is watched again.
    expect(sleeps).toEqual([])
    begin('d')
    expect(sleeps).toHaveLength(1)
    deadlines.close()
    await pass(1_000)
    expect(expired).toEqual(['a', 'c'])
  })
})
