import type { CreditOutcome, CreditRequest, Wallet } from '../../core/ports/wallet.ts'
import { CLEARED_MS_MAX } from '../../pipeline/payout/payment.ts'
import type { SimulatedProcess, Surroundings } from './process.ts'
import { Violation } from './violation.ts'

/** How long a call waits for the wallet's answer, ms. */
const TIMEOUT_MS = 1_500

export interface Payout {
  readonly payoutId: string
  /** What was asked for: the same request id must always bring the same. */
  readonly content: string
}

/** The partner: remembers request ids, pays each once, and refuses one player for good. */
export class WalletPartner {
  readonly payouts = new Map<string, Payout>()
  /** Requests that came under the id of another one. */
  readonly conflicts: string[] = []
  readonly refusedUser: string

  constructor(refusedUser: string) {
    this.refusedUser = refusedUser
  }

  credit(request: CreditRequest): CreditOutcome {
    const { requestId, userId } = request
    if (userId === this.refusedUser) return { kind: 'refused', detail: 'HTTP 422: the account is closed' }
    const content = JSON.stringify(request)
    const known = this.payouts.get(requestId)
    if (known !== undefined && known.content !== content) this.conflicts.push(requestId)
    const payout = known ?? { payoutId: `p-${this.payouts.size + 1}`, content }
    this.payouts.set(requestId, payout)
    return { kind: 'paid', payoutId: payout.payoutId, status: 'succeeded' }
  }
}

export interface Reach {
  readonly partner: WalletPartner
  /** Whether nothing restricted the player at some instant since, ms, by what the ledger was told. */
  readonly wasFree: (userId: string, since: number) => boolean
  readonly violated: (violation: unknown) => void
}

/** The wallet as one sink calls it: what the partner has paid it has paid, even where the sink is gone meanwhile. */
export function reachWallet(reach: Reach, process: SimulatedProcess, world: Surroundings): Wallet {
  const { partner } = reach
  return {
    credit: (request, signal) => {
      if (!process.isDead && !reach.wasFree(request.userId, world.clock.now() - CLEARED_MS_MAX)) {
        const what = `${process.name} calls the wallet for ${request.requestId}`
        reach.violated(new Violation(`${what}, and the ledger has long known that ${request.userId} is restricted`))
      }
      return process.io(`wallet ${request.requestId}`, async () => {
        const { chance, clock } = world
        await clock.sleep(chance.between(1, 40))
        if (!process.strikes('wallet-timeout', `wallet ${request.requestId}`)) return partner.credit(request)
        const paid = chance.is(0.5) && partner.credit(request).kind === 'paid'
        process.note(`the wallet has ${paid ? '' : 'not '}paid ${request.requestId}`)
        await clock.sleep(TIMEOUT_MS, signal)
        return { kind: 'unavailable', detail: `no answer within ${TIMEOUT_MS} ms` }
      })
    },
    close: () => Promise.resolve(),
  }
}
