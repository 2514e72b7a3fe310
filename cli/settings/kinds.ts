import { parseDuration } from '../../core/durations.ts'
import { messageOf } from '../../core/errors.ts'

/** What a setting's type is called in its spec, and what the command gets. */
export interface KindValues {
  text: string
  /** Comma-separated on the command line and in variables, a sequence in YAML. */
  list: readonly string[]
  /** Each as it was written, commas and all; a flag may be given several times, YAML takes a sequence. */
  texts: readonly string[]
  integer: number
  number: number
  /** A share from 0 to 1; written 0.1 or 10%. */
  rate: number
  /** Milliseconds; written 250ms, 20s, 5m, 24h, 7d. */
  duration: number
  flag: boolean
  path: string
  url: string
  choice: string
}

export type Kind = keyof KindValues

/** What was written, wherever it was written. */
export type Written = string | boolean | readonly string[]

export interface Bounds {
  /** Least and greatest value allowed; for durations in the text form's milliseconds. */
  readonly min?: number
  readonly max?: number
  /** For `choice`. */
  readonly choices?: readonly string[]
  /** For `url`: the protocols allowed, without colon. */
  readonly protocols?: readonly string[]
  /** For `text` and the items of `list`. */
  readonly pattern?: { readonly test: RegExp; readonly right: string }
}

/** A value, or a clause that says what is wrong with what was written and what would be right. */
export type Read<V> = { readonly ok: true; readonly value: V } | { readonly ok: false; readonly problem: string }

const good = <V>(value: V): Read<V> => ({ ok: true, value })
const bad = (problem: string): Read<never> => ({ ok: false, problem })

type Reader<K extends Kind> = (written: Written, bounds: Bounds) => Read<KindValues[K]>

export const READERS: { readonly [K in Kind]: Reader<K> } = {
  text: (written, bounds) => matching(single(written), bounds),
  path: (written) => single(written),
  list: readList,
  texts: readTexts,
  integer: (written, bounds) =>
    within(numeric(written, /^[+-]?\d[\d_]*$/, `a whole number${rangeText(bounds)}`), bounds),
  number: (written, bounds) => within(numeric(written, NUMBER, `a number${rangeText(bounds)}`), bounds),
  rate: readRate,
  duration: readDuration,
  flag: readFlag,
  url: readUrl,
  choice: readChoice,
}

const NUMBER = /^[+-]?(\d[\d_]*(\.\d+)?|\.\d+)(e[+-]?\d+)?$/i

function single(written: Written): Read<string> {
  if (typeof written === 'object') return bad(`a list is not allowed here; write one value`)
  const text = String(written).trim()
  return text === '' ? bad('it is empty; write a value or leave it out') : good(text)
}

function matching(read: Read<string>, bounds: Bounds): Read<string> {
  if (!read.ok || bounds.pattern === undefined || bounds.pattern.test.test(read.value)) return read
  return bad(`"${read.value}" is not ${bounds.pattern.right}`)
}

function readList(written: Written, bounds: Bounds): Read<readonly string[]> {
  const items = (typeof written === 'object' ? written : String(written).split(','))
    .map((item) => item.trim())
    .filter((item) => item !== '')
  if (items.length === 0) return bad('it is empty; write one value or several, separated by commas')
  for (const item of items) {
    const read = matching(good(item), bounds)
    if (!read.ok) return read
  }
  return good(items)
}

function readTexts(written: Written): Read<readonly string[]> {
  const items = typeof written === 'object' ? written : [String(written)]
  const empty = items.length === 0 || items.some((item) => item.trim() === '')
  return empty ? bad('it is empty; write a value or leave it out') : good(items)
}

function numeric(written: Written, form: RegExp, right: string): Read<number> {
  const read = single(written)
  if (!read.ok) return read
  const value = Number(read.value.replaceAll('_', ''))
  return form.test(read.value) && Number.isFinite(value) ? good(value) : bad(`"${read.value}" is not ${right}`)
}

function within(read: Read<number>, bounds: Bounds, show: (value: number) => string = String): Read<number> {
  if (!read.ok) return read
  const low = bounds.min !== undefined && read.value < bounds.min
  const high = bounds.max !== undefined && read.value > bounds.max
  return low || high ? bad(`${show(read.value)} is out of bounds; write a value${rangeText(bounds, show)}`) : read
}

/** ` from 1 to 10`, ` of at least 1`, ` of at most 10`, or nothing. */
export function rangeText(bounds: Bounds, show: (value: number) => string = String): string {
  const { min, max } = bounds
  if (min !== undefined && max !== undefined) return ` from ${show(min)} to ${show(max)}`
  if (min !== undefined) return ` of at least ${show(min)}`
  return max === undefined ? '' : ` of at most ${show(max)}`
}

function readRate(written: Written): Read<number> {
  const right = 'a share from 0 to 1, such as 0.1 or 10%'
  const read = single(written)
  if (!read.ok) return read
  const percent = read.value.endsWith('%')
  const number = numeric(percent ? read.value.slice(0, -1) : read.value, NUMBER, right)
  if (!number.ok) return bad(`"${read.value}" is not ${right}`)
  const share = percent ? number.value / 100 : number.value
  return share >= 0 && share <= 1 ? good(share) : bad(`${read.value} is out of bounds; write ${right}`)
}

function readDuration(written: Written, bounds: Bounds): Read<number> {
  const read = single(written)
  if (!read.ok) return read
  try {
    return within(good(parseDuration(read.value)), bounds, (ms) => `${ms}ms`)
  } catch (error) {
    return bad(messageOf(error))
  }
}

const YES = new Set(['true', 'yes', 'on', '1'])
const NO = new Set(['false', 'no', 'off', '0'])

function readFlag(written: Written): Read<boolean> {
  if (typeof written === 'boolean') return good(written)
  const read = single(written)
  if (!read.ok) return read
  const text = read.value.toLowerCase()
  if (YES.has(text)) return good(true)
  return NO.has(text) ? good(false) : bad(`"${read.value}" is neither true nor false`)
}

function readUrl(written: Written, bounds: Bounds): Read<string> {
  const read = single(written)
  if (!read.ok) return read
  const protocols = bounds.protocols ?? ['http', 'https']
  const right = `a URL that begins with ${protocols.map((protocol) => `${protocol}://`).join(' or ')}`
  // The text itself is not shown: a URL may carry a password.
  if (!URL.canParse(read.value)) return bad(`it is not ${right}`)
  const protocol = new URL(read.value).protocol.slice(0, -1)
  return protocols.includes(protocol) ? good(read.value) : bad(`it begins with ${protocol}:; write ${right}`)
}

function readChoice(written: Written, bounds: Bounds): Read<string> {
  const read = single(written)
  if (!read.ok || bounds.choices?.includes(read.value)) return read
  return bad(`"${read.value}" is not one of ${(bounds.choices ?? []).join(', ')}`)
}
