import { GENESIS, type HeaderFacts } from '../../core/audit/lines.ts'
import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import type { AnchorChain, AnchorPlace, AuditHead } from '../../core/ports/audit.ts'
import type { Logger } from '../../core/ports/logger.ts'

/** How the anchors of one place stand. */
export interface AnchoringState {
  readonly place: string
  /** The last record that the place has an anchor of; 0: none. */
  readonly seq: number
  /** Tries that failed since the stream was opened. */
  readonly failures: number
}

/** Brings heads to one place, the newest only, one at a time. A place that fails holds up nobody. */
export class Anchoring {
  readonly #place: AnchorPlace
  readonly #chain: AnchorChain
  readonly #clock: Clock
  readonly #logger: Logger
  #due: AuditHead | undefined
  #writing: Promise<void> | undefined
  #failures = 0
  #failing = false
  #anchored: AuditHead | undefined

  constructor(
    place: AnchorPlace,
    chain: AnchorChain,
    { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  ) {
    this.#place = place
    this.#chain = chain
    this.#clock = clock
    this.#logger = logger
    this.#anchored = chain.newest()
  }

  /** How many anchors the place holds, and the hash of the last; undefined where nobody could hold it to that. */
  counted(): { readonly number: number; readonly hash: string } | undefined {
    return this.#place.unbroken ? this.#chain.newest() : undefined
  }

  state(): AnchoringState {
    return { place: this.#place.name, seq: this.#anchored?.seq ?? 0, failures: this.#failures }
  }

  /** Call it again, with the same head or a later one, as long as the place may lack it. */
  offer(head: AuditHead): void {
    if (this.#anchored?.seq === head.seq && this.#anchored.head === head.head) return
    this.#due = head
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
  }

  /** Waits for the try under way, and at most `ms`. */
  async settle(ms: number): Promise<void> {
    const done = new AbortController()
    await Promise.race([this.#writing, this.#clock.sleep(ms, done.signal)])
    done.abort()
  }

  close(): Promise<void> {
    return this.#chain.close()
  }

  async #write(): Promise<void> {
    const { stream } = this.#due ?? {}
    while (this.#due !== undefined) {
      const head = this.#due
      this.#due = undefined
      try {
        await this.#chain.write(head, this.#clock.now())
        this.#anchored = head
        if (this.#failing)
          this.#logger.info({ stream, place: this.#place.name }, 'the audit log is anchored there again')
        this.#failing = false
      } catch (error) {
        this.#failures += 1
        const told = { stream, place: this.#place.name, seq: head.seq, error: messageOf(error) }
        if (!this.#failing) this.#logger.error(told, 'the audit log cannot be anchored there; it is tried again')
        this.#failing = true
        return
      }
    }
  }
}

/** What a segment's header says of the first place that can be held to it. */
export function anchored(places: readonly Anchoring[]): Pick<HeaderFacts, 'anchored' | 'anchor'> {
  for (const place of places) {
    const newest = place.counted()
    if (newest !== undefined) return { anchored: newest.number, anchor: newest.hash }
  }
  return { anchored: 0, anchor: GENESIS }
}
