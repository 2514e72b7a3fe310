/** The embedded log in memory with dead letters on it, and people at desks. */
import { type EmbeddedLog, openEmbeddedLog } from '../../connectors/log/embedded/log.ts'
import type { Clock } from '../../core/clock.ts'
import type { DlqReason, DlqRecord } from '../../core/model/dlq.ts'
import type { LogRecord, OutRecord } from '../../core/ports/log.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import type { LetterOutcome, LetterView, ReviewDesk, ReviewOrder } from '../../core/ports/review.ts'
import { seededRandom } from '../../core/random.ts'
import { topicNames } from '../../core/topics.ts'
import { publishRules } from '../../pipeline/publish-rules.ts'
import { committedRecords } from '../../pipeline/replay/records.ts'
import { Desk, type DeskOptions } from '../../pipeline/review/desk.ts'
import { loadRules } from '../../rules/load.ts'
import { memoryKv } from '../../state/memory-kv.ts'
import { fastClock } from '../support/clocks.ts'
import { normalize } from '../support/engine.ts'

export const TOPICS = topicNames('t.')
export const DAY = Date.UTC(2025, 10, 3)

export interface TestDesk {
  readonly desk: ReviewDesk
  /** Carries out, and answers all outcomes. */
  run(order: ReviewOrder, ids?: readonly string[]): Promise<LetterOutcome[]>
  forecast(order: ReviewOrder, ids?: readonly string[]): Promise<LetterOutcome[]>
}

function keeping(retentionMs: number | undefined): { readonly retentionMs?: number } {
  return retentionMs === undefined ? {} : { retentionMs }
}

export class ReviewLab {
  readonly log: EmbeddedLog
  readonly clock: Clock
  #desks = 0

  private constructor(log: EmbeddedLog, clock: Clock) {
    this.log = log
    this.clock = clock
  }

  static async open(
    options: {
      partitions?: number
      reviewPartitions?: number
      clock?: Clock
      retentionMs?: { readonly dlq?: number; readonly dlqReviews?: number }
    } = {},
  ): Promise<ReviewLab> {
    const { partitions = 2, reviewPartitions = partitions, clock = fastClock(), retentionMs = {} } = options
    const log = await openEmbeddedLog({ kv: memoryKv(), clock, maintenanceIntervalMs: 0 })
    const { events, control, dlq, dlqReviews, rewards } = TOPICS
    await log.createTopics([
      { topic: control, partitions: 1, cleanup: 'compact' },
      ...[events, rewards].map((topic) => ({ topic, partitions, cleanup: 'delete' as const })),
      { topic: dlq, partitions, cleanup: 'delete', ...keeping(retentionMs.dlq) },
      { topic: dlqReviews, partitions: reviewPartitions, cleanup: 'delete', ...keeping(retentionMs.dlqReviews) },
    ])
    return new ReviewLab(log, clock)
  }

  async publish(...texts: readonly string[]): Promise<void> {
    const loaded = loadRules(texts.map((text, index) => ({ file: `rule-${index}.yaml`, text })))
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
    const { log, clock } = this
    await publishRules({ log, clock, logger: silentLogger, topic: TOPICS.control, rules: loaded.rules })
  }

  async append(...records: readonly OutRecord[]): Promise<void> {
    const producer = await this.log.producer()
    await producer.send(records)
    await producer.close()
  }

  /** Writes letters, one after the other over the partitions; answers their ids. */
  async post(letters: readonly DlqRecord[], at = DAY): Promise<string[]> {
    const partitions = (await this.log.topic(TOPICS.dlq))?.partitions ?? 1
    const records = letters.map((letter, index) => {
      const record = { topic: TOPICS.dlq, partition: index % partitions, key: letter.user_id ?? null }
      return { ...record, value: JSON.stringify(letter), timestamp: at + index }
    })
    await this.append(...records)
    const ids: string[] = []
    for (let partition = 0; partition < partitions; partition++) {
      ids.push(...(await this.read(TOPICS.dlq, partition)).map(({ offset }) => `${partition}-${offset}`))
    }
    return ids.slice(-letters.length)
  }

  deskOptions(): DeskOptions {
    const name = `desk${++this.#desks}`
    let commands = 0
    return {
      log: this.log,
      topics: TOPICS,
      prefix: 't.',
      clock: this.clock,
      random: seededRandom(1),
      logger: silentLogger,
      audit: undefined,
      learn: undefined,
      normalize,
      nextCommandId: () => `${name}-${++commands}`,
      reorderWindowMs: 60_000,
      dedupeWindowMs: 86_400_000,
    }
  }

  /** Somebody's desk, on `log` where they see it differently. */
  desk(given: Partial<DeskOptions> = {}): TestDesk {
    const desk = new Desk({ ...this.deskOptions(), ...given })
    const all = async (ids: readonly string[] | undefined): Promise<readonly string[]> =>
      ids ?? (await collect(desk.letters({ states: ['open'] }))).map(({ id }) => id)
    return {
      desk,
      run: async (order, ids) => (await collect(desk.carryOut(order, await all(ids)))).flat(),
      forecast: async (order, ids) => (await collect(desk.forecast(order, await all(ids)))).flat(),
    }
  }

  async read(topic: string, partition?: number): Promise<LogRecord[]> {
    const count = (await this.log.topic(topic))?.partitions ?? 0
    const found: LogRecord[] = []
    for (let p = 0; p < count; p++) {
      if (partition !== undefined && p !== partition) continue
      for await (const records of committedRecords(this.log, { topic, partition: p })) found.push(...records)
    }
    return found
  }

  async values(topic: string): Promise<Record<string, unknown>[]> {
    return (await this.read(topic)).map(({ value }) => JSON.parse(String(value)) as Record<string, unknown>)
  }

  close(): Promise<void> {
    return this.log.close()
  }
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

export async function one(desk: ReviewDesk, id: string): Promise<LetterView> {
  const found = (await collect(desk.letters({}))).find((letter) => letter.id === id)
  if (found === undefined) throw new Error(`there is no letter ${id}`)
  return found
}

/** A bet as it should be; `change` of its fields. */
export function bet(id: string, change: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    event_id: id,
    event_name: 'bet',
    version: '1.0.0',
    ts: new Date(DAY).toISOString(),
    user: { id: 'u_1', geo: 'TR' },
    context: {},
    payload: { bet: 1, win: 2, currency: 'EUR' },
    ...change,
  }
}

/** A letter about an event, as a worker writes it. */
export function letterOf(event: Record<string, unknown> | string, change: Partial<DlqRecord> = {}): DlqRecord {
  const reason: DlqReason = 'schema'
  return {
    type: 'dlq',
    reason,
    detail: 'payload.bet is the text "1"; it must be a number in a "bet" event',
    source: { topic: TOPICS.events, partition: 0, offset: 0 },
    raw: typeof event === 'string' ? event : JSON.stringify(event),
    ...change,
  }
}

/** A letter about a reward, as a sink writes it. */
export function taskLetter(taskId: string, change: Partial<DlqRecord> = {}): DlqRecord {
  const raw = JSON.stringify({
    type: 'reward_task.created',
    reward_task_id: taskId,
    user_id: 'u_1',
    origin: { rule_id: 'r_a' },
  })
  const source = { topic: TOPICS.rewards, partition: 0, offset: 0 }
  return {
    type: 'dlq',
    reason: 'payout',
    detail: 'the partner refused it: 422',
    user_id: 'u_1',
    source,
    raw,
    ...change,
  }
}

export const ANN = { actor: 'ann', reason: undefined } as const
export const BOB = { actor: 'bob', reason: 'ticket 1' } as const
export const REPROCESS: ReviewOrder = { ...ANN, name: 'reprocess' }
export const DROP: ReviewOrder = { ...BOB, name: 'drop' }

export function fixing(set: readonly string[], unset: readonly string[] = []): ReviewOrder {
  return { ...ANN, name: 'fix', fix: { kind: 'changes', set, unset, when: undefined, allowIds: false } }
}
