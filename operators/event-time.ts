/** How far behind the watermark an event may be, unless set otherwise (SPEC S5). */
export const REORDER_WINDOW_MS = 60_000

/** A partition's event time: the greatest event time seen so far, and what follows from it. Time is data. */
export class EventTime {
  readonly windowMs: number
  /** The horizon as the batch began: no event of the batch that is accepted lies below it. */
  readonly horizonBefore: number
  #watermark: number | undefined

  constructor(windowMs: number, watermark: number | undefined) {
    this.windowMs = windowMs
    this.#watermark = watermark
    this.horizonBefore = this.horizon
  }

  get watermark(): number | undefined {
    return this.#watermark
  }

  advance(ts: number): void {
    if (this.#watermark === undefined || ts > this.#watermark) this.#watermark = ts
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
}
