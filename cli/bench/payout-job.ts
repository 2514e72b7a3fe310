import type { SinkStats } from '../../pipeline/payout/stats.ts'

/** What a process of the bench is to do: one sink, on a log of its own with its share of the rewards. */
export interface PayoutJob {
  readonly url: string
  /** Of all, from 0. */
  readonly index: number
  /** How many rewards it has, and how many processes there are. */
  readonly rewards: number
  readonly budgetCents: bigint
  readonly concurrency: number
}

/** To the process: begin, once all are ready; and end. */
export type PayoutOrder = { readonly kind: 'go' } | { readonly kind: 'stop' }

/** From the process. */
export type PayoutMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'done'; readonly stats: SinkStats }
  | { readonly kind: 'failed'; readonly message: string }

export const HOT_POOL = 'hot'
/** What each reward costs: 1.00. */
export const COST_CENTS = 100n
