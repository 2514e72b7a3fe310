import { OncewardError } from '../../core/errors.ts'
import type { JsonObject } from '../../core/model/event.ts'
import type { Log, LogRecord, TopicInfo } from '../../core/ports/log.ts'
import { committedRecords, missingTopic } from '../replay/records.ts'
import { type LetterSource, partitionCount } from './letters.ts'
import { type Decision, readReview } from './review-record.ts'

/**
 * What was decided so far, by letter. Decisions on the letters of partition p stand in partition p of the topic of reviews,
 * where nobody but the holder of p's transactional id writes: so whoever has just opened that id and reads to the end has
 * read all of them, whatever others are about to commit elsewhere.
 */
export class Reviews {
  readonly #source: LetterSource
  readonly #decisions = new Map<string, Decision>()
  readonly #positions = new Map<number, number>()

  private constructor(source: LetterSource) {
    this.#source = source
  }

  /** Throws ONCEWARD_E_LOG_TOPIC_MISSING, and ONCEWARD_E_LOG_REFUSED where the topics do not fit each other. */
  static async open(source: LetterSource): Promise<Reviews> {
    const { log, topics } = source
    const letters = await existing(log, topics.dlq)
    const reviews = await existing(log, topics.dlqReviews)
    if (reviews.partitions < letters.partitions) {
      const message = `${topics.dlqReviews} has ${reviews.partitions} partitions and ${topics.dlq} has ${letters.partitions}; give ${topics.dlqReviews} as many, since decisions stand in the partition of their letter`
      throw new OncewardError('ONCEWARD_E_LOG_REFUSED', message)
    }
    if ((reviews.retentionMs ?? Number.POSITIVE_INFINITY) < (letters.retentionMs ?? Number.POSITIVE_INFINITY)) {
      const message = `${topics.dlqReviews} keeps records for a shorter time than ${topics.dlq}; set its retention.ms to twice that of ${topics.dlq}, since a letter that outlives its decision could be decided once more`
      throw new OncewardError('ONCEWARD_E_LOG_REFUSED', message)
    }
    return new Reviews(source)
  }

  of(letter: string): Decision | undefined {
    return this.#decisions.get(letter)
  }

  /** Reads on to the end of one partition. */
  async catchUp(partition: number): Promise<void> {
    const { log, topics } = this.#source
    const from = this.#positions.get(partition) ?? 0
    for await (const records of committedRecords(log, { topic: topics.dlqReviews, partition }, { from })) {
      for (const record of records) this.#take(record)
      this.#positions.set(partition, (records.at(-1)?.offset ?? from) + 1)
    }
  }

  async catchUpAll(): Promise<void> {
    const count = await partitionCount(this.#source.log, this.#source.topics.dlq)
    for (let partition = 0; partition < count; partition++) await this.catchUp(partition)
  }

  #take({ value }: LogRecord): void {
    const review = readReview(value)
    // R1: there is one. Were there another, the first would have been carried out as well.
    if (review !== undefined && !this.#decisions.has(review.letter)) {
      this.#decisions.set(review.letter, review.decision)
    }
  }
}

async function existing(log: Log, topic: string): Promise<TopicInfo> {
  const info = await log.topic(topic)
  if (info === undefined) throw missingTopic(topic)
  return info
}

/** The whole record of the decision on one letter; undefined where there is none. */
export async function reviewOf(
  { log, topics }: LetterSource,
  { id, partition }: { readonly id: string; readonly partition: number },
): Promise<JsonObject | undefined> {
  if ((await log.topic(topics.dlqReviews)) === undefined) throw missingTopic(topics.dlqReviews)
  for await (const records of committedRecords(log, { topic: topics.dlqReviews, partition })) {
    for (const { value } of records) {
      const review = readReview(value)
      if (review?.letter === id) return review.record
    }
  }
  return undefined
}
