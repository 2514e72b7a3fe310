/**
 * Opens the connections to a partner, to addresses that have been checked. A name is looked up once for each connection, and
 * the connection goes to an address of that very answer, so it does not matter what the name server says a moment later
 * (rebinding). What is connected at last is looked at again, before a byte is sent and before TLS begins.
 */
import { X509Certificate } from 'node:crypto'
import { type LookupAddress, lookup as systemLookup } from 'node:dns'
import { connect as dialTcp, isIP, type LookupFunction, type Socket, type TcpNetConnectOpts } from 'node:net'
import { createSecureContext, type SecureContext } from 'node:tls'
import { buildConnector } from 'undici'
import { messageOf, OncewardError } from '../../core/errors.ts'
import type { PartnerSpec } from '../../core/model/partner.ts'
import type { AddressGuard } from './address.ts'

export type Resolve = (host: string, done: (error: Error | null, addresses: readonly LookupAddress[]) => void) => void

export interface ConnectorOptions {
  readonly guard: AddressGuard
  /** For TCP and for TLS, each, ms. */
  readonly timeoutMs: number
  readonly tls?: PartnerSpec['tls']
  /** All addresses of a host; default: the system's. */
  readonly resolve?: Resolve
  /** Default: node:net's. */
  readonly dial?: (options: TcpNetConnectOpts) => Socket
}

const systemResolve: Resolve = (host, done) => {
  systemLookup(host, { all: true }, (error, addresses) => done(error, addresses ?? []))
}

export interface Connector {
  readonly connect: buildConnector.connector
  /** Gives up the connections that are being made. */
  close(): void
}

/** Throws ONCEWARD_E_PARTNERS_INVALID where the certificates cannot be used. */
export function guardedConnector(options: ConnectorOptions): Connector {
  const dialling = new Set<Socket>()
  const connect = connecting(options, dialling)
  return {
    connect,
    close() {
      for (const socket of dialling) socket.destroy(new Error('the wallet was closed'))
    },
  }
}

function connecting(options: ConnectorOptions, dialling: Set<Socket>): buildConnector.connector {
  const { guard, timeoutMs } = options
  const dial = options.dial ?? dialTcp
  const lookup = guardedLookup(guard, options.resolve ?? systemResolve)
  const startTls = buildConnector({
    timeout: timeoutMs,
    secureContext: secureContextOf(options.tls),
    // Said here, so that no variable of the process can switch it off.
    rejectUnauthorized: true,
  })
  return (target, callback) => {
    const host = target.hostname
    // Node looks no address up that is one already.
    const problem = isIP(host) === 0 ? undefined : guard.problem(host, host)
    if (problem !== undefined) return callback(forbidden(problem), null)
    const secure = target.protocol === 'https:'
    const port = Number(target.port === '' ? (secure ? 443 : 80) : target.port)
    const socket = dial({ host, port, lookup, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 })
    const late = (): void => void socket.destroy(new Error(`no connection to ${host}:${port} within ${timeoutMs} ms`))
    const failed = (error: Error): void => callback(error, null)
    dialling.add(socket)
    socket.once('close', () => dialling.delete(socket))
    socket.setTimeout(timeoutMs, late)
    socket.once('error', failed)
    socket.once('connect', () => {
      dialling.delete(socket)
      socket.setTimeout(0)
      socket.removeListener('timeout', late)
      socket.removeListener('error', failed)
      const found = guard.problem(host, socket.remoteAddress ?? '')
      if (found !== undefined) {
        socket.destroy()
        return callback(forbidden(found), null)
      }
      if (!secure) return callback(null, socket)
      startTls({ ...target, httpSocket: socket }, callback)
    })
  }
}

function forbidden(problem: string): OncewardError {
  return new OncewardError('ONCEWARD_E_ADDRESS_FORBIDDEN', problem)
}

/** Leaves of each answer only what may be called; where nothing is left, says why. */
function guardedLookup(guard: AddressGuard, resolve: Resolve): LookupFunction {
  return (host, options, callback) => {
    resolve(host, (error, addresses) => {
      if (error !== null) return callback(error, '')
      const problems = addresses.map(({ address }) => guard.problem(host, address))
      const usable = addresses.filter((_, index) => problems[index] === undefined)
      const [first] = usable
      if (first === undefined) {
        const why = problems.find((problem) => problem !== undefined)
        return callback(why === undefined ? new Error(`${host} has no address`) : forbidden(why), '')
      }
      if (options.all === true) callback(null, usable)
      else callback(null, first.address, first.family)
    })
  }
}

function secureContextOf(tls: PartnerSpec['tls'] = {}): SecureContext {
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    throw new OncewardError(
      'ONCEWARD_E_PARTNERS_INVALID',
      `tls has a ${tls.cert === undefined ? 'key without a certificate' : 'certificate without a key'}; give both, or neither`,
    )
  }
  try {
    // A context is content with a CA that it cannot read, and then trusts nobody.
    const readable = tls.ca === undefined || new X509Certificate(tls.ca).ca
    if (!readable) throw new Error('ca is a certificate, but not one that may sign others')
    // By their names, for a key that hides itself is not among the fields.
    return createSecureContext({ ca: tls.ca, cert: tls.cert, key: tls.key, minVersion: 'TLSv1.2' })
  } catch (error) {
    // OpenSSL's words name what is wrong, and never show the key.
    throw new OncewardError(
      'ONCEWARD_E_PARTNERS_INVALID',
      `tls cannot be used: ${messageOf(error)}; ca, cert and key are PEM texts, and the key must be the certificate's`,
    )
  }
}
