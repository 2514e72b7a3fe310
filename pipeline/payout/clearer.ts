/** The last look before a call, in groups: docs/decisions/0011-one-look-before-each-call.md. */
import type { Clock } from '../../core/clock.ts'
import type { Clearance, ClaimRef, Ledger } from '../../core/ports/ledger.ts'
import type { Patience } from './patience.ts'
import { together } from './together.ts'

export interface Clearer {
  clear(claim: ClaimRef): Promise<Cleared>
}

export interface Cleared {
  readonly clearance: Clearance
  /** When the ledger was asked, on the monotonic clock: it looked no earlier. */
  readonly askedAt: number
}

const LOST: Clearance = { kind: 'lost' }

export function createClearer(ledger: Pick<Ledger, 'clear'>, patience: Patience, clock: Clock): Clearer {
  const clear = together<ClaimRef, Cleared>(async (claims) => {
    const latest = latestClaims(claims)
    let askedAt = clock.monotonic()
    const answers = await patience.insist('clear calls', () => {
      askedAt = clock.monotonic()
      return ledger.clear([...latest.values()])
    })
    return ({ taskId, claim }) => {
      const mine = latest.get(taskId)?.claim === claim
      return { clearance: (mine ? answers.get(taskId) : undefined) ?? LOST, askedAt }
    }
  })
  return { clear }
}

/** Answers are by task: of two claims of one task the earlier has ended, or there would not be a later. */
function latestClaims(claims: readonly ClaimRef[]): ReadonlyMap<string, ClaimRef> {
  const latest = new Map<string, ClaimRef>()
  for (const claim of claims) {
    const known = latest.get(claim.taskId)
    if (known === undefined || known.claim < claim.claim) latest.set(claim.taskId, claim)
  }
  return latest
}
