/** A wallet to try things with: checks what a real one would check, pays each request id once, and fails on request. */
import { closeSync, openSync, writeSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Clock } from '../../core/clock.ts'
import { messageOf, OncewardError } from '../../core/errors.ts'
import { checkSignature, type SigningKey, signingKeys } from '../wallet/signature.ts'
import { type Behaviour, type BehaviourChange, openBehaviour, parseChange } from './behaviour.ts'
import type { DownWindow, Fault } from './faults.ts'
import { parseOrder } from './order.ts'
import { digestOf, openPayouts, type PartnerStats, type Payment, payoutIdOf, type Payouts } from './payouts.ts'
import { openStateFile } from './state-file.ts'
import { statement, type StatementFormat } from './statement.ts'

export interface PartnerOptions extends BehaviourChange {
  /** Default: any free port. */
  readonly port?: number
  /** Default 127.0.0.1. */
  readonly host?: string
  readonly secret: string
  /** Accepted beside `secret`, while secrets are exchanged. */
  readonly otherSecrets?: readonly string[]
  readonly clock: Clock
  /** Part of the calls, 0 to 1, answered with 500, half of them after paying: `faults.fail`. */
  readonly failRate?: number
  /** Part of the calls, 0 to 1, never answered, half of them after paying: `faults.timeout`. */
  readonly timeoutRate?: number
  /** The same seed gives the same sequence of faults. Default 1. */
  readonly seed?: number
  /** When it is down by itself, with 503; default never. */
  readonly downWindow?: DownWindow
  /** Cash in any other is refused; default: any is paid. */
  readonly currencies?: readonly string[]
  /** What was paid is read from there and appended to, so that it pays once over its restarts, too; default: memory alone. */
  readonly stateFile?: string
  /** Where `stop` writes the statement; CSV, or NDJSON where the name ends in `.ndjson`. */
  readonly statementFile?: string
}

export interface Partner {
  /** Without a path. */
  readonly url: string
  stats(): PartnerStats
  /** Request ids paid, in the order of payment. */
  payouts(): readonly string[]
  /** One line for each payout, in pieces. */
  statement(format: StatementFormat): Iterable<string>
  /** Takes effect from the next order on. Throws ONCEWARD_E_SETTING_INVALID. */
  change(change: BehaviourChange): void
  stop(): Promise<void>
}

const BODY_BYTES_MAX = 64 * 1024
/** Where the fault `redirect` sends a caller who would follow. */
const REDIRECT_TO = 'http://169.254.169.254/latest/meta-data/'

/**
 * Listens. POST anywhere is an order, except POST /control, which changes how it behaves; GET /stats, GET /payouts (one request
 * id a line) and GET /statement?format=csv|ndjson show what happened. Only orders are signed: it is for trying things out.
 * Throws ONCEWARD_E_SETTING_INVALID for rates outside of 0 to 1 and for a port that is taken, ONCEWARD_E_FILE_UNREADABLE for
 * a state file that is none.
 */
export async function startPartner(options: PartnerOptions): Promise<Partner> {
  const { clock, statementFile } = options
  const faults = { fail: options.failRate ?? 0, timeout: options.timeoutRate ?? 0, ...options.faults }
  const behaviour = openBehaviour({ ...options, faults, clock, seed: options.seed ?? 1 })
  const keys = signingKeys([options.secret, ...(options.otherSecrets ?? [])])
  const state = options.stateFile === undefined ? undefined : await openStateFile(options.stateFile)
  const payouts = openPayouts(state?.before, state?.append)
  const stopping = new AbortController()
  const desk: Desk = { options, keys, payouts, behaviour, stopped: stopping.signal }
  const server = createServer((incoming, response) => {
    serve(desk, incoming, response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : new Error(messageOf(error)))
    })
  })
  // Longer than callers keep theirs, so that a call seldom meets a connection that is just being closed.
  server.keepAliveTimeout = 65_000
  const host = options.host ?? '127.0.0.1'
  const port = await listen(server, host, options.port ?? 0)
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    stats: () => payouts.stats(),
    payouts: () => payouts.ids(),
    statement: (format) => statement(payouts.all(), format),
    change: (change) => behaviour.change(change),
    async stop() {
      stopping.abort()
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        // Those that are never answered would keep it open.
        server.closeAllConnections()
      })
      state?.close()
      if (statementFile !== undefined) writeStatement(statementFile, payouts)
    },
  }
}

function writeStatement(path: string, payouts: Payouts): void {
  try {
    const file = openSync(path, 'w')
    for (const piece of statement(payouts.all(), path.endsWith('.ndjson') ? 'ndjson' : 'csv')) writeSync(file, piece)
    closeSync(file)
  } catch (error) {
    throw new OncewardError('ONCEWARD_E_FILE_UNWRITABLE', `the statement cannot be written: ${messageOf(error)}`)
  }
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

interface Desk {
  readonly options: PartnerOptions
  readonly keys: readonly SigningKey[]
  readonly payouts: Payouts
  readonly behaviour: Behaviour
  readonly stopped: AbortSignal
}

async function serve(desk: Desk, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path = '/', query] = (incoming.url ?? '/').split('?', 2)
  if (incoming.method === 'POST') {
    return path === '/control' ? control(desk, incoming, response) : order(desk, incoming, response)
  }
  incoming.resume()
  const { payouts } = desk
  if (incoming.method === 'GET') {
    if (path === '/stats') return answer(response, 200, payouts.stats())
    if (path === '/payouts') return stream(response, 'text/plain', linesOf(payouts.ids()))
    if (path === '/statement') {
      const csv = new URLSearchParams(query).get('format') !== 'ndjson'
      const type = csv ? 'text/csv' : 'application/x-ndjson'
      return stream(response, type, statement(payouts.all(), csv ? 'csv' : 'ndjson'))
    }
  }
  answer(response, 404, { error: 'POST an order or /control, or GET /stats, /payouts or /statement' })
}

function* linesOf(ids: readonly string[]): Generator<string> {
  for (let from = 0; from < ids.length; from += 1_000) yield `${ids.slice(from, from + 1_000).join('\n')}\n`
}

async function stream(response: ServerResponse, type: string, pieces: Iterable<string>): Promise<void> {
  response.writeHead(200, { 'content-type': type })
  await pipeline(Readable.from(pieces), response)
}

async function control(desk: Desk, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await read(incoming)
  try {
    desk.behaviour.change(parseChange(body ?? Buffer.alloc(0)))
    answer(response, 200, { ok: true })
  } catch (error) {
    answer(response, 400, { error: messageOf(error) })
  }
}

async function order(desk: Desk, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const { payouts, behaviour, keys, options } = desk
  payouts.count('calls')
  const down = behaviour.down()
  if (down !== 'no') {
    payouts.count('down')
    if (down === 'close') return void incoming.socket.destroy()
    incoming.resume()
    return answer(response, 503, { error: 'down for a while' })
  }
  const body = await read(incoming)
  if (body === undefined) return answer(response, 413, { error: `a body has at most ${BODY_BYTES_MAX} bytes` })
  const now = options.clock.now()
  const trust = checkSignature({ headers: incoming.headers, body, keys, now })
  if (!trust.ok) {
    payouts.count('bad_signatures')
    return answer(response, 401, { error: trust.problem })
  }
  const parsed = parseOrder(trust.requestId, body, options.currencies)
  if (typeof parsed === 'string') {
    payouts.count('malformed')
    return answer(response, 400, { error: parsed })
  }
  const pay = (): Payment => payouts.pay({ ...parsed, digest: digestOf(body), paidAt: now })
  const reply = carryOut({ desk, fault: behaviour.nextFault(), pay, requestId: parsed.requestId })
  if (reply === 'silence') return
  if (reply === 'close') return void incoming.socket.resetAndDestroy()
  const waitMs = behaviour.latencyMs + (reply.late === true ? behaviour.lateMs : 0)
  if (waitMs > 0) await options.clock.sleep(waitMs, desk.stopped)
  answer(response, reply.status, reply.content, reply.headers)
}

interface Reply {
  readonly status: number
  readonly content: object
  readonly headers?: Readonly<Record<string, string>>
  readonly late?: boolean
}

interface Settling {
  readonly desk: Desk
  readonly fault: Fault
  readonly pay: () => Payment
  readonly requestId: string
}

/** Pays, or does not, and says what the caller is to hear of it. */
function carryOut({ desk, fault, pay, requestId }: Settling): Reply | 'silence' | 'close' {
  const { payouts, behaviour } = desk
  if (fault.kind !== 'none' && fault.kind !== 'fail' && fault.kind !== 'timeout') payouts.countFault(fault.kind)
  switch (fault.kind) {
    case 'none':
      return answerOf(pay(), requestId)
    case 'late':
      return { ...answerOf(pay(), requestId), late: true }
    case 'differ': {
      const payment = pay()
      return payment === 'repeat' ? answerOf(payment, `another for ${requestId}`) : answerOf(payment, requestId)
    }
    case 'fail':
      payouts.count('failed')
      if (fault.afterPaying) pay()
      return { status: 500, content: { error: 'injected failure' } }
    case 'timeout':
      payouts.count('timed_out')
      if (fault.afterPaying) pay()
      return 'silence'
    case 'lose':
      pay()
      return 'close'
    case 'reset':
      return 'close'
    case 'reject':
      return { status: 422, content: { error: 'injected refusal' } }
    case 'throttle': {
      const headers = { 'retry-after': String(behaviour.retryAfterS) }
      return { status: 429, content: { error: 'injected throttling' }, headers }
    }
    case 'redirect':
      return { status: 307, content: { error: 'injected redirect' }, headers: { location: REDIRECT_TO } }
    default:
      return fault satisfies never
  }
}

function answerOf(payment: Payment, requestId: string): Reply {
  if (payment === 'conflict') {
    return { status: 409, content: { error: 'this request id was paid for another order; ids are used once' } }
  }
  return { status: 200, content: { payout_id: payoutIdOf(requestId), status: 'succeeded' } }
}

/** Undefined where it is too long. */
function read(incoming: IncomingMessage): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    let size = 0
    incoming.on('data', (part: Buffer) => {
      size += part.length
      if (size <= BODY_BYTES_MAX) parts.push(part)
      else resolve(undefined)
    })
    incoming.once('end', () => resolve(Buffer.concat(parts)))
    incoming.once('error', reject)
  })
}

function answer(
  response: ServerResponse,
  status: number,
  content: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = `${JSON.stringify(content)}\n`
  // With a length, and in one piece: a chunked answer is two writes.
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...headers,
  })
  response.end(text)
}
