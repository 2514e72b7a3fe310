import { recordsText, type Report } from './findings.ts'
import type { RecordLine } from './lines.ts'

interface Place {
  readonly segment: string
  readonly line: number
}

interface Gap extends Place {
  readonly from: number
  readonly to: number
}

interface Early extends Place {
  readonly record: RecordLine
}

/** So many gaps and early records are kept apart; the oldest are told as what they look like then. */
const OPEN_MAX = 1_000
/** Of so many records before, a copy is told from something else under the same number. */
const REMEMBERED = 65_536

/** The numbers of one stream's records: which comes next, which were left out, which stand somewhere else. */
export class GaplessNumbers {
  /** The number that comes next. */
  expected = 1
  readonly #stream: string
  readonly #report: Report
  #gaps: Gap[] = []
  readonly #early = new Map<number, Early>()
  readonly #hashes: string[] = []

  constructor(stream: string, report: Report) {
    this.#stream = stream
    this.#report = report
  }

  accept({ seq, hash }: RecordLine): void {
    this.expected = seq + 1
    this.#hashes[seq % REMEMBERED] = hash
    const early = this.#early.get(seq)
    if (early === undefined) return
    this.#early.delete(seq)
    this.#surplus(early, early.record.hash === hash)
  }

  /** The numbers up to `seq`, exclusive, are not here. */
  skipTo(seq: number, { segment, line }: Place): void {
    if (seq > this.expected) this.#gaps.push({ from: this.expected, to: seq - 1, segment, line })
    this.expected = seq
    if (this.#gaps.length > OPEN_MAX) this.#removed(this.#gaps.splice(0, 1))
  }

  /** A record stands before its place. */
  standsEarly(early: Early): void {
    this.#early.set(early.record.seq, early)
    const [oldest] = this.#early.values()
    if (this.#early.size <= OPEN_MAX || oldest === undefined) return
    this.#early.delete(oldest.record.seq)
    this.#surplus(oldest, false)
  }

  /** A record stands behind its place, or a second time. */
  standsLate({ record, segment: where, line }: Early): void {
    const { seq, hash } = record
    const gap = this.#gaps.find(({ from, to }) => seq >= from && seq <= to)
    if (gap === undefined)
      return this.#surplus({ record, segment: where, line }, this.#hashes[seq % REMEMBERED] === hash)
    const rest = [
      { ...gap, to: seq - 1 },
      { ...gap, from: seq + 1 },
    ].filter(({ from, to }) => from <= to)
    this.#gaps.splice(this.#gaps.indexOf(gap), 1, ...rest)
    const detail = `record ${seq} stands behind record ${this.expected - 1}`
    this.#report({ stream: this.#stream, what: 'reordered', where, line, seq, detail })
  }

  /**
   * The numbers that come next, below `before`, and that stand before their place. Answers what the next line is then chained
   * to, `links` where there are none.
   */
  takeEarly(links: readonly string[] | undefined, before = Number.POSITIVE_INFINITY): readonly string[] | undefined {
    let chained = links
    for (let early = this.#early.get(this.expected); early !== undefined; early = this.#early.get(this.expected)) {
      const { seq, hash } = early.record
      if (seq >= before) break
      this.#early.delete(seq)
      const detail = `record ${seq} stands before its place, which is behind record ${seq - 1}`
      this.#report({ stream: this.#stream, what: 'reordered', where: early.segment, line: early.line, seq, detail })
      this.expected = seq + 1
      this.#hashes[seq % REMEMBERED] = hash
      chained = [hash]
    }
    return chained
  }

  finish(): void {
    this.#removed(this.#gaps)
    for (const early of this.#early.values()) this.#surplus(early, false)
    this.#gaps = []
    this.#early.clear()
  }

  #removed(gaps: readonly Gap[]): void {
    for (const { from: seq, to: lastSeq, segment: where, line } of gaps) {
      const detail = `${recordsText(seq, lastSeq)} ${seq === lastSeq ? 'is' : 'are'} gone`
      this.#report({ stream: this.#stream, what: 'removed', where, line, seq, lastSeq, detail })
    }
  }

  #surplus({ record: { seq }, segment: where, line }: Early, copy: boolean): void {
    const what = copy ? 'duplicated' : 'inserted'
    const detail = copy ? `record ${seq} stands there twice` : `a second record ${seq} stands there`
    this.#report({ stream: this.#stream, what, where, line, seq, detail })
  }
}
