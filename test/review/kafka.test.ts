/**
 * Dead letters of five causes on a real Kafka and a real Postgres, decided by people at two terminals at once. How many
 * letters: ONCEWARD_LETTERS.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from '@databases/pg-migrations'
import { sql } from '@databases/pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { REPROCESSED_HEADER } from '../../core/topics.ts'
import { runCli } from '../cli/process.ts'
import { kafkaForTests } from '../support/kafka.ts'
import { COUNT, Installation, LETTERS, PARTITIONS, type Told } from './installation.ts'

describe.skipIf(!kafkaForTests().available)(`${LETTERS} dead letters on a real Kafka`, () => {
  let kafka: Installation
  beforeAll(async () => {
    kafka = await Installation.open()
  }, 120_000)
  afterAll(() => kafka?.close())

  function requireShared(told: readonly Told[], letters: number): void {
    const done = told.flatMap((one) => one.done)
    expect(done).toHaveLength(letters)
    expect(new Set(done).size).toBe(letters)
  }

  test('the worker and the ledger have left letters of five causes, and all are open', async () => {
    const found = await kafka.counts()
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
    const told = await kafka.both(
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
    await kafka.settled()
    const found = await kafka.counts()
    expect(found.by_status).toMatchObject({ fixed: wrong, reprocessed: 0, dropped: 0 })
    // Those that were fixed too late came back, as letters of their own.
    expect((await kafka.counts('--cause', 'late', '--status', 'open')).letters).toBe(
      COUNT.late + COUNT.lateStrict + COUNT.laterLate,
    )
  }, 120_000)

  test('two who reprocess all the rest at once share it: events to their topic, rewards to the ledger', async () => {
    const database = connect({ connectionString: kafka.db, bigIntMode: 'number', poolSize: 1 })
    try {
      const dry = await runCli(
        kafka.on('dlq', 'reprocess', '--cause', 'budget_closed', '--json', '--allow-non-durable-db'),
        {
          environment: { ONCEWARD_DB: kafka.db },
        },
      )
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
      const told = await kafka.both('reprocess', '--status', 'open', '--allow-non-durable-db')
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
    const told = await kafka.both('drop', '--cause', 'late', '--event-name', 'deposit', '--reason', 'the order is lost')
    requireShared(told, COUNT.lateStrict)
  }, 60_000)

  test('then the books are even: counts, what was sent, and what was scored', async () => {
    await kafka.settled()
    const { schema, laterLate, future, late, lateStrict, payout, budget_closed: closed } = COUNT
    const found = await kafka.counts()
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
    expect(await kafka.read(kafka.topics.dlqReviews)).toHaveLength(letters)

    // Each step of each event stands on the topic once.
    const steps = (await kafka.read(kafka.topics.events)).flatMap(({ headers, value }) => {
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
    for (const { eventId, userId } of kafka.events) {
      if (!eventId.startsWith('lateStrict')) points.set(userId, (points.get(userId) ?? 0) + 1)
    }
    const scored = new Map<string, number>()
    for (const { value } of await kafka.read(kafka.topics.scores)) {
      const score = JSON.parse(String(value)) as { rule_id: string; user_id: string; points: number }
      if (score.rule_id === 'r_bets') scored.set(score.user_id, (scored.get(score.user_id) ?? 0) + score.points)
    }
    expect(scored).toEqual(points)
  }, 120_000)

  test('one letter tells its whole story', async () => {
    const [letter] = (await kafka.read(kafka.topics.dlq)).filter(({ value }) => String(value).includes('"laterLate_0"'))
    const id = `${letter?.partition}-${letter?.offset}`
    const { stdout } = await kafka.fine(kafka.on('dlq', 'show', id, '--json'))
    expect(JSON.parse(stdout)).toMatchObject({
      letter: { id, status: 'fixed', event_id: 'laterLate_0' },
      review: { decision: 'fixed', reason: 'texts', before: { text: expect.stringContaining('"bet":"0"') as string } },
      after: [{ cause: 'late', status: 'reprocessed', tries: 1 }],
    })
    const people = await kafka.fine(kafka.on('dlq', 'show', id))
    expect(people.stdout).toMatch(/it has become\n/)
    const list = await kafka.fine(kafka.on('dlq', 'list', '--limit', '3'))
    expect(list.stdout.split('\n')).toHaveLength(5)
  }, 60_000)

  test.each(['SIGKILL', 'SIGINT'] as const)(
    'one who is stopped by %s in the middle has done whole transactions, and another goes on',
    async (signal) => {
      const [user, count] = [`u_${signal}`, PARTITIONS * 700]
      await kafka.more(user, count)
      const line = kafka.on('dlq', 'drop', '--user', user, '--reason', 'stopped', '--yes', '--json')
      const stopped = kafka.start([...line, '--as', 'ann'])
      await stopped.until(({ stdout }) => stdout.includes('"phase":"done","kind":"done"'), 60_000)
      stopped.child.kill(signal)
      const ended = await stopped.ended
      if (signal === 'SIGINT' && ended.code !== 0)
        expect([ended.code, ended.stderr]).toEqual([130, expect.stringMatching(/the same command again goes on/)])
      const next = await kafka.fine([...line, '--as', 'bob'])
      const { done } = JSON.parse(next.stdout.trimEnd().split('\n').at(-1) ?? '') as { done?: number }
      const decided = (await kafka.read(kafka.topics.dlqReviews)).flatMap(({ value }) => {
        const review = JSON.parse(String(value)) as { letter: string; actor: string; reason: string }
        return review.reason === 'stopped' ? [review] : []
      })
      const mine = new Set(
        (await kafka.read(kafka.topics.dlq)).flatMap(({ key, partition, offset }) =>
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
    await kafka.more('u_http', 3)
    const key = 'a key for tests'
    const file = join(kafka.dir, 'gateway.yaml')
    const hash = createHash('sha256').update(key).digest('hex')
    const entry = `{ name: console, scopes: [dlq:read, dlq:write], keys: [{ id: c1, hash: "sha256:${hash}" }] }`
    writeFileSync(file, `sources:\n  - ${entry}\n`)
    const audit = join(kafka.dir, 'audit')
    const serving = kafka.start(kafka.on('dlq', 'serve', '--gateway-file', file, '--port', '0', '--audit', audit))
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
