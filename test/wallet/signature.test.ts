import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkSignature, signatureHeaders, type SignedCall, signingKeys } from '../../connectors/wallet/signature.ts'

const NOW = 1_761_305_901_000
const BODY = '{"request_id":"rid_1"}'
const keys = signingKeys(['old secret'])

function signed(change: Partial<Parameters<typeof signatureHeaders>[0]> = {}): Record<string, string> {
  return signatureHeaders({ keys, requestId: 'rid_1', now: NOW, body: BODY, ...change })
}

function check(headers: SignedCall['headers'], change: Partial<SignedCall> = {}): boolean {
  return checkSignature({ headers, body: Buffer.from(BODY), keys, now: NOW, ...change }).ok
}

function without(headers: Record<string, string>, ...names: string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)))
}

const STANDARD = ['webhook-id', 'webhook-timestamp', 'webhook-signature']
const PLAIN = ['x-signature', 'x-timestamp', 'x-request-id']

test('X-Signature is the HMAC-SHA256 of the body by the first secret, in hex', () => {
  // RFC 4231, test case 2.
  const headers = signatureHeaders({
    keys: signingKeys(['Jefe', 'another']),
    requestId: 'rid_1',
    now: NOW,
    body: 'what do ya want for nothing?',
  })
  expect(headers['x-signature']).toBe('sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843')
  expect(headers['x-timestamp']).toBe('1761305901')
  expect(headers['x-request-id']).toBe('rid_1')
})

test('webhook-signature is that of the test vector of Standard Webhooks', () => {
  const vector = {
    keys: signingKeys(['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']),
    requestId: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    now: 1_614_265_330_000,
    body: '{"test": 2432232314}',
  }
  const headers = signatureHeaders(vector)
  expect(headers['webhook-id']).toBe('msg_p5jXN8AQM9LWM0D4loKWxJek')
  expect(headers['webhook-timestamp']).toBe('1614265330')
  expect(headers['webhook-signature']).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
  const call = { ...vector, headers: without(headers, ...PLAIN), body: Buffer.from(vector.body) }
  expect(checkSignature(call)).toEqual({ ok: true, requestId: vector.requestId })
})

test('while two secrets are exchanged, either end may be the first to change', () => {
  const before = signingKeys(['old'])
  const both = signingKeys(['new', 'old'])
  const after = signingKeys(['new'])
  const sent = (by: typeof both): Record<string, string> => signed({ keys: by })
  expect(sent(both)['webhook-signature']?.split(' ')).toHaveLength(2)
  // Standard Webhooks carries both; X-Signature is by the first alone, so a receiver who reads that must know the new one first.
  for (const receiver of [before, both, after]) {
    expect(check(without(sent(both), ...PLAIN), { keys: receiver })).toBe(true)
  }
  expect(check(sent(both), { keys: both })).toBe(true)
  expect(check(sent(before), { keys: both })).toBe(true)
  expect(check(sent(after), { keys: before })).toBe(false)
})

describe('a call is trusted', () => {
  test.each([
    ['with both schemes', signed()],
    ['with X-Signature alone', without(signed(), ...STANDARD)],
    ['with Standard Webhooks alone', without(signed(), ...PLAIN)],
    ['with headers as lists of one', Object.fromEntries(Object.entries(signed()).map(([k, v]) => [k, [v]]))],
    [
      'with a signature by another key and version beside it',
      {
        ...signed(),
        'webhook-signature': `v1,AAAA v1a,BBBB ${signed()['webhook-signature']}`,
      },
    ],
    [
      'with webhook-signature twice, as Node joins them',
      {
        ...signed(),
        'webhook-signature': `v1,AAAA, ${signed()['webhook-signature']}, v1,BBBB`,
      },
    ],
    [
      'with webhook-signature twice, as a list',
      {
        ...signed(),
        'webhook-signature': ['v1,AAAA', signed()['webhook-signature'] ?? ''],
      },
    ],
    ['five minutes late', signed({ now: NOW - 300_000 })],
    ['five minutes early', signed({ now: NOW + 300_000 })],
  ])('%s', (_, headers) => expect(check(headers)).toBe(true))
})

describe('a call is not trusted', () => {
  const right = signed()
  const signature = right['webhook-signature'] ?? ''
  test.each([
    ['without any signature', without(right, 'x-signature', 'webhook-signature')],
    ['where X-Signature alone is forged', { ...right, 'x-signature': `sha256=${'0'.repeat(64)}` }],
    ['where webhook-signature alone is forged', { ...right, 'webhook-signature': `v1,${'A'.repeat(43)}=` }],
    ['where webhook-signature is empty', { ...right, 'webhook-signature': '' }],
    ['where X-Signature is cut', { ...right, 'x-signature': right['x-signature']?.slice(0, -1) }],
    ['where X-Signature lacks its scheme', { ...right, 'x-signature': right['x-signature']?.slice(7) }],
    ['where X-Signature is in upper case', { ...right, 'x-signature': right['x-signature']?.toUpperCase() }],
    ['where webhook-signature lacks its version', { ...right, 'webhook-signature': signature.slice(3) }],
    ['where the signature is of another version', { ...right, 'webhook-signature': signature.replace('v1,', 'v1a,') }],
    ['without X-Timestamp', without(right, 'x-timestamp')],
    ['with two of X-Timestamp', { ...right, 'x-timestamp': [right['x-timestamp'] ?? '', '1'] }],
    ['with two of X-Timestamp, as Node joins them', { ...right, 'x-timestamp': `${right['x-timestamp']}, 1` }],
    ['with two of webhook-id', { ...right, 'webhook-id': ['rid_1', 'rid_2'] }],
    ['with another webhook-id', { ...right, 'webhook-id': 'rid_2' }],
    ['with another X-Request-Id', { ...right, 'x-request-id': 'rid_2' }],
    ['with another webhook-timestamp', { ...right, 'webhook-timestamp': '1761305902' }],
    ['with a time in milliseconds', { ...right, 'x-timestamp': '1761305901000' }],
    ['with a time in hex', { ...right, 'x-timestamp': '0x68FB642D' }],
    ['with a time that is no number', { ...right, 'x-timestamp': 'NaN' }],
    ['with other digits than 0 to 9', { ...right, 'x-timestamp': '١٧٦١٣٠٥٩٠١' }],
    ['five minutes and a second late', signed({ now: NOW - 301_000 })],
    ['five minutes and a second early', signed({ now: NOW + 301_000 })],
    ['late by webhook-timestamp alone', without(signed({ now: NOW - 301_000 }), ...PLAIN)],
    ['early by X-Timestamp alone', without(signed({ now: NOW + 301_000 }), ...STANDARD)],
    [
      'with the right signature behind eight others',
      {
        ...right,
        'webhook-signature': `${'v1,AAAA '.repeat(8)}${signature}`,
      },
    ],
  ])('%s', (_, headers) => expect(check(headers)).toBe(false))

  test('with another body, another secret, or Standard Webhooks where only that is trusted', () => {
    expect(check(right, { body: Buffer.from(`${BODY} `) })).toBe(false)
    expect(check(right, { keys: signingKeys(['another']) })).toBe(false)
    expect(check(without(right, ...STANDARD), { standardOnly: true })).toBe(false)
    expect(check(right, { standardOnly: true })).toBe(true)
  })

  test('where an id with a full stop could shift what was signed', () => {
    const shifted = signatureHeaders({ keys, requestId: 'rid_1.1761305901', now: NOW, body: BODY })
    expect(check(shifted)).toBe(false)
  })
})

test('whatever the headers hold, checking never throws, and trusts none', () => {
  const value = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 100 }),
    fc.array(fc.string({ unit: 'grapheme', maxLength: 80 }), { maxLength: 3 }),
    fc.constantFrom('sha256=', 'v1,', 'v1, v1,', `sha256=${'0'.repeat(64)}`, `sha256=${'é'.repeat(32)}`, ' , ,'),
    fc.constant(undefined),
  )
  const names = [...STANDARD, ...PLAIN]
  fc.assert(
    fc.property(fc.record(Object.fromEntries(names.map((name) => [name, value]))), (headers) => !check(headers)),
    { numRuns: 500 },
  )
})

test('a secret that cannot be used is refused, and not shown', () => {
  expect(() => signingKeys([])).toThrow(/no secret/)
  expect(() => signingKeys(['fine', ''])).toThrow(/empty/)
  for (const wrong of ['whsec_', 'whsec_S3CR3T!', 'whsec_S3CR3T===', 'whsec_S3CR3']) {
    expect(() => signingKeys([wrong])).toThrow(expect.objectContaining({ code: 'ONCEWARD_E_PARTNERS_INVALID' }))
    expect(() => signingKeys([wrong])).not.toThrow(/S3CR3/)
  }
})
