import type { Reward, RewardTaskBase } from '../../core/model/reward.ts'
import { formatMoney } from '../../core/money.ts'
import type { Difference, RewardDifference, RuleSummary, Summary } from '../../pipeline/replay/differences.ts'
import { formatCount } from '../progress.ts'
import { textTable } from '../text-table.ts'

/** Differences shown one by one; the rest is counted, and written by --out and --json. */
export const SHOWN_MAX = 20

/** `10 fs`, `2 bonus_cash EUR`, `loot rare`: a reward for people. */
export function rewardText(reward: Reward): string {
  const { type, amount, currency, ...rest } = reward
  const attributes = Object.entries(rest).flatMap(([name, value]) =>
    name === 'wagering' || name === 'cost' || typeof value === 'object' ? [] : [String(value)],
  )
  return [
    ...(amount === undefined ? [] : [String(amount)]),
    type,
    ...(currency === undefined ? [] : [currency]),
    ...attributes,
  ].join(' ')
}

/** One line for a person. */
export function differenceLine(difference: Difference): string {
  const who = `${difference.user_id}  ${difference.rule_id}`
  if (difference.type === 'points') {
    const by = difference.replayed - difference.issued
    return `points     ${who}  ${formatCount(difference.issued)} issued, ${formatCount(difference.replayed)} now (${by > 0 ? '+' : ''}${formatCount(by)})`
  }
  const { kind, threshold, period, fields } = difference
  const where = period === 'all' ? String(threshold) : `${threshold} in ${period}`
  return `${kind.padEnd(9)}  ${who}  ${where}  ${owedText(difference)}${fields.length === 0 ? '' : `  (${fields.join(', ')})`}`
}

function owedText({ kind, issued, replayed }: RewardDifference): string {
  const text = (task: RewardTaskBase | null): string => (task === null ? 'nothing' : rewardText(task.reward))
  if (kind === 'different') return `${text(issued)} issued, ${text(replayed)} now`
  return text(replayed ?? issued)
}

const COLUMNS: readonly (readonly [title: string, value: (rule: RuleSummary) => number])[] = [
  ['issued', (rule) => rule.rewards_issued],
  ['replayed', (rule) => rule.rewards_replayed],
  ['missing', (rule) => rule.missing],
  ['extra', (rule) => rule.extra],
  ['different', (rule) => rule.different],
  ['moved', (rule) => rule.moved],
  ['points issued', (rule) => rule.points_issued],
  ['points replayed', (rule) => rule.points_replayed],
  ['users differ', (rule) => rule.points_users],
]

/** The table of a comparison: one line a rule. */
export function summaryTable(summary: Summary): string {
  const rules = summary.rules
  const rows = rules.map((rule) => [rule.rule_id, ...COLUMNS.map(([, value]) => formatCount(value(rule)))])
  const totals = COLUMNS.map(([, value]) => formatCount(rules.reduce((sum, rule) => sum + value(rule), 0)))
  const head = ['rule', ...COLUMNS.map(([title]) => title)]
  return textTable([head, ...rows, ...(rules.length === 1 ? [] : [['all', ...totals]])])
}

export function summaryJson(summary: Summary): object {
  const { rules, unreadable, differs } = summary
  const total = Object.fromEntries(
    (['missing', 'extra', 'different', 'moved', 'points_users'] as const).map((name) => [name, summary.total(name)]),
  )
  return { type: 'summary', differs, ...total, rules, unreadable }
}

/** What would be issued, by rule, threshold and reward. */
export class IssueList {
  readonly #kinds = new Map<string, { readonly rule: string; readonly reward: Reward; count: number }>()

  add({ origin, reward }: RewardTaskBase): void {
    const key = JSON.stringify([origin.rule_id, origin.rule_version, origin.threshold, reward])
    const kind = this.#kinds.get(key)
    if (kind === undefined) {
      const rule = `${origin.rule_id} ${origin.rule_version}, ${origin.threshold}`
      this.#kinds.set(key, { rule, reward, count: 1 })
    } else kind.count++
  }

  table(): string {
    const rows = [...this.#kinds.values()].map(({ rule, reward, count }) => [
      rule,
      formatCount(count),
      rewardText(reward),
      reward.amount === undefined ? '' : inAll(reward.amount, count),
    ])
    return textTable([['rule, threshold', 'tasks', 'each', 'amount in all'], ...rows])
  }
}

/** Whole hundredths are added, never fractions. */
function inAll(amount: number, count: number): string {
  if (Number.isInteger(amount)) return formatCount(amount * count)
  return formatMoney(BigInt(Math.round(amount * 100)) * BigInt(count))
}
