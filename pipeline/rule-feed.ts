import type { Clock } from '../core/clock.ts'
import { messageOf, OncewardError } from '../core/errors.ts'
import type { Log, PartitionReader } from '../core/ports/log.ts'
import type { Logger } from '../core/ports/logger.ts'
import type { RuleSet } from '../rules/compiled.ts'
import { type ControlEntry, type ControlState, foldControl } from '../rules/control.ts'
import { formatProblem } from '../rules/problem.ts'

const POLL_WAIT_MS = 500
const RETRY_DELAY_MS = 1_000

/**
 * The rules as the control topic tells them. It is read whole before the worker begins and followed from then on; a new
 * set is seen by the next batch.
 */
export class RuleFeed {
  readonly #log: Log
  readonly #topic: string
  readonly #logger: Logger
  readonly #clock: Clock
  readonly #entries: ControlEntry[] = []
  readonly #stop = new AbortController()
  #reader: PartitionReader | undefined
  #position = 0
  #state: ControlState = foldControl([])
  #reported = 0
  #following: Promise<void> = Promise.resolve()

  constructor(options: { log: Log; topic: string; logger: Logger; clock: Clock }) {
    this.#log = options.log
    this.#topic = options.topic
    this.#logger = options.logger
    this.#clock = options.clock
  }

  get rules(): RuleSet {
    return this.#state.set
  }

  /** All that the control topic has said so far. */
  get state(): ControlState {
    return this.#state
  }

  /** Reads to the end of the control topic. */
  async catchUp(): Promise<void> {
    const partition = { topic: this.#topic, partition: 0 }
    const [bounds] = await this.#log.bounds([partition])
    if (bounds === undefined)
      throw new OncewardError('ONCEWARD_E_LOG_TOPIC_MISSING', `there is no topic ${this.#topic}`)
    this.#reader ??= await this.#log.reader(partition)
    this.#position = Math.max(this.#position, bounds.earliest)
    while (this.#position < bounds.end) if (!(await this.#readOn(0))) break
  }

  /** Follows the topic until `close`. A lost connection is waited out: the rules known so far stay in force. */
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
    while (!this.#stop.signal.aborted) {
      try {
        await this.#readOn(POLL_WAIT_MS)
      } catch (error) {
        if (this.#stop.signal.aborted) return
        this.#logger.warn(
          { error: messageOf(error), topic: this.#topic },
          'cannot read rule updates; the known rules stay in force',
        )
        await this.#clock.sleep(RETRY_DELAY_MS, this.#stop.signal)
      }
    }
  }

  /** Reads one batch; false where nothing moved. */
  async #readOn(waitMs: number): Promise<boolean> {
    if (this.#reader === undefined) return false
    const batch = await this.#reader.read(this.#position, { waitMs })
    const moved = batch.nextOffset > this.#position
    this.#position = batch.nextOffset
    if (batch.records.length === 0) return moved
    for (const { value, offset } of batch.records) this.#entries.push({ value, place: `${this.#topic}[0]@${offset}` })
    this.#state = foldControl(this.#entries)
    const { set, problems } = this.#state
    for (const problem of problems.slice(this.#reported)) {
      this.#logger.error(
        { topic: this.#topic, code: problem.code },
        `a published rule is ignored: ${formatProblem(problem)}`,
      )
    }
    this.#reported = Math.max(this.#reported, problems.length)
    this.#logger.info({ versions: set.versions.length }, 'rules updated')
    return true
  }
}
