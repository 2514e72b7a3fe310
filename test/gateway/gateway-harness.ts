import type { IncomingHttpHeaders } from 'node:http'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { AddressList } from '../../connectors/gateway/addresses.ts'
import { openApiDocument } from '../../connectors/gateway/openapi.ts'
import type { Directory } from '../../connectors/gateway/directory.ts'
import { type KeySource, KeyTable, keyHash } from '../../connectors/gateway/keys.ts'
import { createGateway, type Gateway, type GatewayParts } from '../../connectors/gateway/server.ts'
import type { Json, JsonObject } from '../../core/model/event.ts'
import { systemClock } from '../../core/clock.ts'
import type { Admission, MappedEvent, Provider, WebhookFacts } from '../../core/ports/gateway.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { type Metrics, silentMetrics } from '../../core/ports/metrics.ts'
import { seededRandom } from '../../core/random.ts'
import { type FakeAudit, fakeAnswers, fakeAudit, type FakeIntake, fakeIntake } from './fake-intake.ts'

export const KEY = 'a-key-for-tests'
export const PUBLIC_KEY = 'a-key-that-anybody-reads'
export const PRIVACY = { pass: undefined, hash: [] }
export const LIMITS = { eventsPerSecond: 1_000_000, burst: 1_000_000, bodyBytes: 65_536, batch: 500 }

export function keySource(change: Partial<KeySource> & { readonly name?: string } = {}): KeySource {
  const { name = 'backend', ...rest } = change
  return {
    source: { name, kind: 'key', events: undefined, trusted: true, privacy: PRIVACY, deadLetters: false },
    limits: LIMITS,
    public: false,
    scopes: new Set(['events:write'] as const),
    allowIps: undefined,
    keys: [{ id: `${name}_1`, hash: keyHash(KEY), notAfter: undefined }],
    ...rest,
  }
}

export function publicSource(change: Partial<KeySource> = {}): KeySource {
  return keySource({
    name: 'web',
    public: true,
    keys: [{ id: 'web_1', hash: keyHash(PUBLIC_KEY), notAfter: undefined }],
    ...change,
  })
}

/** A provider whose signature is the header x-test-signature with the value `good`, and whose mapping wraps the body. */
export function provider(change: Partial<Provider> & { readonly name?: string } = {}): Provider {
  const { name = 'gameco', ...rest } = change
  return {
    source: { name, kind: 'webhook', events: undefined, trusted: true, privacy: PRIVACY, deadLetters: true },
    limits: LIMITS,
    asksForCertificate: false,
    mayCall: () => true,
    admit: admitGood,
    map: (body) =>
      Array.isArray(body['events'])
        ? { ok: true, events: (body['events'] as readonly JsonObject[]).map(mapItem) }
        : { ok: false, detail: 'the body has no list of events' },
    ...rest,
  }
}

/** An item with a field `unmapped` cannot be mapped. */
function mapItem(event: JsonObject): MappedEvent {
  return 'unmapped' in event ? { ok: false, detail: 'unmapped', event } : { ok: true, event }
}

export function admitGood({ rawHeaders }: WebhookFacts): Admission {
  const header = (name: string): string | undefined => {
    const at = rawHeaders.findIndex((text, index) => index % 2 === 0 && text.toLowerCase() === name)
    return at === -1 ? undefined : rawHeaders[at + 1]
  }
  const requestId = header('x-request-id')
  if (requestId === undefined) return { ok: false, problem: 'request_id', detail: 'there is no X-Request-Id' }
  if (header('x-test-signature') === 'good') return { ok: true, requestId }
  return { ok: false, problem: 'signature', detail: 'the signature does not hold' }
}

export function directoryOf(change: {
  readonly sources?: readonly KeySource[]
  readonly providers?: readonly Provider[]
  readonly trustedProxies?: readonly string[]
  readonly countryHeader?: string
  readonly origins?: readonly string[]
}): Directory {
  return {
    keys: new KeyTable(change.sources ?? [keySource(), publicSource()]),
    providers: new Map((change.providers ?? [provider()]).map((one) => [one.source.name, one])),
    trustedProxies: new AddressList(change.trustedProxies ?? []),
    countryHeader: change.countryHeader,
    origins: new Set(change.origins ?? []),
  }
}

export interface TestGateway {
  readonly gateway: Gateway
  readonly port: number
  readonly intake: FakeIntake
  readonly audit: FakeAudit
  readonly counts: Map<string, number>
  /** Exchanges what the gateway knows from the next request on. */
  use(directory: Directory): void
  send(options?: SendOptions): Promise<Answer>
  close(): Promise<void>
}

export interface SendOptions extends Omit<RequestOptions, 'headers'> {
  readonly headers?: Readonly<Record<string, string | string[] | number | undefined>>
  readonly path?: string
  readonly body?: string | Buffer
  readonly json?: unknown
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly json: Record<string, unknown>
}

/** Statuses that are declared, by path as the document writes it. */
const DECLARED = openApiDocument('test')['paths'] as Record<string, Record<string, { responses: Record<string, Json> }>>

/** A gateway on a free port of 127.0.0.1, closed by `close`. */
export async function startGateway(
  change: Partial<Omit<GatewayParts, 'directory'>> & { readonly directory?: Directory } = {},
): Promise<TestGateway> {
  const intake = fakeIntake()
  const audit = fakeAudit()
  const { metrics, counts } = countingMetrics()
  let { directory = directoryOf({}) } = change
  const gateway = await createGateway({
    intake,
    answers: fakeAnswers(),
    audit,
    tls: undefined,
    health: () => ({ alive: true, ready: intake.available, reasons: intake.available ? [] : ['the bus is away'] }),
    clock: systemClock,
    random: seededRandom(1),
    logger: silentLogger,
    metrics,
    version: 'test',
    ...change,
    directory: () => directory,
  })
  const port = await gateway.listen({ host: '127.0.0.1', port: 0 })
  return {
    gateway,
    port,
    intake,
    audit,
    counts,
    use: (other) => (directory = other),
    send: (options) => send({ port, tls: change.tls !== undefined, ...options }),
    close: () => gateway.close(),
  }
}

/** Sends one request as a plain client does, by default an event with the key. The status must be a declared one. */
export async function send({
  path = '/v1/events',
  json,
  body = json === undefined ? undefined : JSON.stringify(json),
  tls = false,
  ...options
}: SendOptions & { readonly tls?: boolean }): Promise<Answer> {
  const method = options.method ?? 'POST'
  const headers = {
    ...(method === 'POST' ? { 'content-type': 'application/json', authorization: `Bearer ${KEY}` } : {}),
    ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
    ...options.headers,
  }
  const answer = await new Promise<Answer>((resolve, reject) => {
    const call = (tls ? httpsRequest : httpRequest)(
      { host: '127.0.0.1', agent: false, ...options, method, path, headers: withoutEmpty(headers) },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8')
          const status = response.statusCode ?? 0
          resolve({ status, headers: response.headers, text, json: text === '' ? {} : JSON.parse(text) })
        })
      },
    )
    call.on('error', reject)
    call.end(body)
  })
  expectDeclared(method, path, answer.status)
  return answer
}

/** A header that is `undefined` is not sent. */
function withoutEmpty<T>(headers: Readonly<Record<string, T | undefined>>): Record<string, T> {
  const given = Object.entries(headers).filter((entry): entry is [string, T] => entry[1] !== undefined)
  return Object.fromEntries(given)
}

const ANY = [204, 400, 404, 405, 408, 417, 431]

function expectDeclared(method: string, path: string, status: number): void {
  const [plain = ''] = path.split('?')
  const verb = method === 'HEAD' ? 'get' : method.toLowerCase()
  const known = plain.replace(/^\/v1\/webhooks\/[^/]+$/, '/v1/webhooks/{provider}')
  const declared = Object.keys(DECLARED[known]?.[verb]?.responses ?? {})
  if (declared.includes(String(status)) || ANY.includes(status)) return
  throw new Error(`${method} ${path} answered ${status}, which the OpenAPI document does not declare`)
}

export function event(id = 'e_1', change: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    event_id: id,
    event_name: 'bet',
    ts: '2025-11-03T12:00:00Z',
    user: { id: 'u_1' },
    payload: { bet: 1, currency: 'EUR' },
    ...change,
  }
}

/** Counts by name and labels: `gatewayRequests source=web status=202`. */
function countingMetrics(): { readonly metrics: Metrics; readonly counts: Map<string, number> } {
  const counts = new Map<string, number>()
  const counter = (name: string) => ({
    add: (amount: number, labels: Readonly<Record<string, string | number>>) => {
      const key = [name, ...Object.entries(labels).map(([label, value]) => `${label}=${value}`)].join(' ')
      counts.set(key, (counts.get(key) ?? 0) + amount)
    },
  })
  const metrics = {
    ...silentMetrics,
    gatewayRequests: counter('gatewayRequests'),
    gatewayEvents: counter('gatewayEvents'),
    gatewaySignatureFailures: counter('gatewaySignatureFailures'),
    gatewayConflicts: counter('gatewayConflicts'),
    gatewayAuditFailures: counter('gatewayAuditFailures'),
  }
  return { metrics, counts }
}
