/**
 * What is to be written for a batch of records about rewards: a pure decision over what the ledger knows of them and what
 * their pools have, both locked. ./book.ts carries it out.
 *
 * | record    | not known                                | frozen by the stream                      | anything else |
 * |-----------|------------------------------------------|-------------------------------------------|---------------|
 * | `created` | admitted: reserved, held or refused      | moves on, as admitted                     | nothing *     |
 * | `frozen`  | begins as frozen                         | nothing                                   | nothing       |
 * | `expired` | begins as expired                        | moves on to expired                       | nothing       |
 *
 * \* one that stands as refused by its pool is told again: the dead letter may have been lost with the sink that owed it.
 */
import type { FreezeReason } from '../../core/gates.ts'
import type { Admission, Admit, Arrival, Booked, LedgerTask } from '../../core/ports/ledger.ts'
import { admissionMove, holdText, type Move, refusalDetail, refusalText } from './move-statements.ts'
import type { LockedPools } from './pools.ts'
import type { KnownReward } from './rows.ts'

/** A row of reward_ledger as it begins. */
export interface Beginning {
  readonly task: LedgerTask
  readonly status: 'reserved' | 'held' | 'failed' | 'frozen' | 'expired'
  readonly reason: string | null
  readonly failure: string | null
  readonly admission: Admission | null
  readonly freeze: { readonly reasons: readonly FreezeReason[]; readonly expiresAt: string | null } | null
}

/** Of a reward that this very batch begins, the ledger's id is known only afterwards. */
export type PlannedMove = Omit<Move, 'ledgerId'> & { readonly taskId: string }

export interface BookingPlan {
  /** In the order of the log. */
  readonly beginnings: readonly Beginning[]
  /** To be carried out after the beginnings. */
  readonly moves: readonly PlannedMove[]
  readonly booked: Booked
}

/** What is known of a task while the plan is made. */
interface Standing {
  readonly frozenByStream: boolean
  readonly refusal: string | undefined
  /** As the ledger has it, where it was there before: its pool and cost are what has been locked. */
  readonly known: KnownReward | undefined
}

export interface BookingFacts {
  readonly known: readonly KnownReward[]
  readonly pools: LockedPools
  readonly admit: Admit
}

export function planBooking(arrivals: readonly Arrival[], { known, pools, admit }: BookingFacts): BookingPlan {
  const standings = new Map<string, Standing>(known.map((reward) => [reward.taskId, standingOf(reward)]))
  const beginnings: Beginning[] = []
  const moves: PlannedMove[] = []
  const refused = new Map<string, string>()
  for (const arrival of arrivals) {
    const { taskId } = arrival.task
    const standing = standings.get(taskId)
    if (standing === undefined) {
      const beginning = begin(arrival, pools, admit)
      beginnings.push(beginning)
      standings.set(taskId, after(beginning))
      if (beginning.admission?.kind === 'refuse') refused.set(taskId, beginning.admission.detail)
    } else if (standing.frozenByStream && arrival.kind !== 'frozen') {
      const move = moveOn(arrival, standing.known, { pools, admit })
      moves.push(move)
      const refusal = refusalDetail(move.failure)
      standings.set(taskId, { ...standing, frozenByStream: false, refusal })
      if (refusal !== undefined) refused.set(taskId, refusal)
    } else if (arrival.kind === 'created' && standing.refusal !== undefined) {
      refused.set(taskId, standing.refusal)
    }
  }
  return { beginnings, moves, booked: booked(arrivals, beginnings, { moves, refused }) }
}

function standingOf(known: KnownReward): Standing {
  return {
    frozenByStream: known.status === 'frozen' && known.frozenBy === 'stream',
    refusal: known.status === 'failed' ? refusalDetail(known.failure) : undefined,
    known,
  }
}

function after({ status, admission }: Beginning): Standing {
  return {
    frozenByStream: status === 'frozen',
    refusal: admission?.kind === 'refuse' ? admission.detail : undefined,
    known: undefined,
  }
}

function begin(arrival: Arrival, pools: LockedPools, admit: Admit): Beginning {
  const { task } = arrival
  const plain = { task, reason: null, failure: null, admission: null, freeze: null }
  if (arrival.kind === 'frozen') {
    const { reasons, expiresAt } = arrival
    return { ...plain, status: 'frozen', freeze: { reasons, expiresAt }, reason: 'stopped by the gates of the stream' }
  }
  if (arrival.kind === 'expired') return { ...plain, status: 'expired', reason: EXPIRED }
  const admission = pools.admit(task, admit)
  if (admission.kind === 'reserve') return { ...plain, status: 'reserved', admission }
  if (admission.kind === 'hold') return { ...plain, status: 'held', admission, reason: holdText(admission.reasons) }
  const failure = refusalText(admission.detail)
  return { ...plain, status: 'failed', admission, failure, reason: failure }
}

const EXPIRED = 'its time was up before the gates let it pass'

function moveOn(
  arrival: Arrival,
  known: KnownReward | undefined,
  { pools, admit }: Pick<BookingFacts, 'pools' | 'admit'>,
): PlannedMove {
  const { taskId, partner, ordered } = arrival.task
  if (arrival.kind === 'expired') {
    const move = { taskId, to: 'expired', reserves: false, reason: EXPIRED, actor: 'sink' } as const
    return { ...move, failure: null, holds: null, freeze: null, route: null }
  }
  // What a reward is never changes: its pool and cost are those it was booked with, whatever this record makes of them.
  const task =
    known === undefined
      ? arrival.task
      : { ...arrival.task, poolId: known.poolId, poolPeriod: known.poolPeriod, cost: known.cost }
  const admission = pools.admit(task, admit)
  const { ledgerId: _, ...move } = admissionMove(0n, admission, { actor: 'sink', reason: 'let go by the gates' })
  return { ...move, taskId, route: partner === null ? null : { partner, ordered } }
}

function booked(
  arrivals: readonly Arrival[],
  beginnings: readonly Beginning[],
  { moves, refused }: { readonly moves: readonly PlannedMove[]; readonly refused: ReadonlyMap<string, string> },
): Booked {
  const begun = (status: Beginning['status']): number => beginnings.filter((one) => one.status === status).length
  return {
    recorded: beginnings.length,
    known: arrivals.length - beginnings.length,
    refused: [...refused].map(([taskId, detail]) => ({ taskId, detail })),
    held: begun('held') + moves.filter((move) => move.to === 'held').length,
    frozen: begun('frozen'),
  }
}
