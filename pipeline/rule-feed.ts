import type { Clock } from '../core/clock.ts'
import { messageOf, OncewardError } from '../core/errors.ts'
import type { Log, PartitionReader, RecordBatch } from '../core/ports/log.ts'
import type { Logger } from '../core/ports/logger.ts'
import type { RuleSet } from '../rules/compiled.ts'
import { type ControlEntry, type ControlState, EFFECTIVE_MARGIN_MS, foldControl } from '../rules/control.ts'
import { formatProblem } from '../rules/problem.ts'

const POLL_WAIT_MS = 500
const RETRY_DELAY_MS = 1_000
/** How long whoever waits for the rules does so at a time: between, it shows the group that it is alive. */
const HOLD_MS = 500
/**
 * Rules that were read to the end longer ago than this may lack a version that is about to take effect. Half of the time
 * that a version is published ahead: the other half is for clocks that differ.
 */
export const RULES_AGE_MS_MAX = EFFECTIVE_MARGIN_MS / 2

export interface RuleFeedOptions {
  readonly log: Log
  /** The control topic. */
  readonly topic: string
  readonly logger: Logger
  readonly clock: Clock
  /** How old the rules may be, ms; default RULES_AGE_MS_MAX. */
  readonly ageMsMax?: number | undefined
}

/**
 * The rules as the control topic tells them. It is read whole before the worker begins and followed from then on; a new
 * set is seen by the next batch. It knows how old its knowledge is: two workers of which one has not heard of a version
 * would judge the same event differently, so one that has not heard of anything for too long must wait.
 */
export class RuleFeed {
  readonly #log: Log
  readonly #topic: string
  readonly #logger: Logger
  readonly #clock: Clock
  readonly #ageMsMax: number
  readonly #entries: ControlEntry[] = []
  readonly #stop = new AbortController()
  #reader: PartitionReader | undefined
  #position = 0
  #state: ControlState = foldControl([])
  /** What was said already of records that are ignored. */
  readonly #reported = new Set<string>()
  #following: Promise<void> = Promise.resolve()
  /** Monotonic ms at which the last read that came to the end had begun. */
  #freshAt = Number.NEGATIVE_INFINITY
  #freshened = new AbortController()
  #holding = false

  constructor(options: RuleFeedOptions) {
    this.#log = options.log
    this.#topic = options.topic
    this.#logger = options.logger
    this.#clock = options.clock
    this.#ageMsMax = options.ageMsMax ?? RULES_AGE_MS_MAX
  }

  get rules(): RuleSet {
    return this.#state.set
  }

  /** All that the control topic has said so far. */
  get state(): ControlState {
    return this.#state
  }

  /** How long ago the rules were certainly all that had been published, ms. */
  get ageMs(): number {
    return this.#clock.monotonic() - this.#freshAt
  }

  /** False where the rules are too old to judge an event by. */
  get fresh(): boolean {
    return this.ageMs <= this.#ageMsMax
  }

  /** True while events wait for the rules. */
  get holding(): boolean {
    return this.#holding
  }

  /** For whoever would begin a batch while the rules are not fresh: waits a moment for them, or until `signal`. */
  async untilFresh(signal: AbortSignal): Promise<void> {
    if (!this.#holding) {
      this.#holding = true
      this.#logger.warn(
        { topic: this.#topic, ageMs: Math.round(this.ageMs) },
        'the rules may be out of date; events wait until they can be read again',
      )
    }
    await this.#clock.sleep(HOLD_MS, AbortSignal.any([signal, this.#freshened.signal]))
  }

  /** Reads to the end of the control topic. */
  async catchUp(): Promise<void> {
    const startedMs = this.#clock.monotonic()
    const partition = { topic: this.#topic, partition: 0 }
    const [bounds] = await this.#log.bounds([partition])
    if (bounds === undefined)
      throw new OncewardError('ONCEWARD_E_LOG_TOPIC_MISSING', `there is no topic ${this.#topic}`)
    this.#reader ??= await this.#log.reader(partition)
    this.#position = Math.max(this.#position, bounds.earliest)
    while (this.#position < bounds.end) if (!(await this.#readOn(0))) break
    if (this.#position >= bounds.end) this.#freshen(startedMs)
  }

  /** Follows the topic until `close`. A lost connection is waited out; the rules known so far grow old meanwhile. */
  follow(): void {
    this.#following = this.#followLoop()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    // The reader first: a read that a broker does not answer must not hold up a stop.
    await this.#reader?.close()
    await this.#following
  }

  async #followLoop(): Promise<void> {
    let told = false
    while (!this.#stop.signal.aborted) {
      try {
        await this.#readOn(POLL_WAIT_MS)
        told = false
      } catch (error) {
        if (this.#stop.signal.aborted) return
        if (!told)
          this.#logger.warn({ error: messageOf(error), topic: this.#topic }, 'cannot read rule updates; trying again')
        told = true
        await this.#clock.sleep(RETRY_DELAY_MS, this.#stop.signal)
      }
    }
  }

  /** Reads one batch; false where nothing moved. */
  async #readOn(waitMs: number): Promise<boolean> {
    if (this.#reader === undefined) return false
    const startedMs = this.#clock.monotonic()
    const batch = await this.#reader.read(this.#position, { waitMs })
    const moved = batch.nextOffset > this.#position
    this.#position = batch.nextOffset
    if (batch.records.length > 0) this.#take(batch)
    // Only now: fresh are the rules that it brought.
    if (batch.nextOffset >= batch.end) this.#freshen(startedMs)
    return moved || batch.records.length > 0
  }

  #take({ records }: RecordBatch): void {
    for (const { value, offset } of records) this.#entries.push({ value, place: `${this.#topic}[0]@${offset}` })
    this.#state = foldControl(this.#entries)
    const { set, problems } = this.#state
    for (const problem of problems) {
      const text = formatProblem(problem)
      if (this.#reported.has(text)) continue
      this.#reported.add(text)
      this.#logger.error({ topic: this.#topic, code: problem.code }, `a published rule is ignored: ${text}`)
    }
    this.#logger.info({ versions: set.versions.length, policies: set.policy.versions.length }, 'rules updated')
  }

  #freshen(startedMs: number): void {
    this.#freshAt = Math.max(this.#freshAt, startedMs)
    if (!this.fresh) return
    if (this.#holding) this.#logger.info({ topic: this.#topic }, 'the rules are up to date again; events go on')
    this.#holding = false
    this.#freshened.abort()
    this.#freshened = new AbortController()
  }
}
