import { appendFileSync, existsSync, readFileSync } from 'node:fs'

export interface WalletMemory {
  /** Request ids paid in earlier runs. */
  readonly paidBefore: readonly string[]
  /** On disk when it returns. */
  readonly onPaid: (requestId: string) => void
}

/** A wallet that forgot what it paid would pay again where its answer was lost: so its memory lies beside the ledger. */
export function openWalletMemory(file: string): WalletMemory {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
  return {
    paidBefore: lines.filter((line) => line !== ''),
    onPaid: (requestId) => appendFileSync(file, `${requestId}\n`),
  }
}
