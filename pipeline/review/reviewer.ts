/**
 * Carries out what ./decide.ts says, so that R1 and R2 hold whoever else works on the same letters. For each partition of
 * the letters:
 * 1. a look without any id: who has nothing to write gets in nobody's way
 * 2. the partition's transactional id is opened: whoever held it can commit nothing any more, and what they left is settled
 * 3. the reviews of the partition are read to their end: nobody adds to them before 4, unless 4 fails
 * 4. some hundred letters are decided, and what is sent is committed together with the decisions, again and again
 * Where 4 is fenced, somebody has done 2 meanwhile: nothing of the chunk was done, and it begins anew at 1, after a while.
 * Where nobody knows what came of 4, 2 settles it and 3 tells.
 */
import type { Clock } from '../../core/clock.ts'
import { hasCode } from '../../core/errors.ts'
import type { AuditLog } from '../../core/ports/audit.ts'
import type { TransactionalProducer } from '../../core/ports/log.ts'
import type { Logger } from '../../core/ports/logger.ts'
import type { LetterOutcome } from '../../core/ports/review.ts'
import type { Random } from '../../core/random.ts'
import { placeOf } from './letter.ts'
import { type Learn, type LetterSource, lettersAt, wholeOf } from './letters.ts'
import {
  type Opened,
  outcomeOf,
  type Planned,
  planAll,
  recordsOf,
  tasksOf,
  unknownLetter,
  type Work,
  writes,
} from './planning.ts'
import type { Resending } from './resending.ts'
import { Reviews } from './reviews.ts'

export interface ReviewerParts extends LetterSource {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Begins the names of the transactional ids: the prefix of the topics. */
  readonly prefix: string
  readonly audit: AuditLog | undefined
  /** Undefined: no event is in Avro. */
  readonly learn: Learn | undefined
}

/** Letters in one transaction. */
export const CHUNK_LETTERS_MAX = 500
/** Bytes of what was set aside, in one transaction. */
const CHUNK_BYTES_MAX = 8 << 20
/** Races lost in a row before it gives up: with waits that grow, several minutes. */
const RACES_MAX = 50
const WAIT_MS_MIN = 50
const WAIT_MS_MAX = 5_000

/** What cannot be asked of `parts`: it depends on the command. */
export interface Ordered extends Work {
  readonly resending: Resending | undefined
}

/** Outcomes in no certain order, each id once. Stopping to iterate stops between two transactions. */
export async function* carryOut(
  parts: ReviewerParts,
  order: Ordered,
  ids: readonly string[],
): AsyncGenerator<readonly LetterOutcome[]> {
  const reviews = await Reviews.open(parts)
  for (const [partition, offsets] of placesOf(ids)) {
    if (partition === undefined) {
      yield offsets.map(unknown)
      continue
    }
    const desk = new PartitionDesk(parts, order, { reviews, partition })
    try {
      for await (const chunk of chunksOf(parts, partition, offsets)) {
        if (chunk.missing.length > 0) yield chunk.missing.map(unknown)
        if (chunk.opened.length > 0) yield await desk.decide(chunk.opened)
      }
    } finally {
      await desk.close()
    }
  }
}

/** The same without doing anything: no transactional id is opened (R7). */
export async function* forecast(
  parts: ReviewerParts,
  order: Ordered,
  ids: readonly string[],
): AsyncGenerator<readonly LetterOutcome[]> {
  const reviews = await Reviews.open(parts)
  for (const [partition, offsets] of placesOf(ids)) {
    if (partition === undefined) {
      yield offsets.map(unknown)
      continue
    }
    for await (const { opened, missing } of chunksOf(parts, partition, offsets)) {
      if (opened.length > 0) await reviews.catchUp(partition)
      const planned = planAll(order, opened, { decisionOf: (id) => reviews.of(id), now: parts.clock.now() })
      const resents = (await order.resending?.forecast(tasksOf(planned))) ?? new Map<string, never>()
      yield [...missing.map(unknown), ...planned.map((one) => outcomeOf(one, order.commandId, resents))]
    }
  }
}

/** One partition's letters, decided under its transactional id. */
class PartitionDesk {
  readonly #parts: ReviewerParts
  readonly #order: Ordered
  readonly #reviews: Reviews
  readonly #partition: number
  #producer: TransactionalProducer | undefined

  constructor(
    parts: ReviewerParts,
    order: Ordered,
    { reviews, partition }: { readonly reviews: Reviews; readonly partition: number },
  ) {
    this.#parts = parts
    this.#order = order
    this.#reviews = reviews
    this.#partition = partition
  }

  async decide(opened: readonly Opened[]): Promise<readonly LetterOutcome[]> {
    const { clock, random, logger } = this.#parts
    for (let race = 1; ; race++) {
      try {
        return await this.#attempt(opened)
      } catch (error) {
        // After any failure the producer is of no use any more.
        await this.close()
        if (hasCode(error, 'ONCEWARD_E_LOG_RECORD_TOO_LARGE')) return this.#smaller(opened, error.message)
        if (!hasCode(error, 'ONCEWARD_E_LOG_FENCED', 'ONCEWARD_E_LOG_COMMIT_UNKNOWN') || race === RACES_MAX) throw error
        logger.info({ partition: this.#partition, race, code: error.code }, 'somebody else decides too; looking again')
        await clock.sleep(random() * Math.min(WAIT_MS_MAX, WAIT_MS_MIN * 2 ** race))
      }
    }
  }

  async #attempt(opened: readonly Opened[]): Promise<readonly LetterOutcome[]> {
    const { log, clock, prefix } = this.#parts
    if (this.#producer === undefined) {
      await this.#reviews.catchUp(this.#partition)
      const look = this.#plan(opened)
      // It may be all done, where the answer to the commit was lost.
      if (!look.some(writes)) return this.#told(this.#outcomes(look, new Map()))
      this.#producer = await log.transactional(`${prefix}dlq-review-${this.#partition}`)
      await this.#reviews.catchUp(this.#partition)
    }
    const planned = this.#plan(opened)
    await this.#audit(
      'command',
      planned.filter(writes).map(({ letter }) => letter.id),
    )
    // The ledger first: it knows a reward that it has sent again, so that a repeat changes nothing there.
    const resents = (await this.#order.resending?.resend(tasksOf(planned))) ?? new Map<string, never>()
    const now = clock.now()
    const records = planned.flatMap((one) => recordsOf(one, this.#order, { resents, now }))
    if (records.length > 0) await this.#producer.commit({ records })
    return this.#told(this.#outcomes(planned, resents))
  }

  async #told(outcomes: readonly LetterOutcome[]): Promise<readonly LetterOutcome[]> {
    await this.#audit(
      'decision',
      outcomes.flatMap((outcome) => (outcome.kind === 'done' ? [outcome.id] : [])),
    )
    return outcomes
  }

  #plan(opened: readonly Opened[]): Planned[] {
    return planAll(this.#order, opened, {
      decisionOf: (id) => this.#reviews.of(id),
      now: this.#parts.clock.now(),
    })
  }

  #outcomes(planned: readonly Planned[], resents: Parameters<typeof outcomeOf>[2]): LetterOutcome[] {
    return planned.map((one) => outcomeOf(one, this.#order.commandId, resents))
  }

  /** One letter that the log does not take must not keep the others. */
  async #smaller(opened: readonly Opened[], detail: string): Promise<readonly LetterOutcome[]> {
    const [first] = opened
    if (opened.length === 1 && first !== undefined) {
      const { id, cause } = first.letter
      return [{ kind: 'refused', id, cause, code: 'ONCEWARD_E_LOG_RECORD_TOO_LARGE', detail }]
    }
    const half = Math.ceil(opened.length / 2)
    return [...(await this.decide(opened.slice(0, half))), ...(await this.decide(opened.slice(half)))]
  }

  /** `command` stands before anything is done, `decision` once it is done for good. */
  async #audit(kind: 'command' | 'decision', letters: readonly string[]): Promise<void> {
    const { audit, clock } = this.#parts
    if (audit === undefined || letters.length === 0) return
    const { commandId, command } = this.#order
    const { name, actor, reason } = command
    const body = { command: commandId, name: `dlq ${name}`, actor, reason: reason ?? null, letters }
    await audit.append([{ at: clock.now(), kind, body }])
  }

  async close(): Promise<void> {
    const producer = this.#producer
    this.#producer = undefined
    await producer?.close()
  }
}

/** Ids by partition, each partition's offsets ascending; under undefined what is no id. */
function placesOf(
  ids: readonly string[],
): (
  | readonly [partition: undefined, ids: readonly string[]]
  | readonly [partition: number, offsets: readonly number[]]
)[] {
  const wrong: string[] = []
  const places = new Map<number, Set<number>>()
  for (const id of ids) {
    const place = placeOf(id)
    if (place === undefined) wrong.push(id)
    else if (places.get(place.partition)?.add(place.offset) === undefined) {
      places.set(place.partition, new Set([place.offset]))
    }
  }
  const partitions = [...places].toSorted(([a], [b]) => a - b)
  return [
    ...(wrong.length === 0 ? [] : [[undefined, [...new Set(wrong)]] as const]),
    ...partitions.map(([partition, offsets]) => [partition, [...offsets].toSorted((a, b) => a - b)] as const),
  ]
}

interface Chunk {
  readonly opened: Opened[]
  /** Ids of letters that are not there. */
  readonly missing: string[]
}

/** The letters of one partition with their bodies, some at a time. */
async function* chunksOf(source: ReviewerParts, partition: number, offsets: readonly number[]): AsyncGenerator<Chunk> {
  let chunk: Chunk = { opened: [], missing: [] }
  let bytes = 0
  for await (const { offset, letter } of lettersAt(source, partition, offsets)) {
    if (letter === undefined) chunk.missing.push(`${partition}-${offset}`)
    else {
      const whole = await wholeOf(source.log, letter)
      if (whole.ok) await source.learn?.([{ value: whole.bytes }])
      chunk.opened.push({ letter, whole })
      bytes += whole.ok ? whole.bytes.length : 0
    }
    if (chunk.opened.length + chunk.missing.length < CHUNK_LETTERS_MAX && bytes < CHUNK_BYTES_MAX) continue
    yield chunk
    chunk = { opened: [], missing: [] }
    bytes = 0
  }
  if (chunk.opened.length + chunk.missing.length > 0) yield chunk
}

function unknown(id: string): LetterOutcome {
  const { code, message } = unknownLetter(id)
  return { kind: 'refused', id, cause: null, code, detail: message }
}
