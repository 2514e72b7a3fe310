import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { assert, boolean, integer, property } from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { audit, type AuditFacts } from '../../cli/demo/audit.ts'
import { openScreen } from '../../cli/demo/screen.ts'
import type { Snapshot } from '../../cli/demo/snapshot.ts'
import type { DemoSummary } from '../../cli/demo/summary.ts'
import { plainLine, renderView, type ViewFrame } from '../../cli/demo/view.ts'
import { startEmbeddedPostgres } from '../../connectors/ledger/embedded-postgres.ts'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import { openEmbeddedLog } from '../../connectors/log/embedded/log.ts'
import { systemClock } from '../../core/clock.ts'
import { requestIdOf } from '../../core/ids.ts'
import type { RewardTask } from '../../core/model/reward.ts'
import { partitionOf } from '../../core/partitioner.ts'
import { parseMoney } from '../../core/money.ts'
import { seededRandom } from '../../core/random.ts'
import { topicNames } from '../../core/topics.ts'
import { syntheticPlayers } from '../../pipeline/synthetic-players.ts'
import { openRocksDb } from '../../state/rocksdb.ts'
import { type CliOptions, type Ended, type RunningCli, startCli } from './process.ts'

describe('the counts at the end', () => {
  const pool = (poolId: string, spent: bigint, reserved = 0n): AuditFacts['ledger']['budgets'][number] => ({
    poolId,
    period: 'all',
    budget: 1_000n,
    spent,
    reserved,
    overrun: 0n,
  })
  const facts: AuditFacts = {
    events: { sent: 100, carriedOver: 5, unique: 98, duplicates: 4, deadLetters: 3 },
    tasks: { before: 1, created: 3, ids: ['a', 'b', 'c', 'd'] },
    ledger: {
      rows: [
        { taskId: 'a', poolId: 'p', cost: 200n, status: 'succeeded' },
        { taskId: 'b', poolId: 'p', cost: 100n, status: 'succeeded' },
        { taskId: 'c', poolId: null, cost: 0n, status: 'reserved' },
        { taskId: 'd', poolId: 'q', cost: 500n, status: 'failed' },
      ],
      budgets: [pool('p', 300n), pool('q', 0n)],
      caughtUp: true,
    },
    wallet: { paid: ['a', 'b'].map(requestIdOf), differingRepeats: 0 },
  }
  const { events, tasks, ledger, wallet } = facts
  const [first] = ledger.rows

  test('are fine where they add up', () => {
    expect(audit(facts)).toEqual([])
  })

  test('allow that the answer of the last try was lost, and that the sink was stopped while it was behind', () => {
    expect(audit({ ...facts, wallet: { ...wallet, paid: ['a', 'b', 'c'].map(requestIdOf) } })).toEqual([])
    expect(audit({ ...facts, ledger: { ...ledger, rows: ledger.rows.slice(0, 3), caughtUp: false } })).toEqual([])
  })

  test.each<[string, AuditFacts, RegExp]>([
    ['an event lost', { ...facts, events: { ...events, unique: 97 } }, /105 events came in, but 97 unique .* make 104/],
    ['a task twice on the log', { ...facts, tasks: { ...tasks, created: 4, ids: [...tasks.ids, 'a'] } }, /twice/],
    ['a task lost on the way to the log', { ...facts, tasks: { ...tasks, created: 4 } }, /created 4 .* but 3/],
    [
      'a task not booked',
      { ...facts, ledger: { ...ledger, rows: ledger.rows.slice(0, 3) } },
      /lacks 1 reward tasks \(d\)/,
    ],
    [
      'a task made up',
      { ...facts, tasks: { ...tasks, created: 2, ids: ['a', 'b', 'c'] } },
      /1 reward tasks \(d\) that nobody/,
    ],
    [
      'a budget off by a cent',
      { ...facts, ledger: { ...ledger, budgets: [pool('p', 301n)] } },
      /pool p: 3\.01 is booked as spent, but the paid rewards cost 3\.00/,
    ],
    [
      'money set aside for nothing',
      { ...facts, ledger: { ...ledger, budgets: [pool('p', 300n, 1n)] } },
      /pool p: 0\.01 is set aside, but .* cost 0\.00 to 0\.00/,
    ],
    [
      'a reward under way without its money',
      {
        ...facts,
        ledger: {
          ...ledger,
          rows: [...ledger.rows.slice(0, 3), { taskId: 'd', poolId: 'q', cost: 500n, status: 'sent' }],
        },
      },
      /pool q: 0\.00 is set aside, but .* cost 5\.00 to 5\.00/,
    ],
    [
      'a pool that gives more than it has',
      { ...facts, ledger: { ...ledger, budgets: [{ ...pool('p', 300n), budget: 299n }] } },
      /pool p \(all\) gives 3\.00 of 2\.99/,
    ],
    ['a pool without its row', { ...facts, ledger: { ...ledger, budgets: [] } }, /pool p: 0\.00/],
    [
      'a payment that the wallet knows nothing of',
      { ...facts, wallet: { ...wallet, paid: [requestIdOf('a')] } },
      /says paid of .*\(b\)/,
    ],
    [
      'a payment from nowhere',
      { ...facts, wallet: { ...wallet, paid: [...wallet.paid, 'z'] } },
      /paid .*\(z\) that the ledger/,
    ],
    [
      'a payment twice',
      { ...facts, wallet: { ...wallet, paid: [...wallet.paid, ...wallet.paid.slice(1)] } },
      /request id twice/,
    ],
    ['a repeat that says something else', { ...facts, wallet: { ...wallet, differingRepeats: 1 } }, /something else/],
  ])('name %s', (_, broken, finding) => {
    expect(first).toBeDefined()
    expect(audit(broken)).toEqual([expect.stringMatching(finding)])
  })
})

describe('the live view', () => {
  const task = (number: number): RewardTask => ({
    type: 'reward_task.created',
    reward_task_id: `rt_${number}`,
    user_id: `player_${number}`,
    origin: { rule_id: 'r_rounds', rule_version: '1.0', threshold: 1_000, period: 'all', event_id: 'e' },
    reward: { type: 'bonus_cash', amount: 2, currency: 'EUR' },
    pool_id: 'season',
    guardrails: {},
    status: 'pending',
    created_at: '2025-11-03T11:38:30.000Z',
  })
  const snapshot: Snapshot = {
    events: { total: 123_456, perSecond: 501.4, unique: 122_000, duplicates: 1_450, dlq: { schema: 6 } },
    scores: 80_000,
    points: 1_234_567,
    rewards: { created: 320, paid: 300, pending: 12, failed: 0, held: 3, frozen: 5 },
    wallet: { calls: 330, retried: 18 },
    pools: [
      { poolId: 'season', budget: 90_000n, spent: 45_000n },
      { poolId: 'unlimited', budget: null, spent: 100n },
    ],
    recent: [
      { task: task(1), status: 'pending' },
      { task: task(2), status: 'paid' },
    ],
    partitions: [
      { partition: 0, worker: 1, lag: 0 },
      { partition: 1, worker: 2, lag: 1_234 },
    ],
  }
  const frame: ViewFrame = {
    players: 300,
    rules: 3,
    phase: 'playing',
    stopping: false,
    elapsedMs: 12_400,
    forMs: 20_000,
    metricsUrl: 'http://127.0.0.1:9464/metrics',
    data: 'temporary',
    logged: ['something is odd'],
  }

  test('never outgrows the terminal, whatever its size', () => {
    assert(
      property(integer({ min: 1, max: 200 }), integer({ min: 1, max: 80 }), boolean(), (columns, rows, unicode) => {
        const lines = renderView(snapshot, frame, { columns, rows, color: false, unicode })
        expect(lines.length).toBeLessThanOrEqual(rows)
        expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns)
        expect(lines.join('')).not.toContain('\u001B')
      }),
    )
  })

  test('shows the same with colours and without', () => {
    const size = { columns: 100, rows: 30, unicode: true }
    const colored = renderView(snapshot, frame, { ...size, color: true }).join('\n')
    expect(colored).toContain('\u001B[32m')
    expect(stripVTControlCharacters(colored)).toBe(renderView(snapshot, frame, { ...size, color: false }).join('\n'))
  })

  test('shows every figure at a glance', () => {
    const text = renderView(snapshot, frame, { columns: 100, rows: 30, color: false, unicode: false }).join('\n')
    for (const part of [
      '12s of 20s',
      '123,456 sent   501/s',
      '1,450 duplicates',
      'schema 6',
      '80,000 scores   1,234,567 points',
      '320 earned   300 paid   12 pending   0 failed   3 held   5 frozen',
      '50.0 %  450.00 of 900.00',
      'pending  player_1',
      'bonus_cash 2.00 EUR',
      'r_rounds reached 1,000',
      'worker 2: p1 lag 1,234',
      '9464/metrics',
      'something is odd',
    ])
      expect(text).toContain(part)
    expect(text).toMatch(/\[#{16}\.{16}\]/)
  })

  test('a line without a terminal tells the same in short', () => {
    expect(plainLine(snapshot, frame)).toMatch(
      /12s {2}playing .*123,456 events .*320 rewards: 300 paid.*5 frozen.*lag 1,234/,
    )
  })

  test('a screen leaves the terminal as it was, once, and is not drawn on after', () => {
    let written = ''
    const screen = openScreen({ write: (text) => void (written += text) })
    screen.draw(['a', 'b'])
    screen.close()
    const closed = written
    screen.close()
    screen.draw(['c'])
    expect(written).toBe(closed)
    expect(written.startsWith('\u001B[?1049h\u001B[?25l')).toBe(true)
    expect(written.endsWith('\u001B[?25h\u001B[?1049l')).toBe(true)
  })
})

describe('a demo as a process', () => {
  let dir = ''
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'onceward-demo-test-'))
  })
  afterEach(async () => {
    // Where a test failed, its demos still run; each takes its Postgres with it.
    for (const { child } of running) child.kill('SIGTERM')
    await Promise.all(running.splice(0).map(({ ended }) => ended))
  })
  afterAll(() => rmSync(dir, { recursive: true, force: true }))

  const running: RunningCli[] = []
  function start(args: readonly string[], options?: CliOptions): RunningCli {
    const cli = startCli(args, options)
    running.push(cli)
    return cli
  }
  const runToEnd = (args: readonly string[]): Promise<Ended> => start(args).ended

  const temporaryFolders = (): string[] => readdirSync(dir).filter((name) => name.startsWith('onceward-demo-'))

  function check(summary: DemoSummary): void {
    const { rewards, wallet } = summary
    const dead = Object.values(summary.dlq).reduce((sum, count) => sum + count, 0)
    expect(summary.events + summary.carriedOver).toBe(summary.unique + summary.duplicates + dead)
    expect(summary.events).toBeGreaterThan(0)
    const { paid, pending, failed, held, frozen } = rewards
    expect(rewards.earned).toBe(paid + pending + failed + held + frozen)
    expect(rewards.earned).toBeGreaterThan(rewards.before)
    expect(rewards).toMatchObject({ paid: wallet.distinct, pending: 0, failed: 0 })
  }

  /** What the data folder says once the demo has gone. */
  async function checkData(data: string, summary: DemoSummary): Promise<void> {
    expect(existsSync(join(data, 'postgres', 'owner.pid'))).toBe(false)
    const paid = readFileSync(join(data, 'wallet-paid.txt'), 'utf8').trim().split('\n')
    expect(new Set(paid).size).toBe(paid.length)
    const postgres = await startEmbeddedPostgres({ dir: join(data, 'postgres') })
    const ledger = openPostgresLedger({ url: postgres.url })
    const rows = await ledger.latest(1_000_000)
    const budgets = await ledger.budgets()
    await ledger.close()
    await postgres.stop()
    const succeeded = rows.filter(({ status }) => status === 'succeeded')
    expect(succeeded.map(({ taskId }) => requestIdOf(taskId)).toSorted()).toEqual(paid.toSorted())
    expect(succeeded).toHaveLength(summary.rewards.paid)
    expect(rows).toHaveLength(summary.rewards.earned)
    const cost = succeeded.reduce((sum, row) => sum + row.cost, 0n)
    expect(budgets.reduce((sum, { spent }) => sum + spent, 0n)).toBe(cost)
    expect(summary.pools.reduce((sum, { spent }) => sum + parseMoney(spent), 0n)).toBe(cost)
  }

  /** Events on the log that no worker has seen, as a demo leaves them that is killed while it is behind. */
  async function leaveUnprocessed(data: string, count: number): Promise<void> {
    const kv = await openRocksDb(join(data, 'log'))
    const log = await openEmbeddedLog({ kv, clock: systemClock })
    const producer = await log.producer()
    const next = syntheticPlayers({ seed: 'left', players: 10, random: seededRandom(1) })
    const timestamp = systemClock.now()
    const { partitions = 0 } = (await log.topic(topicNames().events)) ?? {}
    const records = Array.from({ length: count }, () => {
      const event = next(timestamp)
      // Where the player's other events are: a player in two partitions would be owed everything twice.
      const { id } = event['user'] as { id: string }
      const partition = partitionOf(id, partitions)
      return { topic: topicNames().events, partition, key: id, value: JSON.stringify(event), timestamp }
    })
    await producer.send(records)
    await producer.close()
    await log.close()
    await kv.close()
  }

  const json = (stdout: string): DemoSummary => JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as DemoSummary

  test('pays what it says, goes on where it ended, also after SIGINT and SIGKILL, and pays nothing twice', async () => {
    const data = join(dir, 'data')
    const args = ['demo', '--data', data, '--port', '0']
    const first = await runToEnd([...args, '--for', '5s', '--json'])
    expect(first).toMatchObject({ code: 0 })
    check(json(first.stdout))
    expect(json(first.stdout).rewards.before).toBe(0)
    // One in ten is not verified; a later run may verify whom an earlier one did not.
    expect(json(first.stdout).rewards.frozen).toBeGreaterThan(0)
    await checkData(data, json(first.stdout))

    const second = start(args)
    await second.until(({ stderr }) => /rewards: [1-9]/.test(stderr))
    second.child.kill('SIGINT')
    const stopped = await second.ended
    expect(stopped).toMatchObject({ code: 0 })
    const [, earned, before, ...parts] =
      /rewards earned ([\d,]+) \(([\d,]+) before, .* = ([\d,]+) paid \+ (0) pending \+ (0) failed \+ (\d+) held \+ (\d+) frozen/.exec(
        stopped.stdout,
      ) ?? []
    expect(parts.reduce((sum, part) => sum + Number(part), 0)).toBe(Number(earned))
    expect(Number(before)).toBe(json(first.stdout).rewards.earned)

    const third = start([...args, '--rate', '3000'])
    await third.until(({ stderr }) => /rewards: [1-9]/.test(stderr))
    third.child.kill('SIGKILL')
    await third.ended
    await leaveUnprocessed(data, 50)
    const fourth = await runToEnd([...args, '--for', '2s', '--json', '--rate', '2000'])
    expect(fourth, `${fourth.stderr}${fourth.stdout}`).toMatchObject({ code: 0 })
    check(json(fourth.stdout))
    expect(json(fourth.stdout).carriedOver).toBeGreaterThanOrEqual(50)
    await checkData(data, json(fourth.stdout))
  }, 120_000)

  test('with temporary data leaves nothing behind, even when it is told to stop twice', async () => {
    const environment = { TMPDIR: dir }
    const once = start(['demo', '--port', '0'], { environment })
    const twice = start(['demo', '--port', '0'], { environment })
    await Promise.all([once, twice].map((cli) => cli.until(({ stderr }) => /rewards: [1-9]/.test(stderr))))
    expect(temporaryFolders()).toHaveLength(2)
    once.child.kill('SIGTERM')
    expect(await once.ended).toMatchObject({ code: 0 })
    expect(temporaryFolders()).toHaveLength(1)
    twice.child.kill('SIGINT')
    twice.child.kill('SIGTERM')
    expect((await twice.ended).code).toBeGreaterThan(128)
    expect(temporaryFolders()).toEqual([])
  }, 120_000)

  test('a taken port is an error where it was asked for', async () => {
    const first = start(['demo', '--port', '0'])
    await first.until(({ stderr }) => stderr.includes('/metrics'))
    const port = /127\.0\.0\.1:(\d+)\/metrics/.exec(first.stderr())?.[1] ?? ''
    const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    expect(page).toContain('onceward_partitions{topic="events.raw",role="demo"} 4')
    expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(200)
    expect(await runToEnd(['demo', '--port', port])).toMatchObject({ code: 2 })
    first.child.kill('SIGTERM')
    expect(await first.ended).toMatchObject({ code: 0 })
  }, 60_000)
})
