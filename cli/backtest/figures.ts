import { type Cents, formatMoney } from '../../core/money.ts'
import { sorted, type Whole } from './merge.ts'
import type { IssuedReward } from './tally.ts'

export interface Totals {
  readonly scores: number
  readonly points: number
  readonly players: number
  readonly rewards: number
  readonly cost: string
}

export interface PlayerRow {
  readonly user_id: string
  readonly points: number
  readonly rewards: number
  readonly cost: string
}

export function totalsOf({ counts, accounts, rewards }: Whole): Totals {
  return {
    scores: counts.scores,
    points: counts.points,
    players: new Set(accounts.map(({ userId }) => userId)).size,
    rewards: rewards.length,
    cost: costText(rewards),
  }
}

/** All players with points or rewards, the most points first, ties by user id. */
export function players({ accounts, rewards }: Pick<Whole, 'accounts' | 'rewards'>): PlayerRow[] {
  const issued = groupBy(rewards, ({ userId }) => userId)
  return sorted([...groupBy(accounts, ({ userId }) => userId)], ([userId]) => userId)
    .map(([userId, own]) => {
      const theirs = issued.get(userId) ?? []
      return { user_id: userId, points: pointsOf(own), rewards: theirs.length, cost: costText(theirs) }
    })
    .sort((a, b) => b.points - a.points)
}

export function pointsOf(accounts: readonly { readonly points: number }[]): number {
  return accounts.reduce((sum, { points }) => sum + points, 0)
}

export function costText(rewards: readonly IssuedReward[]): string {
  return formatMoney(rewards.reduce((sum: Cents, { cost }) => sum + cost, 0n))
}

export function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}

export function countBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, number> {
  return new Map([...groupBy(items, keyOf)].map(([key, group]) => [key, group.length]))
}
