import { OncewardError } from '../../core/errors.ts'
import { type Cents, parseMoney } from '../../core/money.ts'
import type { RuleSet } from '../../rules/compiled.ts'
import type { IssuedReward } from './tally.ts'

/** Where a pool's budget comes from. */
export interface Budget {
  readonly amount: Cents
  /** `given` on the command line, or the smallest soft cap that a rule of the pool declares. */
  readonly source: 'given' | 'soft_cap'
}

export type Budgets = ReadonlyMap<string, Budget>

/** Reads `pool=amount` pairs. Throws ONCEWARD_E_SETTING_INVALID. */
export function readBudgets(pairs: readonly string[]): Budgets {
  return new Map(pairs.map((pair) => readBudget(pair)))
}

function readBudget(pair: string): [string, Budget] {
  const at = pair.lastIndexOf('=')
  const pool = pair.slice(0, Math.max(0, at)).trim()
  const wrong = (why: string): OncewardError =>
    new OncewardError(
      'ONCEWARD_E_SETTING_INVALID',
      `--budget: "${pair}" ${why}; write POOL=AMOUNT, such as nov_season=5000`,
    )
  if (pool === '') throw wrong('names no pool')
  let amount: Cents
  try {
    amount = parseMoney(pair.slice(at + 1).trim())
  } catch {
    throw wrong('has no amount of money')
  }
  if (amount < 0n) throw wrong('is below zero')
  return [pool, { amount, source: 'given' }]
}

/** The budgets that were given; for the other pools the soft caps that rules declare. */
export function withSoftCaps(given: Budgets, rules: RuleSet): Budgets {
  const budgets = new Map(given)
  for (const { rule } of rules.versions) {
    const { budget_pool: pool, budget_soft_cap: cap } = rule.guardrails
    if (pool === undefined || cap === undefined) continue
    const known = budgets.get(pool)
    const amount = parseMoney(cap)
    if (known === undefined || (known.source === 'soft_cap' && amount < known.amount)) {
      budgets.set(pool, { amount, source: 'soft_cap' })
    }
  }
  return budgets
}

export interface DryRun {
  /** Event time of the first reward that the budget does not cover, ms. */
  readonly at: number
  /** What the budget does not cover, from then on. */
  readonly rewards: number
  readonly cost: Cents
}

/** When `budget` is used up by `rewards` in the order of their crossing; undefined where it lasts. */
export function runsDry(rewards: readonly IssuedReward[], budget: Cents): DryRun | undefined {
  let spent = 0n
  const ordered = inOrder(rewards)
  for (const [index, { cost, ts }] of ordered.entries()) {
    if (spent + cost <= budget) {
      spent += cost
      continue
    }
    const beyond = ordered.slice(index).filter((reward) => reward.cost > 0n)
    return { at: ts, rewards: beyond.length, cost: beyond.reduce((sum, reward) => sum + reward.cost, 0n) }
  }
  return undefined
}

/** By event time, ties by task id: the same on any number of partitions. */
export function inOrder(rewards: readonly IssuedReward[]): readonly IssuedReward[] {
  return rewards.toSorted((a, b) => a.ts - b.ts || (a.taskId < b.taskId ? -1 : 1))
}
