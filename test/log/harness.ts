import { expect, vi } from 'vitest'
import { assert } from '../../core/assert.ts'
import { hasCode } from '../../core/errors.ts'
import type {
  GroupConsumer,
  GroupControl,
  GroupHandler,
  Log,
  LogRecord,
  MemberMemory,
  OutRecord,
  RecordBatch,
  TopicPartition,
  TopicSpec,
} from '../../core/ports/log.ts'

/** A log under test. `reopen` closes it and opens it again on the same data, as a restarted process would. */
export interface OpenedLog {
  readonly log: Log
  readonly reopen?: () => Promise<Log>
  /** Closes the log (if it still is open) and removes what `open` made. */
  close(): Promise<void>
}

/** A transaction that has appended its records and not ended. */
export interface OpenTransaction {
  commit(): Promise<void>
  abort(): Promise<void>
}

/** What the log under test can do besides the port, so that the suite can reach states the port alone never shows. */
export interface LogFeatures {
  /** Milliseconds within which a rebalance, or anything else that is waited for, must have happened. */
  readonly patienceMs: number
  /** The shortest session time-out that the log takes, in milliseconds; absent: expiry is not tested. */
  readonly sessionTimeoutMs?: number
  /**
   * Begins a transaction under `transactionalId`, appends `records` (flushed: they lie in the partition) and leaves it
   * open. The port has only whole commits, so each adapter's test brings this; absent: such tests are skipped.
   */
  openTransaction?(log: Log, transactionalId: string, records: readonly OutRecord[]): Promise<OpenTransaction>
  /** Makes compaction of the partition happen, and removal of tombstones over their time; absent: not tested. */
  compact?(log: Log, partition: TopicPartition): Promise<void>
  /** Makes retention happen for records whose timestamp is an hour old; absent: not tested. */
  expire?(log: Log, partition: TopicPartition): Promise<void>
}

/** What every file of the suite gets. `log()` is the log now open: a test may have reopened it. */
export interface Subject {
  readonly log: () => Log
  readonly opened: () => OpenedLog
  readonly reopen: () => Promise<Log>
  readonly open: () => Promise<OpenedLog>
  readonly features: LogFeatures
}

let names = 0

/** A name that no other test, run or suite on the same cluster uses. */
export function unique(prefix: string): string {
  names += 1
  return `${prefix}-${process.pid.toString(36)}-${Date.now().toString(36)}-${names}`
}

export async function newTopic(log: Log, spec: Partial<TopicSpec> = {}): Promise<string> {
  const topic = unique('t')
  await log.createTopics([{ topic, partitions: 1, cleanup: 'delete', ...spec }])
  return topic
}

export function out(topic: string, value: string | Buffer | null, more: Partial<OutRecord> = {}): OutRecord {
  return { topic, partition: 0, key: null, value, timestamp: 1_700_000_000_000, ...more }
}

/** `count` records with the values `<prefix>0`, `<prefix>1`, … */
export function outs(topic: string, prefix: string, count: number, partition = 0): OutRecord[] {
  return Array.from({ length: count }, (_, i) => out(topic, `${prefix}${i}`, { partition, key: `k${i}` }))
}

export async function sendAll(log: Log, records: readonly OutRecord[]): Promise<void> {
  const producer = await log.producer()
  await producer.send(records)
  await producer.close()
}

/** Every committed record of the partition from `from` (default: the earliest) up to its end. */
export async function readAll(log: Log, partition: TopicPartition, from?: number): Promise<LogRecord[]> {
  const reader = await log.reader(partition)
  const [bounds] = await log.bounds([partition])
  let position = from ?? bounds?.earliest ?? 0
  const records: LogRecord[] = []
  while (position < (bounds?.end ?? 0)) {
    const batch = await reader.read(position)
    records.push(...batch.records)
    expect(batch.fetchOffset).toBe(position)
    expect(batch.nextOffset).toBeGreaterThan(position)
    position = batch.nextOffset
  }
  await reader.close()
  return records
}

/** The values as texts; a tombstone reads `(tombstone)`. */
export function textOf(records: readonly LogRecord[]): string[] {
  return records.map((record) => record.value?.toString() ?? '(tombstone)')
}

export async function readTexts(log: Log, topic: string, partition = 0): Promise<string[]> {
  return textOf(await readAll(log, { topic, partition }))
}

/** What a promise came to: its value under `ok`, or the code of its error. */
export async function outcome(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'ok'
  } catch (error) {
    if (hasCode(error, 'ONCEWARD_E_LOG_FENCED', 'ONCEWARD_E_LOG_COMMIT_UNKNOWN', 'ONCEWARD_E_LOG_CLOSED')) {
      return error.code
    }
    throw error
  }
}

export async function expectCode(promise: Promise<unknown>, code: string): Promise<void> {
  await expect(promise).rejects.toMatchObject({ code })
}

export function waitFor(condition: () => void, features: LogFeatures): Promise<void> {
  return vi.waitFor(condition, { timeout: features.patienceMs, interval: 10 })
}

export interface MemberOptions {
  readonly sessionTimeoutMs?: number
  readonly memory?: MemberMemory
  startOffset?(partition: TopicPartition): number | undefined
  /** Runs in place of the default, which remembers the records, commits the position and answers it. */
  batch?(batch: RecordBatch, control: GroupControl, member: Member): Promise<number>
  rebalanced?(change: { gained: readonly TopicPartition[]; lost: readonly TopicPartition[] }): Promise<void>
}

const nameOf = (partition: TopicPartition): string => `${partition.topic}/${partition.partition}`

/** A group member that records what it was told and checks, at every call, what the port promises about their order. */
export class Member implements GroupHandler {
  readonly consumer: GroupConsumer
  readonly records: LogRecord[] = []
  readonly owned = new Set<string>()
  readonly changes: { gained: string[]; lost: string[] }[] = []
  readonly #busy = new Set<string>()
  readonly #options: MemberOptions
  #running: Promise<void> | undefined
  /** Broken promises of the adapter, as sentences. */
  readonly violations: string[] = []
  batches = 0

  constructor(log: Log, group: string, topic: string, options: MemberOptions = {}) {
    this.#options = options
    const { sessionTimeoutMs, memory } = options
    this.consumer = log.consumer({
      group,
      topics: [topic],
      ...(sessionTimeoutMs ? { sessionTimeoutMs } : {}),
      ...(memory ? { memory } : {}),
    })
  }

  /** Starts and answers a promise of how `run` ends; keeps it from counting as unhandled. */
  start(): this {
    this.#running = this.consumer.run(this)
    this.#running.catch(() => undefined)
    return this
  }

  get running(): Promise<void> {
    return this.#running ?? Promise.reject(new Error('the member was not started'))
  }

  async stop(): Promise<void> {
    await this.consumer.stop()
    await this.running
    assert(this.violations.length === 0, this.violations.join('; '))
  }

  get texts(): string[] {
    return textOf(this.records)
  }

  /** Resolves once the group has given this member at least `count` partitions. */
  joined(features: LogFeatures, count = 1): Promise<void> {
    return waitFor(() => assert(this.owned.size >= count, `${this.owned.size} of ${count} partitions`), features)
  }

  async rebalanced(change: { gained: readonly TopicPartition[]; lost: readonly TopicPartition[] }): Promise<void> {
    const gained = change.gained.map(nameOf)
    const lost = change.lost.map(nameOf)
    for (const name of lost) if (!this.owned.delete(name)) this.violations.push(`lost ${name}, never gained`)
    for (const name of gained) if (this.owned.has(name)) this.violations.push(`gained ${name} twice`)
    await this.#options.rebalanced?.(change)
    for (const name of gained) this.owned.add(name)
    this.changes.push({ gained: gained.sort(), lost: lost.sort() })
  }

  startOffset(partition: TopicPartition): number | undefined {
    if (!this.owned.has(nameOf(partition))) this.violations.push(`start of ${nameOf(partition)} asked before its gain`)
    return this.#options.startOffset?.(partition)
  }

  async batch(batch: RecordBatch, control: GroupControl): Promise<number> {
    const name = nameOf(batch)
    if (!this.owned.has(name)) this.violations.push(`a batch of ${name}, which is not assigned`)
    if (this.#busy.has(name)) this.violations.push(`two batches of ${name} at once`)
    this.#busy.add(name)
    this.batches += 1
    try {
      return await (this.#options.batch?.(batch, control, this) ?? this.take(batch))
    } finally {
      this.#busy.delete(name)
    }
  }

  /** Commits the batch, then remembers its records; where the group refuses, reads it again instead. */
  async take(batch: RecordBatch): Promise<number> {
    const position = { topic: batch.topic, partition: batch.partition, offset: batch.nextOffset }
    try {
      await this.consumer.commit([position])
    } catch (error) {
      if (hasCode(error, 'ONCEWARD_E_LOG_FENCED')) return batch.fetchOffset
      throw error
    }
    this.records.push(...batch.records)
    return batch.nextOffset
  }
}
