/** Books outcomes in groups, and raises the alarm where a partner answers one request id in two ways. */
import type { Ledger, Settled, Settlement } from '../../core/ports/ledger.ts'
import type { Patience } from './patience.ts'
import { together } from './together.ts'

export interface Settler {
  /** Resolves once it is committed; true where it changed something. */
  settle(settlement: Settlement): Promise<boolean>
}

export type Differing = Settled['differing'][number]

export function createSettler(
  ledger: Pick<Ledger, 'settle'>,
  patience: Patience,
  alarm: (differing: readonly Differing[]) => void,
): Settler {
  const settle = together<Settlement, boolean>(async (settlements) => {
    const { changed, differing } = await patience.insist('book payouts', () => ledger.settle(settlements))
    if (differing.length > 0) alarm(differing)
    return ({ taskId }) => changed.has(taskId)
  })
  return { settle }
}
