import { formatMoney } from '../../core/money.ts'
import { formatCount } from '../progress.ts'
import { textTable } from '../text-table.ts'
import { machineShape } from './machine.ts'
import type { PayoutFigures } from './payout.ts'
import type { CallsFigures } from './payout-calls.ts'
import { COST_CENTS } from './payout-job.ts'

/** Rewards through one hot pool, and calls to a partner, a second. */
export const PAYOUT_GOALS = { rewardsPerSecond: 5_000, callsPerSecond: 1_000 } as const

export interface PayoutBenchFigures {
  readonly pool: PayoutFigures
  readonly calls: CallsFigures
}

/** What was broken; empty where every invariant held. A goal that was missed is none. */
export function payoutFindings({ pool, calls }: PayoutBenchFigures): readonly string[] {
  const { budget, above, final, totals, rewards } = pool
  const of = (status: string): number => totals.find((total) => total.status === status)?.count ?? 0
  const covered = Number(budget / COST_CENTS)
  const booked = totals.reduce((sum, { count }) => sum + count, 0)
  const findings: string[] = []
  const say = (holds: boolean, finding: string): void => void (holds || findings.push(finding))
  say(above.length === 0, `${above.length} samples saw more than the budget, such as ${above[0] ?? ''}`)
  say(booked === rewards, `the ledger has ${formatCount(booked)} of ${formatCount(rewards)} rewards`)
  say(
    of('succeeded') === covered,
    `${formatCount(of('succeeded'))} were paid, and the budget covers ${formatCount(covered)}`,
  )
  say(
    of('held') === rewards - covered,
    `${formatCount(of('held'))} are held, and not the ${formatCount(rewards - covered)} beyond the budget`,
  )
  say(final?.spent === budget && final.reserved === 0n, `the pool ends with ${moneyOf(final)}, and not with all spent`)
  say(
    calls.paid === calls.calls,
    `${formatCount(calls.paid)} of ${formatCount(calls.calls)} calls were answered with a payout`,
  )
  say(
    calls.payouts === calls.calls,
    `the partner paid ${formatCount(calls.payouts)} request ids, and ${formatCount(calls.calls)} were sent`,
  )
  return findings
}

function moneyOf(final: PayoutFigures['final']): string {
  return final === undefined
    ? 'nothing'
    : `${formatMoney(final.spent)} spent and ${formatMoney(final.reserved)} reserved`
}

/** Rewards that were paid in a second; those beyond the budget are booked in the same time and not counted. */
export function ratesOf({ pool, calls }: PayoutBenchFigures): { readonly rewards: number; readonly calls: number } {
  const paid = pool.totals.find(({ status }) => status === 'succeeded')?.count ?? 0
  return { rewards: paid / Math.max(pool.seconds, 0.001), calls: calls.calls / Math.max(calls.seconds, 0.001) }
}

export function payoutJson(figures: PayoutBenchFigures): string {
  const { pool, calls } = figures
  const rates = ratesOf(figures)
  const plain = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? formatMoney(value) : value)
  const findings = payoutFindings(figures)
  return `${JSON.stringify({ machine: machineShape(), rates, goals: PAYOUT_GOALS, pool, calls, findings }, plain)}\n`
}

/** The table, the machine, and what the figures do not say. */
export function payoutReport(figures: PayoutBenchFigures): string {
  const { pool, calls } = figures
  const rates = ratesOf(figures)
  const goal = (rate: number, least: number): string => `${rate >= least ? 'met' : 'MISSED'} (${formatCount(least)})`
  const rows = [
    ['', 'a second', 'in all', 'seconds', 'goal'],
    [
      `rewards paid through one pool, ${pool.sinks} sinks`,
      formatCount(rates.rewards),
      formatCount(pool.rewards),
      pool.seconds.toFixed(1),
      goal(rates.rewards, PAYOUT_GOALS.rewardsPerSecond),
    ],
    [
      `calls to a partner, ${calls.concurrency} at once`,
      formatCount(rates.calls),
      formatCount(calls.calls),
      calls.seconds.toFixed(1),
      goal(rates.calls, PAYOUT_GOALS.callsPerSecond),
    ],
  ]
  const counts = pool.totals.map(({ status, count }) => `${status} ${formatCount(count)}`).join(', ')
  const findings = payoutFindings(figures).map((finding) => `BROKEN: ${finding}.\n`)
  return [
    `${machineShape()}\n`,
    textTable(rows),
    `spent + reserved was looked at ${formatCount(pool.samples)} times: ${formatMoney(pool.most)} at most, the budget is ${formatMoney(pool.budget)}; in the end ${moneyOf(pool.final)}; ${counts}\n${findings.join('')}`,
    `Sinks: processes of their own, each with a log in its memory and a wallet that pays at once, all on one Postgres that syncs
to the disk (fsync on, synchronous_commit on) and one row of reward_budget; from the first booking to the last settlement. Not
measured: a broker, and a partner's time. Calls: from one process to onceward partner in another, through the sink's client,
signed and checked, each with a request id of its own. Postgres, sinks and partner share this machine.\n`,
  ].join('\n')
}
