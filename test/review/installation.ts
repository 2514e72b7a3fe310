/** A Kafka, a Postgres, a worker with rules, and dead letters of five causes that they have left. */
import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import { openKafkaLog } from '../../connectors/log/kafka/kafka-log.ts'
import { systemClock } from '../../core/clock.ts'
import type { DlqReason, DlqRecord } from '../../core/model/dlq.ts'
import { partitionOf } from '../../core/partitioner.ts'
import type { Log, LogRecord, OutRecord } from '../../core/ports/log.ts'
import { type Topics, topicNames } from '../../core/topics.ts'
import { admit } from '../../pipeline/payout/admission.ts'
import { committedRecords } from '../../pipeline/replay/records.ts'
import { type Ended, type RunningCli, runCli, startCli } from '../cli/process.ts'
import { created, entry, failure, send, terms } from '../ledger/fixtures.ts'
import { startKafka, type TestKafka } from '../support/kafka.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'

export const LETTERS = Number(process.env['ONCEWARD_LETTERS'] ?? 2_000)
export const PARTITIONS = 4
const PLAYERS = 60
const MINUTE = 60_000
/** Half an hour ago, so that what was ahead then is not any more. */
const BASE = Math.floor(Date.now() / 1_000) * 1_000 - 30 * MINUTE

const part = (share: number): number => Math.round(LETTERS * share)
/** How many of each; `laterLate`: fixed so late that workers set them aside once more. */
export const COUNT = {
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

export interface Fed {
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

export interface Summary {
  readonly letters: number
  readonly done: number
  readonly decided: number
  readonly refused: number
}

export interface Counts {
  readonly letters: number
  readonly by_status: Readonly<Record<string, number>>
  readonly by_cause: Readonly<Partial<Record<DlqReason, number>>>
}

/** What one of two people was told: at the end, and of which letters that they did it. */
export interface Told {
  readonly summary: Summary
  readonly done: readonly string[]
}

export class Installation {
  readonly topics: Topics
  readonly dir = mkdtempSync(join(tmpdir(), 'onceward-review-'))
  readonly events: readonly Fed[]
  readonly log: Log
  readonly db: string
  readonly #prefix: string
  readonly #kafka: TestKafka
  readonly #postgres: TestPostgres
  readonly #running: RunningCli[] = []

  private constructor(of: { prefix: string; kafka: TestKafka; postgres: TestPostgres; log: Log; db: string }) {
    this.#prefix = of.prefix
    this.#kafka = of.kafka
    this.#postgres = of.postgres
    this.log = of.log
    this.db = of.db
    this.topics = topicNames(of.prefix)
    this.events = feed(this.topics.events)
  }

  static async open(): Promise<Installation> {
    const [kafka, postgres] = await Promise.all([startKafka(), startTestPostgres()])
    const log = await openKafkaLog({ brokers: kafka.brokers.split(','), clock: systemClock })
    const db = await postgres.freshDatabase()
    const made = new Installation({ prefix: `review-${randomUUID().slice(0, 8)}.`, kafka, postgres, log, db })
    await made.#begin()
    return made
  }

  async #begin(): Promise<void> {
    await this.fine(this.on('topics', 'create', '--partitions', String(PARTITIONS)))
    const rules = join(this.dir, 'rules')
    mkdirSync(rules)
    for (const [name, text] of Object.entries(RULES)) writeFileSync(join(rules, name), text)
    const flags = ['--application', this.#application, '--rules', rules, '--state', join(this.dir, 'state')]
    this.start(this.on('worker', ...flags))
    await this.produce(this.events.map(({ record }) => record))
    await this.produce(await rewardLetters(this.db, this.topics))
    await this.settled()
  }

  get #application(): string {
    return `${this.#prefix}season`
  }

  on(...args: readonly string[]): string[] {
    return [...args, '--brokers', this.#kafka.brokers, '--prefix', this.#prefix]
  }

  start(args: readonly string[]): RunningCli {
    const cli = startCli(args)
    this.#running.push(cli)
    return cli
  }

  async fine(args: readonly string[]): Promise<Ended> {
    const ended = await runCli(args)
    if (ended.code === 0) return ended
    const others = this.#running.map((each) => each.stderr()).join('')
    throw new Error(`${args.slice(0, 3).join(' ')} ended with ${ended.code}: ${ended.stderr}${others}`)
  }

  /** Until the worker has processed all that stands on its topic. */
  async settled(): Promise<void> {
    await this.fine(this.on('lag', '--application', this.#application, '--wait', '--timeout', '100s'))
  }

  async produce(records: readonly OutRecord[]): Promise<void> {
    const producer = await this.log.producer()
    for (let at = 0; at < records.length; at += 500) await producer.send(records.slice(at, at + 500))
    await producer.close()
  }

  async read(topic: string): Promise<LogRecord[]> {
    const found: LogRecord[] = []
    for (let partition = 0; partition < PARTITIONS; partition++) {
      for await (const records of committedRecords(this.log, { topic, partition })) found.push(...records)
    }
    return found
  }

  async counts(...filter: readonly string[]): Promise<Counts> {
    const { stdout } = await this.fine(this.on('dlq', 'count', '--json', ...filter))
    return JSON.parse(stdout) as Counts
  }

  /** Two people type the same at once. */
  async both(...args: readonly string[]): Promise<Told[]> {
    const environment = { ONCEWARD_DB: this.db }
    const line = this.on('dlq', ...args, '--yes', '--json')
    const typed = await Promise.all(['ann', 'bob'].map((name) => runCli([...line, '--as', name], { environment })))
    return typed.map(toldIn)
  }

  /** More letters, of a player of their own. */
  async more(userId: string, count: number): Promise<void> {
    const source = null
    const letter: DlqRecord = {
      type: 'dlq',
      reason: 'schema',
      detail: 'ts is missing',
      user_id: userId,
      source,
      raw: '{}',
    }
    const value = JSON.stringify(letter)
    const timestamp = systemClock.now()
    const place = { topic: this.topics.dlq, key: userId }
    await this.produce(
      Array.from({ length: count }, (_, n) => ({ ...place, partition: n % PARTITIONS, value, timestamp })),
    )
  }

  async close(): Promise<void> {
    for (const { child } of this.#running) child.kill('SIGKILL')
    await Promise.all(this.#running.map(({ ended }) => ended))
    await this.log.close()
    await this.#kafka.stop()
    await this.#postgres.stop()
    rmSync(this.dir, { recursive: true, force: true })
  }
}

function toldIn({ code, stdout, stderr }: Ended): Told {
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  const last = lines.at(-1)
  if ((code !== 0 && code !== 1) || last === undefined) throw new Error(`ended with ${code}: ${stderr}`)
  const done = lines.filter(({ phase, kind }) => phase === 'done' && kind === 'done').map(({ id }) => String(id))
  // Where nothing was left to do for one of them, a dry run is all there was.
  const summary = last['phase'] === 'done' ? (last as unknown as Summary) : NOTHING
  if (done.length !== summary.done) throw new Error(`${done.length} lines say done, the last one says ${summary.done}`)
  return { summary, done }
}

const NOTHING: Summary = { letters: 0, done: 0, decided: 0, refused: 0 }

function feed(topic: string): Fed[] {
  const of = (kind: Kind, count: number): Fed[] => Array.from({ length: count }, (_, n) => fed(topic, kind, n))
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

/** Rewards that failed in a real ledger, and their letters as the sink writes them. */
async function rewardLetters(db: string, topics: Topics): Promise<OutRecord[]> {
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
    if (refused.length !== COUNT.budget_closed) throw new Error(`${refused.length} rewards were refused`)
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
