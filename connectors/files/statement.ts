/** A wallet's statement as a file: CSV with a header, or NDJSON; gzip or not. One record at a time is in memory. */
import { basename } from 'node:path'
import { messageOf, OncewardError } from '../../core/errors.ts'
import type { StatementLine, StatementState } from '../../core/ports/reconciliation.ts'
import { LINE_BYTES_MAX } from './line-splitter.ts'
import { type LineReader, readLines } from './lines.ts'
import { delimiterOf, fieldsOf, RecordJoiner } from './statement-csv.ts'
import { excerpt, readAmount, readState, readTime, Unreadable } from './statement-values.ts'

export const STATEMENT_FIELDS = [
  'payout_id',
  'request_id',
  'user_id',
  'type',
  'amount',
  'currency',
  'status',
  'paid_at',
] as const

export type StatementField = (typeof STATEMENT_FIELDS)[number]

export interface StatementOptions {
  /** What the file calls a field; those that are left out are called as here. For NDJSON a path such as `data.id`. */
  readonly columns?: ReadonlyMap<StatementField, string>
  /** Of CSV; default: what the header suggests. */
  readonly delimiter?: string
  /** `1.234,50` instead of `1,234.50`. */
  readonly decimalComma?: boolean
  /** What words of the status column mean, in lower case, beside those that are known. */
  readonly states?: ReadonlyMap<string, StatementState>
  readonly signal?: AbortSignal
}

export interface Statement extends AsyncIterable<readonly StatementLine[]> {
  /** As LineReader has them. */
  readonly bytesRead: number
  readonly bytesTotal: number | undefined
  /** Records without a request id so far: nothing of ours, or nothing that can be matched. */
  readonly withoutId: number
}

/** A file's own names of things, and how to get at them. */
type Pick = (field: StatementField) => string | undefined

/**
 * Opens a statement. A column for `request_id` and for `amount` must be there; without `status` every line is a payment, and
 * a negative amount is one that was taken back. Throws ONCEWARD_E_FILE_UNREADABLE, and from the iteration
 * ONCEWARD_E_STATEMENT_INVALID, which names the record.
 */
export async function readStatement(path: string, options: StatementOptions = {}): Promise<Statement> {
  const lines = await readLines(path, options.signal === undefined ? {} : { signal: options.signal })
  return new StatementFile(path, lines, options)
}

class StatementFile implements Statement {
  withoutId = 0
  readonly #name: string
  readonly #lines: LineReader
  readonly #options: StatementOptions
  #record = 0

  constructor(path: string, lines: LineReader, options: StatementOptions) {
    this.#name = path === '-' ? 'the standard input' : basename(path)
    this.#lines = lines
    this.#options = options
  }

  get bytesRead(): number {
    return this.#lines.bytesRead
  }

  get bytesTotal(): number | undefined {
    return this.#lines.bytesTotal
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly StatementLine[]> {
    let format: Format | undefined
    for await (const chunk of this.#lines) {
      const found: StatementLine[] = []
      for (const bytes of chunk) {
        this.#within(() => {
          const text = decode(bytes)
          format ??= text.trimStart().startsWith('{') ? ndjson(this.#options) : csv(this.#options)
          const pick = format.push(text, () => (this.#record += 1))
          if (pick === undefined) return
          const line = this.#line(pick)
          if (line !== undefined) found.push(line)
        })
      }
      if (found.length > 0) yield found
    }
    if (this.#options.signal?.aborted === true) return
    this.#within(() => format?.end())
    if (format === undefined)
      throw invalid(this.#name, 'it is empty; a statement without payments has at least its header')
  }

  #line(pick: Pick): StatementLine | undefined {
    const requestId = pick('request_id')?.trim() ?? ''
    if (requestId === '') {
      this.withoutId += 1
      return undefined
    }
    const { decimalComma = false, states = new Map() } = this.#options
    const amount = readAmount(pick('amount') ?? '', decimalComma)
    const status = filled(pick('status'))
    const paidAt = filled(pick('paid_at'))
    const state = status === null ? 'paid' : readState(status, states)
    return {
      place: `${this.#name} record ${this.#record}`,
      requestId,
      payoutId: filled(pick('payout_id')),
      userId: filled(pick('user_id')),
      type: filled(pick('type')),
      amount: amount < 0n ? -amount : amount,
      currency: filled(pick('currency'))?.toUpperCase() ?? null,
      state: amount < 0n && state === 'paid' ? 'reversed' : state,
      paidAt: paidAt === null ? null : readTime(paidAt),
    }
  }

  #within(work: () => void): void {
    try {
      work()
    } catch (error) {
      if (error instanceof Unreadable) throw invalid(`${this.#name} record ${this.#record}`, error.message)
      throw error
    }
  }
}

interface Format {
  /** undefined: the record goes on in the next line, or it is the header. `begun` is told of a record before it is looked at. */
  push(line: string, begun: () => void): Pick | undefined
  end(): void
}

function csv(options: StatementOptions): Format {
  const joiner = new RecordJoiner()
  let header: ReadonlyMap<StatementField, number> | undefined
  let [delimiter, width] = [',', 0]
  return {
    push(line, begun) {
      const record = joiner.push(line)
      if (record === undefined) return undefined
      if (header === undefined) {
        delimiter = options.delimiter ?? delimiterOf(record)
        const names = fieldsOf(record, delimiter).map((name) => name.trim())
        width = names.length
        header = placesOf(names, options)
        return undefined
      }
      const places = header
      begun()
      const fields = fieldsOf(record, delimiter)
      if (fields.length !== width) {
        throw new Unreadable(`it has ${fields.length} fields, and the header has ${width}; check --delimiter`)
      }
      return (field) => fields[places.get(field) ?? -1]
    },
    end: () => joiner.end(),
  }
}

function placesOf(names: readonly string[], options: StatementOptions): ReadonlyMap<StatementField, number> {
  const places = new Map<StatementField, number>()
  for (const field of STATEMENT_FIELDS) {
    const own = options.columns?.get(field)
    const place = names.indexOf(own ?? field)
    if (place !== -1) places.set(field, place)
    else if (own !== undefined || isNeeded(field)) throw new Unreadable(missing(field, own ?? field, names))
  }
  return places
}

function isNeeded(field: StatementField): boolean {
  return field === 'request_id' || field === 'amount'
}

function missing(field: StatementField, name: string, names: readonly string[]): string {
  const has = excerpt(names.join(', '))
  return `there is no column "${excerpt(name)}", it has ${has}; name the one with the ${field}: --columns ${field}=NAME`
}

function ndjson({ columns }: StatementOptions): Format {
  return {
    push(line, begun) {
      begun()
      const value = parse(line)
      for (const field of STATEMENT_FIELDS) {
        const own = columns?.get(field)
        // A key that is not there in one record may be there in others; what is needed must be in each.
        if (field === 'request_id' && at(value, own ?? field) === undefined) {
          throw new Unreadable(missing(field, own ?? field, Object.keys(value)))
        }
      }
      return (field) => at(value, columns?.get(field) ?? field)
    },
    end: () => undefined,
  }
}

function parse(line: string): object {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch (error) {
    throw new Unreadable(`it is not JSON: ${messageOf(error)}`)
  }
  throw new Unreadable('it is not a JSON object')
}

/** What stands at a path such as `data.id`, as text; null counts as nothing. */
function at(value: object, path: string): string | undefined {
  let here: unknown = value
  for (const name of path.split('.')) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, name)) return undefined
    here = (here as Readonly<Record<string, unknown>>)[name]
  }
  if (here === null || here === undefined) return ''
  if (typeof here === 'string' || typeof here === 'boolean') return String(here)
  // Digits beyond what a JSON number holds are gone before anyone could see that.
  if (typeof here === 'number' && Math.abs(here) < 1e13) return String(here)
  throw new Unreadable(`${excerpt(path)} is neither a text nor a number below 10^13; write large amounts as text`)
}

function decode(bytes: Buffer): string {
  if (bytes.length > LINE_BYTES_MAX) throw new Unreadable('it is longer than 1 MiB')
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new Unreadable('it is not UTF-8 text; save the file in UTF-8')
  }
}

function filled(text: string | undefined): string | null {
  const given = text?.trim() ?? ''
  return given === '' ? null : given
}

function invalid(place: string, problem: string): OncewardError {
  return new OncewardError('ONCEWARD_E_STATEMENT_INVALID', `${place}: ${problem}`)
}
