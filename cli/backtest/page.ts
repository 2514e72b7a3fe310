import { formatCount } from '../progress.ts'
import { escapeHtml, legend, lines, stackedBars } from './charts.ts'
import type { Change, Comparison, PlayerChange } from './comparison.ts'
import type { PoolRow, Report } from './report.ts'
import { STYLE } from './page-style.ts'
import { minute, signed } from './tables.ts'

/** The report as one page that needs nothing else: no script, no font, no picture from anywhere. */
export function reportPage(report: Report, rules: string): string {
  const { events } = report
  const span = events.first === null ? 'no events' : `${minute(events.first)} to ${minute(events.last)} UTC`
  const title = `Backtest of ${rules}`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header><p class="brand">Onceward</p><h1>${escapeHtml(title)}</h1><p>${formatCount(events.read)} events, ${span}</p></header>
${tiles(report)}
${report.notes.map((note) => `<p class="note">${escapeHtml(note)}</p>`).join('\n')}
${report.against === null ? '' : comparison(report, report.against)}
${days(report)}
${report.pools.map((pool) => poolCard(report, pool)).join('\n')}
${ruleCard(report)}
${thresholdCard(report)}
${segmentCard(report)}
${table(
  'Top players',
  ['Player', 'Points', 'Rewards', 'Cost'],
  report.top_players.map((row) => [row.user_id, formatCount(row.points), formatCount(row.rewards), row.cost]),
)}
${eventCard(report)}
</main>
</body>
</html>
`
}

function tiles({ totals, against }: Report): string {
  const before = against?.before
  const tile = (name: string, value: string, change?: number): string =>
    `<div class="tile"><b>${value}</b><span>${name}</span>${change === undefined ? '' : `<em class="${change < 0 ? 'down' : 'up'}">${signed(change)}</em>`}</div>`
  return `<section class="tiles">${[
    tile('points', formatCount(totals.points), before && totals.points - before.points),
    tile('players with points', formatCount(totals.players), before && totals.players - before.players),
    tile('rewards', formatCount(totals.rewards), before && totals.rewards - before.rewards),
    tile('cost of the rewards', totals.cost),
  ].join('')}</section>`
}

function days({ days: rows, rules }: Report): string {
  if (rows.length === 0) return ''
  const series = rules.map(({ rule_id: id }) => ({
    name: id,
    values: rows.map(({ points_by_rule: points }) => points[id] ?? 0),
  }))
  const labels = rows.map(({ day }) => day.slice(5))
  return card('Points by day', legend(series.map(({ name }) => name)) + stackedBars({ labels, series, format: short }))
}

/** What a pool has spent by the end of each day, and its budget. */
function poolCard({ days: rows }: Report, pool: PoolRow): string {
  let spent = 0
  // Amounts of a chart need not be exact; those of the tables are.
  const values = rows.map(({ cost_by_pool: costs }) => (spent += Number(costs[pool.pool] ?? 0)))
  const kind = pool.budget_source === 'soft_cap' ? 'soft cap' : 'budget'
  const limit = pool.budget === null ? undefined : { value: Number(pool.budget), name: `${kind} ${pool.budget}` }
  const says =
    pool.runs_dry_at === null
      ? pool.budget === null
        ? `${formatCount(pool.rewards)} rewards cost ${pool.cost}; no budget is known.`
        : `${formatCount(pool.rewards)} rewards cost ${pool.cost}; the ${kind} of ${pool.budget} lasts.`
      : `The ${kind} of ${pool.budget} is used up at ${minute(pool.runs_dry_at)} UTC; ${formatCount(pool.uncovered_rewards)} rewards for ${pool.uncovered_cost} lie beyond it.`
  const chart = lines(
    { labels: rows.map(({ day }) => day.slice(5)), series: [{ name: 'spent', values }], format: short },
    limit,
  )
  const warning = pool.runs_dry_at === null ? '' : ' class="warn"'
  return card(`Pool ${pool.pool}`, `<p${warning}>${escapeHtml(says)}</p>${rows.length === 0 ? '' : chart}`)
}

function ruleCard({ rules }: Report): string {
  const rows = rules.map((row) => [
    `${row.rule_id} ${row.versions.join(', ')}`,
    ...[row.matched, row.scores, row.points, row.players, row.rewards].map(formatCount),
    row.cost,
    Object.entries(row.cut)
      .map(([cap, { points }]) => `${cap} ${formatCount(points)}`)
      .join(', ') || '–',
  ])
  return table(
    'Rules',
    ['Rule', 'Matched', 'Scored', 'Points', 'Players', 'Rewards', 'Cost', 'Points cut by caps'],
    rows,
  )
}

function thresholdCard({ thresholds }: Report): string {
  if (thresholds.length === 0) return ''
  const labels = thresholds.map(({ rule_id: id, threshold }) => `${shorten(id)} ${threshold}`)
  const series = [{ name: 'rewards', values: thresholds.map(({ rewards }) => rewards) }]
  const rows = thresholds.map((row) => [
    row.rule_id,
    formatCount(row.threshold),
    row.reward,
    formatCount(row.rewards),
    row.cost,
  ])
  const body = tableBody(['Rule', 'Threshold', 'Reward', 'Rewards', 'Cost'], rows)
  return card('Rewards by threshold', stackedBars({ labels, series, format: short }) + body)
}

function segmentCard({ segments }: Report): string {
  const rows = segments.map((row) => [
    `${row.segment}: ${row.value ?? 'not said'}`,
    ...[row.players, row.points, row.rewards].map(formatCount),
    row.cost,
  ])
  return table('Segments', ['Segment', 'Players', 'Points', 'Rewards', 'Cost'], rows)
}

function eventCard({ events }: Report): string {
  const { read, unique, duplicates, dlq, outside } = events
  const rows = Object.entries({ read, unique, duplicates, ...dlq, 'outside of the range': outside })
  return table(
    'Events',
    ['', 'Events'],
    rows.map(([name, count]) => [name, formatCount(count)]),
  )
}

function comparison({ totals }: Report, against: Comparison): string {
  const { before, rules, pools, rewards, players } = against
  const rows = [
    ['Points', ...change({ before: before.points, after: totals.points })],
    ['Rewards', ...change({ before: before.rewards, after: totals.rewards })],
    ['Cost', before.cost, totals.cost, ''],
    ...rules.map((rule) => [`${rule.rule_id}: points`, ...change(rule.points)]),
    ...rules.map((rule) => [`${rule.rule_id}: rewards`, ...change(rule.rewards)]),
    ...pools.map(({ pool, cost }) => [`Pool ${pool}: cost`, cost.before, cost.after, '']),
  ]
  const says = [
    `${formatCount(rewards.same)} rewards stay, ${formatCount(rewards.only_after)} are new, ${formatCount(rewards.only_before)} are no longer given, ${formatCount(rewards.changed)} cost something else.`,
    `${formatCount(players.more)} players get more points, ${formatCount(players.fewer)} fewer, ${formatCount(players.same)} as many as before.`,
  ]
  const who = (title: string, list: readonly PlayerChange[]): string =>
    list.length === 0
      ? ''
      : `<h3>${title}</h3>${tableBody(
          ['Player', 'Before', 'After', 'Change'],
          list.map((one) => [one.user_id, ...change(one.points)]),
        )}`
  return card(
    'What changes',
    `<p>${says.join(' ')}</p>${tableBody(['', 'Before', 'After', 'Change'], rows)}${who('Who gains most', against.gainers)}${who('Who loses most', against.losers)}`,
  )
}

function change({ before, after }: Change<number>): string[] {
  return [formatCount(before), formatCount(after), signed(after - before)]
}

function card(title: string, body: string): string {
  return `<section class="card"><h2>${escapeHtml(title)}</h2>${body}</section>`
}

function table(title: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
  return rows.length === 0 ? '' : card(title, tableBody(head, rows))
}

function tableBody(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (tag: string, row: readonly string[]): string =>
    `<tr>${row.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`
  return `<div class="scroll"><table><thead>${cells('th', head)}</thead><tbody>${rows.map((row) => cells('td', row)).join('')}</tbody></table></div>`
}

const UNITS = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const

/** 12500 → `12.5k`: for axes. */
function short(value: number): string {
  const unit = UNITS.find(([size]) => value >= size)
  if (unit === undefined) return String(Math.round(value * 100) / 100)
  return `${Math.round((value / unit[0]) * 100) / 100}${unit[1]}`
}

const LABEL_LENGTH_MAX = 14

function shorten(name: string): string {
  return name.length <= LABEL_LENGTH_MAX ? name : `${name.slice(0, LABEL_LENGTH_MAX - 1)}…`
}
