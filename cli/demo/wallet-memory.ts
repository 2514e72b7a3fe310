import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import type { Partner } from '../../connectors/partner/partner.ts'
import type { Wallet } from '../../core/ports/wallet.ts'

/** What the wallet paid, in this run and those before on the same data. */
export interface RememberedWallet extends Wallet {
  /** Request ids, each once. */
  paid(): readonly string[]
}

/**
 * The partner forgets with its process, but a wallet does not: one that forgot would count a reward twice where its
 * answer was lost and the demo ended before the next try. So what was paid lies in `file`, beside the ledger; without
 * `file`, in memory. An id is written as soon as its call has ended, answered or not.
 */
export function rememberingWallet(inner: Wallet, partner: Partner, file: string | undefined): RememberedWallet {
  const known = new Set(file === undefined ? [] : linesOf(file))
  const remember = (ids: readonly string[]): void => {
    const fresh = ids.filter((id) => !known.has(id))
    if (fresh.length === 0) return
    if (file !== undefined) appendFileSync(file, fresh.map((id) => `${id}\n`).join(''))
    for (const id of fresh) known.add(id)
  }
  return {
    async credit(order, signal) {
      const outcome = await inner.credit(order, signal)
      // Without an answer, only the partner knows.
      remember(outcome.kind === 'paid' ? [order.requestId] : partner.payouts())
      return outcome
    },
    paid() {
      remember(partner.payouts())
      return [...known]
    },
    close: () => inner.close(),
  }
}

function linesOf(file: string): readonly string[] {
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
}
