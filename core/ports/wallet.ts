import type { Guardrails, Reward } from '../model/reward.ts'

/** One payment order. The same `requestId` must always carry the same content: it is the idempotency key (SPEC S4). */
export interface CreditRequest {
  readonly requestId: string
  readonly userId: string
  readonly reward: Reward
  readonly ruleId: string
  /** Absent on tasks that no threshold triggered. */
  readonly threshold?: number
  readonly guardrails: Guardrails
}

/** What a call showed. Only `paid` and `refused` are knowledge; `unavailable` may or may not have paid. */
export type CreditOutcome =
  | { readonly kind: 'paid'; readonly payoutId: string; readonly status: string }
  /** `retryAfterMs`: how long the partner asked to be left alone, where it did. */
  | { readonly kind: 'unavailable'; readonly detail: string; readonly retryAfterMs?: number }
  | { readonly kind: 'refused'; readonly detail: string }

export interface Wallet {
  /**
   * Asks for the payment. Never rejects for what the wallet or the network does; `signal` abandons the call, which then
   * answers `unavailable`. Safe to repeat with the same request.
   */
  credit(request: CreditRequest, signal?: AbortSignal): Promise<CreditOutcome>
  close(): Promise<void>
}
