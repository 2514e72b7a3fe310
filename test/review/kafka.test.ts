/**
 * Dead letters of five causes on a real Kafka and a real Postgres, decided by people at two terminals at once. How many
 * letters: ONCEWARD_LETTERS.
 */
import { createHash, randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from '@databases/pg-migrations'
import { sql } from '@databases/pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import { openKafkaLog } from '../../connectors/log/kafka/kafka-log.ts'
import { systemClock } from '../../core/clock.ts'
import type { DlqReason, DlqRecord } from '../../core/model/dlq.ts'
import { partitionOf } from '../../core/partitioner.ts'
import type { Log, LogRecord, OutRecord } from '../../core/ports/log.ts'
import { REPROCESSED_HEADER, type Topics, topicNames } from '../../core/topics.ts'
import { admit } from '../../pipeline/payout/admission.ts'
import { committedRecords } from '../../pipeline/replay/records.ts'
import { type Ended, type RunningCli, runCli, startCli } from '../cli/process.ts'
import { created, entry, failure, send, terms } from '../ledger/fixtures.ts'
import { kafkaForTests, startKafka, type TestKafka } from '../support/kafka.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'

const LETTERS = Number(process.env['ONCEWARD_LETTERS'] ?? 2_000)
const PARTITIONS = 4
const PLAYERS = 60
const MINUTE = 60_000
/** Half an hour ago, so that what was ahead then is not any more. */
const BASE = Math.floor(Date.now() / 1_000) * 1_000 - 30 * MINUTE

const part = (share: number): number => Math.round(LETTERS * share)
/** How many of each; `laterLate`: fixed so late that workers set them aside once more. */
const COUNT = {
  schema: part(0.35),
  laterLate: part(0.1),
  future: part(0.1),
  late: part(0.15),
  lateStrict: part(0.05),
  payout: part(0.15),
  budget_closed: part(0.1),
}

const RULES = {
  // The order does not matter: late bets count.
  'r_bets.yaml': 'rule_id: r_bets\nwhen: { event_name: bet }\nscore: { formula: "1" }\n',
  // It matters: late deposits do not.
  'r_deposits.yaml': 'rule_id: r_deposits\nwhen: { event_name: deposit }\nscore: { formula: "1" }\nordering: strict\n',
}

type Kind = 'good' | 'schema' | 'laterLate' | 'future' | 'late' | 'lateStrict'

interface Fed {
  readonly eventId: string
  readonly userId: string
  readonly record: OutRecord
}

function fed(topic: string, kind: Kind, n: number): Fed {
  const userId = `u_${n % PLAYERS}`
  const eventId = `${kind}_${n}`
  const behind = {
    good: 0,
    schema: (n % 50) * 1_000,
    laterLate: 10 * MINUTE,
    future: -10 * MINUTE,
    late: 120 * MINUTE,
    lateStrict: 90 * MINUTE,
  }
  const deposit = kind === 'lateStrict'
  const bet = kind === 'schema' || kind === 'laterLate' ? `${n}` : 1
  const value = JSON.stringify({
    event_id: eventId,
    event_name: deposit ? 'deposit' : 'bet',
    version: '1.0.0',
    ts: new Date(BASE - behind[kind]).toISOString(),
    user: { id: userId, geo: 'TR' },
    context: {},
    payload: deposit ? { amount: 10, currency: 'EUR' } : { bet, win: 0, currency: 'EUR' },
  })
  // What was ahead came at its own time then.
  const record = { topic, partition: partitionOf(userId, PARTITIONS), key: userId, value, timestamp: BASE }
  return { eventId, userId, record }
}

interface Summary {
  readonly letters: number
  readonly done: number
  readonly decided: number
  readonly refused: number
}

describe.skipIf(!kafkaForTests().available)(`${LETTERS} dead letters on a real Kafka`, () => {
  const prefix = `review-${randomUUID().slice(0, 8)}.`
  const application = `${prefix}season`
  const topics: Topics = topicNames(prefix)
  const running: RunningCli[] = []
  let kafka: TestKafka
  let postgres: TestPostgres
  let log: Log
  let dir = ''
  let db = ''
  let events: readonly Fed[] = []
  const on = (...args: readonly string[]): string[] => [...args, '--brokers', kafka.brokers, '--prefix', prefix]

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'onceward-review-'))
    ;[kafka, postgres] = await Promise.all([startKafka(), startTestPostgres()])
    log = await openKafkaLog({ brokers: kafka.brokers.split(','), clock: systemClock })
    await fine(on('topics', 'create', '--partitions', String(PARTITIONS)))
    db = await postgres.freshDatabase()
    const rules = join(dir, 'rules')
    mkdirSync(rules)
    for (const [name, text] of Object.entries(RULES)) writeFileSync(join(rules, name), text)
    running.push(startCli(on('worker', '--application', application, '--rules', rules, '--state', join(dir, 'state'))))
    events = feed()
    await produce(events.map(({ record }) => record))
    await produce(await rewardLetters())
    await settled()
  }, 120_000)
  afterAll(async () => {
    for (const { child } of running) child.kill('SIGKILL')
    await Promise.all(running.map(({ ended }) => ended))
    await log?.close()
    await kafka?.stop()
    await postgres?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  function feed(): Fed[] {
    const of = (kind: Kind, count: number): Fed[] =>
      Array.from({ length: count }, (_, n) => fed(topics.events, kind, n))
    const { schema, laterLate, future, late, lateStrict } = COUNT
    return [
      // They bring every partition to the time of now.
      ...of('good', PLAYERS),
      ...of('schema', schema),
      ...of('laterLate', laterLate),
      ...of('future', future),
      ...of('late', late),
      ...of('lateStrict', lateStrict),
    ]
  }

  async function produce(records: readonly OutRecord[]): Promise<void> {
    const producer = await log.producer()
    for (let at = 0; at < records.length; at += 500) await producer.send(records.slice(at, at + 500))
    await producer.close()
  }

  /** Rewards that failed in a real ledger, and their letters as the sink writes them. */
  async function rewardLetters(): Promise<OutRecord[]> {
    const ledger = openPostgresLedger({ url: db, allowNonDurable: true })
    try {
      await ledger.migrate()
      const plain = { kycRequired: 0, guardrails: {} }
      const closed = { ...plain, poolId: 'empty', terms: terms({ budget: 0n, whenClosed: 'dlq' }) }
      const paidTasks = Array.from({ length: COUNT.payout }, (_, n) => entry(n, plain))
      const closedTasks = Array.from({ length: COUNT.budget_closed }, (_, n) => entry(LETTERS + n, closed))
      const { refused } = await ledger.book(
        [...paidTasks, ...closedTasks].map((task) => created(task)),
        admit,
      )
      expect(refused).toHaveLength(COUNT.budget_closed)
      const sent = await send(ledger, COUNT.payout)
      await ledger.settle(sent.map((claimed) => failure(claimed, false)))
      const details = new Map(refused.map(({ taskId, detail }) => [taskId, detail]))
      return [...paidTasks, ...closedTasks].map(({ taskId, userId }, n) => {
        const detail = details.get(taskId)
        const letter: DlqRecord = {
          type: 'dlq',
          reason: detail === undefined ? 'payout' : 'budget_closed',
          detail: detail ?? 'HTTP 422',
          user_id: userId,
          source: { topic: topics.rewards, partition: 0, offset: n },
          raw: JSON.stringify({
            type: 'reward_task.created',
            reward_task_id: taskId,
            user_id: userId,
            origin: { rule_id: 'r_test' },
          }),
        }
        const partition = partitionOf(userId, PARTITIONS)
        return {
          topic: topics.dlq,
          partition,
          key: userId,
          value: JSON.stringify(letter),
          timestamp: systemClock.now(),
        }
      })
    } finally {
      await ledger.close()
    }
  }

  async function fine(args: readonly string[]): Promise<Ended> {
    const ended = await runCli(args)
    if (ended.code !== 0) {
      const worker = running.map((each) => each.stderr()).join('')
      throw new Error(`${args.slice(0, 3).join(' ')} ended with ${ended.code}: ${ended.stderr}${worker}`)
    }
    return ended
  }

  /** Until the worker has processed all that stands on its topic. */
  const settled = (): Promise<Ended> => fine(on('lag', '--application', application, '--wait', '--timeout', '100s'))

  async function read(topic: string): Promise<LogRecord[]> {
    const found: LogRecord[] = []
    for (let partition = 0; partition < PARTITIONS; partition++) {
      for await (const records of committedRecords(log, { topic, partition })) found.push(...records)
    }
    return found
  }

  interface Counts {
    readonly letters: number
    readonly by_status: Readonly<Record<string, number>>
    readonly by_cause: Readonly<Partial<Record<DlqReason, number>>>
  }

  async function counts(...filter: readonly string[]): Promise<Counts> {
    const { stdout } = await fine(on('dlq', 'count', '--json', ...filter))
    return JSON.parse(stdout) as Counts
  }

  /** Two people type the same at once; answers what each was told at the end, and of which letters that they did it. */
  async function both(...args: readonly string[]): Promise<{ readonly summary: Summary; readonly done: string[] }[]> {
    const typed = await Promise.all(
      ['ann', 'bob'].map((name) =>
        runCli(on('dlq', ...args, '--as', name, '--yes', '--json'), { environment: { ONCEWARD_DB: db } }),
      ),
    )
    return typed.map(({ code, stdout, stderr }) => {
      const lines = stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>)
      const last = lines.at(-1)
      if ((code !== 0 && code !== 1) || last === undefined) throw new Error(`ended with ${code}: ${stderr}`)
      // Where nothing was left to do for one of them, a dry run is all there was.
      const summary =
        last['phase'] === 'done' ? (last as unknown as Summary) : { letters: 0, done: 0, decided: 0, refused: 0 }
      const done = lines.filter(({ phase, kind }) => phase === 'done' && kind === 'done').map(({ id }) => String(id))
      expect(done).toHaveLength(summary.done)
      return { summary, done }
    })
  }

  function requireShared(told: Awaited<ReturnType<typeof both>>, letters: number): void {
    const done = told.flatMap((one) => one.done)
    expect(done).toHaveLength(letters)
    expect(new Set(done).size).toBe(letters)
  }

  test('the worker and the ledger have left letters of five causes, and all are open', async () => {
    const found = await counts()
    expect(found.by_cause).toEqual({
      schema: COUNT.schema + COUNT.laterLate,
      future: COUNT.future,
      late: COUNT.late + COUNT.lateStrict,
      payout: COUNT.payout,
      budget_closed: COUNT.budget_closed,
    })
    expect(found.by_status).toEqual({ open: found.letters, reprocessed: 0, fixed: 0, dropped: 0 })
  }, 60_000)

  test('two who fix all of the same error at once share it: each letter once', async () => {
    const wrong = COUNT.schema + COUNT.laterLate
    const told = await both(
      'fix',
      '--cause',
      'schema',
      '--error',
      'payload.bet is',
      '--set',
      'payload.bet=1',
      '--reason',
      'texts',
    )
    requireShared(told, wrong)
    await settled()
    const found = await counts()
    expect(found.by_status).toMatchObject({ fixed: wrong, reprocessed: 0, dropped: 0 })
    // Those that were fixed too late came back, as letters of their own.
    expect((await counts('--cause', 'late', '--status', 'open')).letters).toBe(
      COUNT.late + COUNT.lateStrict + COUNT.laterLate,
    )
  }, 120_000)

  test('two who reprocess all the rest at once share it: events to their topic, rewards to the ledger', async () => {
    const database = connect({ connectionString: db, bigIntMode: 'number', poolSize: 1 })
    try {
      const dry = await runCli(on('dlq', 'reprocess', '--cause', 'budget_closed', '--json', '--allow-non-durable-db'), {
        environment: { ONCEWARD_DB: db },
      })
      // The pool is asked anew: it is as empty as it was.
      expect(dry.code).toBe(1)
      expect(dry.stdout.trimEnd().split('\n').at(-1)).toBe(
        JSON.stringify({
          phase: 'forecast',
          letters: COUNT.budget_closed,
          done: 0,
          decided: 0,
          refused: COUNT.budget_closed,
        }),
      )
      await database.query(sql`UPDATE reward_budget SET budget = 100000`)
      const told = await both('reprocess', '--status', 'open', '--allow-non-durable-db')
      const { future, late, laterLate, payout, budget_closed: closed, lateStrict } = COUNT
      requireShared(told, future + late + laterLate + payout + closed)
      for (const { summary } of told) if (summary.letters > 0) expect(summary.refused).toBe(lateStrict)
      const rewards = (await database.query(sql`
        SELECT status, count(*)::int AS rewards FROM reward_ledger GROUP BY status`)) as unknown[]
      expect(rewards).toEqual([{ status: 'reserved', rewards: payout + closed }])
      const resent = (await database.query(sql`
        SELECT subject FROM audit_log WHERE action = 'reward.resent'`)) as { subject: string }[]
      expect(resent).toHaveLength(payout + closed)
      expect(new Set(resent.map(({ subject }) => subject)).size).toBe(payout + closed)
    } finally {
      await database.dispose()
    }
  }, 120_000)

  test('what no rule can score any more is dropped, with a reason', async () => {
    const told = await both('drop', '--cause', 'late', '--event-name', 'deposit', '--reason', 'the order is lost')
    requireShared(told, COUNT.lateStrict)
  }, 60_000)

  test('then the books are even: counts, what was sent, and what was scored', async () => {
    await settled()
    const { schema, laterLate, future, late, lateStrict, payout, budget_closed: closed } = COUNT
    const found = await counts()
    const letters = schema + 2 * laterLate + future + late + lateStrict + payout + closed
    expect(found).toMatchObject({
      letters,
      by_status: {
        open: 0,
        fixed: schema + laterLate,
        reprocessed: laterLate + future + late + payout + closed,
        dropped: lateStrict,
      },
    })
    expect(await read(topics.dlqReviews)).toHaveLength(letters)

    // Each step of each event stands on the topic once.
    const steps = (await read(topics.events)).flatMap(({ headers, value }) => {
      const header = headers?.[REPROCESSED_HEADER]
      if (header === undefined) return []
      const { history } = JSON.parse(String(header)) as { history: { letter: string }[] }
      return [
        `${(JSON.parse(String(value)) as { event_id: string }).event_id} ${history.map((step) => step.letter).join(' ')}`,
      ]
    })
    expect(steps).toHaveLength(schema + 2 * laterLate + future + late)
    expect(new Set(steps).size).toBe(steps.length)

    // A bet is a point, whenever it came.
    const points = new Map<string, number>()
    for (const { eventId, userId } of events) {
      if (!eventId.startsWith('lateStrict')) points.set(userId, (points.get(userId) ?? 0) + 1)
    }
    const scored = new Map<string, number>()
    for (const { value } of await read(topics.scores)) {
      const score = JSON.parse(String(value)) as { rule_id: string; user_id: string; points: number }
      if (score.rule_id === 'r_bets') scored.set(score.user_id, (scored.get(score.user_id) ?? 0) + score.points)
    }
    expect(scored).toEqual(points)
  }, 120_000)

  test('one letter tells its whole story', async () => {
    const [letter] = (await read(topics.dlq)).filter(({ value }) => String(value).includes('"laterLate_0"'))
    const id = `${letter?.partition}-${letter?.offset}`
    const { stdout } = await fine(on('dlq', 'show', id, '--json'))
    expect(JSON.parse(stdout)).toMatchObject({
      letter: { id, status: 'fixed', event_id: 'laterLate_0' },
      review: { decision: 'fixed', reason: 'texts', before: { text: expect.stringContaining('"bet":"0"') as string } },
      after: [{ cause: 'late', status: 'reprocessed', tries: 1 }],
    })
    const people = await fine(on('dlq', 'show', id))
    expect(people.stdout).toMatch(/it has become\n/)
    const list = await fine(on('dlq', 'list', '--limit', '3'))
    expect(list.stdout.split('\n')).toHaveLength(5)
  }, 60_000)

  /** More letters, of a player of their own. */
  async function more(userId: string, count: number): Promise<void> {
    const letter: DlqRecord = {
      type: 'dlq',
      reason: 'schema',
      detail: 'ts is missing',
      user_id: userId,
      source: null,
      raw: '{}',
    }
    const records = Array.from({ length: count }, (_, n) => ({
      topic: topics.dlq,
      partition: n % PARTITIONS,
      key: userId,
    }))
    await produce(records.map((record) => ({ ...record, value: JSON.stringify(letter), timestamp: systemClock.now() })))
  }

  test.each(['SIGKILL', 'SIGINT'] as const)(
    'one who is stopped by %s in the middle has done whole transactions, and another goes on',
    async (signal) => {
      const [user, count] = [`u_${signal}`, 4 * 700]
      await more(user, count)
      const line = on('dlq', 'drop', '--user', user, '--reason', 'stopped', '--yes', '--json')
      const stopped = startCli([...line, '--as', 'ann'])
      running.push(stopped)
      await stopped.until(({ stdout }) => stdout.includes('"phase":"done","kind":"done"'), 60_000)
      stopped.child.kill(signal)
      const ended = await stopped.ended
      if (signal === 'SIGINT' && ended.code !== 0)
        expect([ended.code, ended.stderr]).toEqual([130, expect.stringMatching(/the same command again goes on/)])
      const next = await fine([...line, '--as', 'bob'])
      const { done } = JSON.parse(next.stdout.trimEnd().split('\n').at(-1) ?? '') as { done?: number }
      const decided = (await read(topics.dlqReviews)).flatMap(({ value }) => {
        const review = JSON.parse(String(value)) as { letter: string; actor: string; reason: string }
        return review.reason === 'stopped' ? [review] : []
      })
      const mine = new Set(
        (await read(topics.dlq)).flatMap(({ key, partition, offset }) =>
          String(key) === user ? [`${partition}-${offset}`] : [],
        ),
      )
      const onThese = decided.filter(({ letter }) => mine.has(letter))
      expect(onThese).toHaveLength(count)
      expect(new Set(onThese.map(({ letter }) => letter)).size).toBe(count)
      expect(onThese.filter(({ actor }) => actor === 'bob')).toHaveLength(done ?? 0)
    },
    120_000,
  )

  test('over HTTP it is the same, with a key of the gateway, and in the audit log', async () => {
    await more('u_http', 3)
    const key = 'a key for tests'
    const file = join(dir, 'gateway.yaml')
    const hash = createHash('sha256').update(key).digest('hex')
    const entry = `{ name: console, scopes: [dlq:read, dlq:write], keys: [{ id: c1, hash: "sha256:${hash}" }] }`
    writeFileSync(file, `sources:\n  - ${entry}\n`)
    const audit = join(dir, 'audit')
    const serving = startCli(on('dlq', 'serve', '--gateway-file', file, '--port', '0', '--audit', audit))
    running.push(serving)
    await serving.until(({ stderr }) => stderr.includes('/v1/dlq'), 60_000)
    const origin = /http:\/\/[^/]+/.exec(serving.stderr())?.[0] ?? ''
    const call = async (path: string, body?: object): Promise<unknown> => {
      const headers = { 'x-api-key': key, 'content-type': 'application/json', 'x-actor': 'ann' }
      const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
      return (await fetch(`${origin}${path}`, { headers, ...init })).json()
    }
    expect(await call('/v1/dlq/count?user=u_http')).toMatchObject({ letters: 3, by_status: { open: 3 } })
    const order = { filter: { user: 'u_http' }, reason: 'test' }
    expect(await call('/v1/dlq/drop', order)).toMatchObject({ dry_run: true, done: 3 })
    expect(await call('/v1/dlq/drop', { ...order, dry_run: false })).toMatchObject({ done: 3, more: false })
    expect(await call('/v1/dlq?user=u_http')).toMatchObject({
      letters: [1, 2, 3].map(() => ({ decision: { by: 'console/ann' } })),
    })
    serving.child.kill('SIGTERM')
    expect(await serving.ended).toMatchObject({ code: 0 })
    const segments = readdirSync(join(audit, 'dlq')).map((name) => readFileSync(join(audit, 'dlq', name), 'utf8'))
    expect(segments.join('')).toMatch(/dlq drop.*console\/ann/)
  }, 60_000)
})
