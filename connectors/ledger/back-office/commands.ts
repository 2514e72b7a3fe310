/**
 * Carries out what decision.ts says of rewards that are in the ledger. One transaction:
 * 1. the rewards are locked, then their pools;
 * 2. what is known of them is read, after the locks;
 * 3. each is decided, in the order of the call, and what it takes counts for those after it;
 * 4. all that changes is written, with history and audit.
 */
import type { SQLQuery } from '@databases/pg'
import {
  type Command,
  type Mandate,
  type Outcome,
  type PoolPosition,
  type PoolPositions,
  poolKey,
} from '../../../core/ports/back-office.ts'
import { decide } from './decision.ts'
import type { Change, RewardFacts } from './facts.ts'
import { factsOf, positionOf, text } from './rows.ts'
import {
  approveHolds,
  assignHolds,
  audit,
  closeHolds,
  type Deed,
  dequeue,
  enqueue,
  freezeRewards,
  lockRewards,
  movePools,
  moveRewards,
  openHolds,
  type PoolId,
  type PoolMove,
  pools,
  rewardFacts,
  thawRewards,
} from './statements.ts'
import type { Session } from './transaction.ts'

/** What a reward takes from its pool, or gives back. */
export function reservedBy(facts: { readonly reserves: boolean; readonly cost: bigint }, change: Change): bigint {
  return (change.reserves ? change.cost : 0n) - (facts.reserves ? facts.cost : 0n)
}

/** 2 and 3 of a command; `positions` gets the pools that it does not have yet. */
export async function forecastCommand(
  session: Session,
  command: Command,
  taskIds: readonly string[],
  positions: PoolPositions,
): Promise<readonly Outcome[]> {
  const facts = await readFacts(session, taskIds)
  await readPools(session, [...facts.values()], { positions, lock: false })
  return decideAll(command, { taskIds, facts, positions }).outcomes
}

export async function carryOutCommand(
  session: Session,
  command: Command,
  taskIds: readonly string[],
): Promise<readonly Outcome[]> {
  // 1
  await session.query(lockRewards(taskIds))
  const positions: PoolPositions = new Map()
  const before = await readFacts(session, taskIds)
  await readPools(session, [...before.values()], { positions, lock: true })
  // 2: gates and claims may have moved while the pools were waited for
  const facts = await readFacts(session, taskIds)
  // 3
  const { outcomes, deeds } = decideAll(command, { taskIds, facts, positions })
  // 4
  await apply(session, deeds, command)
  return outcomes
}

async function readFacts(session: Session, taskIds: readonly string[]): Promise<Map<string, RewardFacts>> {
  const rows = await session.query(rewardFacts(taskIds))
  return new Map(rows.map(factsOf).map((facts) => [facts.taskId, facts]))
}

export async function readPools(
  session: Session,
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
  for (const row of await session.query(pools([...missing.values()], lock))) {
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

/** 4. Each statement is left out where nothing is there for it. */
export async function apply(session: Session, deeds: readonly Deed[], mandate: Mandate): Promise<void> {
  const { actor } = mandate
  const of = (wanted: (deed: Deed) => boolean): Deed[] => deeds.filter(wanted)
  const ids = (some: readonly Deed[]): bigint[] => some.map(({ facts }) => facts.ledgerId)
  const run = async <T>(some: readonly T[], statement: (some: readonly T[]) => SQLQuery): Promise<void> => {
    if (some.length > 0) await session.query(statement(some))
  }
  await run(poolMoves(deeds), movePools)
  await run(
    of(({ facts, change }) => facts.status !== change.to),
    (some) => moveRewards(some, actor),
  )
  await run(ids(of(leavesQueue)), dequeue)
  await run(ids(of(({ facts, change }) => change.to === 'reserved' && facts.status !== 'reserved')), enqueue)
  await run(
    of(({ change }) => change.to === 'frozen'),
    freezeRewards,
  )
  await run(ids(of(({ facts, change }) => facts.status === 'frozen' && change.to !== 'frozen')), thawRewards)
  await run(
    of(({ change: { hold } }) => hold.kind === 'vote' || (hold.kind === 'close' && hold.vote)),
    (some) => approveHolds(some, actor),
  )
  await run(
    of(({ change: { hold } }) => hold.kind === 'close'),
    (some) => closeHolds(some, actor),
  )
  await run(deeds.flatMap(opening), openHolds)
  await run(
    of(({ change: { hold } }) => hold.kind === 'assign'),
    assignHolds,
  )
  await run(deeds, (some) => audit(some, mandate))
}

function leavesQueue({ facts: { status }, change: { to } }: Deed): boolean {
  return (status === 'reserved' || status === 'sent') && to !== 'reserved' && to !== 'sent'
}

function opening({ facts: { ledgerId }, change: { hold } }: Deed): Parameters<typeof openHolds>[0][number][] {
  return hold.kind === 'open' ? [{ ...hold, ledgerId }] : []
}

function poolMoves(deeds: readonly Deed[]): PoolMove[] {
  const moves = new Map<string, PoolMove>()
  for (const { facts, change } of deeds) {
    const { poolId, poolPeriod } = facts
    const reserved = reservedBy(facts, change)
    if (poolId === null || (reserved === 0n && change.overrun === 0n)) continue
    const key = poolKey(poolId, poolPeriod)
    const before = moves.get(key)
    moves.set(key, {
      poolId,
      period: poolPeriod,
      reserved: (before?.reserved ?? 0n) + reserved,
      overrun: (before?.overrun ?? 0n) + change.overrun,
    })
  }
  return [...moves.values()]
}
