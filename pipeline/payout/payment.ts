/**
 * One reward, from its claim to its verdict. In this order:
 * 1  it was claimed, with a lease
 * 2  clear: the ledger looks at its player once more and books it as sent, in one transaction with others that are ready
 * 3  call the wallet, outside of any transaction; the request id is derived from the task's id, so that a repeat pays nothing
 * 4  a dead letter → DLQ, acknowledged
 * 5  book the outcome, in one transaction with others that are ready
 * A crash between any two brings the reward back when its lease ends: the wallet sees a repeat, the DLQ perhaps a second
 * copy, the ledger and the budget one payment. 2 stands directly before 3: docs/decisions/0011-one-look-before-each-call.md.
 */
import type { Clock } from '../../core/clock.ts'
import { hasCode, messageOf } from '../../core/errors.ts'
import { freezeText } from '../../core/gates.ts'
import { requestIdOf } from '../../core/ids.ts'
import type { ClaimedTask, Ledger } from '../../core/ports/ledger.ts'
import type { Logger } from '../../core/ports/logger.ts'
import type { CreditRequest, Wallet } from '../../core/ports/wallet.ts'
import type { Random } from '../../core/random.ts'
import type { Clearer } from './clearer.ts'
import type { DeadLetters } from './dead-letters.ts'
import { decide, type Decision, type RetryPolicy } from './decision.ts'
import type { Settler } from './settler.ts'
import type { Counters, PaidReward, SinkMetrics } from './stats.ts'

export interface PaymentParts {
  readonly ledger: Pick<Ledger, 'settle'>
  readonly partner: string
  readonly wallet: Wallet
  readonly deadLetters: DeadLetters
  readonly clearer: Clearer
  readonly settler: Settler
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly counters: Counters
  readonly metrics: SinkMetrics
  readonly retry: RetryPolicy
  /** Wait no more: abandon calls, give claims back. */
  readonly cutOff: AbortSignal
}

export interface Held {
  readonly claimed: ClaimedTask
  /** On the monotonic clock; read before the claim was sent, so never later than the lease's true end. */
  readonly leaseEnds: number
}

/** What the call showed of the partner; null: there was none, or it was abandoned. */
export type Shown = { readonly answered: boolean; readonly retryAfterMs?: number | undefined } | null

/**
 * An answer of the ledger that is older is asked for again: a self-exclusion may have come in meanwhile. Usually it is some
 * milliseconds old; a bound near that would have a machine that is short of time ask for ever and call nobody.
 */
export const CLEARED_MS_MAX = 5_000

export async function pay(parts: PaymentParts, held: Held): Promise<Shown> {
  const { claimed } = held
  const { clock, counters, metrics, cutOff } = parts
  const clearance = await clearedNow(parts, held)
  if (clearance === undefined) return null
  if (cutOff.aborted) return nothingFrom(release(parts, [held]))
  const began = clock.monotonic()
  const outcome = await parts.wallet.credit(requestOf(claimed), cutOff)
  if (outcome.kind === 'unavailable' && cutOff.aborted) return nothingFrom(release(parts, [held]))
  const before = { attempts: claimed.attempts, again: clearance.again }
  const decision = decide(outcome, before, parts.retry, parts.random())
  counters.calls++
  metrics.called?.((clock.monotonic() - began) / 1_000, decision.kind, parts.partner)
  await book(parts, claimed, decision)
  if (outcome.kind !== 'unavailable') return { answered: true }
  return { answered: false, retryAfterMs: outcome.retryAfterMs }
}

/** Undefined: it is not to be called, and that is booked. */
async function clearedNow(
  { clearer, clock, counters, logger, metrics }: PaymentParts,
  { claimed, leaseEnds }: Held,
): Promise<{ readonly again: boolean } | undefined> {
  const { taskId, claim } = claimed
  let again: boolean | undefined
  for (;;) {
    const { clearance, askedAt } = await clearer.clear({ taskId, claim })
    if (clearance.kind === 'lost') {
      counters.superseded++
      return undefined
    }
    if (clearance.kind === 'frozen') {
      counters.stopped++
      metrics.frozen?.(1, 'call')
      const reasons = clearance.reasons.map(freezeText)
      logger.info({ task: taskId, reasons }, 'a reward was frozen at the moment of its call')
      return undefined
    }
    // The first answer tells of earlier calls; by the second, it is we who have booked it as sent.
    again ??= clearance.again
    const now = clock.monotonic()
    // Somebody else may have it by now; it comes back by itself otherwise.
    if (now >= leaseEnds) return undefined
    if (now - askedAt <= CLEARED_MS_MAX) return { again }
  }
}

async function book(parts: PaymentParts, claimed: ClaimedTask, decision: Decision): Promise<void> {
  const { counters, logger, metrics, settler } = parts
  const { taskId, claim } = claimed
  switch (decision.kind) {
    case 'succeeded': {
      const { payoutId, payoutStatus } = decision
      const changed = await settler.settle({ kind: 'succeeded', taskId, payoutId, payoutStatus })
      counters[changed ? 'succeeded' : 'superseded']++
      if (changed) metrics.paid?.(rewardOf(claimed))
      return
    }
    case 'retry': {
      const { delayMs, reason } = decision
      logger.debug({ task: taskId, attempts: claimed.attempts + 1, delayMs, reason }, 'the payment will be tried again')
      const changed = await settler.settle({ kind: 'retry', taskId, claim, delayMs, reason })
      counters[changed ? 'retried' : 'superseded']++
      return
    }
    case 'dead-letter': {
      const { reason, inDoubt } = decision
      logger.warn({ task: taskId, reason, inDoubt }, 'a reward could not be paid and goes to the DLQ')
      // First the letter, then the ledger: the other order could lose the letter in a crash, this one can only repeat it.
      await parts.deadLetters.send([letterOf(claimed, reason)])
      const changed = await settler.settle({ kind: 'failed', taskId, claim, reason, inDoubt })
      counters[changed ? 'deadLettered' : 'superseded']++
      if (changed) metrics.failed?.(rewardOf(claimed))
      return
    }
    default:
      return decision satisfies never
  }
}

/** Best effort: what cannot be given back comes back when its lease ends. */
export async function release(parts: Pick<PaymentParts, 'ledger' | 'logger'>, held: readonly Held[]): Promise<void> {
  if (held.length === 0) return
  try {
    await parts.ledger.settle(
      held.map(({ claimed: { taskId, claim } }) => ({ kind: 'released' as const, taskId, claim })),
    )
  } catch (error) {
    if (!hasCode(error, 'ONCEWARD_E_LEDGER_UNAVAILABLE')) throw error
    parts.logger.warn(
      { tasks: held.length, error: messageOf(error) },
      'claimed tasks could not be given back; they come back when their lease ends',
    )
  }
}

async function nothingFrom(work: Promise<void>): Promise<null> {
  await work
  return null
}

function requestOf({ task }: ClaimedTask): CreditRequest {
  return {
    requestId: requestIdOf(task.taskId),
    userId: task.userId,
    reward: task.reward,
    ruleId: task.ruleId,
    ...(task.threshold === null ? {} : { threshold: task.threshold }),
    guardrails: task.guardrails,
  }
}

function rewardOf({ task }: ClaimedTask): PaidReward {
  return { taskId: task.taskId, userId: task.userId, ruleId: task.ruleId, type: task.reward.type }
}

function letterOf({ task }: ClaimedTask, detail: string): Parameters<DeadLetters['send']>[0][number] {
  return {
    type: 'dlq',
    reason: 'payout',
    detail,
    ...(task.eventId === null ? {} : { event_id: task.eventId }),
    user_id: task.userId,
    source: task.source,
    raw: task.raw,
  }
}
