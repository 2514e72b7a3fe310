/**
 * Carries out what decision.ts says of rewards that are in the ledger. One transaction:
 * 1. the pools are locked where something may be taken from them, then the queue, then the rewards;
 * 2. what is known of them is read, after the locks;
 * 3. each is decided, in the order of the call, and what it takes counts for those after it;
 * 4. all that changes is written, with history and audit.
 */
import type { SQLQuery } from '@databases/pg'
import { UNROUTED } from '../../../core/model/partner.ts'
import {
  type Command,
  type Mandate,
  type Outcome,
  type PoolPosition,
  type PoolPositions,
  poolKey,
} from '../../../core/ports/back-office.ts'
import type { Transaction } from '../database.ts'
import { type Move, moveStatement } from '../move-statements.ts'
import { decide } from './decision.ts'
import type { Change, RewardFacts } from './facts.ts'
import { factsOf, positionOf, text } from './rows.ts'
import {
  approveHolds,
  assignHolds,
  audit,
  changeTerms,
  closeHolds,
  type Deed,
  lockQueue,
  lockRewards,
  permitOverruns,
  type PoolId,
  pools,
  rewardFacts,
  takeOverFreezes,
} from './statements.ts'

/** What may take from a pool. The others give back only: the triggers lock the pool as they end, as after a payment. */
const TAKES: ReadonlySet<Command['name']> = new Set(['approve', 'release', 'resend'])

/** What a reward takes from its pool, or gives back. */
export function reservedBy(facts: { readonly reserves: boolean; readonly cost: bigint }, change: Change): bigint {
  return (change.reserves ? change.cost : 0n) - (facts.reserves ? facts.cost : 0n)
}

/** 2 and 3 of a command; `positions` gets the pools that it does not have yet. */
export async function forecastCommand(
  run: Transaction,
  { command, taskIds, positions }: { readonly command: Command } & Omit<Question, 'facts'>,
): Promise<readonly Outcome[]> {
  const facts = await readFacts(run, taskIds)
  await readPools(run, [...facts.values()], { positions, lock: false })
  return decideAll(command, { taskIds, facts, positions }).outcomes
}

export async function carryOutCommand(
  run: Transaction,
  command: Command,
  taskIds: readonly string[],
): Promise<readonly Outcome[]> {
  // 1: of what pool a reward is never changes
  const positions: PoolPositions = new Map()
  if (TAKES.has(command.name)) {
    await readPools(run, [...(await readFacts(run, taskIds)).values()], { positions, lock: true })
  }
  await run(lockQueue(taskIds))
  await run(lockRewards(taskIds))
  // 2
  const facts = await readFacts(run, taskIds)
  // 3
  const { outcomes, deeds } = decideAll(command, { taskIds, facts, positions })
  // 4
  await apply(run, deeds, command)
  return outcomes
}

async function readFacts(run: Transaction, taskIds: readonly string[]): Promise<Map<string, RewardFacts>> {
  const rows = await run(rewardFacts(taskIds))
  return new Map(rows.map(factsOf).map((facts) => [facts.taskId, facts]))
}

export async function readPools(
  run: Transaction,
  wanted: readonly { readonly poolId: string | null; readonly poolPeriod: string }[],
  { positions, lock }: { readonly positions: PoolPositions; readonly lock: boolean },
): Promise<void> {
  const missing = new Map<string, PoolId>()
  for (const { poolId, poolPeriod } of wanted) {
    if (poolId === null) continue
    const key = poolKey(poolId, poolPeriod)
    if (!positions.has(key)) missing.set(key, { poolId, period: poolPeriod })
  }
  if (missing.size === 0) return
  for (const row of await run(pools([...missing.values()], lock))) {
    positions.set(poolKey(text(row, 'pool_id'), text(row, 'period')), positionOf(row))
  }
}

interface Question {
  readonly taskIds: readonly string[]
  readonly facts: ReadonlyMap<string, RewardFacts>
  readonly positions: PoolPositions
}

function decideAll(command: Command, { taskIds, facts, positions }: Question): { outcomes: Outcome[]; deeds: Deed[] } {
  const deeds: Deed[] = []
  const outcomes = [...new Set(taskIds)].map((taskId): Outcome => {
    const known = facts.get(taskId)
    if (known === undefined) {
      return {
        kind: 'refused',
        taskId,
        code: 'ONCEWARD_E_REWARD_UNKNOWN',
        detail: 'there is no such reward in the ledger',
      }
    }
    const verdict = decide(command, known, positionIn(positions, known))
    if (verdict.kind !== 'change') return { ...verdict, taskId }
    deeds.push({ facts: known, change: verdict, reason: command.reason })
    return outcomeOf(known, { change: verdict, positions, from: known.status })
  })
  return { outcomes, deeds }
}

export function positionIn(
  positions: PoolPositions,
  { poolId, poolPeriod }: { readonly poolId: string | null; readonly poolPeriod: string },
): PoolPosition | undefined {
  return poolId === null ? undefined : positions.get(poolKey(poolId, poolPeriod))
}

/** Says what a change does, and counts it in `positions`. */
export function outcomeOf(
  facts: Pick<RewardFacts, 'taskId' | 'userId' | 'poolId' | 'poolPeriod' | 'reserves' | 'cost'>,
  {
    change,
    positions,
    from,
  }: { readonly change: Change; readonly positions: PoolPositions; readonly from: RewardFacts['status'] | null },
): Outcome {
  const { taskId, userId, poolId, poolPeriod } = facts
  const { to, cost, overrun, notes } = change
  const reserved = reservedBy(facts, change)
  const position = positionIn(positions, facts)
  if (poolId !== null && position !== undefined) {
    const next = { ...position, reserved: position.reserved + reserved, overrun: position.overrun + overrun }
    positions.set(poolKey(poolId, poolPeriod), next)
  }
  return { kind: 'done', taskId, from, to, userId, poolId, poolPeriod, cost, reserved, overrun, notes }
}

/** 4. Each statement is left out where nothing is there for it. The ledger's triggers move the budget and tell the history. */
export async function apply(run: Transaction, deeds: readonly Deed[], mandate: Mandate): Promise<void> {
  const { actor } = mandate
  const some = async (wanted: (deed: Deed) => boolean, statement: (of: readonly Deed[]) => SQLQuery): Promise<void> => {
    const of = deeds.filter(wanted)
    if (of.length > 0) await run(statement(of))
  }
  const overruns = overrunsOf(deeds)
  if (overruns.length > 0) await run(permitOverruns(overruns))
  await some(
    ({ change: { hold } }) => hold.kind === 'vote' || (hold.kind === 'close' && hold.vote),
    (of) => approveHolds(of, actor),
  )
  await some(
    ({ change: { hold } }) => hold.kind === 'close',
    (of) => closeHolds(of, actor),
  )
  await some(({ change: { hold } }) => hold.kind === 'assign', assignHolds)
  await some(({ facts, change }) => facts.cost !== change.cost || facts.kycRequired !== change.kycRequired, changeTerms)
  await some(moves, (of) => moveStatement(of.map((deed) => moveOf(deed, actor))))
  await some(
    (deed) => deed.change.to === 'frozen' && !moves(deed),
    (of) => takeOverFreezes(of.map(({ facts }) => facts.ledgerId)),
  )
  await some(
    () => true,
    (of) => audit(of, mandate),
  )
}

function moves({ facts, change }: Deed): boolean {
  return facts.status !== change.to
}

function moveOf({ facts, change, reason }: Deed, actor: string): Move {
  const { to, reserves, hold, freeze } = change
  if (to === 'pending' || to === 'sent' || to === 'succeeded') throw new Error(`no person moves a reward to ${to}`)
  return {
    ledgerId: facts.ledgerId,
    to,
    reserves,
    reason,
    actor,
    // Why it failed stays readable once nobody tries it any more.
    failure: to === 'voided' ? facts.failure : null,
    holds: hold.kind === 'open' ? hold.reasons : null,
    freeze: to === 'frozen' ? freeze : null,
    // Nobody could be named when it came; a sink gives it to whoever pays its type.
    route: to === 'reserved' && facts.partner === null ? { partner: UNROUTED, ordered: false } : null,
  }
}

function overrunsOf(deeds: readonly Deed[]): (PoolId & { readonly overrun: bigint })[] {
  const sums = new Map<string, PoolId & { readonly overrun: bigint }>()
  for (const { facts, change } of deeds) {
    const { poolId, poolPeriod } = facts
    if (poolId === null || change.overrun === 0n) continue
    const key = poolKey(poolId, poolPeriod)
    sums.set(key, { poolId, period: poolPeriod, overrun: (sums.get(key)?.overrun ?? 0n) + change.overrun })
  }
  return [...sums.values()]
}
