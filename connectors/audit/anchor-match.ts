import { AnchorCheck } from '../../core/audit/anchor-check.ts'
import type { Report } from '../../core/audit/findings.ts'
import { type AnchorLine, type HeaderLine, readLine } from '../../core/audit/lines.ts'
import type { AnchorReader, AnchorSnapshot } from '../../core/ports/audit.ts'

/** Something of the stream that anchors can be held to, in its order. */
export type Passed = PassedLine | { readonly type: 'header'; readonly header: HeaderLine }

interface PassedLine {
  readonly type: 'record' | 'footer'
  readonly seq: number
  readonly hashes: readonly string[]
  readonly segment: string
}

/** Walks along one place's anchors of one stream beside the stream itself: neither is ever in memory as a whole. */
export class AnchorMatch {
  readonly #stream: string
  readonly #reader: AnchorReader
  readonly #check: AnchorCheck
  readonly #lines: AsyncIterator<readonly { readonly bytes: Buffer; readonly place: string }[]>
  /** True: the stream has findings of its own, which say why a record is not there. */
  readonly #explained: () => boolean
  #ready: AnchorLine[] = []
  #next = 0
  #begun = false

  constructor(
    stream: string,
    place: { readonly reader: AnchorReader; readonly snapshot: AnchorSnapshot },
    { report, explained }: { readonly report: Report; readonly explained: () => boolean },
  ) {
    const { name, unbroken } = place.reader
    this.#stream = stream
    this.#reader = place.reader
    this.#check = new AnchorCheck({ stream, place: name, unbroken, report })
    this.#lines = place.snapshot.lines(stream)[Symbol.asyncIterator]()
    this.#explained = explained
  }

  /** The last record that an anchor of the place fits. */
  get matched(): number {
    return this.#check.matched
  }

  async pass(events: readonly Passed[]): Promise<void> {
    for (const event of events) {
      if (event.type === 'header') await this.#header(event.header)
      else await this.#line(event)
    }
  }

  async end(last: number, segment: string | undefined): Promise<void> {
    let left: AnchorLine | undefined
    for (let anchor = await this.#peek(); anchor !== undefined; anchor = await this.#peek()) {
      this.#next += 1
      if (anchor.seq < last || (anchor.seq === last && !anchor.closed)) this.#missed(anchor)
      else left = anchor
    }
    this.#check.end(last, segment, left)
    if (!this.#check.hasClaims) return
    const now = await this.#reader.snapshot()
    for await (const batch of now.lines(this.#stream)) {
      for (const { bytes } of batch) this.#check.settle(readLine(bytes))
    }
    this.#check.settled()
  }

  async #line({ type, seq, hashes, segment }: PassedLine): Promise<void> {
    for (let anchor = await this.#peek(); anchor !== undefined && anchor.seq <= seq; anchor = await this.#peek()) {
      // An anchor of the footer waits for it.
      if (anchor.seq === seq && anchor.closed && type === 'record') return
      this.#next += 1
      if (anchor.seq === seq && anchor.closed === (type === 'footer')) this.#check.compare(anchor, hashes, segment)
      else this.#missed(anchor)
    }
  }

  async #header(header: HeaderLine): Promise<void> {
    for (
      let anchor = await this.#peek();
      anchor !== undefined && anchor.seq < header.first;
      anchor = await this.#peek()
    ) {
      this.#next += 1
      if (anchor.seq === header.first - 1 && anchor.closed) this.#check.compare(anchor, [header.prev])
      // What was retired is known by its head alone.
      else if (this.#begun) this.#missed(anchor)
    }
    this.#begun = true
    this.#check.header(header)
  }

  #missed(anchor: AnchorLine): void {
    if (!this.#explained()) this.#check.absent(anchor)
  }

  async #peek(): Promise<AnchorLine | undefined> {
    while (this.#next >= this.#ready.length) {
      const batch = await this.#lines.next()
      if (batch.done === true) return undefined
      this.#next = 0
      this.#ready = batch.value.flatMap(({ bytes, place }) => this.#check.take(readLine(bytes), place) ?? [])
    }
    return this.#ready[this.#next]
  }
}
