import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Report } from '../../cli/backtest/report.ts'
import { formatMoney, parseMoney, type Cents } from '../../core/money.ts'
import type { RewardTask } from '../../core/model/reward.ts'
import type { ScoreRecord } from '../../core/model/score.ts'
import { seededRandom } from '../../core/random.ts'
import { runCli, startCli } from '../cli/process.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { sharedData, shuffleWithin, withBroken, withRepeats } from '../support/workload.ts'

let dir = ''
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'onceward-backtest-test-'))
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const ALL_PLAYERS = ['--top', '10000']

async function backtest(args: readonly string[]): Promise<Report> {
  const { code, stdout, stderr } = await runCli(['rules', 'backtest', ...args, '--json'])
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout) as Report
}

function ndjson<T>(path: string): T[] {
  const lines = readFileSync(path, 'utf8').split('\n')
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as T)
}

/** Rules and shuffled, repeated, broken bets of a file of their own. */
function workload(count: number, seed: number): { events: string; rules: string } {
  const folder = mkdtempSync(join(dir, 'work-'))
  for (const [name, text] of Object.entries(RULE_FILES)) writeFileSync(join(folder, name), text)
  const random = seededRandom(seed)
  const lines = withBroken(withRepeats(shuffleWithin(generatedBets(count, seed), 90, random), 0.03, random), 40, random)
  const events = join(folder, 'events.ndjson')
  writeFileSync(events, `${lines.join('\n')}\n`)
  return { events, rules: folder }
}

/** Cents for one unit of what is no money, by type; nothing for what is not there. */
type Units = Readonly<Record<string, bigint>>

/** Plainly: what the rule says, else the amount of money, else so many units. */
function costOf({ type, amount, cost }: RewardTask['reward'], units: Units): Cents {
  const said = cost ?? (['cash', 'bonus_cash'].includes(type) ? amount : undefined)
  return said === undefined ? (units[type] ?? 0n) * BigInt(amount ?? 1) : parseMoney(said)
}

/** What `onceward run` gives on the same file, in the words of a backtest. */
async function figuresOfRun(events: string, rules: string, units: Units = {}) {
  const out = mkdtempSync(join(dir, 'run-'))
  const { code } = await runCli(['run', '--events', events, '--rules', rules, '--out', out])
  expect(code).toBe(0)
  const summary = JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')) as Record<string, unknown>
  const { seconds: _, frozen: _frozen, expired: _expired, ...counts } = summary
  const points: Record<string, number> = {}
  const byRule: Record<string, number> = {}
  for (const score of ndjson<ScoreRecord>(join(out, 'scores.ndjson'))) {
    byRule[score.rule_id] = (byRule[score.rule_id] ?? 0) + score.points
    if (score.points > 0) points[score.user_id] = (points[score.user_id] ?? 0) + score.points
  }
  const rewards = ndjson<RewardTask>(join(out, 'rewards.ndjson'))
  const costs: Record<string, Cents> = {}
  const thresholds: Record<string, number> = {}
  for (const { origin, reward, pool_id: pool } of rewards) {
    costs[pool ?? '(no pool)'] = (costs[pool ?? '(no pool)'] ?? 0n) + costOf(reward, units)
    const key = `${origin.rule_id} ${origin.threshold}`
    thresholds[key] = (thresholds[key] ?? 0) + 1
  }
  const pools = Object.fromEntries(Object.entries(costs).map(([pool, cost]) => [pool, formatMoney(cost)]))
  return { counts, points, byRule, thresholds, pools }
}

function figuresOf(report: Report): Awaited<ReturnType<typeof figuresOfRun>> {
  const { read, unique, duplicates, dlq } = report.events
  const { scores, points, rewards } = report.totals
  return {
    counts: { events: read, unique, duplicates, dlq, scores, points, rewards },
    points: Object.fromEntries(report.top_players.map((row) => [row.user_id, row.points])),
    byRule: Object.fromEntries(report.rules.map((row) => [row.rule_id, row.points])),
    thresholds: Object.fromEntries(report.thresholds.map((row) => [`${row.rule_id} ${row.threshold}`, row.rewards])),
    pools: Object.fromEntries(report.pools.filter(({ rewards: n }) => n > 0).map((row) => [row.pool, row.cost])),
  }
}

describe('a backtest equals onceward run to the last point and cent', () => {
  test('on the example that comes along', async () => {
    const [events, rules] = ['examples/events/november.ndjson', 'examples/rules']
    const report = await backtest([rules, '--events', events, ...ALL_PLAYERS])
    // As its policy prices them.
    expect(figuresOf(report)).toEqual(await figuresOfRun(events, rules, { fs: 10n, loot: 500n, coupon: 250n }))
    expect(report.totals.rewards).toBe(3)
  })

  test('with repeats, broken and late lines, in one process and in several', async () => {
    const { events, rules } = workload(6_000, 21)
    const expected = await figuresOfRun(events, rules)
    for (const processes of ['1', '3']) {
      const report = await backtest([rules, '--events', events, '--processes', processes, ...ALL_PLAYERS])
      expect(figuresOf(report)).toEqual(expected)
      expect(report.events.dlq.late).toBeGreaterThan(0)
      expect(report.events.dlq.schema).toBe(40)
      expect(report.totals.rewards).toBeGreaterThan(20)
    }
  })

  const shared = sharedData()
  test.skipIf(shared === undefined)('on the real bets', async () => {
    const data = (name: string): string => join(shared ?? '', 'data', name)
    const report = await backtest([data('rules'), '--events', data('bets.ndjson.gz'), ...ALL_PLAYERS])
    expect(figuresOf(report)).toEqual(await figuresOfRun(data('bets.ndjson.gz'), data('rules')))
    expect(report.totals).toMatchObject({ scores: 27_428, rewards: 190 })
  })
})

describe('what changes', () => {
  test('nothing against the same rules', async () => {
    const { events, rules } = workload(2_000, 5)
    const { against, totals } = await backtest([rules, '--events', events, '--against', rules])
    expect(against?.before).toEqual(totals)
    expect(against?.rewards).toEqual({ same: totals.rewards, changed: 0, only_before: 0, only_after: 0 })
    expect(against).toMatchObject({ gainers: [], losers: [], players: { more: 0, fewer: 0 } })
  })

  test('with a lower threshold and a dearer reward: new rewards, and old ones that cost more', async () => {
    const { events, rules } = workload(2_000, 5)
    const draft = mkdtempSync(join(dir, 'draft-'))
    const [points = '', rounds = ''] = Object.values(RULE_FILES)
    const changed = points.replace('[100, 300, 800]', '[50, 300, 800]').replace('value: 2}', 'value: 3}')
    writeFileSync(join(draft, 'points.yaml'), changed)
    writeFileSync(join(draft, 'rounds.yaml'), rounds)
    const report = await backtest([draft, '--events', events, '--against', rules])
    const before = await backtest([rules, '--events', events])
    const at = (of: Report, threshold: number): number =>
      of.thresholds.find((row) => row.rule_id === 'r_points_winmult_v2' && row.threshold === threshold)?.rewards ?? 0
    expect(at(before, 300)).toBeGreaterThan(0)
    expect(report.against?.rewards).toEqual({
      same: before.totals.rewards - at(before, 100) - at(before, 300),
      changed: at(before, 300),
      only_before: at(before, 100),
      only_after: at(report, 50),
    })
    expect(report.against?.rules.find(({ rule_id: id }) => id === 'r_points_winmult_v2')?.cost).toEqual({
      before: `${2 * at(before, 300)}.00`,
      after: `${3 * at(before, 300)}.00`,
    })
  })
})

describe('a pool', () => {
  test('runs dry at the first reward that its budget does not cover', async () => {
    const { events, rules } = workload(12_000, 9)
    const report = await backtest([rules, '--events', events, '--budget', 'nov_season=9.99'])
    const [pool] = report.pools.filter(({ pool: name }) => name === 'nov_season')
    const out = mkdtempSync(join(dir, 'run-'))
    await runCli(['run', '--events', events, '--rules', rules, '--out', out])
    const paid = ndjson<RewardTask>(join(out, 'rewards.ndjson'))
      .filter(({ pool_id: id, reward }) => id === 'nov_season' && costOf(reward, {}) > 0n)
      .map(({ created_at: at }) => at)
      .sort()
    expect(paid.length).toBeGreaterThan(6)
    // Each costs 2.00, so the fifth is the first that 9.99 does not cover.
    expect(pool).toMatchObject({
      budget: '9.99',
      budget_source: 'given',
      runs_dry_at: paid[4],
      uncovered_rewards: paid.length - 4,
      uncovered_cost: `${2 * (paid.length - 4)}.00`,
    })
  })

  test('has the soft cap of its rules where no budget is given', async () => {
    const { events, rules } = workload(300, 9)
    const { pools } = await backtest([rules, '--events', events])
    expect(pools.find(({ pool }) => pool === 'nov_season')).toMatchObject({
      budget: '80000.00',
      budget_source: 'soft_cap',
      runs_dry_at: null,
    })
  })

  test('whose budget cannot be read is refused', async () => {
    const example = ['examples/rules', '--events', 'examples/events/november.ndjson']
    const { code, stderr } = await runCli(['rules', 'backtest', ...example, '--budget', 'nov_season=12.345'])
    expect(code).toBe(2)
    expect(stderr).toContain('"nov_season=12.345" has no amount of money; write POOL=AMOUNT')
  })
})

describe('segments', () => {
  test('add up to the whole, and those that rules name are there', async () => {
    const { events, rules } = workload(2_000, 5)
    writeFileSync(join(rules, 'four.yaml'), 'segment_id: the_four\nusers: [u_0, u_1, u_2, u_3]\n')
    writeFileSync(
      join(rules, 'for-four.yaml'),
      'rule_id: r_four\nwhen: { event_name: bet, filters: ["user in segment(\\"the_four\\")"] }\nscore: { formula: 1 }\n',
    )
    const { segments, totals } = await backtest([rules, '--events', events])
    for (const name of ['geo', 'platform', 'payer']) {
      const rows = segments.filter(({ segment }) => segment === name)
      expect(rows.reduce((sum, { points }) => sum + points, 0)).toBe(totals.points)
      expect(rows.reduce((sum, { rewards }) => sum + rewards, 0)).toBe(totals.rewards)
    }
    expect(segments.filter(({ segment }) => segment === 'segment')).toMatchObject([{ value: 'the_four', players: 4 }])
  })
})

describe('onceward rules backtest', () => {
  const EXAMPLE = ['rules', 'backtest', 'examples/rules', '--events', 'examples/events/november.ndjson']

  test('prints tables, and one page that needs nothing from anywhere else', async () => {
    const html = join(dir, 'report.html')
    const { code, stdout, stderr } = await runCli([...EXAMPLE, '--html', html])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^300 events from .* 296 unique, 3 duplicates/)
    for (const title of ['Rules', 'Thresholds', 'Segments', 'Days', 'Pools', 'Top players'])
      expect(stdout).toContain(title)
    expect(stdout).toContain('r_points_winmult_v2 2.0')
    expect(stderr).toMatch(/300 events in .* s, .*\/s/)
    const page = readFileSync(html, 'utf8')
    expect(page).toContain('<svg')
    expect(page).toContain('r_points_winmult_v2')
    expect(page).not.toMatch(/https?:|<script|<link|@import|url\(/)
  })

  test('reads only the part of a file that is asked for, and reads a pipe', async () => {
    const text = readFileSync('examples/events/november.ndjson', 'utf8')
    const args = ['rules', 'backtest', 'examples/rules', '--events', '-', '--json', '--from', '2025-11-07T18:10:00Z']
    const { code, stdout } = await runCli(args, { stdin: text })
    expect(code).toBe(0)
    const { events } = JSON.parse(stdout) as Report
    expect(events.outside).toBeGreaterThan(0)
    expect(events.read + events.outside).toBe(300)
    expect(events.first?.slice(0, 15)).toBe('2025-11-07T18:1')
  })

  test('says that a version takes effect after the last event, and tries it all the same where asked', async () => {
    const rules = mkdtempSync(join(dir, 'later-'))
    writeFileSync(
      join(rules, 'later.yaml'),
      'rule_id: r_later\nwhen: { event_name: bet }\nscore: { formula: 1 }\nmeta: { effective_from: 2031-01-01 }\n',
    )
    const args = [rules, '--events', 'examples/events/november.ndjson']
    const written = await backtest(args)
    expect(written.totals.points).toBe(0)
    expect(written.notes).toEqual([expect.stringContaining('r_later 1.0 takes effect at 2031-01-01T00:00:00.000Z')])
    expect((await backtest([...args, '--effective', 'always'])).totals.points).toBeGreaterThan(100)
  })

  test('says what is missing', async () => {
    const missing = await runCli(['rules', 'backtest', 'examples/rules'])
    expect([missing.code, missing.stderr]).toEqual([
      2,
      expect.stringContaining('--events FILE, or --brokers HOST:PORT'),
    ])
    const id = await runCli(['rules', 'backtest', 'r_nowhere', '--events', 'examples/events/november.ndjson'])
    expect([id.code, id.stderr]).toEqual([2, expect.stringContaining('there is no file or folder r_nowhere')])
  })

  test('stops on Ctrl-C with nothing left behind', async () => {
    const { events, rules } = workload(4_000, 3)
    const running = startCli(['rules', 'backtest', rules, '--events', '-'])
    running.child.stdin?.write(readFileSync(events))
    // It waits for the rest of its input.
    await new Promise((written) => running.child.stdin?.write('\n', written))
    running.child.kill('SIGINT')
    const { code, stdout } = await running.ended
    expect([code, stdout]).toEqual([130, ''])
  })
})
