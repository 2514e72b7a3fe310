import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from '../../core/clock.ts'
import { plainAddress } from './addresses.ts'
import type { Directory } from './directory.ts'

/** One request and all that is known of it while it is handled. */
export interface Exchange {
  /** Tells this request from every other, of every gateway. */
  readonly id: string
  readonly request: FastifyRequest
  readonly directory: Directory
  /** The client's address, behind trusted proxies, as `plainAddress` gives it. */
  readonly ip: string
  /** Unix milliseconds. */
  readonly receivedAt: number
  /** Whose it is, once that is known. */
  source?: string
  /** What stands in the audit log in the key's place. */
  keyId?: string
  /** The webhook's own id. */
  requestId?: string
  /** Where its signature does not cover that id: what it does cover. */
  contentId?: string | undefined
  /** As it came, once it was read. */
  body?: Buffer
  /** All of it stands in the audit log. */
  audited?: boolean
}

/** What stands for an address that nobody knows any more: the client has gone. */
const NO_ADDRESS = '0.0.0.0'

export function exchangeOf(request: FastifyRequest, directory: Directory, clock: Pick<Clock, 'now'>): Exchange {
  return { id: request.id, request, directory, ip: clientAddress(request), receivedAt: clock.now() }
}

/**
 * The first address from our side that is no trusted proxy's, and that is an address: what a proxy passes on from further
 * out may be anything.
 */
function clientAddress(request: FastifyRequest): string {
  const chain = request.ips ?? []
  for (const text of [...chain].reverse()) {
    const address = plainAddress(text)
    if (address !== undefined) return address
  }
  return plainAddress(request.socket.remoteAddress) ?? NO_ADDRESS
}

/** ISO 3166-1 alpha-2, as a trusted proxy says it. Codes that stand for no country (XX: unknown, T1: Tor) are none. */
export function countryOf({ request, directory }: Exchange): string | undefined {
  const { countryHeader, trustedProxies } = directory
  if (countryHeader === undefined) return undefined
  const peer = plainAddress(request.socket.remoteAddress)
  if (peer === undefined || !trustedProxies.has(peer)) return undefined
  const value = request.headers[countryHeader]
  if (typeof value !== 'string' || !/^[A-Za-z]{2}$/.test(value)) return undefined
  const country = value.toUpperCase()
  return country === 'XX' ? undefined : country
}

const USER_AGENT_LENGTH_MAX = 1_024

export function userAgentOf({ request }: Exchange): string | undefined {
  return request.headers['user-agent']?.slice(0, USER_AGENT_LENGTH_MAX)
}

/** Sends JSON text. */
export function sendJson(reply: FastifyReply, status: number, body: string): void {
  reply.code(status).header('content-type', 'application/json; charset=utf-8').header('cache-control', 'no-store')
  reply.send(body)
}
