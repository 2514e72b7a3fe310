/** Attack: a partner, or somebody who plays it, answers with what is meant to break the sink or its ledger. */
import type { ServerResponse } from 'node:http'
import { createServer as createTcp } from 'node:net'
import { gzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { outcomeOf } from '../../connectors/wallet/answer.ts'
import { httpWallet } from '../../connectors/wallet/http-wallet.ts'
import { systemClock } from '../../core/clock.ts'
import type { CreditOutcome } from '../../core/ports/wallet.ts'
import { cleaning, listenHttp, listening, order, PAID, partnerSpec } from '../wallet/support.ts'

const { keep, clean } = cleaning()
afterEach(clean)

async function callTo(url: string): Promise<CreditOutcome> {
  const client = httpWallet({ spec: partnerSpec(url, { timeoutMs: 1_000 }), clock: systemClock })
  keep(() => client.close())
  return client.credit(order())
}

async function answeredBy(answer: (response: ServerResponse) => void): Promise<CreditOutcome> {
  const { url, close } = await listenHttp((_request, response) => {
    response.on('error', () => undefined)
    answer(response)
  })
  keep(close)
  return callTo(url)
}

/** Bytes on the wire that no HTTP library would write. */
async function rawly(text: string | Buffer): Promise<CreditOutcome> {
  const { url, close } = await listening(
    createTcp((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => socket.end(text))
    }),
  )
  keep(close)
  return callTo(url)
}

/** What Postgres takes as text, JSON takes as a string, and a terminal shows as it is. */
function expectHarmless(outcome: CreditOutcome): void {
  for (const text of Object.values(outcome)) {
    if (typeof text !== 'string') continue
    expect(text).not.toMatch(/\p{Cc}|\p{Surrogate}/u)
    expect(text.length).toBeLessThan(500)
  }
}

describe('an answer of 200 is no payment', () => {
  test.each([
    ['nested a hundred thousand levels deep', '['.repeat(100_000)],
    ['nested deep within what is read', `{"payout_id":${'['.repeat(30_000)}`],
    ['a payout_id of a number', '{"payout_id":1,"status":"succeeded"}'],
    ['a payout_id of an object', '{"payout_id":{"toString":"x"},"status":"succeeded"}'],
    ['a payout_id by __proto__ alone', '{"__proto__":{"payout_id":"po_1","status":"succeeded"}}'],
    ['a payout_id by constructor', '{"constructor":{"prototype":{"payout_id":"po_1","status":"succeeded"}}}'],
    ['a list', '[{"payout_id":"po_1","status":"succeeded"}]'],
    ['two answers', `${PAID}${PAID}`],
    ['JavaScript', 'payout_id="po_1"'],
    ['a status in which it was not paid', '{"payout_id":"po_1","status":" REJECTED "}'],
    ['a byte order mark', `\uFEFF${PAID}`],
  ])('%s', (_, text) => {
    const outcome = outcomeOf(200, text)
    expect(outcome.kind).not.toBe('paid')
    expectHarmless(outcome)
    expect(({} as Record<string, unknown>)['payout_id']).toBeUndefined()
  })
})

test('what is booked of a payment can be stored, however the partner spelt it; ids that differ stay different', () => {
  const idOf = (id: string): string => {
    const outcome = outcomeOf(200, JSON.stringify({ payout_id: id, status: 'succeeded\u0000\u001b[31m' }))
    expect(outcome.kind).toBe('paid')
    expectHarmless(outcome)
    return outcome.kind === 'paid' ? outcome.payoutId : ''
  }
  const long = 'x'.repeat(50_000)
  const ids = ['po_1', 'po_1\u0000', 'po_1\u0001', 'po_\ud800', 'po_\ud801', long, `${long}y`, '\u001b]0;owned\u0007']
  expect(new Set(ids.map(idOf)).size).toBe(ids.length)
  for (const id of ids) expect(idOf(id)).toBe(idOf(id))
  expect(idOf('po_1')).toBe('po_1')
})

test('any bytes as an answer of any status give an outcome that can be stored', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 200, max: 999 }),
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.json(),
        fc.uint8Array().map((bytes) => Buffer.from(bytes).toString()),
      ),
      (status, text) => expectHarmless(outcomeOf(status, text)),
    ),
  )
})

test('a body without end is cut, and the connection closed', async () => {
  let written = 0
  let closed = false
  const outcome = await answeredBy((response) => {
    response.once('close', () => (closed = true))
    const more = (): void => {
      while (!response.destroyed) {
        written += 16_384
        if (!response.write(' '.repeat(16_384))) return void response.once('drain', more)
      }
    }
    more()
  })
  expect(outcome).toMatchObject({ kind: 'unavailable', detail: expect.stringMatching(/^HTTP 200 without/) })
  await expect.poll(() => closed).toBe(true)
  // What stood in buffers of the system on the way.
  expect(written).toBeLessThan(20e6)
})

test('a payment behind 64 KiB of blanks is not believed, whatever follows', async () => {
  const outcome = await answeredBy((response) => void response.end(`${' '.repeat(70_000)}${PAID}`))
  expect(outcome).toMatchObject({ kind: 'unavailable' })
})

test('a packed answer is not unpacked: nobody asked for one', async () => {
  const bomb = gzipSync(Buffer.alloc(50e6, ' '))
  let asked: unknown
  const { url, close } = await listenHttp((request, response) => {
    asked = request.headers['accept-encoding']
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb)
  })
  keep(close)
  const before = process.memoryUsage().rss
  expect(await callTo(url)).toMatchObject({ kind: 'unavailable' })
  expect(asked).toBe('identity')
  expect(process.memoryUsage().rss - before).toBeLessThan(40e6)
})

describe('headers', () => {
  test.each([
    ['one of a megabyte', `HTTP/1.1 200 OK\r\nX-Bomb: ${'x'.repeat(1e6)}\r\n\r\n${PAID}`],
    ['fifty thousand of them', `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(50_000)}\r\n${PAID}`],
    ['two lengths', `HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 44\r\n\r\n${PAID}`],
    [
      'a length and chunks',
      `HTTP/1.1 200 OK\r\nContent-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${PAID}`,
    ],
    ['a negative length', `HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n${PAID}`],
    ['a length beyond what comes', `HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n${PAID}`],
    ['a chunk without end', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n${PAID}`],
    ['another protocol', `SSH-2.0-OpenSSH_9.6\r\n`],
    ['an upgrade', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n'],
    ['nothing but 100s', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(1_000)],
    ['nothing', ''],
  ])('%s: no payment, and no harm', async (_, text) => {
    const outcome = await rawly(text)
    expect(outcome.kind).toBe('unavailable')
    expectHarmless(outcome)
  })

  test('a status of no known class is no payment', async () => {
    for (const status of [600, 999]) {
      const outcome = await rawly(`HTTP/1.1 ${status} Odd\r\nContent-Length: ${PAID.length}\r\n\r\n${PAID}`)
      expect(outcome.kind).toBe('unavailable')
    }
  })

  test('a second answer that nobody asked for is not taken for that of the next call', async () => {
    const one = `HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n`
    const smuggled = `HTTP/1.1 200 OK\r\nContent-Length: ${PAID.length}\r\n\r\n${PAID}`
    let calls = 0
    const { url, close } = await listening(
      createTcp((socket) => {
        socket.on('error', () => undefined)
        socket.on('data', () => {
          calls++
          socket.write(calls === 1 ? one + smuggled : one)
        })
      }),
    )
    keep(close)
    const client = httpWallet({ spec: partnerSpec(url, { concurrency: 1, timeoutMs: 1_000 }), clock: systemClock })
    keep(() => client.close())
    expect(await client.credit(order(1))).toMatchObject({ kind: 'unavailable' })
    expect(await client.credit(order(2))).toMatchObject({ kind: 'unavailable' })
    expect(await client.credit(order(3))).toMatchObject({ kind: 'unavailable' })
  })
})
