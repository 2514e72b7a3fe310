/** Comma-separated values as RFC 4180 has them, with other delimiters too. */
import { LINE_BYTES_MAX } from './line-splitter.ts'
import { Unreadable } from './statement-values.ts'

export const DELIMITERS = [',', ';', '\t', '|'] as const

/** The delimiter that cuts the header into most fields. */
export function delimiterOf(header: string): string {
  let best: string = DELIMITERS[0]
  for (const one of DELIMITERS) if (fieldsOf(header, one).length > fieldsOf(header, best).length) best = one
  return best
}

/** A quote is special where a field begins with one; inside, two are one. */
export function fieldsOf(record: string, delimiter: string): string[] {
  const fields: string[] = []
  let at = 0
  for (;;) {
    let field = ''
    if (record[at] === '"') {
      const end = closingQuote(record, at + 1)
      field = record.slice(at + 1, end).replaceAll('""', '"')
      at = end + 1
    }
    const next = record.indexOf(delimiter, at)
    const stop = next === -1 ? record.length : next
    fields.push(field + record.slice(at, stop))
    if (next === -1) return fields
    at = next + delimiter.length
  }
}

function closingQuote(record: string, from: number): number {
  for (let at = from; ; at += 2) {
    at = record.indexOf('"', at)
    if (at === -1) return record.length
    if (record[at + 1] !== '"') return at
  }
}

/** Puts lines together again where a quoted field goes over several; holds at most one record of LINE_BYTES_MAX. */
export class RecordJoiner {
  #held = ''

  /** The record that `line` ends; undefined: it goes on. */
  push(line: string): string | undefined {
    const record = this.#held === '' ? line : `${this.#held}\n${line}`
    // In text between quotes there is an odd number of them so far.
    if ((record.split('"').length - 1) % 2 === 0) {
      this.#held = ''
      return record
    }
    if (record.length > LINE_BYTES_MAX) throw new Unreadable('a quote is opened and not closed for more than 1 MiB')
    this.#held = record
    return undefined
  }

  end(): void {
    if (this.#held !== '') throw new Unreadable('a quote is opened in the last record and not closed')
  }
}
