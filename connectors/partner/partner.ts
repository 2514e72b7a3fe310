/** A wallet to try things with: checks what a real one would check, pays each request id once, and fails on request. */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Clock } from '../../core/clock.ts'
import { MINUTE_MS } from '../../core/durations.ts'
import { messageOf, OncewardError } from '../../core/errors.ts'
import { seededRandom } from '../../core/random.ts'
import { signatureMatches } from '../wallet/signature.ts'
import { type Fault, faultOf } from './faults.ts'
import { type Order, parseOrder } from './order.ts'
import { openPayouts, type PartnerStats } from './payouts.ts'

export interface PartnerOptions {
  /** Default: any free port. */
  readonly port?: number
  /** Default 127.0.0.1. */
  readonly host?: string
  readonly secret: string
  readonly clock: Clock
  /** Part of the calls, 0 to 1, answered with 500, half of them after paying. */
  readonly failRate?: number
  /** Part of the calls, 0 to 1, never answered, half of them after paying. */
  readonly timeoutRate?: number
  /** The same seed gives the same sequence of faults. Default 1. */
  readonly seed?: number
}

export interface Partner {
  /** Without a path. */
  readonly url: string
  stats(): PartnerStats
  /** Request ids paid, in the order of payment. */
  payouts(): readonly string[]
  stop(): Promise<void>
}

const AGE_MS_MAX = 5 * MINUTE_MS
const BODY_BYTES_MAX = 64 * 1024

/**
 * Listens. POST anywhere is an order; GET /stats and GET /payouts (one request id a line) show what happened.
 * Throws ONCEWARD_E_SETTING_INVALID for rates outside of 0 to 1 and for a port that is taken.
 */
export async function startPartner(options: PartnerOptions): Promise<Partner> {
  const payouts = openPayouts()
  const random = seededRandom(options.seed ?? 1)
  const rates = { fail: rate('fail', options.failRate), timeout: rate('timeout', options.timeoutRate) }
  const server = createServer((incoming, response) => {
    const nextFault = (): Fault => faultOf(random(), rates)
    serve({ incoming, response, options, payouts, nextFault }).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : new Error(messageOf(error)))
    })
  })
  const host = options.host ?? '127.0.0.1'
  const port = await listen(server, host, options.port ?? 0)
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    stats: () => payouts.stats(),
    payouts: () => payouts.ids(),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        // Those that are never answered would keep it open.
        server.closeAllConnections()
      }),
  }
}

function rate(name: string, value = 0): number {
  if (value >= 0 && value <= 1) return value
  throw new OncewardError('ONCEWARD_E_SETTING_INVALID', `the ${name} rate is ${value}; write a number from 0 to 1`)
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new OncewardError(
          'ONCEWARD_E_SETTING_INVALID',
          `cannot listen on ${host}:${port}: ${error.message}; choose another`,
        ),
      ),
    )
    server.listen(port, host, () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}

interface Exchange {
  readonly incoming: IncomingMessage
  readonly response: ServerResponse
  readonly options: PartnerOptions
  readonly payouts: ReturnType<typeof openPayouts>
  readonly nextFault: () => Fault
}

async function serve(exchange: Exchange): Promise<void> {
  const { incoming, payouts } = exchange
  const path = new URL(incoming.url ?? '/', 'http://partner').pathname
  if (incoming.method === 'POST') return order(exchange)
  incoming.resume()
  if (incoming.method === 'GET' && path === '/stats') return answer(exchange, 200, payouts.stats())
  if (incoming.method === 'GET' && path === '/payouts') {
    exchange.response.writeHead(200, { 'content-type': 'text/plain' })
    for (const id of payouts.ids()) exchange.response.write(`${id}\n`)
    exchange.response.end()
    return
  }
  answer(exchange, 404, { error: 'POST an order, or GET /stats or /payouts' })
}

async function order(exchange: Exchange): Promise<void> {
  const { payouts, nextFault } = exchange
  payouts.called()
  const body = await read(exchange.incoming)
  if (body === undefined) return answer(exchange, 413, { error: `a body has at most ${BODY_BYTES_MAX} bytes` })
  const problem = untrusted(exchange, body)
  if (problem !== undefined) {
    payouts.badSignature()
    return answer(exchange, 401, { error: problem })
  }
  const parsed = parseOrder(header(exchange.incoming, 'x-request-id'), body)
  if (typeof parsed === 'string') return answer(exchange, 400, { error: parsed })
  carryOut(exchange, { order: parsed, digest: digest(body), fault: nextFault() })
}

function carryOut(exchange: Exchange, call: { order: Order; digest: number; fault: Fault }): void {
  const { payouts } = exchange
  const { fault } = call
  if (fault.kind === 'none' || fault.afterPaying) payouts.pay(call.order, call.digest)
  switch (fault.kind) {
    case 'none':
      return answer(exchange, 200, { payout_id: payoutId(call.order.requestId), status: 'succeeded' })
    case 'fail':
      payouts.failed()
      return answer(exchange, 500, { error: 'injected failure' })
    case 'timeout':
      payouts.timedOut()
      return
    default:
      return fault satisfies never
  }
}

/** Undefined where signature and age are right (SPEC S4). */
function untrusted(exchange: Exchange, body: Buffer): string | undefined {
  const { incoming, options } = exchange
  if (!signatureMatches(options.secret, body, header(incoming, 'x-signature')))
    return 'X-Signature does not match the body'
  const sentAt = Number(header(incoming, 'x-timestamp')) * 1_000
  if (!(Math.abs(options.clock.now() - sentAt) <= AGE_MS_MAX)) {
    return 'X-Timestamp is not in Unix seconds within 5 minutes of now'
  }
  return undefined
}

function header(incoming: IncomingMessage, name: string): string | undefined {
  const value = incoming.headers[name]
  return Array.isArray(value) ? value[0] : value
}

async function read(incoming: IncomingMessage): Promise<Buffer | undefined> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of incoming as AsyncIterable<Buffer>) {
    size += part.length
    if (size > BODY_BYTES_MAX) return undefined
    parts.push(part)
  }
  return Buffer.concat(parts)
}

/** Derived, so that nothing must be kept to give a repeat the same answer. */
function payoutId(requestId: string): string {
  return `po_${createHash('sha256').update(requestId).digest('hex').slice(0, 24)}`
}

/** 48 bits: enough to see that a repeat differs. */
function digest(body: Buffer): number {
  return createHash('sha256').update(body).digest().readUIntBE(0, 6)
}

function answer(exchange: Exchange, status: number, content: object): void {
  exchange.response.writeHead(status, { 'content-type': 'application/json' })
  exchange.response.end(`${JSON.stringify(content)}\n`)
}
