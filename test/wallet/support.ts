import { createServer, type RequestListener } from 'node:http'
import type { Server, Socket } from 'node:net'
import { requestIdOf } from '../../core/ids.ts'
import type { PartnerSpec } from '../../core/model/partner.ts'
import type { CreditRequest } from '../../core/ports/wallet.ts'

export const SECRET = 'a secret for tests'

/** A partner on this machine, which may be called although it is. */
export function partnerSpec(url: string, change: Partial<PartnerSpec> = {}): PartnerSpec {
  return {
    name: 'acme',
    url,
    secrets: [SECRET],
    types: ['*'],
    concurrency: 16,
    orderedByPlayer: false,
    timeoutMs: 2_000,
    allowHosts: ['127.0.0.1', '::1', 'localhost'],
    ...change,
  }
}

export function order(n = 1, change: Partial<CreditRequest> = {}): CreditRequest {
  return {
    requestId: requestIdOf(`rt_${n}`),
    userId: `u_${n}`,
    reward: { type: 'bonus_cash', amount: 2, currency: 'EUR', wagering: 15, cost: 1.5 },
    ruleId: 'r_points',
    threshold: 300,
    guardrails: { kyc_min_level: 2 },
    ...change,
  }
}

export const PAID = '{"payout_id":"po_1","status":"succeeded"}'

export interface Listening {
  readonly port: number
  readonly url: string
  readonly close: () => Promise<void>
}

export function listenHttp(handler: RequestListener): Promise<Listening> {
  return listening(createServer(handler))
}

/** Any server of node:net and what is built on it, on a free port of 127.0.0.1. */
export async function listening(server: Pick<Server, 'listen' | 'address' | 'close' | 'on'>): Promise<Listening> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((done) => {
        server.close(() => done())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

/** What tests of this folder open, closed after each of them. */
export function cleaning(): { keep: (cleanup: () => Promise<void>) => void; clean: () => Promise<void> } {
  const cleanups: (() => Promise<void>)[] = []
  return {
    keep: (cleanup) => void cleanups.push(cleanup),
    async clean() {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
    },
  }
}
