import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { malformed, type Refusal, refusalBody } from './refusal.ts'

/**
 * Answers what is no HTTP, too slow, too large or asks for what there is not: what Node tells apart before there is a request.
 * Where a request of the same connection still waits for its answer, the connection is cut: what stood there now would be
 * taken for that answer.
 */
export function answerClientErrors(server: Server): void {
  const underWay = new WeakMap<Socket, number>()
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request
    underWay.set(socket, (underWay.get(socket) ?? 0) + 1)
    response.once('close', () => underWay.set(socket, (underWay.get(socket) ?? 1) - 1))
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (socket.destroyed) return
    if (!socket.writable || error.code === 'ECONNRESET' || (underWay.get(socket) ?? 0) > 0) {
      socket.destroy()
      return
    }
    socket.end(rawAnswer(refusalOf(error)), () => socket.destroySoon())
  })
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
    const refusal = malformed('of Expect only 100-continue is understood', 417)
    response.writeHead(417, { 'content-type': 'application/json; charset=utf-8', connection: 'close' })
    response.end(refusalBody(refusal))
  })
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
