import { createHmac } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { bet, validEvent } from '../events/support.ts'
import { KEY, PUBLIC_KEY } from './gateway-harness.ts'

/** What a client writes on its connection. */
export interface FuzzCase {
  /** Written one after the other. */
  readonly pieces: readonly Buffer[]
  /** Nothing more will come: the client says so by closing its side. */
  readonly ends: boolean
}

export interface Secrets {
  /** Of the provider `gameco`. */
  readonly gameco: string
  /** A body that its mapping takes. */
  readonly gamecoBody: string
}

const lines = (text: string): Buffer => Buffer.from(text, 'latin1')

/** A few bytes flipped, put in, cut off or doubled. */
const mutation: fc.Arbitrary<(bytes: Buffer) => Buffer> = fc.oneof(
  fc.tuple(fc.nat(), fc.nat(255)).map(([at, byte]) => (bytes: Buffer) => {
    const copy = Buffer.from(bytes)
    if (copy.length > 0) copy[at % copy.length] = byte
    return copy
  }),
  fc.tuple(fc.nat(), fc.uint8Array({ maxLength: 20 })).map(([at, more]) => (bytes: Buffer) => {
    const place = at % (bytes.length + 1)
    return Buffer.concat([bytes.subarray(0, place), more, bytes.subarray(place)])
  }),
  fc.tuple(fc.nat(), fc.nat(200)).map(([at, count]) => (bytes: Buffer) => {
    const place = at % (bytes.length + 1)
    return Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + count)])
  }),
  fc.tuple(fc.nat(), fc.nat(200)).map(([at, count]) => (bytes: Buffer) => {
    const place = at % (bytes.length + 1)
    return Buffer.concat([bytes.subarray(0, place + count), bytes.subarray(place)])
  }),
)

const mutations = fc.array(mutation, { maxLength: 4 })
const mutate = (bytes: Buffer, how: readonly ((bytes: Buffer) => Buffer)[]): Buffer =>
  how.reduce((before, change) => change(before), bytes)

const HOSTILE = [
  '',
  'null',
  '[]',
  '{"events":{}}',
  '{"events":[null,1,"x",[],{}]}',
  '['.repeat(2_000),
  '{"a":'.repeat(100) + '1' + '}'.repeat(100),
  JSON.stringify([bet]).replace('"user"', '"__proto__"'),
  JSON.stringify({ ...bet, event_id: 'p', payload: { bet: 1, constructor: { prototype: { polluted: true } } } }),
  '{"__proto__":{"polluted":true}}',
  `{"event_id":"a","event_id":"b",${JSON.stringify(bet).slice(1)}`,
  JSON.stringify({ ...bet, event_id: 'n', payload: { bet: 1 } }).replace(':1}', ':1e999}'),
  JSON.stringify({ ...bet, event_id: '\ud800' }),
  JSON.stringify({ ...bet, event_id: 'x'.repeat(10_000) }),
  `\ufeff${JSON.stringify(bet)}`,
  `[${'{},'.repeat(2_000)}{}]`,
  '9'.repeat(5_000),
]

function bodies({ gamecoBody }: Secrets): fc.Arbitrary<Buffer> {
  const text = fc.oneof(
    { weight: 6, arbitrary: validEvent.map((event) => JSON.stringify(event)) },
    { weight: 3, arbitrary: fc.array(validEvent, { maxLength: 5 }).map((events) => JSON.stringify(events)) },
    { weight: 2, arbitrary: fc.array(validEvent, { maxLength: 3 }).map((events) => JSON.stringify({ events })) },
    { weight: 2, arbitrary: fc.constant(gamecoBody) },
    { weight: 2, arbitrary: fc.jsonValue().map((value) => JSON.stringify(value)) },
    { weight: 2, arbitrary: fc.constantFrom(...HOSTILE) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
  )
  const plain = fc
    .tuple(text, fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: mutations }))
    .map(([written, how]) => mutate(Buffer.from(written), how))
  return fc.oneof(
    { weight: 9, arbitrary: plain },
    { weight: 1, arbitrary: fc.uint8Array().map((bytes) => Buffer.from(bytes)) },
  )
}

const paths = fc.oneof(
  { weight: 8, arbitrary: fc.constant('/v1/events') },
  { weight: 3, arbitrary: fc.constant('/v1/webhooks/gameco') },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      `/v1/events?key=${PUBLIC_KEY}`,
      '/v1/events?key=&key=x&__proto__[a]=1',
      '/v1/webhooks/paygrid',
      '/v1/webhooks/__proto__',
      '/v1/webhooks/%00',
      '/v1/webhooks/%ff',
      '/v1/webhooks/',
      '//v1/events',
      '/v1/../v1/events',
      'http://other.example/v1/events',
      '*',
      '/openapi.json',
      '/healthz',
      '/readyz?x',
      '/',
      `/${'a/'.repeat(500)}`,
    ),
  },
  { weight: 1, arbitrary: fc.webPath().map((path) => path || '/') },
  { weight: 1, arbitrary: fc.string({ maxLength: 50 }).map((text) => `/${text}`) },
)

const methods = fc.oneof(
  { weight: 8, arbitrary: fc.constant('POST') },
  {
    weight: 2,
    arbitrary: fc.constantFrom('GET', 'HEAD', 'PUT', 'OPTIONS', 'DELETE', 'TRACE', 'CONNECT', 'QUERY', 'SEARCH'),
  },
  { weight: 1, arbitrary: fc.string({ maxLength: 10 }) },
)

const token = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,30}$/)
const oddValue = fc.oneof(
  fc.string({ maxLength: 100 }),
  fc.string({ unit: 'binary', maxLength: 50 }),
  fc.constantFrom(
    'x'.repeat(4_000),
    'x'.repeat(20_000),
    '\t',
    '1, 2, 3',
    '"',
    '::1',
    '999.1.1.1',
    '1.2.3.4:99999, unknown',
  ),
)
const knownName = fc.constantFrom(
  'Authorization',
  'X-Api-Key',
  'Content-Type',
  'Content-Encoding',
  'Content-Length',
  'Transfer-Encoding',
  'Expect',
  'Connection',
  'Upgrade',
  'Host',
  'Origin',
  'Access-Control-Request-Method',
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'CF-IPCountry',
  'User-Agent',
  'Accept-Version',
  'Cookie',
  'X-Request-Id',
  'X-Signature',
  'X-Timestamp',
  'Webhook-Id',
  'Webhook-Timestamp',
  'Webhook-Signature',
)
const knownValue = fc.constantFrom(
  `Bearer ${KEY}`,
  KEY,
  PUBLIC_KEY,
  'application/json',
  'text/plain; charset=utf-8',
  'application/json; charset="',
  'gzip',
  'br',
  'identity',
  'chunked',
  '100-continue',
  'close',
  'keep-alive, Upgrade',
  'websocket',
  'https://play.example',
  'POST',
  '203.0.113.7, 10.0.0.1',
  '2001:db8::1%eth0',
  'TR',
  '0',
  '-1',
  '5',
  '99999999999999999999',
  'Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120 Mobile Safari/537.36',
)
/** Raw lines: some are no headers at all. */
const moreHeaders = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.tuple(knownName, knownValue).map(([name, value]) => `${name}: ${value}`) },
    { weight: 2, arbitrary: fc.tuple(knownName, oddValue).map(([name, value]) => `${name}: ${value}`) },
    { weight: 2, arbitrary: fc.tuple(token, oddValue).map(([name, value]) => `${name}: ${value}`) },
    { weight: 1, arbitrary: fc.string({ maxLength: 40 }) },
  ),
  { maxLength: 6 },
)

const often = <T>(value: T, other: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: other })

/** Requests from right to nonsense; `now`: Unix seconds, for signatures. */
export function fuzzCases(secrets: Secrets, now: number): fc.Arbitrary<FuzzCase> {
  const request = fc.record({
    method: methods,
    path: paths,
    version: often('HTTP/1.1', fc.constantFrom('HTTP/1.0', 'HTTP/2.0', 'HTTP/1.', 'XYZ')),
    body: bodies(secrets),
    packed: fc.nat(9).map((n) => n === 0),
    signed: often('good', fc.constantFrom('bad', 'none')),
    key: often<string | undefined>(`Bearer ${KEY}`, fc.option(knownValue, { nil: undefined })),
    type: often('application/json', knownValue),
    framing: fc.oneof(
      { weight: 8, arbitrary: fc.constant('length' as const) },
      { weight: 2, arbitrary: fc.constant('chunked' as const) },
      {
        weight: 1,
        arbitrary: fc.constantFrom('longer' as const, 'shorter' as const, 'none' as const, 'both' as const),
      },
    ),
    more: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: moreHeaders }),
    how: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: mutations }),
    cuts: fc.array(fc.nat(), { maxLength: 2 }),
    ends: fc.nat(3).map((n) => n === 0),
    id: fc.uuid(),
  })
  return request.map((parts) => {
    const body = parts.packed ? gzipSync(parts.body) : parts.body
    const headers = [
      'Host: x',
      ...(parts.key === undefined ? [] : [`Authorization: ${parts.key}`]),
      `Content-Type: ${parts.type}`,
      ...(parts.packed ? ['Content-Encoding: gzip'] : []),
      ...signature(parts.signed, { body, id: parts.id, secret: secrets.gameco, now }),
      ...framed(parts.framing, body.length),
      ...parts.more,
    ]
    const head = lines(`${parts.method} ${parts.path} ${parts.version}\r\n${headers.join('\r\n')}\r\n\r\n`)
    const sent = ['chunked', 'both'].includes(parts.framing) ? chunked(body) : body
    const bytes = mutate(Buffer.concat([head, sent]), parts.how)
    return { pieces: inPieces(bytes, parts.cuts), ends: parts.ends }
  })
}

function signature(
  how: string,
  {
    body,
    id,
    secret,
    now,
  }: { readonly body: Buffer; readonly id: string; readonly secret: string; readonly now: number },
): string[] {
  if (how === 'none') return []
  const digest = createHmac('sha256', how === 'good' ? secret : 'other')
    .update(body)
    .digest('hex')
  return [`X-Request-Id: ${id}`, `X-Timestamp: ${now}`, `X-Signature: sha256=${digest}`]
}

function framed(framing: string, length: number): string[] {
  if (framing === 'chunked') return ['Transfer-Encoding: chunked']
  if (framing === 'none') return []
  const said = framing === 'longer' ? length + 7 : framing === 'shorter' ? Math.max(0, length - 7) : length
  return [`Content-Length: ${said}`, ...(framing === 'both' ? ['Transfer-Encoding: chunked'] : [])]
}

function chunked(body: Buffer): Buffer {
  const half = body.length >> 1
  const chunk = (part: Buffer): Buffer[] =>
    part.length === 0 ? [] : [lines(`${part.length.toString(16)}\r\n`), part, lines('\r\n')]
  return Buffer.concat([...chunk(body.subarray(0, half)), ...chunk(body.subarray(half)), lines('0\r\n\r\n')])
}

function inPieces(bytes: Buffer, cuts: readonly number[]): readonly Buffer[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end))
}
