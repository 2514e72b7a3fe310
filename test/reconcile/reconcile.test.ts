/** `onceward reconcile` over a real Postgres, a log and a file: what it reads is what it compares. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from '@databases/pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type ReconcileSettings, runReconciliation } from '../../cli/reconcile/session.ts'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import { openLedgerReader } from '../../connectors/ledger/reconciliation/ledger-reader.ts'
import { systemClock as clock } from '../../core/clock.ts'
import { formatMoney } from '../../core/money.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import type { StatementLine } from '../../core/ports/reconciliation.ts'
import { systemRandom as random } from '../../core/random.ts'
import type { Difference } from '../../pipeline/reconcile/difference.ts'
import { openTestLog, type TestLog } from '../payout/test-log.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { bookAccounts, type Database, openDatabase, pastTheTriggers, recordOf } from './book.ts'
import { account, type Account, LIVES, lineFor } from './world.ts'

const SETTINGS: Omit<ReconcileSettings, 'db'> = {
  prefix: undefined,
  application: undefined,
  group: undefined,
  statement: undefined,
  columns: undefined,
  states: undefined,
  delimiter: undefined,
  decimalComma: false,
  period: undefined,
  from: undefined,
  until: undefined,
  ofPartners: undefined,
  stuckAfter: 86_400_000,
  show: 20,
  json: false,
  out: undefined,
  fix: false,
  dir: undefined,
}

let postgres: TestPostgres
let dir = ''
beforeAll(async () => {
  postgres = await startTestPostgres()
  dir = mkdtempSync(join(tmpdir(), 'onceward-reconcile-test-'))
})
afterAll(async () => {
  await postgres.stop()
  rmSync(dir, { recursive: true })
})

const PLAYER =
  '{"type":"player.changed","user_id":"u","kyc_level":1,"restrictions":[],"as_of":"2025-11-03T10:00:00Z","seq":1,"event_id":"e"}'
const HEADER = 'payout_id,request_id,user_id,type,amount,currency,status,paid_at'

function csvOf(lines: readonly StatementLine[]): string {
  const rows = lines.map((line) =>
    [
      line.payoutId,
      line.requestId,
      line.userId,
      line.type,
      formatMoney(line.amount),
      line.currency,
      line.state,
      new Date(line.paidAt ?? 0).toISOString(),
    ].join(','),
  )
  return `${[HEADER, ...rows].join('\n')}\n`
}

let [template, url, file] = ['', '', '']
let log: TestLog
let database: Database
let copies = 0
const accounts: readonly Account[] = LIVES.flatMap((life, i) => [
  account(3 * i, life),
  account(3 * i + 1, life, 'dec'),
  account(3 * i + 2, life, null),
])
// In the order of their first records, so that offsets are as told to the ledger; what follows on them stands at the end.
const records = [
  ...accounts.flatMap(({ topic }) => topic.slice(0, 1)),
  ...accounts.flatMap(({ topic }) => topic.slice(1)),
]

beforeAll(async () => {
  template = await postgres.freshDatabase()
  const ledger = openPostgresLedger({ url: template, allowNonDurable: true })
  await ledger.migrate()
  await ledger.close()
  const seeded = openDatabase(template)
  const firsts = accounts.filter(({ topic }) => topic.length > 0)
  await bookAccounts(seeded, accounts, new Map(firsts.map(({ taskId }, offset) => [taskId, offset])))
  await seeded.dispose()
})

const urlOf = (path: string): string => {
  const place = new URL(template)
  place.pathname = `/${path}`
  return place.href
}

beforeEach(async () => {
  const name = `copy_${++copies}`
  const server = openDatabase(urlOf('postgres'))
  await server.query(sql`CREATE DATABASE ${sql.ident(name)} TEMPLATE ${sql.ident(new URL(template).pathname.slice(1))}`)
  await server.dispose()
  url = urlOf(name)
  file = join(dir, `${name}.csv`)
  database = openDatabase(url)
  log = await openTestLog({ 'reward.tasks': 1 })
  await log.append(records.map((entry) => recordOf(entry, clock.now())))
  writeFileSync(file, csvOf(accounts.flatMap(({ statement }) => statement)))
  return async () => {
    await log.close()
    await database.dispose()
  }
})

interface Run {
  readonly code: number
  readonly text: string
  readonly differences: readonly Difference[]
  readonly summary: Readonly<Record<string, unknown>>
}

async function run(settings: Partial<ReconcileSettings> = {}, withLog = true): Promise<Run> {
  let text = ''
  const terminal = {
    print: async (more: string) => void (text += more),
    note: () => undefined,
    progress: { isTty: false, columns: 80, write: () => undefined },
  }
  const all = { ...SETTINGS, db: url, statement: [file], json: true, ...settings }
  const context = { settings: all, signal: new AbortController().signal, clock, random, logger: silentLogger, terminal }
  const code = await runReconciliation(withLog ? log.log : undefined, context)
  const lines = all.json
    ? text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Difference & { type?: string })
    : []
  const summary = lines.find(({ type }) => type === 'summary') as unknown as Run['summary']
  return { code, text, differences: lines.filter(({ type }) => type !== 'summary'), summary }
}

const namedBy = ({ differences }: Run): string[] =>
  differences.map(({ kind, task_id, pool_id }) => `${kind} ${task_id ?? pool_id}`).sort()

describe('what agrees', () => {
  test('has no difference, and the code is 0', async () => {
    const outcome = await run()
    expect(outcome.differences).toEqual([])
    expect(outcome).toMatchObject({ code: 0, summary: { differences: 0, notes: {}, unreadable: 0 } })
  })

  test('without a topic, without a statement', async () => {
    expect(await run({ statement: undefined })).toMatchObject({ code: 0, differences: [] })
    expect(await run({}, false)).toMatchObject({ code: 0, differences: [] })
  })

  test('the report in words has totals by side, state and currency, and the budgets', async () => {
    const { text } = await run({ json: false })
    expect(text).toMatch(/^ledger succeeded +6 .* EUR$/m)
    expect(text).toMatch(/^topic created +18 .* EUR$/m)
    expect(text).toMatch(/^statement paid +6 .* EUR$/m)
    expect(text).toMatch(/^nov all +1000000.00 +\d/m)
    expect(text).toMatch(/nothing differs\n$/)
  })
})

const of = (n: number): ReturnType<typeof sql> =>
  sql`(SELECT id FROM reward_ledger WHERE reward_task_id = ${`rt_${n}`})`
const edit = (set: ReturnType<typeof sql>, n: number): ReturnType<typeof sql> =>
  sql`UPDATE reward_ledger SET ${set} WHERE reward_task_id = ${`rt_${n}`}`

// Lives by number: 0 to 2 succeeded, 3 reserved, 6 sent, 9 held, 12 frozen, 15 failed, 18 voided, 21 expired, 24 manual.
const EDITS: readonly (readonly [string, () => ReturnType<typeof sql>])[] = [
  ['topic_not_in_ledger rt_0', () => sql`DELETE FROM reward_ledger WHERE reward_task_id = 'rt_0'`],
  ['ledger_row_gone rt_24', () => sql`DELETE FROM reward_ledger WHERE reward_task_id = 'rt_24'`],
  ['topic_other_content rt_0', () => edit(sql`value = value + 1`, 0)],
  ['topic_other_content rt_0', () => edit(sql`cost = cost + 0.07`, 0)],
  ['topic_other_content rt_3', () => edit(sql`cost = cost + 0.07`, 3)],
  ['topic_other_content rt_0', () => edit(sql`user_id = 'u_other'`, 0)],
  ['topic_other_content rt_0', () => edit(sql`pool_id = 'dec'`, 0)],
  ['topic_other_content rt_9', () => edit(sql`currency = 'TRY'`, 9)],
  ['other_payout_id rt_0', () => edit(sql`payout_id = 'p_other'`, 0)],
  ['history_status rt_0', () => edit(sql`status = 'failed', payout_id = NULL`, 0)],
  ['history_status rt_15', () => edit(sql`status = 'succeeded', payout_id = 'p_made_up'`, 15)],
  ['history_gap rt_0', () => sql`DELETE FROM reward_history WHERE ledger_id = ${of(0)} AND move = 2`],
  [
    'history_gap rt_0',
    () => sql`UPDATE reward_history SET from_status = 'held' WHERE ledger_id = ${of(0)} AND move = 3`,
  ],
  ['history_gap rt_9', () => sql`DELETE FROM reward_history WHERE ledger_id = ${of(9)}`],
  ['history_gap rt_0', () => sql`DELETE FROM reward_history WHERE ledger_id = ${of(0)} AND move = 4`],
  ['outbox_missing rt_3', () => sql`DELETE FROM reward_outbox WHERE ledger_id = ${of(3)}`],
  [
    'outbox_extra rt_0',
    () => sql`INSERT INTO reward_outbox (ledger_id, partner, user_id, ordered) VALUES (${of(0)}, 'wallet', 'u', false)`,
  ],
  [
    'hold_missing rt_9',
    () =>
      sql`UPDATE reward_hold SET decision = 'ended', decided_at = now(), decided_by = 'x' WHERE ledger_id = ${of(9)}`,
  ],
  ['hold_extra rt_0', () => sql`INSERT INTO reward_hold (ledger_id, reasons) VALUES (${of(0)}, '[]')`],
  ['freeze_missing rt_12', () => sql`DELETE FROM reward_freeze WHERE ledger_id = ${of(12)}`],
  [
    'freeze_extra rt_3',
    () => sql`INSERT INTO reward_freeze (ledger_id, user_id, frozen_by, reasons) VALUES (${of(3)}, 'u', 'sink', '[]')`,
  ],
  ['stuck rt_6', () => edit(sql`updated_at = now() - interval '25 hours'`, 6)],
  ['budget_spent nov', () => sql`UPDATE reward_budget SET spent = spent + 5 WHERE pool_id = 'nov'`],
  ['budget_reserved nov', () => sql`UPDATE reward_budget SET reserved = reserved + 5 WHERE pool_id = 'nov'`],
  ['budget_above nov', () => sql`UPDATE reward_budget SET budget = 1 WHERE pool_id = 'nov'`],
  [
    'ledger_not_in_topic rt_forged',
    () => sql`
      INSERT INTO reward_ledger (reward_task_id, user_id, pool_id, type, value, currency, cost, status, payout_id, rule_id, issued_at)
      VALUES ('rt_forged', 'u', 'nov', 'cash', 9, 'EUR', 9, 'succeeded', 'p_forged', 'r', now())`,
  ],
]

describe('what is changed past the ledger is one difference', () => {
  test.each(EDITS)('%s (%#)', async (expected, statement) => {
    await pastTheTriggers(database, [statement()])
    const outcome = await run()
    expect([namedBy(outcome), outcome.code]).toEqual([[expected], 1])
  })

  test('a refused snapshot of a row that is spoilt twice still names both', async () => {
    await pastTheTriggers(database, [
      sql`DELETE FROM reward_outbox WHERE ledger_id = ${of(3)}`,
      sql`DELETE FROM reward_history WHERE ledger_id = ${of(3)} AND move = 1`,
    ])
    expect(namedBy(await run())).toEqual(['history_gap rt_3', 'outbox_missing rt_3'])
  })
})

test('the ledger is read as it was at one instant, whatever moves meanwhile', async () => {
  const reader = openLedgerReader({ url, pageRows: 2 })
  const seen = await reader.snapshot(async (snapshot) => {
    const statuses: string[] = []
    for await (const page of snapshot.entries()) {
      if (statuses.length === 0) {
        await database.query(sql`UPDATE reward_ledger SET status = 'voided', actor = 'ann' WHERE status = 'held'`)
        await database.query(sql`UPDATE reward_budget SET overrun = 7`)
      }
      statuses.push(...page.map(({ status }) => status))
    }
    return { statuses, rows: snapshot.rows, budgets: await snapshot.budgets() }
  })
  await reader.close()
  expect(seen.statuses.filter((status) => status === 'held')).toHaveLength(3)
  expect([seen.rows, seen.budgets.map(({ overrun }) => overrun)]).toEqual([27, [0n, 0n]])
})

test('what goes wrong while a snapshot is used is not blamed on the ledger', async () => {
  const reader = openLedgerReader({ url })
  await expect(reader.snapshot(() => Promise.reject(new TypeError('mine')))).rejects.toThrow(new TypeError('mine'))
  await reader.close()
  const nowhere = openLedgerReader({ url: 'postgres://nobody@127.0.0.1:9/nothing?sslmode=disable' })
  await expect(nowhere.snapshot(async () => 1)).rejects.toMatchObject({ code: 'ONCEWARD_E_LEDGER_UNAVAILABLE' })
  await nowhere.close()
})

describe('the topic and the statement', () => {
  test('a record that no sink has come to is a note; beyond the position of their group it stays one', async () => {
    const late = account(70, 'succeeded')
    await log.append(late.topic.map((entry) => recordOf(entry, clock.now())))
    expect(await run()).toMatchObject({ code: 0, summary: { notes: { unbooked: 1 } } })
    await log.append(late.topic.map((entry) => recordOf(entry, clock.now() - 90_000_000)))
    expect(namedBy(await run())).toEqual(['topic_not_in_ledger rt_70'])
  })

  test('players and other types are passed over, what cannot be read is counted', async () => {
    const to = { topic: 'reward.tasks', partition: 0, key: 'u', timestamp: clock.now() }
    await log.append([
      { ...to, value: PLAYER },
      { ...to, value: '{"type":"reward_task.created"}' },
      { ...to, value: 'not JSON' },
      { ...to, value: null },
    ])
    expect(await run()).toMatchObject({ code: 0, summary: { unreadable: 3 } })
  })

  test("lines that are missing, other, twice or nobody's", async () => {
    const lines = accounts.flatMap(({ statement }) => statement)
    const [first, second, third, ...rest] = lines
    if (first === undefined || second === undefined || third === undefined) throw new Error('there are lines')
    const stray = { ...lineFor(account(80, 'succeeded').ledger ?? never()), requestId: 'rid_stray\ttab' }
    writeFileSync(file, csvOf([{ ...second, amount: 1n }, third, { ...third, payoutId: 'p_9' }, stray, ...rest]))
    const outcome = await run()
    expect(namedBy(outcome)).toEqual([
      'not_in_statement rt_0',
      'other_amount rt_1',
      'paid_twice rt_2',
      'statement_not_in_ledger null',
    ])
    expect(outcome.differences.find(({ kind }) => kind === 'statement_not_in_ledger')?.request_id).toBe(
      'rid_stray\ttab',
    )
  })

  test('the report lists so many of a kind, --out has all, --fix proposes', async () => {
    writeFileSync(file, `${HEADER}\n`)
    await pastTheTriggers(database, [sql`DELETE FROM reward_outbox WHERE ledger_id = ${of(3)}`])
    const all = join(dir, 'all.ndjson')
    const { text, code } = await run({ json: false, out: all, fix: true, show: 2 })
    expect(code).toBe(1)
    expect(text).toMatch(/^paid in the ledger, not in the statement +6$/m)
    expect(text.match(/^not_in_statement {2}task/gm)).toHaveLength(2)
    expect(text).toMatch(/and 4 more; --out FILE has them all/)
    expect(text).toMatch(
      /nothing has been done:\n {4}onceward rewards freeze rt_3 --reason .* && onceward rewards release rt_3 /,
    )
    expect(readFileSync(all, 'utf8').trim().split('\n')).toHaveLength(7)
  })

  test('a statement that cannot be read leaves no file', async () => {
    writeFileSync(file, 'a,b\n')
    const all = join(dir, 'none.ndjson')
    await expect(run({ out: all })).rejects.toMatchObject({ code: 'ONCEWARD_E_STATEMENT_INVALID' })
    expect(() => readFileSync(all)).toThrow(/ENOENT/)
  })
})

function never(): never {
  throw new Error('unreachable')
}
