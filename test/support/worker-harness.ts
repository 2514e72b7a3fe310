import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, vi } from 'vitest'
import { type EmbeddedLog, openEmbeddedLog } from '../../connectors/log/embedded/log.ts'
import type { Clock } from '../../core/clock.ts'
import { DAY_MS } from '../../core/durations.ts'
import type { DlqRecord } from '../../core/model/dlq.ts'
import type { PlayerChanged } from '../../core/model/player.ts'
import type { FrozenRewardTask, RewardRecord, RewardTask } from '../../core/model/reward.ts'
import type { ScoreRecord } from '../../core/model/score.ts'
import { partitionOf } from '../../core/partitioner.ts'
import type { LogRecord, TopicPartition } from '../../core/ports/log.ts'
import { type Logger, silentLogger } from '../../core/ports/logger.ts'
import { silentMetrics } from '../../core/ports/metrics.ts'
import { changelogTopic, type Topics, topicNames } from '../../core/topics.ts'
import { isEarned } from '../../operators/earned.ts'
import type { BatchLimits } from '../../pipeline/batch.ts'
import { publishRules } from '../../pipeline/publish-rules.ts'
import { tickRecord } from '../../pipeline/ticker.ts'
import type { SchemaLoader } from '../../pipeline/wire/schema-loader.ts'
import { Worker } from '../../pipeline/worker.ts'
import type { PublicationPlan } from '../../rules/control.ts'
import { loadRules } from '../../rules/load.ts'
import { memoryKv } from '../../state/memory-kv.ts'
import { decodeSeenChunk, decodeSeenTime, hourOfChunkKey } from '../../state/seen-ids.ts'
import { fastClock } from './clocks.ts'
import { Disk } from './disk.ts'
import { normalize } from './engine.ts'
import { FaultyLog, type LogFaults } from './faulty-log.ts'
import { type ReferenceRule, reference } from './reference.ts'

export const APPLICATION = 'app'
/** No test waits longer than this for anything, ms. */
const PATIENCE_MS = 30_000
/** No member is thrown out, and no batch waits for rules, unless a test asks for it, ms of the lab's fast clock. */
const LONG_MS = 1e9

export interface StartOptions {
  readonly application?: string
  readonly disk?: Disk
  readonly faults?: LogFaults
  readonly topics?: Topics
  readonly clock?: Clock
  readonly batchBytesMax?: number
  readonly sessionTimeoutMs?: number
  readonly tickAfterMs?: number
  readonly standby?: number
  readonly limits?: BatchLimits
  /** Default: JSON by the schemas that come with Onceward. */
  readonly normalize?: typeof normalize
  readonly schemas?: SchemaLoader
  /** How old the rules may be when a batch begins, ms; by default they never are too old. */
  readonly rulesAgeMsMax?: number
  /** How long a failed partition waits for its next try, ms; default 1,000. */
  readonly failedRetryMs?: number
}

/** What the lab shows after a run: the committed output, read back from the topics. */
export interface Results {
  readonly scores: ScoreRecord[]
  /** The first record about each reward: it was earned, whether the gates let it pass or not. */
  readonly rewards: (RewardTask | FrozenRewardTask)[]
  readonly dlq: DlqRecord[]
}

/** A log, its topics and rules, and any number of workers that come and go. */
export class Lab {
  readonly log: EmbeddedLog
  readonly clock: Clock
  readonly topics: Topics = topicNames()
  readonly partitions: number
  /** All that was produced, in order. */
  readonly lines: string[] = []
  readonly #workers: RunningWorker[] = []

  private constructor(log: EmbeddedLog, clock: Clock, partitions: number) {
    this.log = log
    this.clock = clock
    this.partitions = partitions
  }

  static async open(
    options: { partitions?: number; rules?: Readonly<Record<string, string>>; retentionMs?: number } = {},
  ) {
    const { partitions = 2, rules = {}, retentionMs } = options
    const clock = fastClock()
    const log = await openEmbeddedLog({ kv: memoryKv(), clock, maintenanceIntervalMs: 0, rebalanceTimeoutMs: LONG_MS })
    const lab = new Lab(log, clock, partitions)
    const { events, control, scores, rewards, dlq } = lab.topics
    await log.createTopics([
      { topic: events, partitions, cleanup: 'delete', ...(retentionMs === undefined ? {} : { retentionMs }) },
      { topic: control, partitions: 1, cleanup: 'compact' },
      ...[scores, rewards, dlq].map((topic) => ({ topic, partitions, cleanup: 'delete' as const })),
    ])
    if (Object.keys(rules).length > 0) await lab.publish(rules)
    return lab
  }

  async publish(files: Readonly<Record<string, string>>, clock: Clock = this.clock): Promise<PublicationPlan> {
    const loaded = loadRules(Object.entries(files).map(([file, text]) => ({ file, text })))
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
    return publishRules({ log: this.log, clock, logger: silentLogger, topic: this.topics.control, rules: loaded.rules })
  }

  /** Appends events, keyed by user; the ingest time is the event's own. What is no event goes where its text leads. */
  async produce(lines: readonly string[]): Promise<void> {
    const producer = await this.log.producer()
    await producer.send(
      lines.map((value) => {
        const event = normalize(Buffer.from(value))
        const [key, timestamp] = event.kind === 'event' ? [event.event.userId, event.event.ts] : [null, 0]
        return {
          topic: this.topics.events,
          partition: partitionOf(key ?? value, this.partitions),
          key,
          value,
          timestamp,
        }
      }),
    )
    this.lines.push(...lines)
    await producer.close()
  }

  /** Moves the event time of every partition to `ts`. */
  async tick(ts: number): Promise<void> {
    const producer = await this.log.producer()
    await producer.send(this.#numbers().map((p) => tickRecord(this.topics.events, p, { ts, ingestTs: ts })))
    await producer.close()
  }

  start(options: StartOptions = {}): RunningWorker {
    const running = new RunningWorker(this, options)
    this.#workers.push(running)
    return running
  }

  async createOutputs(prefix: string): Promise<Topics> {
    const { scores, rewards, dlq } = topicNames(prefix)
    await this.log.createTopics(
      [scores, rewards, dlq].map((topic) => ({ topic, partitions: this.partitions, cleanup: 'delete' as const })),
    )
    return { ...this.topics, scores, rewards, dlq }
  }

  /** Waits until `holds`; a worker that ends meanwhile with an error ends the wait, too. */
  async until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    const failed = (): RunningWorker | undefined => this.#workers.find(({ failure, watched }) => watched && failure)
    await vi.waitFor(
      async () => {
        if (failed() === undefined && !(await holds())) throw new Error(`waited in vain until ${what}`)
      },
      { timeout: PATIENCE_MS, interval: 2 },
    )
    const worker = failed()
    if (worker !== undefined) throw worker.failure
  }

  caughtUp(application = APPLICATION): Promise<void> {
    return this.until('every event is processed', () => this.isCaughtUp(application))
  }

  async isCaughtUp(application = APPLICATION): Promise<boolean> {
    const inputs = this.#numbers().map((partition) => ({ topic: this.topics.events, partition }))
    // The answer waits for open transactions; one that a dead worker left stays open until the next worker settles it.
    const open = nextTurn().then(() => undefined)
    const committed = await Promise.race([this.log.committed(application, inputs).catch(() => undefined), open])
    const bounds = await this.log.bounds(inputs)
    return bounds.every(({ end }, i) => end === 0 || committed?.[i] === end)
  }

  /** The sum of all committed positions. */
  async processed(application = APPLICATION): Promise<number> {
    const inputs = this.#numbers().map((partition) => ({ topic: this.topics.events, partition }))
    return (await this.log.committed(application, inputs)).reduce<number>((sum, offset) => sum + (offset ?? 0), 0)
  }

  async results(topics: Topics = this.topics): Promise<Results> {
    return {
      scores: await this.#values<ScoreRecord>(topics.scores),
      rewards: (await this.rewardRecords(topics)).filter(isEarned),
      dlq: await this.#values<DlqRecord>(topics.dlq),
    }
  }

  /** All that stands on the topic of reward tasks: what became of rewards, and what became known of players. */
  rewardRecords(topics: Topics = this.topics): Promise<(RewardRecord | PlayerChanged)[]> {
    return this.#values(topics.rewards)
  }

  async read(partition: TopicPartition): Promise<LogRecord[]> {
    const reader = await this.log.reader(partition)
    const [bounds] = await this.log.bounds([partition])
    const records: LogRecord[] = []
    for (let at = bounds?.earliest ?? 0; at < (bounds?.end ?? 0); ) {
      const batch = await reader.read(at)
      records.push(...batch.records)
      at = batch.nextOffset
    }
    await reader.close()
    return records
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((running) => running.stop()))
    await this.log.close()
  }

  async #values<T>(topic: string): Promise<T[]> {
    const values: T[] = []
    for (const partition of this.#numbers()) {
      for (const { value } of await this.read({ topic, partition })) values.push(JSON.parse(String(value)) as T)
    }
    return values
  }

  #numbers(): number[] {
    return Array.from({ length: this.partitions }, (_, partition) => partition)
  }
}

/** One worker process. */
export class RunningWorker {
  readonly worker: Worker
  readonly disk: Disk
  readonly log: FaultyLog
  /** What was decided at each opening of a partition: ready, replay-tail or rebuild. */
  readonly decisions: string[] = []
  /** The partition of each decision. */
  readonly opened: number[] = []
  readonly reasons: string[] = []
  readonly infos: string[] = []
  readonly warnings: string[] = []
  readonly errors: string[] = []
  batches = 0
  failure: unknown
  /** False: the test expects this worker to fail. */
  watched = true
  readonly ended: Promise<void>

  constructor(lab: Lab, options: StartOptions) {
    this.disk = options.disk ?? new Disk()
    this.log = new FaultyLog(lab.log, options.faults ?? {})
    this.worker = new Worker({
      log: this.log,
      clock: options.clock ?? lab.clock,
      logger: this.#logger(),
      metrics: silentMetrics,
      application: options.application ?? APPLICATION,
      topics: options.topics ?? lab.topics,
      normalize: options.normalize ?? normalize,
      schemas: options.schemas,
      openStore: (partition) => this.disk.open(partition),
      reorderWindowMs: 60_000,
      dedupeWindowMs: DAY_MS,
      tickAfterMs: options.tickAfterMs ?? 365 * DAY_MS,
      sessionTimeoutMs: options.sessionTimeoutMs ?? LONG_MS,
      batchBytesMax: options.batchBytesMax ?? 8_000,
      failedRetryMs: options.failedRetryMs ?? 1_000,
      rulesAgeMsMax: options.rulesAgeMsMax ?? LONG_MS,
      ...(options.standby === undefined ? {} : { standby: options.standby }),
      ...(options.limits === undefined ? {} : { limits: options.limits }),
      onBatch: () => void this.batches++,
    })
    this.ended = this.worker.run().catch((error: unknown) => {
      this.failure = error
    })
  }

  /** The process dies where it stands; what it wrote is on its disk. */
  async kill(): Promise<void> {
    this.watched = false
    this.log.kill()
    this.disk.crash()
    await this.ended
  }

  /** Stops in good order; idempotent. */
  async stop(): Promise<void> {
    await this.worker.stop()
    await this.ended
  }

  /** The error that the worker ends with. */
  async fails(): Promise<unknown> {
    this.watched = false
    await vi.waitFor(
      () => {
        if (this.failure === undefined) throw new Error('waited in vain for the worker to fail')
      },
      { timeout: PATIENCE_MS, interval: 2 },
    )
    return this.failure
  }

  #logger(): Logger {
    const info = (fields: object, message: string): void => {
      this.infos.push(message)
      if ('decision' in fields) {
        this.decisions.push(String(fields.decision))
        this.reasons.push(message)
        if ('partition' in fields) this.opened.push(Number(fields.partition))
      }
    }
    const warn = (fields: object, message: string): void =>
      void this.warnings.push('error' in fields ? `${message}: ${String(fields.error)}` : message)
    const error = (_fields: object, message: string): void => void this.errors.push(message)
    return { ...silentLogger, info, warn, error, child: () => this.#logger() }
  }
}

/** The committed output equals what the plain reference makes of the input, each score and reward once. */
export async function expectReference(lab: Lab, rules: readonly ReferenceRule[], topics = lab.topics): Promise<void> {
  const results = await lab.results(topics)
  const expected = reference(lab.lines, { rules, partitionOf: (user) => partitionOf(user, lab.partitions) })
  expect(pointsOf(results)).toEqual(expected.points)
  expect(rewardsOf(results)).toEqual(expected.rewards)
  const dlq = { schema: 0, future: 0, late: 0 }
  for (const { reason } of results.dlq)
    if (reason === 'schema' || reason === 'future' || reason === 'late') dlq[reason]++
  expect(dlq).toEqual(expected.dlq)
  expectUnique(results.scores.map(({ scoring_key }) => scoring_key))
  expectUnique(results.rewards.map(({ reward_task_id }) => reward_task_id))
  expectUnique(results.dlq.map(({ source }) => JSON.stringify(source)))
}

/** I2: the store without stamp and index is the fold of the changelog; the index is that of the chunks. */
export async function expectFold(lab: Lab, disk: Disk, partition: number, application = APPLICATION): Promise<void> {
  const folded = new Map<string, string>()
  for (const { key, value } of await lab.read({ topic: changelogTopic(application), partition })) {
    const name = key?.toString('latin1') ?? ''
    if (value === null) folded.delete(name)
    else folded.set(name, value.toString('latin1'))
  }
  const stored = new Map<string, string>()
  const index = new Map<string, number>()
  const chunks = new Map<string, number>()
  for await (const [key, value] of disk.store(partition).range({ gte: Buffer.from([0]), lt: Buffer.from([255]) })) {
    const name = key.toString('latin1')
    if (name === '!stamp') continue
    if (name.startsWith('s')) {
      index.set(name.slice(1), decodeSeenTime(value))
      continue
    }
    stored.set(name, value.toString('latin1'))
    if (!name.startsWith('x')) continue
    for (const { hash, ts } of decodeSeenChunk(hourOfChunkKey(key), value)) {
      chunks.set(hash, Math.max(ts, chunks.get(hash) ?? ts))
    }
  }
  expect(sorted(stored)).toEqual(sorted(folded))
  expect(sorted(index)).toEqual(sorted(chunks))
}

/** Points by `user|rule`, those above zero. */
export function pointsOf({ scores }: Results): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const { user_id, rule_id, points } of scores) {
    if (points > 0) sums[`${user_id}|${rule_id}`] = (sums[`${user_id}|${rule_id}`] ?? 0) + points
  }
  return sums
}

export function rewardsOf({ rewards }: Results): string[] {
  return rewards
    .map(({ user_id, origin: { rule_id, period, threshold } }) =>
      [user_id, rule_id, ...(period === 'all' ? [] : [period]), threshold].join('|'),
    )
    .sort()
}

/** Every value of scores and rewards, in an order that does not depend on who wrote it when. */
export function valuesOf({ scores, rewards }: Results): string[] {
  return [...scores, ...rewards].map((value) => JSON.stringify(value)).sort()
}

/** The rules of the files, asked to be scored in the strict lane. */
export function strictly(files: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([file, text]) => [file, `${text}ordering: strict\n`]))
}

function expectUnique(names: readonly string[]): void {
  const seen = new Set<string>()
  expect(names.filter((name) => seen.size === seen.add(name).size)).toEqual([])
}

function sorted<V>(map: ReadonlyMap<string, V>): [string, V][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
}
