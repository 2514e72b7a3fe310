/** Books outcomes in groups: while one transaction is under way, those that arrive wait and go together in the next. */
import type { Ledger, Settlement } from '../../core/ports/ledger.ts'
import type { Patience } from './patience.ts'

export interface Settler {
  /** Resolves once it is committed; true where it changed something. */
  settle(settlement: Settlement): Promise<boolean>
}

interface Waiting {
  readonly settlement: Settlement
  readonly done: (changed: boolean) => void
  readonly failed: (error: unknown) => void
}

/** The number waiting is bounded by the calls in flight, each of which waits for its own. */
export function createSettler(ledger: Ledger, patience: Patience): Settler {
  let queue: Waiting[] = []
  let busy = false
  const flush = async (): Promise<void> => {
    while (queue.length > 0) {
      const group = queue
      queue = []
      try {
        const settlements = group.map((waiting) => waiting.settlement)
        const changed = await patience.insist('book payouts', () => ledger.settle(settlements))
        for (const { settlement, done } of group) done(changed.has(settlement.taskId))
      } catch (error) {
        for (const waiting of group) waiting.failed(error)
      }
    }
    busy = false
  }
  return {
    settle: (settlement) =>
      new Promise((done, failed) => {
        queue.push({ settlement, done, failed })
        if (busy) return
        busy = true
        void flush()
      }),
  }
}
