import { isMap, isScalar, isSeq, type Node, type Scalar } from 'yaml'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../core/durations.ts'
import { nearest } from './problem.ts'
import { isTextScalar, type YamlSource } from './yaml-source.ts'

/** A key of a map and what stands there. */
export interface Entry {
  readonly key: Scalar<string>
  readonly value: Node
}

export type Entries = ReadonlyMap<string, Entry>

/** The entries of the map at `node`. `keys` are those allowed; undefined: any. Answers undefined where it is no map. */
export function readMap(source: YamlSource, node: Node, name: string, keys?: readonly string[]): Entries | undefined {
  if (!isMap(node)) {
    source.report(node, wrongType(`${name} is a map of keys and values`, keys && `its keys are ${keys.join(', ')}`))
    return undefined
  }
  const entries = new Map<string, Entry>()
  for (const { key, value } of node.items) {
    if (!isTextScalar(key)) {
      source.report(isNode(key) ? key : node, wrongType(`a key of ${name} is a plain word`))
    } else if (Object.hasOwn(Object.prototype, key.value)) {
      source.report(key, { code: 'ONCEWARD_E_RULE_UNKNOWN_KEY', message: `"${key.value}" cannot be a key` })
    } else if (entries.has(key.value)) {
      source.report(key, {
        code: 'ONCEWARD_E_RULE_SYNTAX',
        message: `${key.value} stands here twice`,
        hint: 'leave one',
      })
    } else if (keys !== undefined && !keys.includes(key.value)) {
      const like = nearest(key.value, keys)
      const hint = like === undefined ? `allowed are ${keys.join(', ')}` : `did you mean ${like}?`
      source.report(key, { code: 'ONCEWARD_E_RULE_UNKNOWN_KEY', message: `${name} has no key "${key.value}"`, hint })
    } else if (!isNode(value) || (isScalar(value) && value.value === null)) {
      source.report(key, wrongType(`${key.value} has no value`, 'give it one, or leave the key out'))
    } else {
      entries.set(key.value, { key, value })
    }
  }
  return entries
}

/** The entry, or a problem at `owner` that it is missing. */
export function required(
  source: YamlSource,
  entries: Entries,
  key: string,
  owner: { node: Node; hint: string },
): Entry | undefined {
  const entry = entries.get(key)
  if (entry === undefined && !source.problems.some(({ message }) => message === `${key} has no value`)) {
    source.report(owner.node, { code: 'ONCEWARD_E_RULE_MISSING_KEY', message: `${key} is missing`, hint: owner.hint })
  }
  return entry
}

/** A text; a number or a date without quotes counts as the text that is written. */
export function readText(
  source: YamlSource,
  entry: Entry | undefined,
  fits?: { pattern: RegExp; hint: string },
): string | undefined {
  if (entry === undefined) return undefined
  const { key, value } = entry
  const text = isScalar(value) && typeof value.value !== 'boolean' ? writtenText(value) : undefined
  if (text === undefined || text.trim() === '') {
    source.report(value, wrongType(`${key.value} is a text`, fits?.hint))
    return undefined
  }
  if (fits !== undefined && !fits.pattern.test(text)) {
    source.report(value, {
      code: 'ONCEWARD_E_RULE_WRONG_VALUE',
      message: `${key.value} cannot be ${JSON.stringify(text)}`,
      hint: fits.hint,
    })
    return undefined
  }
  return text
}

/** `2.0` without quotes is a number to YAML, but a version to people. */
function writtenText(scalar: Scalar): string | undefined {
  if (typeof scalar.value === 'string') return scalar.value
  return typeof scalar.value === 'number' ? (scalar.source ?? String(scalar.value)) : undefined
}

export function readBoolean(source: YamlSource, entry: Entry | undefined): boolean | undefined {
  if (entry === undefined) return undefined
  if (isScalar(entry.value) && typeof entry.value.value === 'boolean') return entry.value.value
  source.report(entry.value, wrongType(`${entry.key.value} is true or false`))
  return undefined
}

export interface NumberBounds {
  readonly min: number
  readonly max: number
  /** Most digits after the point; 0: a whole number. */
  readonly decimals?: number
}

export function readNumber(source: YamlSource, entry: Entry | undefined, bounds: NumberBounds): number | undefined {
  return entry === undefined ? undefined : numberAt(source, entry.value, { ...bounds, name: entry.key.value })
}

export function numberAt(source: YamlSource, node: Node, bounds: NumberBounds & { name: string }): number | undefined {
  const { name, min, max, decimals } = bounds
  const value: unknown = isScalar(node) ? node.value : undefined
  const kind =
    decimals === 0
      ? 'a whole number'
      : decimals === undefined
        ? 'a number'
        : `a number with at most ${decimals} decimals`
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
  if (typeof value !== 'number') {
    const quoted = typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value))
    source.report(node, wrongType(`${name} is ${kind}`, quoted ? `write ${value} without quotes` : undefined))
    return undefined
  }
  const digits = decimals === undefined || hasDecimals(value, decimals)
  if (value >= min && value <= max && digits) return value
  source.report(node, { code: 'ONCEWARD_E_RULE_WRONG_VALUE', message: `${name} is ${kind} ${range}, not ${value}` })
  return undefined
}

/** True where the shortest decimal form of `value` has at most `decimals` digits after the point. */
function hasDecimals(value: number, decimals: number): boolean {
  return Number(value.toFixed(decimals)) === value
}

/**
 * A part of the whole, written 0.8 or 80%, from `min` to 1. Answers it as a fraction: 80% is exactly what 0.8 is.
 */
export function readShare(source: YamlSource, entry: Entry | undefined, min: number): number | undefined {
  const text = readText(source, entry)
  if (entry === undefined || text === undefined) return undefined
  const [, digits, percent] = /^(\d{1,3}(?:\.\d{1,4})?)(%?)$/.exec(text) ?? []
  const share = digits === undefined ? Number.NaN : percent === '' ? Number(digits) : Number(digits) / 100
  if (share >= min && share <= 1) return share
  source.report(entry.value, {
    code: 'ONCEWARD_E_RULE_WRONG_VALUE',
    message: `${entry.key.value} is a part from ${min} to 1, or from ${min * 100}% to 100%, not ${JSON.stringify(text)}`,
    hint: 'write 0.8 or 80%',
  })
  return undefined
}

const DURATION = /^(\d{1,9})\s*(s|m|h|d|w)$/
const UNITS_MS: Readonly<Record<string, number>> = { s: SECOND_MS, m: MINUTE_MS, h: HOUR_MS, d: DAY_MS, w: 7 * DAY_MS }

/** A length of time such as `30m`, `12h` or `7d`, in ms. */
export function readDuration(
  source: YamlSource,
  entry: Entry | undefined,
  { min, max }: { readonly min: number; readonly max: number },
): number | undefined {
  const text = readText(source, entry)
  if (entry === undefined || text === undefined) return undefined
  const [, count, unit = ''] = DURATION.exec(text) ?? []
  const ms = Number(count) * (UNITS_MS[unit] ?? Number.NaN)
  if (ms >= min && ms <= max) return ms
  source.report(entry.value, {
    code: 'ONCEWARD_E_RULE_WRONG_VALUE',
    message: `${entry.key.value} is a length of time from ${min / SECOND_MS}s to ${max / DAY_MS}d, not ${JSON.stringify(text)}`,
    hint: 'write 30m, 12h or 7d',
  })
  return undefined
}

export function readChoice<T extends string>(
  source: YamlSource,
  entry: Entry | undefined,
  choices: readonly T[],
): T | undefined {
  if (entry === undefined) return undefined
  const written = isScalar(entry.value) ? String(entry.value.value) : ''
  const found = choices.find((choice) => choice === written)
  if (found === undefined) {
    const message = `${entry.key.value} is one of ${choices.join(', ')}`
    const like = nearest(written, choices)
    source.report(entry.value, { code: 'ONCEWARD_E_RULE_WRONG_VALUE', message, hint: like && `did you mean ${like}?` })
  }
  return found
}

/** The elements of a list, or the single value itself. */
export function readList(entry: Entry): readonly Node[] {
  return isSeq(entry.value) ? entry.value.items.filter(isNode) : [entry.value]
}

/** What stands at `path` below a node; undefined where nothing does. */
export function nodeAt(node: Node | undefined, path: readonly string[]): Node | undefined {
  let at: unknown = node
  for (const name of path) at = isMap(at) ? at.get(name, true) : undefined
  return isNode(at) ? at : undefined
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'range' in value
}

function wrongType(
  message: string,
  hint?: string,
): { code: 'ONCEWARD_E_RULE_WRONG_TYPE'; message: string; hint?: string | undefined } {
  return { code: 'ONCEWARD_E_RULE_WRONG_TYPE', message, hint }
}
