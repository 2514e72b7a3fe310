import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { messageOf, OncewardError } from '../../core/errors.ts'
import type { Health } from '../../core/ports/health.ts'
import type { Logger } from '../../core/ports/logger.ts'
import type { ObservedMetrics } from './metrics.ts'

export interface HealthServerOptions {
  /** 0: any free one. */
  readonly port: number
  readonly host: string
  readonly metrics: Pick<ObservedMetrics, 'page'>
  readonly health: Health
  readonly logger: Logger
}

export interface HealthServer {
  /** The port that it listens on. */
  readonly port: number
  /** Idempotent. Cuts open connections: nothing is served after it. */
  close(): Promise<void>
}

interface Page {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

/**
 * Serves /metrics (Prometheus' text), /healthz (200 while the process is worth keeping) and /readyz (200 while it does
 * its work), the latter two with a HealthReport as JSON; 503 otherwise. Throws ONCEWARD_E_SETTING_INVALID where the port
 * cannot be had.
 */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const server = createServer((request, response) => {
    answer(options, request, response).catch((error: unknown) => {
      options.logger.error({ err: error, url: request.url }, 'the health server failed to answer')
      respond(response, { status: 500, contentType: 'text/plain; charset=utf-8', body: `${messageOf(error)}\n` })
    })
  })
  const port = await listen(server, options)
  server.on('error', (error) => options.logger.error({ err: error }, 'the health server cannot take connections'))
  let closed: Promise<void> | undefined
  return { port, close: () => (closed ??= close(server)) }
}

async function answer(options: HealthServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '/').split('?')[0]
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD')
    return respond(response, text(405, 'only GET is allowed here'))
  }
  if (path === '/metrics') return respond(response, { status: 200, ...(await options.metrics.page()) })
  if (path === '/healthz' || path === '/readyz') {
    const report = options.health()
    const good = path === '/healthz' ? report.alive : report.alive && report.ready
    return respond(response, {
      status: good ? 200 : 503,
      contentType: 'application/json; charset=utf-8',
      body: `${JSON.stringify(report)}\n`,
    })
  }
  respond(response, text(404, 'there are /metrics, /healthz and /readyz here'))
}

function text(status: number, line: string): Page {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${line}\n` }
}

function respond(response: ServerResponse, page: Page): void {
  response.writeHead(page.status, { 'content-type': page.contentType, 'cache-control': 'no-store' })
  // Node leaves the body out by itself where the request was HEAD.
  response.end(page.body)
}

async function listen(server: Server, { port, host }: HealthServerOptions): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, port, host)))
    server.listen(port, host, resolve)
  })
  return (server.address() as AddressInfo).port
}

function listenError(error: NodeJS.ErrnoException, port: number, host: string): OncewardError {
  const reasons: Record<string, string> = {
    EADDRINUSE: 'another process listens there; stop it, or choose another port (0 takes any free one)',
    EACCES: 'this user may not listen there; choose a port above 1023',
    EADDRNOTAVAIL: 'this machine has no such address; choose 0.0.0.0 or 127.0.0.1',
    ENOTFOUND: 'there is no such host name; choose 0.0.0.0 or 127.0.0.1',
  }
  const reason = reasons[error.code ?? ''] ?? error.message
  return new OncewardError('ONCEWARD_E_SETTING_INVALID', `cannot serve metrics on ${host}:${port}: ${reason}`, {
    cause: error,
  })
}

async function close(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
