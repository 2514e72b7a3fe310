import type { Clock } from '../core/clock.ts'
import { hasCode, messageOf } from '../core/errors.ts'
import { REWARD_STATUSES } from '../core/model/reward-status.ts'
import type { Cents } from '../core/money.ts'
import type { BudgetRow, Ledger, Waiting } from '../core/ports/ledger.ts'
import type { Logger } from '../core/ports/logger.ts'
import type { Metrics } from '../core/ports/metrics.ts'

export interface LedgerWatch {
  close(): Promise<void>
}

const EVERY_MS = 15_000
/** Counting a large ledger takes a while: it may take up this part of one connection's time. */
const SHARE = 1 / 20

/** Shows what the ledger holds, so that an alert can tell of a budget that runs out and of reviews that wait. */
export function watchLedger(
  ledger: Pick<Ledger, 'totals' | 'budgets' | 'waiting'>,
  { metrics, clock, logger }: { readonly metrics: Metrics; readonly clock: Clock; readonly logger: Logger },
): LedgerWatch {
  const stop = new AbortController()
  let shown: ReadonlySet<string> = new Set()
  const look = async (): Promise<void> => {
    try {
      const [totals, budgets] = [await ledger.totals(), await ledger.budgets()]
      shown = showWaiting(metrics, await ledger.waiting(), shown)
      for (const status of REWARD_STATUSES) {
        metrics.ledgerRewards.set(totals.find((total) => total.status === status)?.count ?? 0, { status })
      }
      for (const row of newestPeriods(budgets)) showPool(metrics, row)
    } catch (error) {
      // The sink insists on the ledger itself; what is shown grows old meanwhile.
      if (!hasCode(error, 'ONCEWARD_E_LEDGER_UNAVAILABLE', 'ONCEWARD_E_LEDGER_REFUSED')) throw error
      logger.debug({ error: messageOf(error) }, 'the ledger could not be looked at')
    }
  }
  const loop = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const began = clock.monotonic()
      await look()
      await clock.sleep(Math.max(EVERY_MS, (clock.monotonic() - began) / SHARE), stop.signal)
    }
  }
  const looping = loop().catch((error: unknown) =>
    logger.error({ err: error }, 'the figures of the ledger stand still'),
  )
  return {
    close() {
      stop.abort()
      return looping
    },
  }
}

/** Answers the partners that are shown: one that nothing waits for any more waits for nothing. */
function showWaiting(metrics: Metrics, waiting: readonly Waiting[], shown: ReadonlySet<string>): ReadonlySet<string> {
  for (const partner of shown) metrics.partnerWaiting.set(0, { partner })
  for (const { partner, longestMs } of waiting) metrics.partnerWaiting.set(longestMs / 1_000, { partner })
  return new Set([...shown, ...waiting.map(({ partner }) => partner)])
}

function showPool(metrics: Metrics, { poolId: pool, budget, spent, reserved, overrun }: BudgetRow): void {
  if (budget === null) metrics.poolBudget.remove({ pool })
  else metrics.poolBudget.set(units(budget), { pool })
  metrics.poolSpent.set(units(spent), { pool })
  metrics.poolReserved.set(units(reserved), { pool })
  metrics.poolOverrun.set(units(overrun), { pool })
}

/** The row of each pool whose period comes last; names of periods sort by time. */
function newestPeriods(budgets: readonly BudgetRow[]): readonly BudgetRow[] {
  const newest = new Map<string, BudgetRow>()
  for (const row of budgets) {
    const known = newest.get(row.poolId)
    if (known === undefined || known.period < row.period) newest.set(row.poolId, row)
  }
  return [...newest.values()]
}

/** For a gauge, which is a float; nothing is decided by it. */
function units(cents: Cents): number {
  return Number(cents) / 100
}
