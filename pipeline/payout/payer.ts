/**
 * From the outbox to the wallet. For each task, in this order:
 * 1  claim it, with a lease
 * 2  call the wallet, outside of any transaction; the request id is the task's id, so that a repeat pays nothing
 * 3  a dead letter → DLQ, acknowledged
 * 4  book the outcome, in one transaction with others that are ready
 * A crash between any two brings the task back when its lease ends: the wallet sees a repeat, the DLQ perhaps a second
 * copy, the ledger and the budget one payment.
 */
import { hasCode, messageOf } from '../../core/errors.ts'
import type { ClaimedTask, Ledger } from '../../core/ports/ledger.ts'
import type { CreditRequest, Wallet } from '../../core/ports/wallet.ts'
import type { Clock } from '../../core/clock.ts'
import type { Logger } from '../../core/ports/logger.ts'
import type { Random } from '../../core/random.ts'
import type { DeadLetters } from './dead-letters.ts'
import { decide, type Decision, type RetryPolicy } from './decision.ts'
import type { Patience } from './patience.ts'
import type { Settler } from './settler.ts'
import type { Counters, PaidReward, SinkMetrics } from './stats.ts'

export interface PayerParts {
  readonly ledger: Ledger
  readonly wallet: Wallet
  readonly deadLetters: DeadLetters
  readonly settler: Settler
  readonly patience: Patience
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly counters: Counters
  readonly metrics: SinkMetrics
  readonly retry: RetryPolicy
  readonly owner: string
  readonly concurrency: number
  readonly leaseMs: number
  readonly idlePollMs: number
  /** Claim no more. */
  readonly stopping: AbortSignal
  /** Wait no more: abandon calls, give claims back. */
  readonly cutOff: AbortSignal
}

export interface Payer {
  /** Pays until `stopping`, then ends what is in flight. Rejects with what makes going on impossible. */
  run(): Promise<void>
  /** There may be something to claim. */
  wake(): void
  inFlight(): number
}

interface Held {
  readonly claimed: ClaimedTask
  /** On the monotonic clock; read before the claim was sent, so never later than the lease's true end. */
  readonly leaseEnds: number
}

export function createPayer(parts: PayerParts): Payer {
  const waiting: Held[] = []
  const calls = new Set<Promise<void>>()
  const alarm = createAlarm(parts.clock)
  const failures: unknown[] = []

  const start = (held: Held): void => {
    const call = pay(parts, held)
      .catch((error: unknown) => {
        failures.push(error)
      })
      .finally(() => {
        calls.delete(call)
        alarm.ring()
      })
    calls.add(call)
  }
  const stopAlarm = (): void => alarm.ring()

  return {
    wake: () => alarm.ring(),
    inFlight: () => calls.size,
    async run() {
      parts.stopping.addEventListener('abort', stopAlarm, { once: true })
      try {
        while (!parts.stopping.aborted && failures.length === 0) {
          const heard = alarm.listen(parts.idlePollMs)
          const room = 2 * parts.concurrency - calls.size - waiting.length
          // Claiming in handfuls would cost a statement for each call.
          const found = room >= parts.concurrency ? await claim(parts, room) : []
          waiting.push(...found)
          while (calls.size < parts.concurrency) {
            const next = waiting.shift()
            if (next === undefined) break
            if (next.leaseEnds > parts.clock.monotonic()) start(next)
          }
          if (found.length === 0 || calls.size >= parts.concurrency) await heard
        }
      } finally {
        parts.stopping.removeEventListener('abort', stopAlarm)
        await Promise.all([...calls, release(parts, waiting)])
      }
      if (failures.length > 0) throw failures[0]
    },
  }
}

async function claim(parts: PayerParts, limit: number): Promise<Held[]> {
  return parts.patience.insist('claim tasks', async () => {
    const leaseEnds = parts.clock.monotonic() + parts.leaseMs
    const claimed = await parts.ledger.claim({ owner: parts.owner, limit, leaseMs: parts.leaseMs })
    return claimed.map((task) => ({ claimed: task, leaseEnds }))
  })
}

async function pay(parts: PayerParts, held: Held): Promise<void> {
  const { claimed } = held
  const { clock, counters, metrics } = parts
  const began = clock.monotonic()
  const outcome = await parts.wallet.credit(requestOf(claimed), parts.cutOff)
  if (outcome.kind === 'unavailable' && parts.cutOff.aborted) return release(parts, [held])
  const decision = decide(outcome, claimed.attempts, parts.retry, parts.random())
  counters.calls++
  metrics.called?.((clock.monotonic() - began) / 1_000, decision.kind)
  await book(parts, claimed, decision)
}

async function book(parts: PayerParts, claimed: ClaimedTask, decision: Decision): Promise<void> {
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
      const { reason } = decision
      logger.warn({ task: taskId, reason }, 'a reward could not be paid and goes to the DLQ')
      // First the letter, then the ledger: the other order could lose the letter in a crash, this one can only repeat it.
      await parts.deadLetters.send([letterOf(claimed, reason)])
      const changed = await settler.settle({ kind: 'failed', taskId, claim, reason })
      counters[changed ? 'deadLettered' : 'superseded']++
      if (changed) metrics.failed?.(rewardOf(claimed))
      return
    }
    default:
      return decision satisfies never
  }
}

/** Best effort: what cannot be given back comes back when its lease ends. */
async function release(parts: PayerParts, held: readonly Held[]): Promise<void> {
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

function requestOf({ task }: ClaimedTask): CreditRequest {
  return {
    requestId: task.taskId,
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

/** A bell that is not missed: `listen` is called before looking for work, so that a ring meanwhile ends the wait at once. */
function createAlarm(clock: Clock): { ring(): void; listen(timeoutMs: number): Promise<void> } {
  let bell = new AbortController()
  return {
    ring: () => bell.abort(),
    listen(timeoutMs) {
      bell.abort()
      bell = new AbortController()
      return clock.sleep(timeoutMs, bell.signal)
    },
  }
}
