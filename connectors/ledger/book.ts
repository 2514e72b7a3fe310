/**
 * Books a batch of records, in one transaction:
 * 1  lock the pools, in order; rows that are missing or out of date are made in a transaction before, and it begins again
 * 2  ask what is known of the tasks, in a fresh statement; lock those that may move
 * 3  decide (./booking.ts)
 * 4  write: beginnings, then moves; the triggers write history and budget
 * From 1 to the commit nobody else reserves from these pools, so it holds nothing that can wait.
 */
import { isSQLError, SQLErrorCode } from '@databases/pg'
import { OncewardError } from '../../core/errors.ts'
import { CENTS_MAX, formatMoney } from '../../core/money.ts'
import type { Admit, Arrival, Booked, LedgerTask } from '../../core/ports/ledger.ts'
import { beginStatement, knownStatement, lockKnownStatement } from './book-statements.ts'
import { type BookingPlan, planBooking, type PlannedMove } from './booking.ts'
import type { Database, Transaction } from './database.ts'
import { type Move, moveStatement } from './move-statements.ts'
import { declarePoolsStatement, distinctPools, lockPools, type PoolDeclaration } from './pools.ts'
import { type KnownReward, knownOf, ledgerIdOf, taskIdOf } from './rows.ts'

/** Tries until nothing has come in between: another sink's booking of the same task, or of a pool's first. */
const TRIES_MAX = 10

type Outcome =
  | { readonly kind: 'booked'; readonly booked: Booked }
  /** Rows of pools to be made, or to be locked as well, before it can be. */
  | { readonly kind: 'again'; readonly pools: readonly PoolDeclaration[]; readonly declare: boolean }

export async function book(database: Database, arrivals: readonly Arrival[], admit: Admit): Promise<Booked> {
  if (arrivals.length === 0) return { recorded: 0, known: 0, refused: [], held: 0, frozen: 0 }
  for (const { task } of arrivals) requireMoney(task)
  let pools = distinctPools(arrivals.map(({ task }) => task))
  for (let tries = 1; ; tries++) {
    try {
      const outcome = await database.write((run) => attempt(run, { arrivals, pools, admit }))
      if (outcome.kind === 'booked') return outcome.booked
      if (tries >= TRIES_MAX) throw restless(arrivals.length)
      if (outcome.declare) await database.write((run) => run(declarePoolsStatement(outcome.pools)))
      else pools = distinctPools([...pools, ...outcome.pools])
    } catch (error) {
      if (tries >= TRIES_MAX || !isKnownMeanwhile(error)) throw error
    }
  }
}

async function attempt(
  run: Transaction,
  { arrivals, pools, admit }: { arrivals: readonly Arrival[]; pools: readonly PoolDeclaration[]; admit: Admit },
): Promise<Outcome> {
  const locked = await lockPools(run, pools)
  if (locked.undeclared.length > 0) return { kind: 'again', pools: locked.undeclared, declare: true }
  const known = await findKnown(run, arrivals)
  const elsewhere = known.filter(
    ({ status, poolId, poolPeriod }) =>
      status === 'frozen' && poolId !== null && !locked.pools.has({ poolId, poolPeriod }),
  )
  if (elsewhere.length > 0) return { kind: 'again', pools: distinctPools(elsewhere), declare: false }
  const plan = planBooking(arrivals, { known, pools: locked.pools, admit })
  await carryOut(run, plan, known)
  return { kind: 'booked', booked: plan.booked }
}

async function findKnown(run: Transaction, arrivals: readonly Arrival[]): Promise<readonly KnownReward[]> {
  const ask = async (): Promise<KnownReward[]> =>
    (await run(knownStatement([...new Set(arrivals.map(({ task }) => task.taskId))]))).map(knownOf)
  const known = await ask()
  const movable = known.filter(({ status, frozenBy }) => status === 'frozen' && frozenBy === 'stream')
  if (movable.length === 0 || arrivals.every(({ kind }) => kind === 'frozen')) return known
  await run(lockKnownStatement(movable.map(({ ledgerId }) => ledgerId)))
  return ask()
}

async function carryOut(run: Transaction, plan: BookingPlan, known: readonly KnownReward[]): Promise<void> {
  const ids = new Map(known.map(({ taskId, ledgerId }) => [taskId, ledgerId]))
  if (plan.beginnings.length > 0) {
    for (const row of await run(beginStatement(plan.beginnings))) ids.set(taskIdOf(row), ledgerIdOf(row))
  }
  if (plan.moves.length > 0) await run(moveStatement(plan.moves.map((move) => named(move, ids))))
}

function named({ taskId, ...move }: PlannedMove, ids: ReadonlyMap<string, bigint>): Move {
  const ledgerId = ids.get(taskId)
  if (ledgerId === undefined) throw new Error(`${taskId} moves and so is in the ledger`)
  return { ...move, ledgerId }
}

/** Checked before it gets to the database, so that the message names the task and not a place in an array. */
function requireMoney(task: LedgerTask): void {
  for (const name of ['value', 'cost'] as const) {
    const amount = task[name]
    if (amount >= 0n && amount <= CENTS_MAX) continue
    throw new OncewardError(
      'ONCEWARD_E_TASK_MALFORMED',
      `the ${name} of ${task.taskId} is ${formatMoney(amount)}; the ledger holds 0.00 to ${formatMoney(CENTS_MAX)}`,
    )
  }
}

/** Another sink has booked one of the tasks between our look and our writing. */
function isKnownMeanwhile(error: unknown): boolean {
  const cause = error instanceof OncewardError ? error.cause : error
  return (
    isSQLError(cause) &&
    cause.code === SQLErrorCode.UNIQUE_VIOLATION &&
    cause.constraint === 'reward_ledger_reward_task_id_key'
  )
}

function restless(tasks: number): OncewardError {
  return new OncewardError(
    'ONCEWARD_E_LEDGER_UNAVAILABLE',
    `${tasks} records could not be booked in ${TRIES_MAX} tries, because others booked the same ones each time; try again later`,
  )
}
