import { connect, type Socket } from 'node:net'

/** A connection on which a test writes what it likes. */
export interface RawClient {
  readonly socket: Socket
  write(text: string | Buffer): void
  /** All that came so far. */
  text(): string
  /** Resolves once what came matches. Rejects where the connection ends before, with what came. */
  until(pattern: RegExp): Promise<string>
  /** Resolves with all that came once the other side has closed. */
  closed(): Promise<string>
  destroy(): void
}

export async function rawClient(port: number): Promise<RawClient> {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  const watchers = new Set<() => void>()
  const tell = (): void => {
    for (const watcher of watchers) watcher()
  }
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    tell()
  })
  socket.on('error', tell)
  socket.on('close', tell)
  const wait = (done: () => string | undefined): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = done()
        if (found === undefined && !socket.destroyed) return
        watchers.delete(look)
        if (found === undefined) reject(new Error(`the connection ended after: ${text}`))
        else resolve(found)
      }
      watchers.add(look)
      look()
    })
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  return {
    socket,
    write: (more) => void socket.write(more),
    text: () => text,
    until: (pattern) => wait(() => (pattern.test(text) ? text : undefined)),
    closed: () => wait(() => (socket.destroyed ? text : undefined)),
    destroy: () => socket.destroy(),
  }
}
