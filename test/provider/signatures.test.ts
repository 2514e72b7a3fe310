import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { admit, type ProviderTrust } from '../../connectors/gateway/provider/admission.ts'
import { signatureHeaders, signingKeys } from '../../connectors/wallet/signature.ts'
import type { Admission, WebhookFacts } from '../../core/ports/gateway.ts'
import { factsOf, type Headers, plain, v1, VECTOR } from './calls.ts'

const NOW = VECTOR.seconds * 1_000
const STANDARD: Headers = {
  'webhook-id': VECTOR.id,
  'webhook-timestamp': String(VECTOR.seconds),
  'webhook-signature': VECTOR.signature,
}
const PLAIN: Headers = {
  'X-Signature': plain(VECTOR.secret, VECTOR.body),
  'X-Request-Id': 'req_1',
  'X-Timestamp': String(VECTOR.seconds),
}

function trusting(secrets: readonly string[], standardOnly = false): ProviderTrust {
  return { keys: signingKeys(secrets), standardOnly, addresses: undefined, certificates: undefined }
}

function admitted(headers: Headers, change: Partial<WebhookFacts> = {}, trust = trusting([VECTOR.secret])): boolean {
  return admit(trust, factsOf(headers, change)).ok
}

function problem(headers: Headers, change: Partial<WebhookFacts> = {}, trust = trusting([VECTOR.secret])): string {
  const admission: Admission = admit(trust, factsOf(headers, change))
  return admission.ok ? 'none' : admission.problem
}

/** Signed as a provider would, with what differs. */
function standard(change: { seconds?: number | string; id?: string; body?: string | Buffer } = {}): Headers {
  const { seconds = VECTOR.seconds, id = VECTOR.id, body = VECTOR.body } = change
  return {
    'webhook-id': id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': v1(VECTOR.secret, { id, seconds, body }),
  }
}

describe('the public vectors of Standard Webhooks', () => {
  test.each(['', 'whsec_'])('hold with the secret %sMfKQ…', (prefix) => {
    for (const standardOnly of [true, false]) {
      const trust = trusting([`${prefix}${VECTOR.secret}`], standardOnly)
      expect(admit(trust, factsOf(STANDARD))).toMatchObject({ ok: true, requestId: VECTOR.id })
    }
  })

  test('hold for another body, id and secret, as the first implementation documents them', () => {
    const body = Buffer.from('{"event_type":"ping","data":{"success":true}}')
    const headers = {
      'webhook-id': 'msg_loFOjxBNrRLzqYUf',
      'webhook-timestamp': '1731705121',
      'webhook-signature': 'v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=',
    }
    const trust = trusting([['whsec', 'plJ3nmyCDGBKInavdOK15jsl'].join('_')], true)
    expect(admitted(headers, { body, now: 1_731_705_121_000 }, trust)).toBe(true)
    expect(admitted(headers, { body, now: 1_731_705_122_000 }, trusting([VECTOR.secret], true))).toBe(false)
  })

  test('hold where several signatures stand in the header, and not where the right one is cut or alone in another version', () => {
    const other = 'Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc='
    const several = `v1,${other} v2,${other} ${VECTOR.signature} v1,${other}`
    expect(admitted({ ...STANDARD, 'webhook-signature': several })).toBe(true)
    for (const wrong of [
      'v1,dawfeoifkpqwoekfpqoekf',
      VECTOR.signature.slice(0, 8),
      'v1,',
      `v1,${other}`,
      `v1a,${VECTOR.signature.slice(3)}`,
      VECTOR.signature.slice(3),
    ]) {
      expect(problem({ ...STANDARD, 'webhook-signature': wrong })).toBe('signature')
    }
  })

  test.each(['webhook-id', 'webhook-timestamp', 'webhook-signature'])('do not hold without %s', (name) => {
    expect(admitted({ ...STANDARD, [name]: undefined })).toBe(false)
    expect(admitted({ ...STANDARD, [name]: '' })).toBe(false)
  })

  test("a reading of the specification of the test's own agrees with the vector and with what we sign", () => {
    expect(v1(VECTOR.secret, VECTOR)).toBe(VECTOR.signature)
    const ours = signatureHeaders({
      keys: signingKeys([`whsec_${VECTOR.secret}`]),
      requestId: 'a',
      now: NOW,
      body: 'ü',
    })
    expect(ours['webhook-signature']).toBe(v1(VECTOR.secret, { id: 'a', seconds: VECTOR.seconds, body: 'ü' }))
  })
})

describe('the time', () => {
  test.each([
    [300, true],
    [-300, true],
    [301, false],
    [-301, false],
    [0, true],
  ])('%d seconds from now: %s', (offset, holds) => {
    expect(admitted(standard({ seconds: VECTOR.seconds + offset }))).toBe(holds)
    expect(admitted({ ...PLAIN, 'X-Timestamp': String(VECTOR.seconds + offset) })).toBe(holds)
  })

  test('is as exact as our clock: a millisecond beyond five minutes is too much', () => {
    expect(admitted(standard(), { now: NOW + 300_000 })).toBe(true)
    expect(problem(standard(), { now: NOW + 300_001 })).toBe('timestamp')
    expect(admitted(standard(), { now: NOW - 300_000 })).toBe(true)
    expect(problem(standard(), { now: NOW - 300_001 })).toBe('timestamp')
  })

  test.each([
    '1614265330.5',
    '-1614265330',
    '+1614265330',
    '1614265330000',
    '1.614265330e9',
    '0x6037BDF2',
    '1614265330,1614265330',
    '١٦١٤٢٦٥٣٣٠',
    'hello',
    'NaN',
    'Infinity',
    '999999999999',
    '2021-02-25T15:02:10Z',
  ])('is in whole Unix seconds, and %j is not, even where it is signed', (seconds) => {
    expect(problem(standard({ seconds }))).toBe('timestamp')
    expect(problem({ ...PLAIN, 'X-Timestamp': seconds })).toBe('timestamp')
  })

  test('is signed by Standard Webhooks: rewritten, it does not hold', () => {
    expect(problem({ ...STANDARD, 'webhook-timestamp': String(VECTOR.seconds + 1) })).toBe('signature')
    const later = NOW + 3_600_000
    expect(problem(STANDARD, { now: later })).toBe('timestamp')
    expect(problem({ ...STANDARD, 'webhook-timestamp': String(later / 1_000) }, { now: later })).toBe('signature')
  })
})

describe('the secret', () => {
  const [old, fresh] = ['whsec_b2xkIG9sZCBvbGQgb2xkIG9sZCBvbGQgb2xk', 'whsec_bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXcgbmV3']
  const signedBy = (...secrets: readonly string[]): Headers => ({
    ...STANDARD,
    'webhook-signature': secrets.map((secret) => v1(secret, VECTOR)).join(' '),
  })

  test.each([
    ['before', [old], { old: true, both: true, fresh: false }],
    ['while they are exchanged', [fresh, old], { old: true, both: true, fresh: true }],
    ['after', [fresh], { old: false, both: true, fresh: true }],
  ])('is exchanged without a call being lost: %s', (_, secrets, holds) => {
    const trust = trusting(secrets)
    expect({
      old: admitted(signedBy(old), {}, trust),
      both: admitted(signedBy(old, fresh), {}, trust),
      fresh: admitted(signedBy(fresh), {}, trust),
    }).toEqual(holds)
    expect(admitted({ ...PLAIN, 'X-Signature': plain(old, VECTOR.body) }, {}, trust)).toBe(holds.old)
    expect(admitted({ ...PLAIN, 'X-Signature': plain(fresh, VECTOR.body) }, {}, trust)).toBe(holds.fresh)
  })

  test('is its text, too, where it is none in base64, and never a part of it', () => {
    const trust = trusting(['not base64, but a text'])
    const body = VECTOR.body
    const headers = signatureHeaders({ keys: trust.keys, requestId: 'r', now: NOW, body })
    expect(admitted(headers, {}, trust)).toBe(true)
    expect(admitted(headers, {}, trusting(['not base64, but a tex']))).toBe(false)
  })

  test('in base64, but shorter than the specification has it, is nothing but its text', () => {
    const short = 'c2hvcnQgc2VjcmV0'
    expect(admitted({ ...STANDARD, 'webhook-signature': v1(short, VECTOR) }, {}, trusting([short]))).toBe(false)
  })
})

describe('the body', () => {
  const body = Buffer.from('{"name":"Zoë 🦊","amount":12.50}')
  const headers: Headers = {
    ...standard({ body }),
    'X-Signature': plain(VECTOR.secret, body),
    'X-Request-Id': VECTOR.id,
    'X-Timestamp': String(VECTOR.seconds),
  }

  test('holds in any characters, byte for byte', () => {
    expect(admitted(headers, { body })).toBe(true)
    for (let at = 0; at < body.length; at++) {
      for (const bit of [1, 32, 128]) {
        const changed = Buffer.from(body)
        changed[at] = (changed[at] ?? 0) ^ bit
        expect(problem(headers, { body: changed })).toBe('signature')
        expect(problem({ ...headers, 'X-Signature': undefined }, { body: changed })).toBe('signature')
      }
    }
  })

  test('does not hold one byte longer or shorter, or in another form of the same text', () => {
    const others = [Buffer.concat([body, Buffer.from('\n')]), body.subarray(0, -1), body.subarray(1), Buffer.alloc(0)]
    const decomposed = Buffer.from(body.toString().normalize('NFD'))
    for (const other of [...others, decomposed]) expect(admitted(headers, { body: other })).toBe(false)
  })

  test('may be no text at all', () => {
    const bytes = Buffer.from([0xff, 0x00, 0xfe])
    expect(admitted(standard({ body: bytes }), { body: bytes })).toBe(true)
    // What both would be if it were read as text first.
    expect(admitted(standard({ body: bytes }), { body: Buffer.from(bytes.toString()) })).toBe(false)
  })
})

describe('headers', () => {
  test('count in any case of their names', () => {
    const shouted = Object.fromEntries(Object.entries(STANDARD).map(([name, value]) => [name.toUpperCase(), value]))
    expect(admitted(shouted)).toBe(true)
  })

  test.each([
    ['webhook-id', 'request_id'],
    ['webhook-timestamp', 'signature'],
    ['X-Request-Id', 'request_id'],
    ['X-Timestamp', 'timestamp'],
  ])('%s twice is not trusted, be it the same both times', (name, what) => {
    const scheme = name in STANDARD ? STANDARD : PLAIN
    const value = String(scheme[name])
    expect(problem({ ...scheme, [name]: [value, value] })).toBe(what)
    expect(admitted({ ...scheme, [name]: [value, 'x'] })).toBe(false)
    expect(admitted({ ...scheme, [name]: `${value}, ${value}` })).toBe(false)
    // In another case it is the same header.
    expect(admitted({ ...scheme, [name.toUpperCase()]: value, [name.toLowerCase()]: value })).toBe(false)
  })

  test('with several signatures hold by any of them, wherever they stand', () => {
    expect(admitted({ ...STANDARD, 'webhook-signature': ['v1,AAAA', VECTOR.signature] })).toBe(true)
    expect(admitted({ ...PLAIN, 'X-Signature': ['sha256=00', String(PLAIN['X-Signature'])] })).toBe(true)
    expect(admitted({ ...STANDARD, 'webhook-signature': `${'v1,AAAA '.repeat(8)}${VECTOR.signature}` })).toBe(false)
  })

  test('in which both schemes stand must hold by both, and name one id', () => {
    const both = { ...STANDARD, ...PLAIN, 'X-Request-Id': VECTOR.id }
    expect(admitted(both)).toBe(true)
    expect(problem({ ...both, 'X-Request-Id': 'other' })).toBe('request_id')
    expect(problem({ ...both, 'X-Signature': plain('other', VECTOR.body) })).toBe('signature')
    expect(problem({ ...both, 'webhook-signature': 'v1,AAAA' })).toBe('signature')
  })

  test('that a proxy adds do not get into the way of Standard Webhooks', () => {
    expect(admitted({ ...STANDARD, 'X-Request-Id': '7f3c-of-a-proxy' })).toBe(true)
    const foreign = { ...STANDARD, 'X-Signature': 'of another scheme', 'X-Request-Id': 'a.b' }
    expect(admitted(foreign)).toBe(false)
    expect(admitted(foreign, {}, trusting([VECTOR.secret], true))).toBe(true)
  })

  test('of X-Signature alone do not do where Standard Webhooks is asked for', () => {
    expect(admitted(PLAIN)).toBe(true)
    expect(problem(PLAIN, {}, trusting([VECTOR.secret], true))).toBe('signature')
  })

  test.each(['rid.1', 'rid 1', 'rid_ü', 'rid_🦊', 'a'.repeat(201), 'rid\u0000', '../x', ''])(
    'with the id %j are not trusted',
    (id) => {
      expect(problem(standard({ id }))).toBe('request_id')
      expect(problem({ ...PLAIN, 'X-Request-Id': id })).toBe('request_id')
    },
  )

  test('an id with a full stop cannot shift what was signed', () => {
    const shifted = { ...STANDARD, 'webhook-id': 'a', 'webhook-timestamp': `b.${VECTOR.seconds}` }
    expect(
      admitted({
        ...shifted,
        'webhook-signature': v1(VECTOR.secret, { id: 'a.b', seconds: VECTOR.seconds, body: VECTOR.body }),
      }),
    ).toBe(false)
  })

  test('of any bytes never throw, and are never trusted', () => {
    const value = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 80 }),
      fc.string({ unit: 'grapheme', maxLength: 80 }),
      fc.constantFrom(
        '',
        'v1,',
        'sha256=',
        VECTOR.id,
        String(VECTOR.seconds),
        `v1,${'A'.repeat(43)}=`,
        `sha256=${'0'.repeat(64)}`,
      ),
    )
    const name = fc.oneof(
      fc.constantFrom(...Object.keys({ ...STANDARD, ...PLAIN })),
      fc.string({ maxLength: 10 }),
      fc.constant('__proto__'),
    )
    const trust = trusting([VECTOR.secret])
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { maxLength: 12 }), (pairs) => {
        const admission = admit(trust, { ...factsOf({}), rawHeaders: pairs.flat() })
        expect(admission.ok).toBe(false)
      }),
      { numRuns: Number(process.env['ONCEWARD_FUZZ'] ?? 3_000) },
    )
  })
})

describe('a call that was captured and is sent again', () => {
  const trust = (standardOnly: boolean): ProviderTrust => trusting([VECTOR.secret], standardOnly)
  const idsOf = (headers: Headers, standardOnly: boolean) => {
    const admission = admit(trust(standardOnly), factsOf(headers))
    return admission.ok ? [admission.requestId, admission.contentId] : []
  }

  test('under another id does not hold by Standard Webhooks', () => {
    expect(problem({ ...STANDARD, 'webhook-id': 'msg_2' }, {}, trust(true))).toBe('signature')
  })

  test('under another X-Request-Id and time holds by X-Signature, and is known by what is signed', () => {
    const again = { ...PLAIN, 'X-Request-Id': 'req_2', 'X-Timestamp': String(VECTOR.seconds + 60) }
    const [first, second] = [idsOf(PLAIN, false), idsOf(again, false)]
    expect(first).toEqual(['req_1', expect.stringMatching(/^body:[0-9a-f]{64}$/)])
    expect(second).toEqual(['req_2', first[1]])
  })

  test('without the headers of Standard Webhooks that it had is known as well', () => {
    const both = { ...STANDARD, ...PLAIN, 'X-Request-Id': VECTOR.id }
    expect(idsOf({ ...PLAIN, 'X-Request-Id': 'req_3' }, false)[1]).toBe(idsOf(both, false)[1])
    expect(idsOf(both, true)).toEqual([VECTOR.id, undefined])
  })
})
