import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/**
 * `sha256:` and the fingerprint of the certificate that the client has shown, where one of our client authorities has signed
 * it. Who shows none, or one of somebody else, is let in all the same (other sources have none): it just counts for nothing.
 */
export function clientCertificate(socket: Socket): string | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined
  const { fingerprint256 } = socket.getPeerCertificate()
  return fingerprint256 === undefined ? undefined : `sha256:${fingerprint256.replaceAll(':', '').toLowerCase()}`
}
