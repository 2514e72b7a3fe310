import { formatDuration } from '../../core/durations.ts'
import { type Cents, formatMoney } from '../../core/money.ts'
import type { RewardStatus } from '../../core/model/reward-status.ts'
import type { BudgetRow } from '../../core/ports/ledger.ts'
import { formatCount } from '../progress.ts'
import type { AuditFacts } from './audit.ts'

/** How a run ended, in figures. Events, scores and wallet are of this run; rewards and budgets of the whole data folder. */
export interface DemoSummary {
  readonly seconds: number
  readonly players: number
  readonly rules: number
  /** events + carriedOver = unique + duplicates + the sum of dlq. */
  readonly events: number
  readonly carriedOver: number
  readonly unique: number
  readonly duplicates: number
  readonly dlq: Readonly<Record<string, number>>
  readonly scores: number
  readonly points: number
  /**
   * earned = paid + pending + failed + held + frozen; before: earned in earlier runs on the same data. Held rewards wait for
   * a person, frozen ones for their player.
   */
  readonly rewards: {
    readonly earned: number
    readonly before: number
    readonly paid: number
    readonly pending: number
    readonly failed: number
    readonly held: number
    readonly frozen: number
  }
  readonly wallet: {
    readonly distinct: number
    readonly calls: number
    readonly failed: number
    readonly timedOut: number
    readonly repeats: number
  }
  readonly pools: readonly { readonly pool: string; readonly spent: string; readonly budget: string | null }[]
}

/** The rewards of all runs on this data. Tasks that the sink has not read count as pending: they will be paid. */
export function rewardCounts({ tasks, ledger }: AuditFacts): DemoSummary['rewards'] {
  const of = (...statuses: RewardStatus[]): number =>
    ledger.rows.filter(({ status }) => statuses.includes(status)).length
  const earned = new Set(tasks.ids).size
  return {
    earned,
    before: tasks.before,
    paid: of('succeeded'),
    pending: of('pending', 'reserved', 'sent') + Math.max(0, earned - ledger.rows.length),
    failed: of('failed', 'voided', 'expired'),
    held: of('held'),
    frozen: of('frozen'),
  }
}

export function poolsOf(budgets: readonly BudgetRow[]): DemoSummary['pools'] {
  return budgets.map(({ poolId, spent, budget }) => ({
    pool: poolId,
    spent: formatMoney(spent),
    budget: budget === null ? null : formatMoney(budget),
  }))
}

/** The summary for a person. */
export function summaryText(summary: DemoSummary, { temporary, path }: { temporary: boolean; path: string }): string {
  const { rewards, wallet } = summary
  const row = (name: string, text: string): string => `  ${name.padEnd(15)}${text}`
  return [
    `${formatDuration(summary.seconds * 1_000)} of play: ${plural(summary.players, 'player')}, ${plural(summary.rules, 'rule')}`,
    '',
    row('events in', eventsText(summary)),
    row('scored', `${plural(summary.scores, 'score')}, ${plural(summary.points, 'point')}`),
    row('rewards earned', rewardsText(rewards)),
    row('wallet', walletText(summary)),
    row('', `(${wallet.failed} failed and ${wallet.timedOut} timed out on purpose; ${asked(wallet.repeats)})`),
    ...summary.pools.map(({ pool, spent, budget }, index) =>
      row(
        index === 0 ? 'budget spent' : '',
        `${pool}: ${thousands(spent)}${budget === null ? '' : ` of ${thousands(budget)}`}`,
      ),
    ),
    ...leftOver(rewards, temporary),
    '',
    temporary
      ? 'The data were temporary and are removed.'
      : `The data stay in ${path}; the next demo there goes on from here.`,
    '',
  ].join('\n')
}

function eventsText({ events, carriedOver, unique, duplicates, dlq }: DemoSummary): string {
  const dead = Object.values(dlq).reduce((sum, count) => sum + count, 0)
  const reasons = Object.entries(dlq).map(([reason, count]) => `${reason} ${formatCount(count)}`)
  const before = carriedOver === 0 ? '' : ` + ${formatCount(carriedOver)} left by the run before`
  return (
    `${formatCount(events)}${before} = ${formatCount(unique)} unique + ${formatCount(duplicates)} duplicates + ` +
    `${plural(dead, 'dead letter')}${reasons.length === 0 ? '' : ` (${reasons.join(', ')})`}`
  )
}

function walletText({ rewards, wallet }: DemoSummary): string {
  const calls = `${plural(wallet.calls, 'call')}${rewards.before === 0 ? '' : ' now'}`
  return `${plural(wallet.distinct, 'reward')} paid, each once; ${calls}`
}

function rewardsText({ earned, before, paid, pending, failed, held, frozen }: DemoSummary['rewards']): string {
  const runs = before === 0 ? '' : ` (${formatCount(before)} before, ${formatCount(earned - before)} now)`
  const parts = { paid, pending, failed, held, frozen }
  const sum = Object.entries(parts).map(([name, count]) => `${formatCount(count)} ${name}`)
  return `${formatCount(earned)}${runs} = ${sum.join(' + ')}`
}

function asked(repeats: number): string {
  return repeats === 0
    ? 'none had been paid before'
    : `${repeats} asked again for what was paid already, and got nothing more`
}

function leftOver({ pending }: DemoSummary['rewards'], temporary: boolean): string[] {
  if (pending === 0) return []
  const next = temporary ? 'with --data DIR the next demo would pay them' : 'the next demo on these data pays them'
  return ['', `${plural(pending, 'reward')} could not be paid before the end; ${next}.`]
}

export function plural(count: number, unit: string): string {
  return `${formatCount(count)} ${unit}${count === 1 ? '' : 's'}`
}

/** 1234.50 → 1,234.50 */
export function thousands(amount: string): string {
  return amount.replaceAll(/\B(?=(\d{3})+\.)/g, ',')
}

export function money(cents: Cents): string {
  return thousands(formatMoney(cents))
}
