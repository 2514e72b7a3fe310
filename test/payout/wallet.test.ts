import { createServer, type Server } from 'node:http'
import { afterEach, expect, test } from 'vitest'
import { startPartner } from '../../connectors/partner/partner.ts'
import { outcomeOf } from '../../connectors/wallet/answer.ts'
import { creditBody } from '../../connectors/wallet/body.ts'
import { httpWallet } from '../../connectors/wallet/http-wallet.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import type { CreditRequest, Wallet } from '../../core/ports/wallet.ts'
import { partnerSpec } from '../wallet/support.ts'
import { SECRET } from './fixtures.ts'

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const ORDER: CreditRequest = {
  requestId: 'rt_1',
  userId: 'u_1',
  reward: { type: 'bonus_cash', amount: 2, currency: 'EUR', wagering: 15, cost: 1.5 },
  ruleId: 'r_points',
  threshold: 300,
  guardrails: { kyc_min_level: 2 },
}

function wallet(url: string, change: { timeoutMs?: number; secret?: string; clock?: Clock } = {}): Wallet {
  const { clock = systemClock, secret = SECRET, timeoutMs = 2_000 } = change
  const made = httpWallet({ spec: partnerSpec(url, { secrets: [secret], timeoutMs }), clock })
  cleanups.push(() => made.close())
  return made
}

async function serverWith(handler: Parameters<typeof createServer>[1]): Promise<string> {
  const server: Server = createServer(handler)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  cleanups.push(
    () =>
      new Promise((done) => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  )
  const address = server.address()
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
}

test.each([
  [200, '{"payout_id":"po_1","status":"succeeded"}', 'paid'],
  [201, '{"payout_id":"po_1","status":"pending"}', 'paid'],
  [200, '{"payout_id":"po_1","status":"rejected"}', 'refused'],
  [200, '{"payout_id":"po_1"}', 'unavailable'],
  [200, '{"payout_id":7,"status":"succeeded"}', 'unavailable'],
  [200, '{"payout_id":"","status":"succeeded"}', 'unavailable'],
  [200, 'null', 'unavailable'],
  [200, 'OK', 'unavailable'],
  [204, '', 'unavailable'],
  [301, '', 'refused'],
  [307, '', 'refused'],
  [400, 'bad', 'refused'],
  [401, '', 'refused'],
  [404, '', 'refused'],
  [409, '', 'refused'],
  [422, '', 'refused'],
  [408, '', 'unavailable'],
  [425, '', 'unavailable'],
  [429, '', 'unavailable'],
  [500, '', 'unavailable'],
  [502, '<html>', 'unavailable'],
  [503, '', 'unavailable'],
  [599, '', 'unavailable'],
])('HTTP %i with %s is %s', (status, text, kind) => expect(outcomeOf(status, text).kind).toBe(kind))

test('an answer is quoted in short, and with nothing that the ledger cannot store', () => {
  const outcome = outcomeOf(422, `a\0b\uD800 ${'x'.repeat(1_000)}`)
  expect(outcome).toMatchObject({
    kind: 'refused',
    detail: expect.stringMatching(/^HTTP 422: a\uFFFDb\uFFFD x{190,}…$/),
  })
})

test('the body holds both forms of SPEC S4, the same bytes each time, and not what the reward costs us', () => {
  expect(creditBody(ORDER)).toBe(creditBody({ ...ORDER }))
  expect(JSON.parse(creditBody(ORDER))).toEqual({
    request_id: 'rt_1',
    user_id: 'u_1',
    reward: { type: 'bonus_cash', amount: 2, currency: 'EUR' },
    amount: 2,
    currency: 'EUR',
    reason: 'rule:r_points',
    milestone: 'milestone_300_points',
    kyc_level: 2,
    constraints: { wagering: 15 },
  })
})

test('the partner pays an order once and answers a repeat with the same payout', async () => {
  const partner = await startPartner({ secret: SECRET, clock: systemClock })
  cleanups.push(() => partner.stop())
  const client = wallet(partner.url)
  const first = await client.credit(ORDER)
  expect(first).toMatchObject({ kind: 'paid', status: 'succeeded' })
  expect(await client.credit(ORDER)).toEqual(first)
  expect(partner.stats()).toMatchObject({ calls: 2, distinct: 1, repeats: 1, amounts: { 'bonus_cash EUR': '2.00' } })
  expect(await (await fetch(`${partner.url}/payouts`)).text()).toBe('rt_1\n')
  expect(await (await fetch(`${partner.url}/stats`)).json()).toEqual(partner.stats())
})

test('the partner refuses another secret and a time more than five minutes off, and pays nothing', async () => {
  const partner = await startPartner({ secret: SECRET, clock: systemClock })
  cleanups.push(() => partner.stop())
  const off = (ms: number): Clock => ({ ...systemClock, now: () => systemClock.now() + ms })
  expect(await wallet(partner.url, { secret: 'other' }).credit(ORDER)).toMatchObject({ kind: 'refused' })
  expect(await wallet(partner.url, { clock: off(-301_500) }).credit(ORDER)).toMatchObject({ kind: 'refused' })
  expect(await wallet(partner.url, { clock: off(302_000) }).credit(ORDER)).toMatchObject({ kind: 'refused' })
  expect(partner.stats()).toMatchObject({ calls: 3, distinct: 0, bad_signatures: 3 })
  expect(await wallet(partner.url, { clock: off(-290_000) }).credit(ORDER)).toMatchObject({ kind: 'paid' })
})

test('the same seed brings the same faults; some come after paying, some before', async () => {
  const run = async (): Promise<[string[], number]> => {
    const partner = await startPartner({ secret: SECRET, clock: systemClock, failRate: 0.5, seed: 3 })
    cleanups.push(() => partner.stop())
    const client = wallet(partner.url)
    const kinds: string[] = []
    for (let n = 0; n < 60; n++) kinds.push((await client.credit({ ...ORDER, requestId: `rt_${n}` })).kind)
    return [kinds, partner.stats().distinct]
  }
  const [kinds, distinct] = await run()
  expect(await run()).toEqual([kinds, distinct])
  const paid = kinds.filter((kind) => kind === 'paid').length
  expect(distinct).toBeGreaterThan(paid)
  expect(distinct).toBeLessThan(60)
})

test('an address without a path gets /wallet/credit, one with a path keeps it', async () => {
  const seen: (string | undefined)[] = []
  const url = await serverWith((request, response) => {
    seen.push(request.url)
    response.end('{"payout_id":"po","status":"succeeded"}')
  })
  await wallet(url).credit(ORDER)
  await wallet(`${url}/`).credit(ORDER)
  await wallet(`${url}/v2/pay?tenant=7`).credit(ORDER)
  expect(seen).toEqual(['/wallet/credit', '/wallet/credit', '/v2/pay?tenant=7'])
})

test('a redirect is not followed', async () => {
  const seen: (string | undefined)[] = []
  const url = await serverWith((request, response) => {
    seen.push(request.url)
    response.writeHead(307, { location: '/elsewhere' }).end()
  })
  expect(await wallet(url).credit(ORDER)).toMatchObject({ kind: 'refused', detail: expect.stringMatching(/redirects/) })
  expect(seen).toEqual(['/wallet/credit'])
})

test.each([
  ['no answer', (): void => undefined],
  ['an answer that does not end', (response: { write(text: string): void }): void => response.write('{"payout_id":')],
])('%s is unavailable after the time-out', async (_, answer) => {
  const url = await serverWith((_request, response) => {
    answer(response)
  })
  expect(await wallet(url, { timeoutMs: 80 }).credit(ORDER)).toEqual({
    kind: 'unavailable',
    detail: 'no answer: no answer within 80 ms',
  })
})

test('a connection that breaks, a host that is not there and a call given up are unavailable', async () => {
  const url = await serverWith((request) => request.socket.destroy())
  expect(await wallet(url).credit(ORDER)).toMatchObject({ kind: 'unavailable' })
  expect(await wallet('http://127.0.0.1:9').credit(ORDER)).toMatchObject({ kind: 'unavailable' })
  expect(await wallet(url).credit(ORDER, AbortSignal.abort())).toMatchObject({
    kind: 'unavailable',
    detail: expect.stringMatching(/abandoned/),
  })
})

test('an endless answer costs no endless memory', async () => {
  const url = await serverWith((_request, response) => {
    response.on('error', () => undefined)
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(16_384)));
      if (!response.destroyed) response.once('drain', more)
    }
    more()
  })
  expect(await wallet(url).credit(ORDER)).toMatchObject({
    kind: 'unavailable',
    detail: expect.stringMatching(/^HTTP 200 without/),
  })
})

test('a wallet without a secret or a usable address is refused at once', () => {
  expect(() => wallet('ftp://wallet')).toThrow(/not the URL of a wallet/)
  expect(() => wallet('wallet')).toThrow(/not the URL of a wallet/)
  expect(() => wallet('https://wallet', { secret: '' })).toThrow(/secret/)
})
