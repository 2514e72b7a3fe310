import { recordsText, type Report } from './findings.ts'
import { type AnchorLine, GENESIS, type HeaderLine, type Line } from './lines.ts'

/** So many anchors are remembered for what headers say of them: a header is written while one is under way at most. */
const REMEMBERED = 64

export interface AnchorCheckOptions {
  readonly stream: string
  /** Of the place, for people. */
  readonly place: string
  /** Each anchor is chained to the one before, and headers count them. */
  readonly unbroken: boolean
  readonly report: Report
}

/** Holds one stream to the anchors of one place, both in the order in which they were written. */
export class AnchorCheck {
  readonly #options: AnchorCheckOptions
  #number = 0
  #prev: string | undefined = GENESIS
  #line = 0
  readonly #hashes = new Map<number, string>()
  #matched = 0
  #differs = false
  /** By number: what headers say of anchors that were not among those taken. */
  readonly #claims = new Map<number, { readonly anchor: string; readonly first: number }>()

  constructor(options: AnchorCheckOptions) {
    this.#options = options
  }

  /** The last record that an anchor fits. */
  get matched(): number {
    return this.#matched
  }

  /** Takes the next line of the place; undefined: it says nothing that can be believed. */
  take(line: Line, where: string): AnchorLine | undefined {
    this.#line += 1
    if (line.type !== 'anchor' || line.stream !== this.#options.stream) {
      this.#report('anchors_changed', `${where} of the anchors is none of this stream's`)
      this.#prev = undefined
      return undefined
    }
    const { number, prev, hash } = line
    const begins = !this.#options.unbroken && number === 1 && prev === GENESIS
    if (!begins && this.#prev !== undefined && prev !== this.#prev) {
      const gone =
        number > this.#number + 1
          ? `${number - this.#number - 1} anchors before it are gone`
          : 'it is not chained to the one before'
      this.#report(
        number > this.#number + 1 ? 'anchors_removed' : 'anchors_changed',
        `anchor ${number}, ${where}: ${gone}`,
      )
    }
    this.#number = number
    this.#prev = hash
    this.#hashes.set(number, hash)
    this.#hashes.delete(number - REMEMBERED)
    return line
  }

  /** `hashes`: what the record, or the footer behind it, may have as its hash. */
  compare(anchor: AnchorLine, hashes: readonly string[], segment?: string): void {
    if (hashes.includes(anchor.head)) this.#matched = Math.max(this.#matched, anchor.seq)
    else if (!this.#differs) this.#rewritten(anchor, segment)
  }

  /** The record is not there, or the footer behind it, and nothing else has said so yet. */
  absent(anchor: AnchorLine): void {
    if (!this.#differs) this.#rewritten(anchor)
  }

  /** What the header says of this place, once all anchors of records before it were taken. */
  header({ anchored, anchor, first }: HeaderLine): void {
    if (!this.#options.unbroken || anchored === 0) return
    if (anchored > this.#number) {
      // It may have been written after the anchors were listed.
      this.#claims.set(anchored, { anchor, first })
      return
    }
    const known = this.#hashes.get(anchored)
    if (known !== undefined && known !== anchor) this.#otherThanClaimed(anchored, first)
  }

  /** True: headers name anchors that were not among those taken; they have to be looked for among what is there now. */
  get hasClaims(): boolean {
    return this.#claims.size > 0
  }

  settle(line: Line): void {
    const claim = line.type === 'anchor' ? this.#claims.get(line.number) : undefined
    if (line.type !== 'anchor' || claim === undefined) return
    this.#claims.delete(line.number)
    if (claim.anchor !== line.hash) this.#otherThanClaimed(line.number, claim.first)
  }

  /** What headers name and nobody has found. */
  settled(): void {
    const [claim] = this.#claims
    if (claim === undefined) return
    const [anchored, { first }] = claim
    const detail = `${anchored - this.#number} of ${anchored} anchors are gone, which were there when the segment that begins with record ${first} was begun`
    this.#report('anchors_removed', detail)
  }

  /** The stream has come to its end at `last`, in `segment`; `left`: the newest anchor of what should stand behind. */
  end(last: number, segment: string | undefined, left: AnchorLine | undefined): void {
    if (left === undefined) return
    const { seq, at } = left
    const gone = seq > last ? `${recordsText(last + 1, seq)} ${seq === last + 1 ? 'is' : 'are'}` : 'the footer is'
    const detail = `it ends with record ${last}, but the anchor of ${new Date(at).toISOString()} names record ${seq}: ${gone} cut off`
    const { stream, place, report } = this.#options
    const where = segment === undefined ? {} : { where: segment }
    report({ stream, what: 'truncated', ...where, place, seq: Math.min(last + 1, seq), lastSeq: seq, detail })
  }

  #otherThanClaimed(number: number, first: number): void {
    const detail = `anchor ${number} is not the one that was there when record ${first} was written`
    this.#report('anchors_changed', detail)
  }

  #rewritten({ seq, number, at }: AnchorLine, where?: string): void {
    this.#differs = true
    const { stream, place, report } = this.#options
    const since = this.#matched === 0 ? 1 : this.#matched + 1
    const detail = `record ${seq} is not the one that anchor ${number} of ${new Date(at).toISOString()} names: ${recordsText(since, seq)} may have been rewritten, or the anchor`
    const found = where === undefined ? {} : { where }
    report({ stream, what: 'rewritten', ...found, place, seq: Math.min(since, seq), lastSeq: seq, detail })
  }

  #report(what: 'anchors_changed' | 'anchors_removed', detail: string): void {
    const { stream, place, report } = this.#options
    report({ stream, what, place, line: this.#line, detail })
  }
}
