/** Attack: a call that was captured is sent again, later, changed, or under another id. */
import { afterEach, expect, test } from 'vitest'
import { type Partner, startPartner } from '../../connectors/partner/partner.ts'
import { signatureHeaders, signingKeys } from '../../connectors/wallet/signature.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import { cleaning, SECRET } from '../wallet/support.ts'

const { keep, clean } = cleaning()
afterEach(clean)

const KEYS = signingKeys([SECRET])
const STANDARD = ['webhook-id', 'webhook-timestamp', 'webhook-signature']
const PLAIN = ['x-signature', 'x-timestamp', 'x-request-id']

interface Captured {
  readonly headers: Record<string, string>
  readonly body: string
}

function captured(requestId = 'rid_1', amount = 2, at = systemClock.now()): Captured {
  const reward = { type: 'cash', amount, currency: 'EUR' }
  const body = JSON.stringify({ request_id: requestId, user_id: 'u_1', reward, amount })
  return { headers: signatureHeaders({ keys: KEYS, requestId, now: at, body }), body }
}

async function start(clock: Clock = systemClock): Promise<Partner> {
  const partner = await startPartner({ secret: SECRET, clock })
  keep(() => partner.stop())
  return partner
}

async function send(partner: Partner, { headers, body }: Captured): Promise<number> {
  const response = await fetch(`${partner.url}/wallet/credit`, { method: 'POST', headers, body })
  await response.text()
  return response.status
}

function without({ headers, body }: Captured, names: readonly string[]): Captured {
  return { headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name))), body }
}

test('sent again at once: it is paid once, and the answer is the same', async () => {
  const partner = await start()
  const call = captured()
  const answers = await Promise.all(
    [1, 2, 3].map(async () => {
      const response = await fetch(partner.url, { method: 'POST', headers: call.headers, body: call.body })
      return `${response.status} ${await response.text()}`
    }),
  )
  expect(new Set(answers).size).toBe(1)
  expect(partner.stats()).toMatchObject({ distinct: 1, repeats: 2 })
})

test('sent again six minutes later: refused by its age', async () => {
  const partner = await start({ ...systemClock, now: () => systemClock.now() + 360_000 })
  expect(await send(partner, captured())).toBe(401)
  expect(partner.stats()).toMatchObject({ distinct: 0, bad_signatures: 1 })
})

test('with a new time: refused, for Standard Webhooks signs it', async () => {
  const partner = await start({ ...systemClock, now: () => systemClock.now() + 360_000 })
  const call = captured()
  const fresh = captured('rid_1', 2, systemClock.now() + 360_000).headers
  const names = ['x-timestamp', 'webhook-timestamp']
  const forged = Object.fromEntries(names.map((name) => [name, fresh[name] ?? '']))
  expect(await send(partner, { ...call, headers: { ...call.headers, ...forged } })).toBe(401)
  // X-Signature alone does not: the time of SPEC S4 is not signed. It is paid no second time all the same, by its id.
  await send(partner, { ...captured('rid_1', 2, systemClock.now() + 360_000) })
  expect(await send(partner, without({ ...call, headers: { ...call.headers, ...forged } }, STANDARD))).toBe(200)
  expect(partner.stats()).toMatchObject({ distinct: 1, repeats: 1 })
})

test('with another body, or a larger amount: refused by either scheme', async () => {
  const partner = await start()
  const call = captured()
  const forged = { ...call, body: captured('rid_1', 2_000).body }
  for (const each of [forged, without(forged, STANDARD), without(forged, PLAIN)]) {
    expect(await send(partner, each)).toBe(401)
  }
  expect(partner.stats()).toMatchObject({ distinct: 0, bad_signatures: 3 })
})

test('under another id: refused, for the id stands in the signed text and in the body', async () => {
  const partner = await start()
  const call = captured()
  const rename = (names: readonly string[]): Captured => ({
    ...call,
    headers: { ...call.headers, ...Object.fromEntries(names.map((name) => [name, 'rid_2'])) },
  })
  expect(await send(partner, rename(['x-request-id', 'webhook-id']))).toBe(401)
  expect(await send(partner, rename(['x-request-id']))).toBe(401)
  expect(await send(partner, without(rename(['x-request-id']), STANDARD))).toBe(400)
  expect(partner.stats()).toMatchObject({ distinct: 0 })
})

test('the signature of one call under another body of ours: refused', async () => {
  const partner = await start()
  const [one, other] = [captured('rid_1'), captured('rid_2')]
  expect(await send(partner, { headers: one.headers, body: other.body })).toBe(401)
  expect(
    await send(partner, {
      headers: { ...other.headers, 'x-signature': one.headers['x-signature'] ?? '' },
      body: other.body,
    }),
  ).toBe(401)
  expect(await send(partner, other)).toBe(200)
})
