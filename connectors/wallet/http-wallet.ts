import { isIP } from 'node:net'
import { type Dispatcher, Pool } from 'undici'
import type { Clock } from '../../core/clock.ts'
import { MINUTE_MS } from '../../core/durations.ts'
import { hasCode, messageOf, OncewardError } from '../../core/errors.ts'
import type { PartnerSpec } from '../../core/model/partner.ts'
import type { CreditOutcome, CreditRequest, Wallet } from '../../core/ports/wallet.ts'
import { type AddressGuard, addressGuard, canonicalHost } from './address.ts'
import { outcomeOf, retryAfterMs } from './answer.ts'
import { creditBody } from './body.ts'
import { type ConnectorOptions, guardedConnector } from './connector.ts'
import { openDeadlines } from './deadlines.ts'
import { isRequestId, signatureHeaders, signingKeys } from './signature.ts'

export interface HttpWalletOptions {
  readonly spec: PartnerSpec
  readonly clock: Clock
  /** How names become addresses, and addresses connections; default: the system's. */
  readonly network?: Pick<ConnectorOptions, 'resolve' | 'dial'>
}

/** Of an order, and of an answer. */
const BODY_BYTES_MAX = 64 * 1024
const HEADER_BYTES_MAX = 16 * 1024
const TIMEOUT_MS_MAX = 10 * MINUTE_MS

/**
 * A partner called over HTTP: `spec.concurrency` connections, kept open; more calls wait in order, within their time-out. It
 * follows no redirect, and calls no address that is not public unless `spec.allowHosts` names it.
 *
 * Throws ONCEWARD_E_PARTNERS_INVALID for a URL, a secret, a bound or a certificate that cannot be used, and
 * ONCEWARD_E_ADDRESS_FORBIDDEN for a URL that is an address, or a name of this machine, which may not be called.
 */
export function httpWallet({ spec, clock, network }: HttpWalletOptions): Wallet {
  const guard = naming(spec, () => addressGuard(spec.allowHosts))
  const url = walletUrl(spec, guard)
  const timeoutMs = bounded(spec, 'timeoutMs', TIMEOUT_MS_MAX)
  const keys = naming(spec, () => signingKeys(spec.secrets))
  const connector = naming(spec, () => guardedConnector({ guard, timeoutMs, tls: spec.tls, ...network }))
  const deadlines = openDeadlines(clock, timeoutMs)
  const pool = new Pool(url.origin, {
    connections: bounded(spec, 'concurrency', 10_000),
    pipelining: 1,
    keepAliveTimeout: 30_000,
    maxHeaderSize: HEADER_BYTES_MAX,
    // The deadline bounds the call as a whole.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: connector.connect,
  })
  const path = url.pathname + url.search
  const send = (body: string, requestId: string, call: Call): void => {
    const headers = {
      'content-type': 'application/json',
      // What is not asked for packed cannot unpack to more than was read.
      'accept-encoding': 'identity',
      ...signatureHeaders({ keys, requestId, now: clock.now(), body }),
    }
    pool.dispatch({ path, method: 'POST', headers, body }, call)
  }
  return {
    credit(order, signal) {
      const body = bodyOf(order)
      if (typeof body !== 'string') return Promise.resolve(body)
      return new Promise((resolve) => {
        const call = new Call(clock, resolve)
        call.finally(deadlines.begin(() => call.giveUp(`no answer within ${timeoutMs} ms`)))
        if (signal !== undefined) {
          const stop = (): void => call.giveUp('the call was abandoned because the sink stops')
          if (signal.aborted) return stop()
          signal.addEventListener('abort', stop, { once: true })
          call.finally(() => signal.removeEventListener('abort', stop))
        }
        send(body, order.requestId, call)
      })
    },
    async close() {
      connector.close()
      await pool.destroy()
      deadlines.close()
    },
  }
}

/** The body, or why the order is not sent: what is wrong with it is wrong on every try. */
function bodyOf(order: CreditRequest): string | CreditOutcome {
  if (!isRequestId(order.requestId)) {
    return { kind: 'refused', detail: 'not called: the request id is not 1 to 200 of A-Z a-z 0-9 _ -' }
  }
  try {
    const body = creditBody(order)
    const size = Buffer.byteLength(body)
    if (size <= BODY_BYTES_MAX) return body
    return {
      kind: 'refused',
      detail: `not called: the order has ${size} bytes, and at most ${BODY_BYTES_MAX} are sent`,
    }
  } catch (error) {
    return { kind: 'refused', detail: `not called: ${messageOf(error)}` }
  }
}

/** One call on its way. Whatever comes first (an answer, an error, the time-out, the signal) decides it, once. */
class Call implements Dispatcher.DispatchHandler {
  readonly #clock: Clock
  readonly #resolve: (outcome: CreditOutcome) => void
  #cleanups: (() => void)[] = []
  #settled = false
  #controller: Dispatcher.DispatchController | undefined
  #status = 0
  #retryAfterMs: number | undefined
  #parts: Buffer[] = []
  #size = 0

  constructor(clock: Clock, resolve: (outcome: CreditOutcome) => void) {
    this.#clock = clock
    this.#resolve = resolve
  }

  finally(cleanup: () => void): void {
    this.#cleanups.push(cleanup)
  }

  giveUp(why: string): void {
    this.#settle({ kind: 'unavailable', detail: `no answer: ${why}` })
    this.#controller?.abort(new Error(why))
  }

  /** An order that was given up while it waited for a connection is not sent after all. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#settled) controller.abort(new Error('given up before it was sent'))
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    this.#status = status
    const header = headers['retry-after']
    this.#retryAfterMs = retryAfterMs(Array.isArray(header) ? header[0] : header, this.#clock.now())
  }

  /** Reads no more than BODY_BYTES_MAX, whatever the other side sends. */
  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#parts.push(chunk)
    this.#size += chunk.length
    if (this.#size < BODY_BYTES_MAX) return
    this.#answered()
    controller.abort(new Error('the answer is too long'))
  }

  onResponseEnd(): void {
    this.#answered()
  }

  /**
   * A forbidden address is not the reward's fault: refusing would void a whole evening's rewards because a name server was
   * changed, or lied to us for a minute. Nothing was sent, so trying again is safe, and so many failures in a row open the
   * partner's breaker; the detail says what to mend.
   */
  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const detail = hasCode(error, 'ONCEWARD_E_ADDRESS_FORBIDDEN')
      ? `not called: ${error.code}: ${error.message}`
      : `no answer: ${reasonOf(error)}`
    this.#settle({ kind: 'unavailable', detail })
  }

  #answered(): void {
    const text = Buffer.concat(this.#parts).subarray(0, BODY_BYTES_MAX).toString()
    this.#settle(outcomeOf(this.#status, text, this.#retryAfterMs))
  }

  #settle(outcome: CreditOutcome): void {
    if (this.#settled) return
    this.#settled = true
    for (const cleanup of this.#cleanups) cleanup()
    this.#cleanups = []
    this.#parts = []
    this.#resolve(outcome)
  }
}

/** Where every address of a host refuses, Node's message is empty and the reasons are inside. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ')
  return messageOf(error)
}

function walletUrl(spec: PartnerSpec, guard: AddressGuard): URL {
  const url = URL.canParse(spec.url) ? new URL(spec.url) : undefined
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw invalid(spec, 'url is not the URL of a wallet; write one such as https://wallet.example/wallet/credit')
  }
  if (url.username !== '' || url.password !== '') {
    throw invalid(
      spec,
      'url holds a user name or a password, which would stand in logs; orders are signed, leave it out',
    )
  }
  const host = canonicalHost(url.hostname) ?? ''
  const problem = addressProblem(host, guard)
  if (problem !== undefined) throw new OncewardError('ONCEWARD_E_ADDRESS_FORBIDDEN', `partner ${spec.name}: ${problem}`)
  if (url.protocol === 'http:' && !guard.hostAllowed(host)) {
    throw invalid(
      spec,
      `url is plain http, which anybody on the way can read; write https, or name ${host} in allowHosts`,
    )
  }
  if (url.pathname === '/') url.pathname = '/wallet/credit'
  return url
}

/** What needs no name server: an address, and the names of this machine. */
function addressProblem(host: string, guard: AddressGuard): string | undefined {
  if (isIP(host) !== 0) return guard.problem(host, host)
  return /(?:^|\.)localhost$/.test(host) ? guard.problem(host, '127.0.0.1') : undefined
}

function bounded(spec: PartnerSpec, name: 'timeoutMs' | 'concurrency', max: number): number {
  const value = spec[name]
  if (Number.isInteger(value) && value >= 1 && value <= max) return value
  throw invalid(spec, `${name} is ${value}; write a whole number from 1 to ${max}`)
}

function naming<Value>(spec: PartnerSpec, make: () => Value): Value {
  try {
    return make()
  } catch (error) {
    if (hasCode(error, 'ONCEWARD_E_PARTNERS_INVALID')) throw invalid(spec, error.message)
    throw error
  }
}

function invalid(spec: PartnerSpec, message: string): OncewardError {
  return new OncewardError('ONCEWARD_E_PARTNERS_INVALID', `partner ${spec.name}: ${message}`)
}
