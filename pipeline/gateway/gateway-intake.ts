import type { Clock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'
import type { PlayerEvent } from '../../core/model/event.ts'
import { Limiter } from '../../core/limiter.ts'
import { partitionOf } from '../../core/partitioner.ts'
import type { EventAnswer, EventIntake, EventSource } from '../../core/ports/gateway.ts'
import type { Logger } from '../../core/ports/logger.ts'
import type { Topics } from '../../core/topics.ts'
import type { Bus, Draft } from './bus.ts'
import { FINGERPRINT_BYTES, writeFingerprint } from './content.ts'
import { enricherOf, type Lookups } from './enrich.ts'
import type { EventMemory } from './event-memory.ts'
import type { IntakeMetrics, IntakeOutcome } from './intake-metrics.ts'
import { createJudges, type Judge, type JudgeParts, type Refusal } from './judge.ts'
import { type Letter, letterWriter } from './letters.ts'
import type { PayerSet } from './payers.ts'
import type { SharedIds } from './shared-ids.ts'

/** Requests with a bad signature that are kept. */
const SET_ASIDE = { burst: 50, perSecond: 5 } as const
/** Lines about conflicts: nobody shall fill the disk with them. */
const CONFLICT_LINES = { burst: 20, perSecond: 1 } as const
/** Of these two. */
const RATES = 2
/** The event that shows that a player pays. */
const DEPOSIT = 'deposit'

export interface Closable {
  close(): Promise<void>
}

export interface IntakeParts {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: IntakeMetrics
  readonly topics: Topics
  readonly partitions: { readonly events: number; readonly dlq: number }
  readonly judging: JudgeParts
  readonly lookups: Lookups
  readonly bus: Bus
  readonly memory: EventMemory
  /** undefined: nowhere to write them. */
  readonly payers: PayerSet | undefined
  readonly shared: SharedIds | undefined
  /** What ends with the intake, in this order. */
  readonly opened: readonly Closable[]
}

type Taken = Parameters<EventIntake['take']>[0]

/** A valid event of a request. */
interface Candidate {
  readonly index: number
  readonly event: PlayerEvent
}

/** A request under way. Arrays go by the place of the event in it; fingerprints of candidates stand at that place too. */
interface Request {
  readonly taken: Taken
  readonly judge: Judge
  readonly answers: EventAnswer[]
  readonly outcomes: Map<IntakeOutcome, number>
  readonly candidates: Candidate[]
  readonly fingerprints: Buffer
  readonly drafts: Draft[]
  /** Candidates that `drafts` has the records of. */
  readonly sent: Candidate[]
}

/** See core/ports/gateway.ts for what holds. */
export class GatewayIntake implements EventIntake {
  readonly #parts: IntakeParts
  readonly #judgeOf: (source: EventSource) => Judge
  readonly #writeLetter: (letter: Letter, now: number) => Draft
  /** Ids of events that were handed to the bus and not answered yet, with what comes of it. */
  readonly #underWay = new Map<string, Promise<void>>()
  readonly #rates: Limiter
  #closing: Promise<void> | undefined

  constructor(parts: IntakeParts) {
    this.#parts = parts
    const { clock, judging, partitions, topics } = parts
    this.#judgeOf = createJudges(judging)
    this.#writeLetter = letterWriter(topics.dlq, partitions.dlq)
    this.#rates = new Limiter(clock, RATES)
  }

  /**
   * 1. Judge each event by itself.
   * 2. Wait for those of the same id that are on their way: only then is it known whether this is a repeat. Nothing of this
   *    request has been handed over meanwhile, so that it can still be refused whole (G2), and no two wait for each other.
   * 3. Tell repeats from what is new. From here to the hand-over nothing else can come between.
   * 4. Hand what is new to the bus, in one piece.
   * 5. Once it is acknowledged (G1): remember it, and tell the other gateways (G3).
   */
  async take(taken: Taken): Promise<readonly EventAnswer[]> {
    const request = this.#judge(taken) // 1
    for (let first = this.#firstUnderWay(request); first !== undefined; first = this.#firstUnderWay(request))
      await first // 2
    this.#sortOut(request) // 3
    if (request.drafts.length > 0) await this.#handOver(request) // 4, 5
    for (const [outcome, events] of request.outcomes) this.#parts.metrics.answered(taken.source.name, outcome, events)
    return request.answers
  }

  async setAside({ from, detail, raw }: Parameters<EventIntake['setAside']>[0]): Promise<void> {
    const { bus, clock, metrics } = this.#parts
    if (this.#rates.take('set aside', SET_ASIDE, 1) > 0) return metrics.notSetAside(1)
    const letter = this.#writeLetter({ reason: 'signature', detail, from, raw }, clock.now())
    // Whoever could not sign is refused whatever becomes of the letter.
    await bus.send([letter]).catch(() => metrics.notSetAside(1))
  }

  state(): { readonly pendingBytes: number; readonly available: boolean } {
    const { pendingBytes, available } = this.#parts.bus
    return { pendingBytes, available }
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      for (const part of this.#parts.opened) await part.close()
    })()
    return this.#closing
  }

  #judge(taken: Taken): Request {
    const { source, events } = taken
    const request: Request = {
      taken,
      judge: this.#judgeOf(source),
      answers: Array.from<EventAnswer>({ length: events.length }),
      outcomes: new Map(),
      candidates: [],
      fingerprints: Buffer.allocUnsafe(events.length * FINGERPRINT_BYTES),
      drafts: [],
      sent: [],
    }
    for (const { detail, event } of taken.unmapped ?? []) this.#letter(request, { detail, raw: rawOf(event) })
    for (const [index, value] of events.entries()) {
      const judged = request.judge.judge(value)
      if (judged.kind === 'refused') {
        this.#refuse(request, index, judged)
        continue
      }
      request.candidates.push({ index, event: judged.event })
      writeFingerprint(judged.event, request.fingerprints, index * FINGERPRINT_BYTES, source.trusted)
    }
    return request
  }

  #firstUnderWay({ candidates }: Request): Promise<void> | undefined {
    if (this.#underWay.size === 0) return undefined
    for (const { event } of candidates) {
      const sent = this.#underWay.get(event.eventId)
      if (sent === undefined) continue
      // Refusing it would not be true, and waiting could take as long as the bus is away.
      if (!this.#parts.bus.available) throw inDoubt()
      return sent
    }
    return undefined
  }

  #sortOut(request: Request): void {
    const { taken, candidates, fingerprints, drafts, sent } = request
    const { clock, lookups, memory, partitions, topics } = this.#parts
    const enrich = enricherOf(taken.source, taken.facts, lookups)
    const within = new Map<string, number>()
    for (const candidate of candidates) {
      const { index, event } = candidate
      const at = index * FINGERPRINT_BYTES
      const earlier = within.get(event.eventId)
      const known = earlier === undefined ? memory.look(fingerprints, at) : compare(fingerprints, at, earlier)
      if (known !== 'unknown') {
        this.#repeat(request, candidate, known)
        continue
      }
      const written = request.judge.write(event, enrich(event.data, event.userId))
      if (written.kind === 'refused') {
        this.#refuse(request, index, written)
        continue
      }
      within.set(event.eventId, at)
      sent.push(candidate)
      const key = Buffer.from(event.userId)
      const partition = partitionOf(key, partitions.events)
      drafts.push({ topic: topics.events, partition, key, value: written.bytes, timestamp: clock.now() })
      if (this.#isFirstDeposit(taken.source, event)) drafts.push(payerDraft(topics.payers, key))
      this.#answer(request, index, 'accepted', { status: 'accepted', event_id: event.eventId })
    }
  }

  /** An untrusted source could make a payer of anybody. */
  #isFirstDeposit(source: EventSource, { eventName, userId }: PlayerEvent): boolean {
    const { payers } = this.#parts
    return payers !== undefined && source.trusted && eventName === DEPOSIT && !payers.has(userId)
  }

  async #handOver(request: Request): Promise<void> {
    const { drafts, sent } = request
    const sending = this.#parts.bus.send(drafts)
    for (const { event } of sent) this.#underWay.set(event.eventId, sending)
    try {
      await sending
      // In one step with the end of being under way: whoever waits for it looks next whether it is known.
      this.#keep(request)
    } finally {
      for (const { event } of sent) this.#underWay.delete(event.eventId)
    }
  }

  #keep({ taken, fingerprints, sent }: Request): void {
    const { memory, payers, shared } = this.#parts
    if (sent.length === 0) return
    const kept = Buffer.allocUnsafe(sent.length * FINGERPRINT_BYTES)
    for (const [place, { index, event }] of sent.entries()) {
      const at = index * FINGERPRINT_BYTES
      memory.remember(fingerprints, at)
      fingerprints.copy(kept, place * FINGERPRINT_BYTES, at, at + FINGERPRINT_BYTES)
      if (taken.source.trusted && event.eventName === DEPOSIT) payers?.add(event.userId)
    }
    shared?.share(kept)
  }

  #repeat(request: Request, { index, event }: Candidate, known: 'same' | 'other'): void {
    if (known === 'same') {
      this.#answer(request, index, 'repeated', { status: 'accepted', event_id: event.eventId })
      return
    }
    const detail = 'an event with this event_id but other content was accepted before; give each event an id of its own'
    this.#answer(request, index, 'conflict', {
      status: 'rejected',
      event_id: event.eventId,
      reason: 'conflict',
      detail,
    })
    if (this.#rates.take('conflicts', CONFLICT_LINES, 1) > 0) return
    this.#parts.logger.error(
      { source: request.taken.source.name, event_id: event.eventId },
      'an event came again with other content',
    )
  }

  #refuse(request: Request, index: number, { answer, userId }: Refusal): void {
    const { reason, detail, event_id: eventId } = answer
    this.#answer(request, index, reason, answer)
    if (reason !== 'schema') return
    this.#letter(request, { detail, raw: rawOf(request.taken.events[index]), eventId, userId })
  }

  #letter({ taken, drafts }: Request, of: Omit<Letter, 'reason' | 'from'>): void {
    const { source } = taken
    if (!source.deadLetters) return
    const from = `${source.kind === 'webhook' ? 'webhook' : 'gateway'}/${source.name}`
    drafts.push(this.#writeLetter({ ...of, reason: 'schema', from }, this.#parts.clock.now()))
  }

  #answer({ answers, outcomes }: Request, index: number, outcome: IntakeOutcome, answer: EventAnswer): void {
    answers[index] = answer
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  }
}

/** Two of one request that have the same id. */
function compare(fingerprints: Buffer, at: number, other: number): 'same' | 'other' {
  const end = FINGERPRINT_BYTES
  return fingerprints.compare(fingerprints, other, other + end, at, at + end) === 0 ? 'same' : 'other'
}

/** What was sent, as JSON once more: its bytes are not known here. */
function rawOf(value: unknown): Buffer {
  try {
    return Buffer.from(JSON.stringify(value) ?? 'null')
  } catch {
    return Buffer.from('"nested too deep to be shown"')
  }
}

const SEEN_PAYING = Buffer.from('{"payer":true}')

function payerDraft(topic: string, key: Buffer): Draft {
  return { topic, partition: 0, key, value: SEEN_PAYING, timestamp: 0 }
}

function inDoubt(): OncewardError {
  return new OncewardError(
    'ONCEWARD_E_LOG_COMMIT_UNKNOWN',
    'the same event was sent to the event bus before, which has not answered yet; send it again later',
  )
}
