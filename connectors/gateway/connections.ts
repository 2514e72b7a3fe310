import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { malformed, type Refusal, refusalBody } from '../../core/refusal.ts'

/** What a connection has brought so far. */
interface Traffic {
  requests: number
  /** Requests without an answer. */
  open: number
  newest: { readonly request: IncomingMessage; readonly response: ServerResponse }
}

/** Open connections, what each has brought, and what is answered where Node cannot make a request of it. */
export class Connections {
  readonly #traffic = new WeakMap<Socket, Traffic>()
  #count = 0

  constructor(server: Server, dropped: () => void) {
    server.on('connection', (socket: Socket) => {
      this.#count += 1
      socket.once('close', () => (this.#count -= 1))
    })
    server.on('drop', dropped)
    // Before fastify's own listener, which may look at what was counted.
    server.prependListener('request', (request: IncomingMessage, response: ServerResponse) =>
      this.#began(request, response),
    )
    server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => this.#failed(error, socket))
    server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
      response.writeHead(417, { 'content-type': 'application/json; charset=utf-8', connection: 'close' })
      response.end(refusalBody(malformed('of Expect only 100-continue is understood', 417)))
    })
  }

  get count(): number {
    return this.#count
  }

  /** Requests that came on this connection so far, this one included. */
  requestsOf(socket: Socket): number {
    return this.#traffic.get(socket)?.requests ?? 0
  }

  #began(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    const newest = { request, response }
    const traffic = this.#traffic.get(socket) ?? { requests: 0, open: 0, newest }
    traffic.requests += 1
    traffic.open += 1
    traffic.newest = newest
    this.#traffic.set(socket, traffic)
    response.once('close', () => (traffic.open -= 1))
  }

  /**
   * What is no HTTP, too slow or too large is told so. Where a whole request of the same connection still waits for its
   * answer, the connection is cut: what stood there now would be taken for that answer.
   */
  #failed(error: NodeJS.ErrnoException, socket: Socket): void {
    if (socket.destroyed) return
    if (socket.writable && error.code !== 'ECONNRESET' && this.#mayAnswer(socket)) {
      socket.end(rawAnswer(refusalOf(error)), () => socket.destroySoon())
    } else socket.destroy()
  }

  /** Nothing waits for an answer but the request that is broken itself, whose body has not come to its end. */
  #mayAnswer(socket: Socket): boolean {
    const traffic = this.#traffic.get(socket)
    if (traffic === undefined || traffic.open === 0) return true
    const { request, response } = traffic.newest
    return traffic.open === 1 && !request.complete && !response.headersSent
  }
}

function refusalOf(error: NodeJS.ErrnoException): Refusal {
  if (error.code === 'HPE_HEADER_OVERFLOW') return malformed('the headers are too large', 431)
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return malformed('the request took too long to arrive', 408)
  return malformed('this is no HTTP request')
}

function rawAnswer(refusal: Refusal): string {
  const body = refusalBody(refusal)
  const lines = [
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ''}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ]
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}
