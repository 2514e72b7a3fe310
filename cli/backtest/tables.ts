import { textTable } from '../text-table.ts'
import { formatCount } from '../progress.ts'
import type { Change, Comparison, PlayerChange } from './comparison.ts'
import type { PoolRow, Report, RuleRow } from './report.ts'

/** The report as tables for a terminal. */
export function reportTables(report: Report): string {
  const { events, totals } = report
  const { schema, future, late } = events.dlq
  const lines = [
    `${formatCount(events.read)} events${events.first === null ? '' : ` from ${minute(events.first)} to ${minute(events.last)} (UTC)`}: ` +
      `${formatCount(events.unique)} unique, ${formatCount(events.duplicates)} duplicates, ` +
      `${formatCount(schema + future + late)} set aside (${schema} malformed, ${future} from the future, ${late} late)` +
      (events.outside === 0 ? '' : `; ${formatCount(events.outside)} more lie outside of --from and --to`),
    `${formatCount(totals.points)} points for ${formatCount(totals.players)} players, ` +
      `${formatCount(totals.rewards)} rewards that cost ${totals.cost}`,
  ]
  const sections = [
    section('Rules', [
      ['', 'matched', 'scored', 'points', 'players', 'rewards', 'cost', 'cut by caps'],
      ...report.rules.map(ruleCells),
    ]),
    section('Thresholds', [
      ['', 'reward', 'rewards', 'cost'],
      ...report.thresholds.map((row) => [
        `${row.rule_id}  ${row.threshold}`,
        row.reward,
        formatCount(row.rewards),
        row.cost,
      ]),
    ]),
    section('Segments', [
      ['', 'players', 'points', 'rewards', 'cost'],
      ...report.segments.map((row) => [
        `${row.segment} ${row.value ?? '(not said)'}`,
        formatCount(row.players),
        formatCount(row.points),
        formatCount(row.rewards),
        row.cost,
      ]),
    ]),
    section('Days (UTC)', [
      ['', 'points', 'rewards', 'cost'],
      ...report.days.map((row) => [row.day, formatCount(row.points), formatCount(row.rewards), row.cost]),
    ]),
    section('Pools', [['', 'rewards', 'cost', 'budget', 'runs dry'], ...report.pools.map(poolCells)]),
    section('Top players', [
      ['', 'points', 'rewards', 'cost'],
      ...report.top_players.map((row) => [row.user_id, formatCount(row.points), formatCount(row.rewards), row.cost]),
    ]),
    ...(report.against === null ? [] : comparisonSections(report, report.against)),
  ]
  const notes = report.notes.map((note) => `Note: ${note}\n`)
  return [`${lines.join('\n')}\n`, ...sections.filter((text) => text !== ''), ...notes].join('\n')
}

/** A heading and its rows, the first of which names the columns; nothing where there are no others. */
function section(title: string, rows: readonly (readonly string[])[]): string {
  if (rows.length < 2) return ''
  const [[, ...columns] = [], ...others] = rows
  return textTable([[title, ...columns], ...others])
}

function ruleCells(row: RuleRow): string[] {
  const cuts = Object.entries(row.cut).map(([cap, { points }]) => `${cap} ${formatCount(points)}`)
  return [
    `${row.rule_id} ${row.versions.join(', ')}`,
    formatCount(row.matched),
    formatCount(row.scores),
    formatCount(row.points),
    formatCount(row.players),
    formatCount(row.rewards),
    row.cost,
    cuts.join(', ') || '-',
  ]
}

function poolCells(row: PoolRow): string[] {
  const budget = row.budget === null ? '-' : `${row.budget}${row.budget_source === 'soft_cap' ? ' (soft cap)' : ''}`
  const dry =
    row.runs_dry_at === null
      ? row.budget === null
        ? '-'
        : 'no'
      : `${minute(row.runs_dry_at)}, ${formatCount(row.uncovered_rewards)} rewards for ${row.uncovered_cost} beyond`
  return [row.pool, formatCount(row.rewards), row.cost, budget, dry]
}

function comparisonSections(report: Report, against: Comparison): string[] {
  const { before, rewards, players } = against
  return [
    section('What changes', [
      ['', 'before', 'after', 'change'],
      ['points', ...counts({ before: before.points, after: report.totals.points })],
      ['players', ...counts({ before: before.players, after: report.totals.players })],
      ['rewards', ...counts({ before: before.rewards, after: report.totals.rewards })],
      ['cost', before.cost, report.totals.cost, ''],
      ...against.rules.flatMap((rule) => [
        [`${rule.rule_id}: points`, ...counts(rule.points)],
        [`${rule.rule_id}: rewards`, ...counts(rule.rewards)],
      ]),
      ...against.pools.map(({ pool, cost }) => [`pool ${pool}: cost`, cost.before, cost.after, '']),
    ]),
    `${formatCount(rewards.same)} rewards stay, ${formatCount(rewards.only_after)} are new, ` +
      `${formatCount(rewards.only_before)} are no longer given, ${formatCount(rewards.changed)} cost something else.\n` +
      `${formatCount(players.more)} players get more points, ${formatCount(players.fewer)} fewer, ` +
      `${formatCount(players.same)} as many as before.\n`,
    section('Who gains most', [['', 'before', 'after', 'change'], ...against.gainers.map(playerCells)]),
    section('Who loses most', [['', 'before', 'after', 'change'], ...against.losers.map(playerCells)]),
  ]
}

function playerCells({ user_id: userId, points }: PlayerChange): string[] {
  return [userId, ...counts(points)]
}

function counts({ before, after }: Change<number>): string[] {
  return [formatCount(before), formatCount(after), signed(after - before)]
}

export function signed(change: number): string {
  return change > 0 ? `+${formatCount(change)}` : formatCount(change)
}

/** An RFC 3339 time to the minute, as people read it. */
export function minute(time: string | null): string {
  return time === null ? '' : time.slice(0, 16).replace('T', ' ')
}
