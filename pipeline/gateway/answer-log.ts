import type { Clock } from '../../core/clock.ts'
import { messageOf, OncewardError } from '../../core/errors.ts'
import type { AnswerLog, StoredAnswer } from '../../core/ports/gateway.ts'
import type { Log, LogRecord } from '../../core/ports/log.ts'
import type { Logger } from '../../core/ports/logger.ts'
import type { Topics } from '../../core/topics.ts'
import { isObject } from '../../operators/type-checks.ts'
import { ANSWERS_MS, answersSpec, partitionsOf, webhooksPartition } from './answers-topic.ts'
import { Bus } from './bus.ts'
import { silentIntakeMetrics } from './intake-metrics.ts'
import { TopicFollower } from './topic-follower.ts'

export interface AnswerLogOptions {
  readonly log: Log
  readonly topics: Topics
  readonly clock: Clock
  readonly logger: Logger
  /** Milliseconds for which an answer waits to be written down before it is given all the same. Default 2,000. */
  readonly writeMsMax?: number | undefined
  /** Answers that are remembered, the newest ones. Default 200,000. */
  readonly answersMax?: number | undefined
  /** Bytes of their bodies and ids together. Default 64 MiB. */
  readonly answerBytesMax?: number | undefined
}

const WRITE_MS_MAX = 2_000
const ANSWERS_MAX = 200_000
const ANSWER_BYTES_MAX = 64 * 1_048_576
const WRITES = { waitingBytesMax: 16 * 1_048_576, sendBytesMax: 512 * 1_024, sendRecordsMax: 1_000 } as const
/** What an entry takes beside its texts. */
const ENTRY_OVERHEAD_BYTES = 200

/**
 * Opens the answers of the last 24 hours. Resolves once it knows those that were written, as far as they fit. Where the topic is not
 * there and cannot be created, it remembers its own alone.
 */
export async function openAnswerLog(options: AnswerLogOptions): Promise<GatewayAnswerLog> {
  const { log, topics, clock, logger } = options
  const memory = new AnswerMemory(options.answersMax ?? ANSWERS_MAX, options.answerBytesMax ?? ANSWER_BYTES_MAX)
  const writeMsMax = options.writeMsMax ?? WRITE_MS_MAX
  const partitions = await partitionsOf(log, answersSpec(topics), logger)
  if (partitions === undefined) return new GatewayAnswerLog({ memory, clock, logger, writeMsMax, shared: undefined })
  const partition = webhooksPartition(topics.gatewayAnswers, partitions)
  const follower = await TopicFollower.open({
    log,
    clock,
    logger,
    partition,
    from: ({ earliest }) => log.offsetAt(partition, clock.now() - ANSWERS_MS).then((at) => Math.max(earliest, at)),
    take: (record) => {
      const kept = keptOf(record)
      if (kept !== undefined) memory.keep(kept)
    },
  })
  const settings = { ...WRITES, patienceMs: writeMsMax }
  const bus = await Bus.open({ log, clock, logger, settings, metrics: silentIntakeMetrics })
  const write = ({ id, content, status, body, at }: KeptAnswer): Promise<void> => {
    const value = Buffer.from(JSON.stringify({ id, content, status, body, at }))
    return bus.send([{ ...partition, key: Buffer.from(id), value, timestamp: at }])
  }
  return new GatewayAnswerLog({ memory, clock, logger, writeMsMax, shared: { write, bus, follower } })
}

interface KeptAnswer extends StoredAnswer {
  readonly id: string
  readonly content: string
  /** Unix milliseconds. */
  readonly at: number
}

/** An answer as another gateway, or this one before, has written it; undefined: the record is none. */
function keptOf({ value }: LogRecord): KeptAnswer | undefined {
  if (value === null || value[0] !== 0x7b) return undefined
  try {
    const parsed: unknown = JSON.parse(value.toString())
    if (!isObject(parsed)) return undefined
    const { id, content, status, body, at } = parsed
    const fits = typeof id === 'string' && typeof content === 'string' && typeof body === 'string'
    if (!fits || typeof status !== 'number' || typeof at !== 'number') return undefined
    return { id, content, status, body, at }
  } catch {
    return undefined
  }
}

interface AnswerLogParts {
  readonly memory: AnswerMemory
  readonly clock: Clock
  readonly logger: Logger
  readonly writeMsMax: number
  readonly shared:
    | {
        readonly write: (kept: KeptAnswer) => Promise<void>
        readonly bus: Bus
        readonly follower: TopicFollower
      }
    | undefined
}

export class GatewayAnswerLog implements AnswerLog {
  readonly #parts: AnswerLogParts
  readonly #underWay = new Map<string, Promise<StoredAnswer>>()

  constructor(parts: AnswerLogParts) {
    this.#parts = parts
  }

  async once(
    request: { readonly id: string; readonly content: string },
    work: () => Promise<StoredAnswer>,
  ): Promise<StoredAnswer & { readonly replayed: boolean }> {
    const { id, content } = request
    // Whoever does the work has rejected where it was: then there is nothing to repeat, and this one fails alike.
    for (let other = this.#underWay.get(id); other !== undefined; other = this.#underWay.get(id)) await other
    const known = this.#parts.memory.get(id, this.#parts.clock.now())
    if (known !== undefined) {
      if (known.content !== content) throw conflict()
      return { status: known.status, body: known.body, replayed: true }
    }
    const working = this.#work(request, work)
    this.#underWay.set(id, working)
    try {
      return { ...(await working), replayed: false }
    } finally {
      this.#underWay.delete(id)
    }
  }

  /** Idempotent. */
  async close(): Promise<void> {
    await this.#parts.shared?.follower.close()
    await this.#parts.shared?.bus.close()
  }

  /**
   * The answer is written down before it is given, so that it is the same after a crash; but what was done is done, so that a log
   * which does not take it in time delays the answer and does not change it.
   */
  async #work(
    { id, content }: { id: string; content: string },
    work: () => Promise<StoredAnswer>,
  ): Promise<StoredAnswer> {
    const { status, body } = await work()
    const { clock, logger, memory, shared, writeMsMax } = this.#parts
    const kept = { id, content, status, body, at: clock.now() }
    memory.keep(kept)
    if (shared === undefined) return { status, body }
    const over = new AbortController()
    const written = shared.write(kept).catch((error: unknown) => {
      logger.warn({ id, error: messageOf(error) }, 'an answer could not be written down; a repeat may get another one')
    })
    await Promise.race([written, clock.sleep(writeMsMax, over.signal)])
    over.abort()
    return { status, body }
  }
}

/** Bounded in number and bytes; the oldest go first. */
class AnswerMemory {
  readonly #answersMax: number
  readonly #bytesMax: number
  /** In the order in which they were kept. */
  readonly #answers = new Map<string, KeptAnswer>()
  #bytes = 0

  constructor(answersMax: number, bytesMax: number) {
    this.#answersMax = answersMax
    this.#bytesMax = bytesMax
  }

  get(id: string, now: number): KeptAnswer | undefined {
    const kept = this.#answers.get(id)
    return kept === undefined || now - kept.at > ANSWERS_MS ? undefined : kept
  }

  /** Of two answers to one id the first counts, for as long as it is kept: its sender may have got it. */
  keep(answer: KeptAnswer): void {
    if (this.get(answer.id, answer.at) !== undefined) return
    this.#forget(answer.id)
    this.#answers.set(answer.id, answer)
    this.#bytes += bytesOf(answer)
    for (const id of this.#answers.keys()) {
      if (this.#answers.size <= this.#answersMax && this.#bytes <= this.#bytesMax) return
      this.#forget(id)
    }
  }

  #forget(id: string): void {
    const kept = this.#answers.get(id)
    if (kept === undefined) return
    this.#answers.delete(id)
    this.#bytes -= bytesOf(kept)
  }
}

function bytesOf({ id, content, body }: KeptAnswer): number {
  return ENTRY_OVERHEAD_BYTES + 2 * (id.length + content.length + body.length)
}

function conflict(): OncewardError {
  return new OncewardError(
    'ONCEWARD_E_REQUEST_CONFLICT',
    'a request with this id but other content was answered before; give each request an id of its own',
  )
}
