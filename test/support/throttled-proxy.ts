/**
 * A TCP proxy in front of a broker that can be made slow: what passes is held back by a latency and a bandwidth, or for as
 * long as it is frozen. It reads no faster than it passes on, so a sender feels the pressure as it would of a slow network.
 */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { systemClock as clock } from '../../core/clock.ts'

export interface Pace {
  /** Added to each chunk. */
  readonly latencyMs: number
  /** Of each connection in each direction. */
  readonly bytesPerSecond: number
}

export const QUICK: Pace = { latencyMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY }

export class ThrottledProxy {
  pace: Pace = QUICK
  /** Where it passes on to. */
  target = 0
  /** Bytes passed on so far, both ways. */
  passed = 0
  readonly port: number
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #thawed: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined

  private constructor(server: Server, port: number) {
    this.#server = server
    this.port = port
    server.on('connection', (client) => this.#join(client))
  }

  static async open(): Promise<ThrottledProxy> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    return new ThrottledProxy(server, typeof address === 'object' && address ? address.port : 0)
  }

  /** Connections stay, and nothing passes. */
  freeze(): void {
    if (this.#thawed !== undefined) return
    let resolve = (): void => undefined
    const promise = new Promise<void>((done) => {
      resolve = done
    })
    this.#thawed = { promise, resolve }
  }

  thaw(): void {
    this.#thawed?.resolve()
    this.#thawed = undefined
  }

  async close(): Promise<void> {
    this.thaw()
    this.pace = QUICK
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #join(client: Socket): void {
    const broker = connect(this.target, '127.0.0.1')
    for (const [from, to] of [
      [client, broker],
      [broker, client],
    ] as const) {
      this.#sockets.add(from)
      from.on('error', () => from.destroy())
      from.once('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
      void this.#pass(from, to).catch(() => to.destroy())
    }
  }

  async #pass(from: Socket, to: Socket): Promise<void> {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      const { latencyMs, bytesPerSecond } = this.pace
      const waitMs = latencyMs + (1_000 * chunk.length) / bytesPerSecond
      if (waitMs > 0) await clock.sleep(waitMs)
      await this.#thawed?.promise
      this.passed += chunk.length
      if (!to.write(chunk)) await once(to, 'drain')
    }
    to.end()
  }
}
