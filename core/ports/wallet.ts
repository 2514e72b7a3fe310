import type { Guardrails, Reward } from '../model/reward.ts'

/** One payment order. The same `requestId` must always carry the same content: it is the idempotency key (SPEC S4). */
export interface CreditRequest {
  /**
   * `requestIdOf(taskId)` of core/ids.ts, made by the caller: the same on every try and every sink. 1 to 200 letters, digits,
   * `_` and `-` (a full stop would make the signed text of Standard Webhooks ambiguous); anything else is refused uncalled.
   */
  readonly requestId: string
  readonly userId: string
  /** Its amount must not be negative, and must have at most two decimals; it may be decimal text where a number is too short. */
  readonly reward: Reward
  readonly ruleId: string
  /** Absent on tasks that no threshold triggered. */
  readonly threshold?: number
  readonly guardrails: Guardrails
}

/**
 * What a call showed. Only `paid` and `refused` are knowledge; `unavailable` may or may not have paid. `refused` is knowledge
 * of this try alone: where an earlier one with the same id was `unavailable`, that one may have paid.
 */
export type CreditOutcome =
  | { readonly kind: 'paid'; readonly payoutId: string; readonly status: string }
  /** `retryAfterMs`: how long the partner asked to be left alone, where it did; at most an hour. */
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
