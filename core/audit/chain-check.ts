/**
 * Goes through the lines of one stream, and names what does not belong. Memory does not grow with the stream. After a finding
 * it goes on: every line has its own hash, so it can be told which lines are whole, and numbers and links say where they belong.
 *
 * C1  as long as nothing was reported, each line is chained to the one before, and numbers have no gap
 * C2  whatever breaks C1 is reported, once, at the first record that it affects
 */
import { type Finding, recordsText, type Report } from './findings.ts'
import { GaplessNumbers } from './gapless-numbers.ts'
import { type BrokenLine, type FooterLine, GENESIS, type HeaderLine, type Line, type RecordLine } from './lines.ts'
import { coversBeginning, type RetiredSegment } from './retirement.ts'

export interface ChainCheckOptions {
  readonly stream: string
  /** Of this stream. */
  readonly retired: readonly RetiredSegment[]
  readonly report: Report
  /** Told the records in the order of their numbers, with the hashes that each may have; what is missing is left out. */
  readonly passed?: (seq: number, hashes: readonly string[], segment: string) => void
  readonly header?: (header: HeaderLine) => void
  readonly footer?: (last: number, hash: string, segment: string) => void
}

/** What the stream came to. */
export interface ChainSummary {
  readonly records: number
  /** The first record that is there; 0: none is. */
  readonly first: number
  /** The last record; 0: there is none. */
  readonly last: number
  /** The newest segment has its footer. */
  readonly closed: boolean
  /** Bytes behind the last line end: somebody is writing them, or was killed while writing them. */
  readonly torn: number
}

interface Placed {
  readonly record: RecordLine
  readonly line: number
  readonly segment: string
}

/** Lines one after the other that are none of ours. */
interface BrokenRun {
  readonly line: number
  count: number
  /** What a single one may have been, as links of the next. */
  links: readonly string[]
  /** The last of them looks like a footer. */
  footer: boolean
}

export class ChainCheck {
  readonly #options: ChainCheckOptions
  readonly #numbers: GaplessNumbers
  #segment = { name: '', first: 0, closed: false, begun: false }
  /** What the next line may be chained to; undefined: that cannot be told. */
  #links: readonly string[] | undefined = [GENESIS]
  #run: BrokenRun | undefined
  /** A record with too high a number: those before it are missing, or it stands before its place. The next one tells. */
  #ahead: Placed | undefined
  /** The segment before. */
  #before = ''
  /** It ended without a footer. */
  #unclosed: { readonly name: string; readonly line: number; readonly footer: boolean } | undefined
  #line = 0
  #records = 0
  #first = 0
  #torn = 0

  constructor(options: ChainCheckOptions) {
    this.#options = options
    this.#numbers = new GaplessNumbers(options.stream, options.report)
  }

  /** `first`: the record that it begins with, as far as name and header tell. */
  beginSegment(name: string, first: number): void {
    this.#before = this.#segment.name
    this.#segment = { name, first, closed: false, begun: false }
    this.#line = 0
  }

  /** `whole`: it has its line end. */
  take(line: Line, bytes: number, whole: boolean): void {
    this.#line += 1
    if (this.#segment.closed) return this.#behindEnd(line)
    if (!whole) this.#torn = bytes
    if (!this.#segment.begun) return this.#begin(line, whole)
    if (!whole) return this.#broken({ links: [], footer: false })
    switch (line.type) {
      case 'record':
        return this.#record({ record: line, line: this.#line, segment: this.#segment.name })
      case 'footer':
        return this.#footer(line)
      case 'broken':
        return this.#broken(line)
      case 'header':
      case 'anchor':
        return this.#surplus(`a ${line.type} stands among the records`)
    }
  }

  /** `newest`: no segment follows, so somebody may still be writing this one. */
  endSegment(newest: boolean): void {
    this.#settleAhead()
    if (newest) return this.#endNewest()
    this.#links = this.#numbers.takeEarly(this.#links)
    this.#torn = 0
    const { closed, name, begun } = this.#segment
    if (closed) return
    this.#unclosed = { name, line: begun ? this.#line : 1, footer: this.#run?.footer === true }
    this.#links = undefined
    this.#run = undefined
  }

  /** Bytes without a line end are what somebody is writing, or was killed while writing. */
  #endNewest(): void {
    const run = this.#run
    if (run !== undefined && this.#torn > 0) run.count -= 1
    if (run?.count === 0) this.#run = undefined
    else if (run?.footer === true) this.#footerChanged(run.line)
    else this.#changed(this.#numbers.expected)
    this.#links = this.#numbers.takeEarly(this.#links)
  }

  #footerChanged(line: number, where = this.#segment.name): void {
    const seq = this.#numbers.expected - 1
    this.#report({ what: 'changed', where, seq, line, detail: `the footer of ${where} was changed` })
  }

  finish(): ChainSummary {
    this.#numbers.finish()
    const last = this.#numbers.expected - 1
    return { records: this.#records, first: this.#first, last, closed: this.#segment.closed, torn: this.#torn }
  }

  #begin(line: Line, whole: boolean): void {
    this.#segment.begun = true
    const { name, first } = this.#segment
    const header = line.type === 'header' && line.first === first ? line : undefined
    if (header === undefined && !whole) return
    this.#reach(first, header)
    if (header !== undefined) {
      this.#options.header?.(header)
      this.#links = [header.hash]
    } else if (line.type === 'record' || line.type === 'footer') {
      this.#report({ what: 'removed', seq: first, line: 1, detail: `the header of ${name} is gone` })
      this.#links = undefined
      this.#line -= 1
      this.take(line, 0, whole)
    } else {
      this.#report({ what: 'changed', seq: first, line: 1, detail: `the header of ${name} was changed` })
      this.#links = line.type === 'broken' && line.links.length > 0 ? line.links : undefined
    }
  }

  /** A segment begins with record `first`: is it the one that follows? */
  #reach(first: number, header: HeaderLine | undefined): void {
    const expected = this.#numbers.expected
    const unclosed = this.#unclosed
    const before = this.#before
    this.#unclosed = undefined
    if (unclosed?.footer === true && first === expected) {
      this.#footerChanged(unclosed.line, unclosed.name)
    } else if (unclosed !== undefined) {
      const cut = first > expected ? `${recordsText(expected, first - 1)} and the footer` : 'the footer'
      const detail = `${cut} at the end of ${unclosed.name} ${first > expected ? 'are' : 'is'} gone`
      const seq = first > expected ? { seq: expected, lastSeq: first - 1 } : { seq: expected - 1 }
      this.#report({ what: 'removed', where: unclosed.name, line: unclosed.line, ...seq, detail })
    } else if (first > expected) {
      this.#missing(expected, first, header)
    } else if (first < expected) {
      const detail = `${recordsText(first, expected - 1)} stand at the end of ${before}, though the next segment begins with ${first}`
      this.#report({ what: 'inserted', where: before, seq: first, lastSeq: expected - 1, detail })
    } else if (header !== undefined && this.#links !== undefined && !this.#links.includes(header.prev)) {
      // Had this header been rewritten, the record behind it would not be chained to it.
      const detail = `the end of ${before} is not what ${this.#segment.name} is chained to: it was rewritten`
      this.#report({ what: 'rewritten', where: before, seq: Math.max(1, first - 1), lastSeq: first, detail })
    }
    this.#numbers.expected = first
  }

  #missing(expected: number, first: number, header: HeaderLine | undefined): void {
    const { retired } = this.#options
    const isFirst = expected === 1 && this.#records === 0
    if (isFirst && header !== undefined && coversBeginning(retired, { first, prev: header.prev })) return
    const detail = `${recordsText(expected, first - 1)}, one or more segments before ${this.#segment.name}, are gone, and nothing says that they were retired`
    this.#report({ what: 'segment_missing', seq: expected, lastSeq: first - 1, detail })
  }

  #record(placed: Placed): void {
    const { record } = placed
    const ahead = this.#ahead
    if (ahead !== undefined && !this.#isBehind(record)) {
      const chained = record.seq === ahead.record.seq + 1 && record.prev === ahead.record.hash
      // Whatever belongs before it says that it stands too early; whatever follows it, that those before are gone.
      if (!chained && record.seq < ahead.record.seq) {
        this.#ahead = undefined
        this.#numbers.standsEarly(ahead)
      } else {
        this.#settleAhead()
      }
    }
    this.#settleRun(record.seq)
    if (this.#isBehind(record)) return this.#behind(placed)
    if (record.seq > this.#numbers.expected) this.#links = this.#numbers.takeEarly(this.#links, record.seq)
    if (record.seq > this.#numbers.expected) this.#ahead = placed
    else this.#accept(placed)
  }

  #isBehind({ seq }: RecordLine): boolean {
    return seq < this.#numbers.expected
  }

  #behindEnd(line: Line): void {
    if (line.type !== 'record' || !this.#isBehind(line))
      return this.#surplus('a line stands behind the end of the segment')
    this.#numbers.standsLate({ record: line, line: this.#line, segment: this.#segment.name })
  }

  #behind(placed: Placed): void {
    const { seq, hash } = placed.record
    this.#numbers.standsLate(placed)
    // Which of two is the right one, the next record says.
    if (seq === this.#numbers.expected - 1) this.#links = this.#links && [...this.#links, hash]
  }

  #accept({ record, line, segment }: Placed): void {
    const { seq, prev, hash } = record
    if (this.#links !== undefined && !this.#links.includes(prev)) {
      const before = Math.max(this.#segment.first, seq - 1)
      const detail = `record ${seq} is not chained to the line before: one of the two was rewritten`
      this.#report({ what: 'rewritten', seq: before, lastSeq: seq, line, where: segment, detail })
    }
    this.#numbers.accept(record)
    this.#links = [hash]
    this.#records += 1
    if (this.#first === 0) this.#first = seq
    this.#options.passed?.(seq, [hash], segment)
  }

  /** Nothing says that the record with too high a number stands too early: what it should follow on is gone. */
  #settleAhead(): void {
    const ahead = this.#ahead
    this.#ahead = undefined
    if (ahead === undefined) return
    this.#numbers.skipTo(ahead.record.seq, { segment: ahead.segment, line: ahead.line })
    this.#links = undefined
    this.#accept(ahead)
  }

  #broken({ links, footer }: Pick<BrokenLine, 'links' | 'footer'>): void {
    this.#settleAhead()
    const { line, count } = this.#run ?? { line: this.#line, count: 0 }
    this.#run = { line, count: count + 1, links: count === 0 ? links : [], footer }
  }

  /** The next whole line has this number: what stood for the numbers before it was changed, or was never one of them. */
  #settleRun(seq: number): void {
    const run = this.#run
    const { expected } = this.#numbers
    if (run === undefined || seq < expected) return
    if (seq > expected) return this.#changed(seq - 1)
    this.#run = undefined
    const what =
      run.count === 1 ? 'a line that is none of ours stands' : `${run.count} lines that are none of ours stand`
    this.#report({ what: 'inserted', seq: expected, line: run.line, detail: `${what} before record ${expected}` })
  }

  #changed(last: number): void {
    const run = this.#run
    const first = this.#numbers.expected
    this.#run = undefined
    if (run === undefined) return
    const lines = run.count === 1 ? 'the line' : `the ${run.count} lines`
    const detail = `${recordsText(first, last)}: ${lines} there cannot be what was written`
    this.#report({ what: 'changed', seq: first, lastSeq: last, line: run.line, detail })
    this.#numbers.expected = last + 1
    this.#records += last - first + 1
    if (this.#first === 0) this.#first = first
    this.#links = undefined
    if (first === last && run.links.length > 0) this.#options.passed?.(first, run.links, this.#segment.name)
  }

  #footer(footer: FooterLine): void {
    this.#settleAhead()
    this.#settleRun(footer.last + 1)
    const { name, first } = this.#segment
    this.#links = this.#numbers.takeEarly(this.#links)
    const { expected } = this.#numbers
    if (footer.last >= expected) {
      this.#numbers.skipTo(footer.last + 1, { segment: name, line: this.#line })
    } else if (footer.last < expected - 1) {
      const detail = `the footer of ${name} says that it ends with record ${footer.last}`
      this.#report({ what: 'inserted', seq: footer.last + 1, lastSeq: expected - 1, line: this.#line, detail })
    } else if (this.#links !== undefined && !this.#links.includes(footer.prev)) {
      const detail = `the footer of ${name} is not chained to record ${footer.last}: one of the two was rewritten`
      this.#report({ what: 'rewritten', seq: footer.last, line: this.#line, detail })
    }
    if (footer.count !== footer.last - first + 1) {
      const detail = `the footer of ${name} counts ${footer.count} records from ${first} to ${footer.last}`
      this.#report({ what: 'rewritten', seq: footer.last, line: this.#line, detail })
    }
    this.#segment.closed = true
    this.#links = [footer.hash]
    this.#options.footer?.(footer.last, footer.hash, name)
  }

  #surplus(detail: string): void {
    this.#report({ what: 'inserted', seq: this.#numbers.expected, line: this.#line, detail })
  }

  #report(finding: Omit<Finding, 'stream'>): void {
    this.#options.report({ stream: this.#options.stream, where: this.#segment.name, ...finding })
  }
}
