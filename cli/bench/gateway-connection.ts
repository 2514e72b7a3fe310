import { connect, type Socket } from 'node:net'

export interface HttpAnswer {
  readonly status: number
  readonly body: string
}

interface Pending {
  readonly resolve: (answer: HttpAnswer) => void
  readonly reject: (error: Error) => void
}

const HEAD_END = '\r\n\r\n'

/**
 * One HTTP/1.1 connection that is kept, one request at a time: as much of the protocol as the gateway's answers need. A bench shares the
 * machine with what it measures, and a whole client would take as much of it as the gateway.
 */
export class HttpConnection {
  readonly #head: string
  readonly #port: number
  #socket: Socket | undefined
  #pending: Pending | undefined
  #received = ''

  constructor(options: { readonly port: number; readonly path: string; readonly key: string }) {
    this.#port = options.port
    this.#head = [
      `POST ${options.path} HTTP/1.1`,
      `host: 127.0.0.1:${options.port}`,
      `authorization: Bearer ${options.key}`,
      'content-type: application/json',
      'content-length: ',
    ].join('\r\n')
  }

  /** `body` in ASCII. Rejects where the connection ends without an answer; the next call opens another. */
  post(body: string): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject }
      this.#socket ??= this.#open()
      this.#socket.write(`${this.#head}${body.length}${HEAD_END}${body}`, 'latin1')
    })
  }

  close(): void {
    this.#socket?.destroy()
  }

  #open(): Socket {
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true })
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => this.#receive(text))
    const end = (error?: Error): void => {
      if (this.#socket !== socket) return
      this.#socket = undefined
      this.#received = ''
      this.#settle((pending) => pending.reject(error ?? new Error('the connection was cut')))
    }
    socket.once('error', end)
    socket.once('close', () => end())
    return socket
  }

  #receive(text: string): void {
    this.#received = this.#received === '' ? text : this.#received + text
    const headEnd = this.#received.indexOf(HEAD_END)
    if (headEnd === -1) return
    const head = this.#received.slice(0, headEnd)
    const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
    const start = headEnd + HEAD_END.length
    if (this.#received.length < start + length) return
    const answer = { status: Number(head.slice(9, 12)), body: this.#received.slice(start, start + length) }
    this.#received = this.#received.slice(start + length)
    this.#settle((pending) => pending.resolve(answer))
  }

  #settle(how: (pending: Pending) => void): void {
    const pending = this.#pending
    this.#pending = undefined
    if (pending !== undefined) how(pending)
  }
}
