import type { Clock } from '../../core/clock.ts'
import { unreachable } from '../../core/assert.ts'
import { hasCode, messageOf, OncewardError } from '../../core/errors.ts'
import type { Log, Producer } from '../../core/ports/log.ts'
import type { Logger } from '../../core/ports/logger.ts'
import { decideFlow, type Fact, type Flow, IDLE, type Order } from './flow.ts'
import type { IntakeMetrics } from './intake-metrics.ts'

/** A record before its send, which gives it its timestamp: the ingest time is when the bus got it. */
export interface Draft {
  readonly topic: string
  readonly partition: number
  readonly key: Buffer | null
  readonly value: Buffer
  timestamp: number
}

export interface BusSettings {
  /** Milliseconds after which a send that is not answered makes the gateway refuse what else comes. */
  readonly patienceMs: number
  /** Bytes that may wait. */
  readonly waitingBytesMax: number
  /** Of one send, as far as one caller's records allow. */
  readonly sendBytesMax: number
  readonly sendRecordsMax: number
}

/** One caller's records: they go in one send, or none of them does. */
interface Unit {
  readonly drafts: readonly Draft[]
  readonly bytes: number
  readonly resolve: () => void
  readonly reject: (error: OncewardError) => void
}

/** More than any record needs besides key and value, with what is kept about it here. */
const RECORD_OVERHEAD_BYTES = 100
const REOPEN_PAUSE_MS = 250

/**
 * Group commit: the records of many callers in one send at a time. Carries out what `decideFlow` decides.
 */
export class Bus {
  readonly #parts: BusParts
  #producer: Producer
  #flow: Flow = IDLE
  #waiting: Unit[] = []
  #sent: readonly Unit[] = []
  /** Monotonic ms at which the send under way began. */
  #sentAt = 0
  #isWatched = false
  readonly #ended = new AbortController()
  readonly #end: Promise<void>
  #resolveEnd: () => void = () => undefined

  private constructor(parts: BusParts, producer: Producer) {
    this.#parts = parts
    this.#producer = producer
    this.#end = new Promise((resolve) => {
      this.#resolveEnd = resolve
    })
  }

  static async open(parts: BusParts): Promise<Bus> {
    return new Bus(parts, await parts.log.producer())
  }

  /**
   * Resolves once the log has acknowledged all of `drafts`. Rejects with ONCEWARD_E_LOG_UNAVAILABLE where they were never sent, with
   * ONCEWARD_E_LOG_COMMIT_UNKNOWN where nobody knows.
   */
  send(drafts: readonly Draft[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const unit = { drafts, bytes: bytesOf(drafts), resolve, reject }
      this.#tell({ kind: 'arrived', bytes: unit.bytes }, unit)
    })
  }

  get pendingBytes(): number {
    return this.#flow.waitingBytes + this.#sent.reduce((sum, unit) => sum + unit.bytes, 0)
  }

  get available(): boolean {
    return (this.#flow.phase === 'idle' || this.#flow.phase === 'sending') && !this.#flow.closing
  }

  /** Sends what waits; what is not answered within the patience is left. Idempotent. */
  async close(): Promise<void> {
    this.#tell({ kind: 'closing' })
    await this.#end
    await this.#producer.close()
  }

  #tell(fact: Fact, arrived?: Unit): void {
    const before = this.#flow
    const { flow, orders } = decideFlow(before, fact, this.#parts.settings.waitingBytesMax)
    this.#flow = flow
    for (const order of orders) this.#carryOut(order, arrived)
    if (flow.phase === 'ended' && before.phase !== 'ended') {
      this.#ended.abort()
      this.#resolveEnd()
    }
  }

  #carryOut(order: Order, arrived: Unit | undefined): void {
    switch (order) {
      case 'queue':
        if (arrived !== undefined) this.#waiting.push(arrived)
        return
      case 'refuse':
        arrived?.reject(this.#refusal())
        return
      case 'refuse-waiting':
        return this.#settle('waiting', (unit) => unit.reject(this.#refusal()))
      case 'confirm-sent':
        return this.#settle('sent', (unit) => unit.resolve())
      case 'refuse-sent':
        return this.#settle('sent', (unit) => unit.reject(this.#refusal()))
      case 'doubt-sent':
        return this.#settle('sent', (unit) => unit.reject(doubt()))
      case 'send':
        void this.#send()
        return
      case 'reopen':
        void this.#reopen()
        return
      default:
        unreachable(order)
    }
  }

  #settle(which: 'waiting' | 'sent', how: (unit: Unit) => void): void {
    const units = which === 'waiting' ? this.#waiting : this.#sent
    if (which === 'waiting') this.#waiting = []
    else this.#sent = []
    for (const unit of units) how(unit)
  }

  async #send(): Promise<void> {
    const { clock, metrics } = this.#parts
    const units = takeGroup(this.#waiting, this.#parts.settings)
    this.#sent = units
    const drafts = units.length === 1 ? (units[0]?.drafts ?? []) : units.flatMap((unit) => unit.drafts)
    const now = clock.now()
    for (const draft of drafts) draft.timestamp = now
    this.#tell({ kind: 'sent', bytes: units.reduce((sum, unit) => sum + unit.bytes, 0) })
    this.#sentAt = clock.monotonic()
    if (!this.#isWatched) void this.#watch()
    try {
      await this.#producer.send(drafts)
      metrics.sent(drafts.length, (clock.monotonic() - this.#sentAt) / 1_000)
      this.#tell({ kind: 'acknowledged' })
    } catch (error) {
      this.#parts.logger.error(
        { error: messageOf(error), records: drafts.length },
        'a send to the bus has failed, and what of it is there is not known',
      )
      this.#tell({ kind: 'failed', appended: appendedBy(error, drafts.length) })
    }
  }

  /** One sleep for all sends of as long as patience goes: a timer for each would cost more than the rest of it. */
  async #watch(): Promise<void> {
    const { clock, logger, settings } = this.#parts
    this.#isWatched = true
    while (this.#flow.phase === 'sending') {
      const leftMs = this.#sentAt + settings.patienceMs - clock.monotonic()
      if (leftMs > 0) {
        await clock.sleep(leftMs, this.#ended.signal)
      } else {
        logger.warn({ patienceMs: settings.patienceMs }, 'the bus does not answer; what comes is refused until it does')
        this.#tell({ kind: 'patience-over' })
      }
    }
    this.#isWatched = false
  }

  /** The producer that has failed is closed first: nothing of what it was doing may still reach the log. */
  async #reopen(): Promise<void> {
    const { clock, log, logger } = this.#parts
    await this.#producer.close().catch(() => undefined)
    while (!this.#ended.signal.aborted) {
      try {
        const producer = await log.producer()
        if (this.#ended.signal.aborted) return await producer.close()
        this.#producer = producer
        logger.info({}, 'the bus answers again')
        return this.#tell({ kind: 'reopened' })
      } catch (error) {
        logger.warn({ error: messageOf(error) }, 'the bus cannot be reached; trying on')
        await clock.sleep(REOPEN_PAUSE_MS, this.#ended.signal)
      }
    }
  }

  #refusal(): OncewardError {
    const { phase, closing } = this.#flow
    const why = closing
      ? 'this gateway is shutting down'
      : phase === 'sending'
        ? 'too much waits for the event bus'
        : 'the event bus does not answer'
    return new OncewardError('ONCEWARD_E_LOG_UNAVAILABLE', `${why}; nothing was taken, send it again later`)
  }
}

export interface BusParts {
  readonly log: Log
  readonly clock: Clock
  readonly logger: Logger
  readonly settings: BusSettings
  readonly metrics: IntakeMetrics
}

/** Takes the first units off the queue that go well in one send, at least one. */
function takeGroup(waiting: Unit[], limits: BusSettings): readonly Unit[] {
  let bytes = 0
  let records = 0
  let count = 0
  for (const unit of waiting) {
    bytes += unit.bytes
    records += unit.drafts.length
    if (count > 0 && (bytes > limits.sendBytesMax || records > limits.sendRecordsMax)) break
    count++
  }
  return waiting.splice(0, count)
}

function bytesOf(drafts: readonly Draft[]): number {
  let bytes = 0
  for (const { key, value } of drafts) bytes += RECORD_OVERHEAD_BYTES + value.length + (key?.length ?? 0)
  return bytes
}

/**
 * Whether a send that failed may have left something. A record that is too large is refused by the broker whenever it comes; but of
 * several records the others may be there, and with any other failure an attempt before may have got through.
 */
export function appendedBy(error: unknown, records: number): 'nothing' | 'unknown' {
  return records === 1 && hasCode(error, 'ONCEWARD_E_LOG_RECORD_TOO_LARGE') ? 'nothing' : 'unknown'
}

function doubt(): OncewardError {
  return new OncewardError(
    'ONCEWARD_E_LOG_COMMIT_UNKNOWN',
    'whether the event bus has taken the events is not known; send them again, repeats are told by their event_id',
  )
}
