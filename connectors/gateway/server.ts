import cors from '@fastify/cors'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Server as TlsServer } from 'node:tls'
import type { Health } from '../../core/ports/health.ts'
import type { Random } from '../../core/random.ts'
import { plainAddress } from './addresses.ts'
import { Connections } from './connections.ts'
import { KEY_HEADER, PATHS, REPLAY_HEADER, REQUEST_ID_HEADER } from './contract.ts'
import type { Directory } from './directory.ts'
import { type Exchange, exchangeOf, sendJson } from './exchange.ts'
import { FrontDesk, type FrontDeskParts, type GivenAnswer } from './front-desk.ts'
import { listenOn } from './listening.ts'
import { openApiDocument } from './openapi.ts'
import { malformed, type Refusal, refusalBody } from '../../core/refusal.ts'
import { failureOf } from './refusal.ts'
import { SERVER_LIMITS, type ServerLimits } from './server-limits.ts'

export interface GatewayTls {
  /** PEM. */
  readonly cert: string
  readonly key: string
  /** Authorities that sign clients' certificates. */
  readonly clientCa: string | undefined
  /** Clients are asked for one; who shows none is let in all the same. */
  readonly asksForCertificate: boolean
}

export interface GatewayParts extends Omit<FrontDeskParts, 'limits'> {
  /** Asked anew for each request, so that it can be exchanged. */
  readonly directory: () => Directory
  /** undefined: plain HTTP. */
  readonly tls: GatewayTls | undefined
  readonly health: Health
  readonly random: Random
  /** Shown in the OpenAPI document. */
  readonly version: string
  readonly limits?: Partial<ServerLimits>
}

export interface Gateway {
  /** Answers the port. Throws ONCEWARD_E_SETTING_INVALID where it cannot be had. */
  listen(place: { readonly host: string; readonly port: number }): Promise<number>
  /** Shows another certificate from the next connection on. Throws where it cannot be used: then the old one stays. */
  renewTls(tls: GatewayTls): void
  /** What it holds now. */
  state(): { readonly connections: number; readonly bodyBytes: number }
  /** Takes no more connections, answers what is under way, then ends. Idempotent. */
  close(): Promise<void>
}

/** The HTTP server of the gateway, over the ports of core/ports/gateway.ts. */
export async function createGateway(parts: GatewayParts): Promise<Gateway> {
  const limits = { ...SERVER_LIMITS, ...parts.limits }
  const desk = new FrontDesk({ ...parts, limits })
  const app = buildServer(parts, limits)
  const { server } = app
  server.maxConnections = limits.connections
  const connections = new Connections(server, () => parts.metrics.gatewayConnectionsDropped.add(1, {}))
  app.addHook('onRequest', (request, reply, done) => {
    // Node's own bound answers what comes beyond it with 503, and leaves the connection open.
    const last = connections.requestsOf(request.socket) >= limits.requestsPerConnection
    const anonymous = request.headers.host === undefined && request.raw.httpVersion !== '1.0'
    if (last || anonymous) reply.header('connection', 'close')
    done(anonymous ? malformed('the header Host is missing') : undefined)
  })
  await addCors(app, parts)
  addRoutes(app, parts, desk)
  let closed: Promise<void> | undefined
  return {
    listen: (place) => listenOn(app, place),
    renewTls: (tls) => (server as unknown as TlsServer).setSecureContext(secureContext(tls)),
    state: () => ({ connections: connections.count, bodyBytes: desk.bodyBytes() }),
    close: () => (closed ??= drain(app, parts, limits)),
  }
}

function buildServer(parts: GatewayParts, limits: ServerLimits): FastifyInstance {
  const nextId = requestIds(parts.random)
  const http = {
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    connectionsCheckingInterval: limits.checkMs,
    maxHeaderSize: limits.headerBytes,
    // A hook of ours tells it as we tell everything.
    requireHostHeader: false,
  }
  const { tls } = parts
  const secure =
    tls === undefined
      ? {}
      : { https: { ...http, ...secureContext(tls), requestCert: tls.asksForCertificate, rejectUnauthorized: false } }
  const app = fastify({
    logger: false,
    http,
    ...secure,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionTimeout: limits.silenceMs,
    forceCloseConnections: 'idle',
    // What comes on an open connection while we stop is answered, and its connection closed: 503 would only make it come again.
    return503OnClosing: false,
    trustProxy: (address: string) => {
      const plain = plainAddress(address)
      return plain !== undefined && parts.directory().trustedProxies.has(plain)
    },
    genReqId: nextId,
    frameworkErrors: (error, request, reply) => answerFrameworkError(parts, error, request, reply),
    // `Connections` answers them.
    clientErrorHandler: () => undefined,
  }) as unknown as FastifyInstance
  // The handlers read bodies themselves: how much of whom is known only once the headers were looked at.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.setErrorHandler((error, request, reply) => answerFrameworkError(parts, error, request, reply))
  app.setNotFoundHandler((request, reply) => {
    const methods = methodsOf(request.url)
    const refusal =
      methods === undefined
        ? malformed('there is no such path; openapi.json says which there are', 404)
        : malformed(`only ${methods} is allowed here`, 405)
    if (methods !== undefined) reply.header('allow', methods)
    parts.metrics.gatewayRequests.add(1, { source: UNKNOWN, status: refusal.status })
    sendJson(reply, refusal.status, refusalBody(refusal))
  })
  return app
}

function secureContext(tls: GatewayTls): { cert: string; key: string; minVersion: 'TLSv1.2'; ca?: string } {
  const { cert, key, clientCa } = tls
  return { cert, key, minVersion: 'TLSv1.2', ...(clientCa === undefined ? {} : { ca: clientCa }) }
}

/** Ids that no other gateway gives: a random beginning for this one, then a count. */
function requestIds(random: Random): () => string {
  const begin = [random(), random()]
    .map((part) =>
      Math.floor(part * 36 ** 6)
        .toString(36)
        .padStart(6, '0'),
    )
    .join('')
  let count = 0
  return () => `${begin}-${(++count).toString(36)}`
}

/** How long a browser may remember what it was allowed, in seconds; browsers cut it to their own bound. */
const PREFLIGHT_SECONDS = 7_200

async function addCors(app: FastifyInstance, { directory }: GatewayParts): Promise<void> {
  await app.register(cors, {
    delegator: (request: FastifyRequest, done: (error: Error | null, options: object) => void) => {
      const { origin } = request.headers
      const allowed = origin !== undefined && directory().origins.has(origin)
      done(null, {
        origin: allowed ? [origin] : false,
        methods: ['POST'],
        allowedHeaders: ['Authorization', KEY_HEADER, 'Content-Type', 'Content-Encoding'],
        exposedHeaders: ['Retry-After', REQUEST_ID_HEADER],
        maxAge: PREFLIGHT_SECONDS,
        strictPreflight: false,
      })
    },
  })
}

function addRoutes(app: FastifyInstance, parts: GatewayParts, desk: FrontDesk): void {
  const answering = (route: string, handle: (exchange: Exchange) => Promise<GivenAnswer>) => {
    return (request: FastifyRequest, reply: FastifyReply): void => {
      const begin = parts.clock.monotonic()
      const exchange = exchangeOf(request, parts.directory(), parts.clock)
      void answer({ parts, desk, exchange, reply }, handle).then(() =>
        parts.metrics.gatewaySeconds.observe((parts.clock.monotonic() - begin) / 1_000, { route }),
      )
    }
  }
  app.post(
    PATHS.events,
    answering('events', (exchange) => desk.events(exchange)),
  )
  app.post<{ Params: { provider: string } }>(
    PATHS.webhooks,
    answering('webhooks', (exchange) => desk.webhook(exchange, providerIn(exchange.request))),
  )
  const document = JSON.stringify(openApiDocument(parts.version))
  app.get(PATHS.openapi, (_request, reply) => sendJson(reply, 200, document))
  app.get(PATHS.healthz, (_request, reply) => {
    const report = parts.health()
    sendJson(reply, report.alive ? 200 : 503, JSON.stringify(report))
  })
  app.get(PATHS.readyz, (_request, reply) => {
    const report = parts.health()
    sendJson(reply, report.alive && report.ready ? 200 : 503, JSON.stringify(report))
  })
}

function providerIn(request: FastifyRequest): string {
  const { params } = request
  return typeof params === 'object' && params !== null && 'provider' in params ? String(params.provider) : ''
}

interface Answering {
  readonly parts: GatewayParts
  readonly desk: FrontDesk
  readonly exchange: Exchange
  readonly reply: FastifyReply
}

/** What stands for the source where nobody knows whose a request is. */
const UNKNOWN = 'unknown'

async function answer(
  { parts, desk, exchange, reply }: Answering,
  handle: (exchange: Exchange) => Promise<GivenAnswer>,
): Promise<void> {
  reply.header(REQUEST_ID_HEADER, exchange.id)
  const count = (status: number | string): void =>
    parts.metrics.gatewayRequests.add(1, { source: exchange.source ?? UNKNOWN, status })
  try {
    const { status, body, replayed } = await handle(exchange)
    count(status)
    if (replayed === true) reply.header(REPLAY_HEADER, 'true')
    sendJson(reply, status, body)
  } catch (error) {
    const failure = failureOf(error)
    if (failure.kind === 'refuse' || failure.kind === 'bug') {
      if (failure.kind === 'bug') parts.logger.error({ err: error, id: exchange.id }, 'a request could not be handled')
      noteConflict(parts, exchange, failure.refusal)
      await desk.trail.refusal(exchange, failure.refusal)
      count(failure.refusal.status)
      refuse(reply, failure.refusal)
      return
    }
    if (failure.kind === 'cut') await desk.trail.cut(exchange)
    count('cut')
    reply.hijack()
    exchange.request.socket.destroy()
  }
}

function refuse(reply: FastifyReply, refusal: Refusal): void {
  if (refusal.retryAfter !== undefined) reply.header('retry-after', String(refusal.retryAfter))
  sendJson(reply, refusal.status, refusalBody(refusal))
}

/** The same request id with other content: somebody's defect, or somebody who tries. */
function noteConflict(parts: GatewayParts, { id, source = UNKNOWN, requestId, ip }: Exchange, refusal: Refusal): void {
  if (refusal.code !== 'ONCEWARD_E_REQUEST_CONFLICT') return
  parts.metrics.gatewayConflicts.add(1, { source })
  parts.logger.error({ source, id, requestId, ip }, 'a request id came again with other content')
}

/** What fastify itself refuses, before or beside our handlers. */
function answerFrameworkError(parts: GatewayParts, error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const refusal = frameworkRefusal(error)
  if (refusal.status >= 500) parts.logger.error({ err: error, id: request.id }, 'a request could not be handled')
  parts.metrics.gatewayRequests.add(1, { source: UNKNOWN, status: refusal.status })
  sendJson(reply, refusal.status, refusalBody(refusal))
}

function frameworkRefusal(error: unknown): Refusal {
  const { code, statusCode } = (error ?? {}) as { readonly code?: unknown; readonly statusCode?: unknown }
  if (code === 'FST_ERR_MAX_PARAM_LENGTH') return malformed('there is no such path', 404)
  if (statusCode === 415) return malformed('the Content-Type is none', 415)
  const failure = failureOf(error)
  if (failure.kind === 'refuse') return failure.refusal
  const theirs = typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500
  return theirs || failure.kind !== 'bug' ? malformed('the request could not be read') : failure.refusal
}

function methodsOf(url: string): string | undefined {
  const [path = ''] = url.split('?')
  if (path === PATHS.events || /^\/v1\/webhooks\/[^/]+$/.test(path)) return 'POST'
  return [PATHS.openapi, PATHS.healthz, PATHS.readyz].some((known) => known === path) ? 'GET, HEAD' : undefined
}

/** Answers what is under way; whoever takes longer than the limit is cut. */
async function drain(app: FastifyInstance, { clock, logger }: GatewayParts, limits: ServerLimits): Promise<void> {
  const ended = new AbortController()
  const closing = app.close().finally(() => ended.abort())
  await Promise.race([closing, clock.sleep(limits.drainMs, ended.signal)])
  if (!ended.signal.aborted) {
    logger.warn({}, 'requests are still under way; their connections are cut')
    app.server.closeAllConnections()
  }
  await closing
}
