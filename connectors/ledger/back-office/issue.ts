/**
 * Books what people give. People's issuing goes one after the other (ISSUE_LOCK), so that what is read of a reference
 * holds until the transaction ends; the pools are locked as for every other command.
 */
import { BUDGET_CLOSED } from '../../../core/model/reward.ts'
import { UNROUTED } from '../../../core/model/partner.ts'
import { decideGates, freezeText } from '../../../core/gates.ts'
import type { Player } from '../../../core/model/player.ts'
import { formatMoney } from '../../../core/money.ts'
import type { ManualReward, Mandate, Outcome, PoolPosition, PoolPositions } from '../../../core/ports/back-office.ts'
import { poolKey } from '../../../core/ports/back-office.ts'
import type { Transaction } from '../database.ts'
import type { Row } from '../rows.ts'
import { admitPersonally } from './admission.ts'
import { apply, outcomeOf, positionIn, readPools } from './commands.ts'
import { stay } from './decision.ts'
import type { Change, Verdict } from './facts.ts'
import { date, money, playerOf, text, textOrNull } from './rows.ts'
import * as statements from './statements.ts'

interface IssueBatch {
  readonly mandate: Mandate
  readonly rewards: readonly ManualReward[]
  readonly positions: PoolPositions
}

export async function forecastIssue(run: Transaction, batch: IssueBatch): Promise<readonly Outcome[]> {
  const { rewards, positions } = batch
  await readPools(run, rewards, { positions, lock: false })
  for (const { poolId, poolPeriod, terms } of rewards) {
    if (poolId === null) continue
    const key = poolKey(poolId, poolPeriod)
    positions.set(key, withTerms(positions.get(key), terms))
  }
  return (await decideIssue(run, batch)).outcomes
}

export async function carryOutIssue(
  run: Transaction,
  mandate: Mandate,
  rewards: readonly ManualReward[],
): Promise<readonly Outcome[]> {
  await run(statements.ISSUE_LOCK)
  const positions: PoolPositions = new Map()
  await readPools(run, rewards, { positions, lock: true })
  const { outcomes, decided } = await decideIssue(run, { mandate, rewards, positions })
  if (decided.length === 0) return outcomes
  const booked = await run(
    statements.issueRewards(
      decided.map(({ reward }) => reward),
      mandate.actor,
    ),
  )
  const ids = new Map(booked.map((row) => [text(row, 'reward_task_id'), row['id']]))
  const deeds = decided.map(({ reward, change }): statements.Deed => {
    const ledgerId = ids.get(reward.taskId)
    if (typeof ledgerId !== 'bigint') throw new Error(`reward ${reward.taskId} was not booked`)
    return { facts: { ...fresh(reward), ledgerId, hold: null }, change, reason: reward.reason }
  })
  await apply(run, deeds, mandate)
  return outcomes
}

/** Of terms in the ledger and terms of a policy the later ones count. */
function withTerms(known: PoolPosition | undefined, terms: ManualReward['terms']): PoolPosition {
  const position = known ?? { terms: null, spent: 0n, reserved: 0n, overrun: 0n }
  if (terms === null || (position.terms !== null && position.terms.since >= terms.since)) return position
  return { ...position, terms }
}

interface Decided {
  readonly reward: ManualReward
  readonly change: Change
}

async function decideIssue(
  run: Transaction,
  { mandate, rewards, positions }: IssueBatch,
): Promise<{ readonly outcomes: readonly Outcome[]; readonly decided: readonly Decided[] }> {
  const known = await byColumn(run, statements.rewardFacts(rewards.map(({ taskId }) => taskId)), 'reward_task_id')
  const players = await byColumn(run, statements.players(rewards.map(({ userId }) => userId)), 'user_id')
  const decided: Decided[] = []
  const outcomes = rewards.map((reward): Outcome => {
    const { taskId } = reward
    const twin = decided.find((one) => one.reward.taskId === taskId)
    if (twin !== undefined) return { kind: 'unchanged', taskId, detail: 'the same reference stands there twice' }
    const before = known.get(taskId)
    if (before !== undefined) return { ...repeated(before, reward), taskId }
    const row = players.get(reward.userId)
    const player: Player = row === undefined ? { kycLevel: null, restrictions: [] } : playerOf(row)
    const at = row === undefined ? Date.parse(reward.issuedAt) : date(row, 'now').getTime()
    const verdict = decideOne({ reward, mandate, player, at }, positionIn(positions, reward))
    if (verdict.kind !== 'change') return { ...verdict, taskId }
    decided.push({ reward, change: verdict })
    return outcomeOf(fresh(reward), { change: verdict, positions, from: null })
  })
  return { outcomes, decided }
}

async function byColumn(
  run: Transaction,
  statement: ReturnType<typeof statements.players>,
  column: string,
): Promise<Map<string, Row>> {
  return new Map((await run(statement)).map((row) => [text(row, column), row]))
}

/** The same reference again: fine where it is the same reward, and a mistake where it is another. */
function repeated(row: Row, reward: ManualReward): Exclude<Verdict, Change> {
  const status = text(row, 'status')
  const same =
    text(row, 'user_id') === reward.userId &&
    text(row, 'type') === reward.reward.type &&
    money(row, 'value') === reward.value &&
    textOrNull(row, 'currency') === (reward.reward.currency ?? null) &&
    textOrNull(row, 'pool_id') === reward.poolId
  if (same) return { kind: 'unchanged', detail: `it was issued before and is ${status}` }
  const was = `${text(row, 'type')} ${formatMoney(money(row, 'value'))} from ${textOrNull(row, 'pool_id') ?? 'no pool'}`
  const detail = `the reference ${reward.reference} of ${reward.userId} stands for another reward (${was}, ${status}); take a new reference`
  return { kind: 'refused', code: 'ONCEWARD_E_REWARD_REFUSED', detail }
}

interface Issue {
  readonly reward: ManualReward
  readonly mandate: Mandate
  readonly player: Player
  readonly at: number
}

/**
 * Pure. A review outranks the gates, which are asked again when it is approved: what the gates stop is let go by the sink,
 * and must not have a review ahead of it then. Else gates first, then the budget, as for a reward of the stream.
 */
export function decideOne({ reward, mandate, player, at }: Issue, position: PoolPosition | undefined): Verdict {
  const { kycRequired, cost, holds, closed } = reward
  const { kycUnknown, override } = mandate
  const change: Change = { ...stay({ status: 'pending', reserves: false, ...reward }), action: 'reward.issued' }
  const request = { cost, softCap: null, holds, reviewed: false, closed, override }
  const admission = admitPersonally(request, position)
  if (admission.kind === 'closed' && admission.whenClosed === 'dlq') return refused(admission.detail)
  if (admission.kind !== 'reserve') {
    const reasons =
      admission.kind === 'hold' ? admission.reasons : [...holds, { by: BUDGET_CLOSED, detail: admission.detail }]
    const notes = [`held for a review: ${reasons.map(({ detail }) => detail).join('; ')}`]
    return { ...change, to: 'held', hold: { kind: 'open', reasons }, notes }
  }
  const gates = decideGates({ player, kycRequired, kycUnknown, at })
  if (gates.kind === 'pass')
    return reserved(change, { kycRequired, overrun: admission.overrun, passed: admission.passed })
  const { reasons } = gates
  const texts = reasons.map(freezeText).join(', ')
  if (!override || reasons.some(({ gate }) => gate === 'rg')) {
    // The sink lets it go by itself once the gates pass; but an unknown level passes there, where the stream has judged it.
    const unknown = reasons.some((reason) => reason.gate === 'kyc' && reason.level === null)
    const notes = [`frozen for as long as: ${texts}${unknown ? '; somebody must release it then' : ''}`]
    return { ...change, to: 'frozen', freeze: { by: unknown ? 'manual' : 'sink', reasons }, notes }
  }
  return reserved(change, { kycRequired: 0, overrun: admission.overrun, passed: [texts, ...admission.passed] })
}

function reserved(change: Change, of: Pick<Change, 'kycRequired' | 'overrun' | 'passed'>): Change {
  return { ...change, ...of, to: 'reserved', reserves: true, notes: of.passed.map((text) => `past: ${text}`) }
}

function refused(detail: string): Verdict {
  return {
    kind: 'refused',
    code: 'ONCEWARD_E_REWARD_REFUSED',
    detail: `${detail}; --override with a reason goes past it`,
  }
}

function fresh(reward: ManualReward) {
  const { taskId, userId, poolId, poolPeriod, cost, kycRequired } = reward
  const status = 'pending' as const
  return {
    taskId,
    userId,
    poolId,
    poolPeriod,
    cost,
    kycRequired,
    reserves: false,
    status,
    failure: null,
    partner: UNROUTED,
  }
}
