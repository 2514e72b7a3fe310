import { DAY_MS } from '../core/durations.ts'

/** How far behind the watermark an event may be, unless set otherwise (SPEC S5). */
export const REORDER_WINDOW_MS = 60_000

/** Earlier than any event: nothing has been forgotten. JSON can write it, other than an infinity. */
export const EVER = Number.MIN_SAFE_INTEGER

/** What a partition still knows of the past. */
export interface Memory {
  /**
   * Of this event time and later nothing had been forgotten as the batch began, ms; EVER: nothing at all. Undefined: the state
   * does not say so, and only what comes from now on is certain.
   */
  readonly keptFrom: number | undefined
  /** How long event ids, and what caps and progress count, are kept, ms of event time. */
  readonly rememberMs: number
}

const ALL_OF_A_DAY: Memory = { keptFrom: EVER, rememberMs: DAY_MS }

/** A partition's event time: the greatest event time seen so far, and what follows from it. Time is data. */
export class EventTime {
  readonly windowMs: number
  /** The horizon as the batch began: no event of the batch that is accepted lies below it, but one that was sent again. */
  readonly horizonBefore: number
  readonly #rememberMs: number
  #keptFrom: number | undefined
  #watermark: number | undefined

  constructor(windowMs: number, watermark: number | undefined, memory = ALL_OF_A_DAY) {
    this.windowMs = windowMs
    this.#watermark = watermark
    this.#rememberMs = memory.rememberMs
    this.#keptFrom = memory.keptFrom ?? watermark
    this.horizonBefore = this.horizon
  }

  get watermark(): number | undefined {
    return this.#watermark
  }

  advance(ts: number): void {
    if (this.#watermark === undefined) {
      this.#watermark = ts
      this.#keptFrom ??= ts
    } else if (ts > this.#watermark) this.#watermark = ts
  }

  /**
   * Below this, no event is accepted any more: it is the watermark less the window. Before the first event there is none,
   * and nothing is late.
   */
  get horizon(): number {
    return this.#watermark === undefined ? Number.NEGATIVE_INFINITY : this.#watermark - this.windowMs
  }

  isLate(ts: number): boolean {
    return ts < this.horizon
  }

  /**
   * I14 (memory): of this event time and later, nothing that was counted is forgotten: neither the id of an event that was
   * scored nor what caps of an hour or a day, progress and rewards have come to. It never goes back, whatever settings a worker
   * comes back with, so that what is older cannot be told from what was scored. Undefined before the first event of a state
   * that does not know what was before it.
   */
  get keptFrom(): number | undefined {
    if (this.#watermark === undefined || this.#keptFrom === undefined) return this.#keptFrom
    return Math.max(this.#keptFrom, this.#watermark - this.#rememberMs)
  }
}
