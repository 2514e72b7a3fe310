import { OncewardError } from '../../core/errors.ts'
import type { Log, LogRecord, PartitionReader, TopicPartition } from '../../core/ports/log.ts'
import type { Topics } from '../../core/topics.ts'
import { committedRecords, missingTopic, partitionsOf } from '../replay/records.ts'
import { type Letter, readLetter } from './letter.ts'

export interface LetterSource {
  readonly log: Log
  readonly topics: Topics
}

/** Throws ONCEWARD_E_LOG_TOPIC_MISSING. */
export async function partitionCount(log: Log, topic: string): Promise<number> {
  const info = await log.topic(topic)
  if (info === undefined) throw missingTopic(topic)
  return info.partitions
}

/** Every record of the topic from `after` on, in the order of their ids: read as a letter, or undefined where it is none. */
export async function* allLetters(
  { log, topics }: LetterSource,
  after?: { readonly partition: number; readonly offset: number },
): AsyncGenerator<readonly (Letter | undefined)[]> {
  const count = await partitionCount(log, topics.dlq)
  for (const id of partitionsOf(topics.dlq, count)) {
    if (after !== undefined && id.partition < after.partition) continue
    const from = after?.partition === id.partition ? { from: after.offset + 1 } : {}
    for await (const records of committedRecords(log, id, from)) {
      yield records.map((record) => readLetter(record, topics))
    }
  }
}

/**
 * The letters at `offsets` (ascending) of one partition, one after the other; undefined where none stands there, or no
 * longer. Between two that lie far apart nothing is read.
 */
export async function* lettersAt(
  source: LetterSource,
  partition: number,
  offsets: readonly number[],
): AsyncGenerator<{ readonly offset: number; readonly letter: Letter | undefined }> {
  const { log, topics } = source
  const at = new RecordsAt(log, { topic: topics.dlq, partition })
  try {
    for (const offset of offsets) {
      const record = await at.record(offset)
      yield { offset, letter: record === undefined ? undefined : readLetter(record, topics) }
    }
  } finally {
    await at.close()
  }
}

const READ_BYTES = 1 << 20

/** Reads single records of one partition; those that lie together are read together. */
export class RecordsAt {
  readonly #log: Log
  readonly #id: TopicPartition
  #reader: PartitionReader | undefined
  #known: { readonly records: readonly LogRecord[]; readonly from: number; readonly next: number } | undefined

  constructor(log: Log, id: TopicPartition) {
    this.#log = log
    this.#id = id
  }

  /** The committed record at `offset`; undefined where there is none, or where retention has taken it. */
  async record(offset: number): Promise<LogRecord | undefined> {
    for (let known = this.#known; ; known = this.#known) {
      if (known !== undefined && offset >= known.from && offset < known.next) {
        return known.records.find((record) => record.offset === offset)
      }
      if (!(await this.#read(offset))) return undefined
    }
  }

  /** Reads a batch from `offset` on; false where there is nothing. */
  async #read(offset: number): Promise<boolean> {
    try {
      if (this.#reader === undefined) {
        const topic = await this.#log.topic(this.#id.topic)
        if (topic === undefined || this.#id.partition >= topic.partitions) return false
        this.#reader = await this.#log.reader(this.#id)
      }
      const batch = await this.#reader.read(offset, { bytesMax: READ_BYTES })
      if (batch.nextOffset <= offset) return false
      this.#known = { records: batch.records, from: offset, next: batch.nextOffset }
      return true
    } catch (error) {
      if (error instanceof OncewardError && error.code === 'ONCEWARD_E_LOG_OFFSET_OUT_OF_RANGE') return false
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#reader?.close()
  }
}

/** Learns the schemas of events in Avro before they are read; rejects where the registry cannot be asked. */
export type Learn = (events: readonly { readonly value: Buffer | null }[]) => Promise<void>

/** The whole of what was set aside, or why it cannot be had any more, as a sentence. */
export type Whole = { readonly ok: true; readonly bytes: Buffer } | { readonly ok: false; readonly detail: string }

/** The exact bytes; read from where they came from if the letter had to cut them. */
export async function wholeOf(log: Log, { record }: Letter): Promise<Whole> {
  const { raw, raw_base64: exact, raw_bytes: bytes, source } = record
  const kept = exact === undefined ? Buffer.from(raw) : Buffer.from(exact, 'base64')
  if (bytes === undefined) return { ok: true, bytes: kept }
  const cut = `the letter holds ${kept.length} of its ${bytes} bytes`
  if (source === null) return { ok: false, detail: `${cut}, and it did not come from the log; only a drop is left` }
  const { topic, partition, offset } = source
  const at = new RecordsAt(log, { topic, partition })
  try {
    const found = await at.record(offset)
    const whole = found?.value ?? undefined
    const place = `${topic}[${partition}]@${offset}`
    if (whole === undefined) return { ok: false, detail: `${cut}, and the log no longer holds the rest at ${place}` }
    if (whole.length !== bytes || !startsAlike(whole, kept)) {
      return { ok: false, detail: `${cut}, and something else stands at ${place} now; the topic was made anew` }
    }
    return { ok: true, bytes: whole }
  } finally {
    await at.close()
  }
}

/** The letter's cut may have gone through a character, whose bytes are then kept apart: only in `raw_base64` are they exact. */
function startsAlike(whole: Buffer, kept: Buffer): boolean {
  return whole.subarray(0, kept.length).equals(kept)
}
