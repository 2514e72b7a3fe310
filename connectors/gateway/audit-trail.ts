import { isUtf8 } from 'node:buffer'
import { hash } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import type { Json, JsonObject } from '../../core/model/event.ts'
import type { AuditEntry, AuditLog } from '../../core/ports/audit.ts'
import type { EventAnswer } from '../../core/ports/gateway.ts'
import type { Logger } from '../../core/ports/logger.ts'
import type { Metrics } from '../../core/ports/metrics.ts'
import { KEY_HEADER, KEY_PARAMETER } from './contract.ts'
import type { Exchange } from './exchange.ts'
import { Limiter } from '../../core/limiter.ts'
import type { Refusal } from '../../core/refusal.ts'

export interface AuditTrailParts {
  /** undefined: nothing is kept. */
  readonly audit: AuditLog | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'gatewayAuditFailures'>
}

/** What is kept of a body that was refused: it may be anybody's, and anything. */
const REFUSED_BYTES = 1_024
/** The same of its headers, in characters, and of its path. */
const REFUSED_HEADERS = 2_048
const REFUSED_PATH = 512
/** Refusals that are kept with what came, so that they cannot fill the disk. */
const REFUSED = { perSecond: 20, burst: 500 } as const
/** A key of ours wherever it stands: in a header of a misspelt name, or in one where a proxy writes the URL. */
const ANY_KEY = /onceward_[\w-]{43}/g
const HIDDEN = '[hidden]'
const SECRET_HEADERS = new Set(['authorization', KEY_HEADER, 'cookie', 'proxy-authorization'])

/** What came and what was answered, in the audit log. */
export class AuditTrail {
  readonly #parts: AuditTrailParts
  readonly #refused: Limiter

  constructor(parts: AuditTrailParts) {
    this.#parts = parts
    this.#refused = new Limiter(parts.clock, 1)
  }

  /** Before anything is done with it. Rejects with ONCEWARD_E_AUDIT_UNWRITABLE: then nothing may be done. */
  async request(exchange: Exchange): Promise<void> {
    const { audit } = this.#parts
    if (audit === undefined) return
    try {
      await audit.append([{ at: exchange.receivedAt, kind: 'request', body: requestBody(exchange) }])
      exchange.audited = true
    } catch (error) {
      this.#parts.metrics.gatewayAuditFailures.add(1, {})
      throw error
    }
  }

  /** After the bus has answered: what was accepted stays accepted, whatever becomes of this entry. */
  async answer(exchange: Exchange, status: number, answers: readonly EventAnswer[]): Promise<void> {
    const rejected: Json[] = []
    answers.forEach((answer, index) => {
      if (answer.status === 'rejected') rejected.push({ index, ...answer })
    })
    await this.#append('answer', {
      ...identity(exchange),
      status,
      accepted: answers.length - rejected.length,
      ...(rejected.length === 0 ? {} : { rejected }),
    })
  }

  /** What was answered before is answered again. */
  async replay(exchange: Exchange, status: number): Promise<void> {
    await this.#append('answer', { ...identity(exchange), status, replayed: true })
  }

  /** Of what was refused before `request` kept it, a little is kept, and not of each. */
  async refusal(
    exchange: Exchange,
    refusal: Pick<Refusal, 'status' | 'code' | 'message'>,
    detail?: string,
  ): Promise<void> {
    if (this.#parts.audit === undefined) return
    const audited = exchange.audited === true
    if (!audited && this.#refused.take('all', REFUSED, 1) > 0) return
    const { status, code, message } = refusal
    await this.#append('refusal', {
      ...(audited ? identity(exchange) : refusedBody(exchange)),
      status,
      code,
      message,
      ...(detail === undefined ? {} : { detail }),
    })
  }

  /** Nobody knows what became of it: the connection was cut. */
  async cut(exchange: Exchange): Promise<void> {
    await this.#append('cut', identity(exchange))
  }

  async #append(kind: AuditEntry['kind'], body: JsonObject): Promise<void> {
    const { audit, clock, metrics, logger } = this.#parts
    try {
      await audit?.append([{ at: clock.now(), kind, body }])
    } catch (error) {
      metrics.gatewayAuditFailures.add(1, {})
      logger.error({ err: error, kind }, 'the audit log could not take what was answered')
    }
  }
}

function identity(exchange: Exchange): JsonObject {
  return {
    id: exchange.id,
    ...(exchange.source === undefined ? {} : { source: exchange.source }),
    ...(exchange.requestId === undefined ? {} : { request_id: exchange.requestId }),
  }
}

function requestBody(exchange: Exchange): JsonObject {
  return { ...identity(exchange), ...head(exchange), ...bytes('body', exchange.body ?? Buffer.alloc(0)) }
}

function refusedBody(exchange: Exchange): JsonObject {
  const { body } = exchange
  const kept =
    body === undefined
      ? {}
      : {
          body_bytes: body.length,
          body_sha256: hash('sha256', body, 'hex'),
          ...bytes('body_begin', body.subarray(0, REFUSED_BYTES)),
        }
  return { ...identity(exchange), ...littleOf(head(exchange)), ...kept }
}

/** Text as text, anything else as base64 under a name that says so. */
function bytes(name: string, value: Buffer): JsonObject {
  return isUtf8(value) ? { [name]: value.toString('utf8') } : { [`${name}_base64`]: value.toString('base64') }
}

function head({ request, ip, keyId }: Exchange): { headers: Json[]; ip: string; method: string; path: string } {
  const { rawHeaders } = request.raw
  const headers: Json[] = []
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = [rawHeaders[at], rawHeaders[at + 1]]
    const shown = SECRET_HEADERS.has(name.toLowerCase()) ? (keyId ?? HIDDEN) : value.replaceAll(ANY_KEY, HIDDEN)
    headers.push([name, shown])
  }
  const path = withoutKey(request.url, keyId ?? HIDDEN).replaceAll(ANY_KEY, HIDDEN)
  return { ip, method: request.method, path, headers }
}

/** So much of it as is kept of what was refused. */
function littleOf({ headers, path, ...rest }: ReturnType<typeof head>): JsonObject {
  let room = REFUSED_HEADERS
  const kept = headers.filter((pair) => {
    const { length } = JSON.stringify(pair)
    if (length > room) return false
    room -= length
    return true
  })
  const cut = headers.length - kept.length
  return { ...rest, path: path.slice(0, REFUSED_PATH), headers: kept, ...(cut === 0 ? {} : { headers_cut: cut }) }
}

/** The path with the key's id where the key was, however it was written there. */
function withoutKey(url: string, instead: string): string {
  const at = url.indexOf('?')
  if (at === -1) return url
  const parameters = url
    .slice(at + 1)
    .split('&')
    .map((parameter) => {
      const [name = ''] = parameter.split('=')
      return isPlain(name) && name !== KEY_PARAMETER ? parameter : `${KEY_PARAMETER}=${instead}`
    })
  return `${url.slice(0, at)}?${parameters.join('&')}`
}

/** A name that is written as what it is: behind an escape could be `key` as well. */
function isPlain(name: string): boolean {
  return /^[\w.-]*$/.test(name)
}
