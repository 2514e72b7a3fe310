/** Which partner pays which rewards. */
import { OncewardError } from '../../core/errors.ts'
import type { Wallet } from '../../core/ports/wallet.ts'

/** A partner as the sink calls it. */
export interface PayoutPartner {
  /** Stands in the ledger beside each of its rewards. */
  readonly name: string
  readonly wallet: Wallet
  /** Reward types that go there; `*`: all that no other partner is named for. */
  readonly types: readonly string[]
  /** Calls at once. */
  readonly concurrency: number
  /** One player's orders one after the other. */
  readonly orderedByPlayer: boolean
  /** After this long a claimed task is free for others, ms: longer than a call can take. */
  readonly leaseMs: number
}

export interface Route {
  readonly partner: string
  readonly ordered: boolean
}

export interface Routes {
  /** Undefined: nobody pays such rewards. */
  readonly of: (type: string) => Route | undefined
  /** Partner names. */
  readonly known: readonly string[]
  /** By reward type; `*` stands for those that are not named. */
  readonly byType: ReadonlyMap<string, Route>
}

export const ANY_TYPE = '*'

/** Throws ONCEWARD_E_PARTNERS_INVALID where a name or a type stands twice, or there is no partner. */
export function routesOf(partners: readonly Pick<PayoutPartner, 'name' | 'types' | 'orderedByPlayer'>[]): Routes {
  if (partners.length === 0) throw invalid('there is no partner; name at least one')
  const byType = new Map<string, Route>()
  const known: string[] = []
  for (const { name, types, orderedByPlayer } of partners) {
    if (known.includes(name)) throw invalid(`two partners are called ${name}; give each a name of its own`)
    known.push(name)
    for (const type of types) {
      const other = byType.get(type)
      if (other !== undefined) {
        throw invalid(`rewards of type ${type} go to ${other.partner} and to ${name}; one partner pays each type`)
      }
      byType.set(type, { partner: name, ordered: orderedByPlayer })
    }
  }
  return { of: (type) => byType.get(type) ?? byType.get(ANY_TYPE), known, byType }
}

function invalid(message: string): OncewardError {
  return new OncewardError('ONCEWARD_E_PARTNERS_INVALID', message)
}
