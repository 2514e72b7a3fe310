import { isScalar, type Node } from 'yaml'
import { isValidZone } from './calendar.ts'
import type { Caps, CompiledRule, Points } from './compiled.ts'
import { compileNumber } from './expression.ts'
import { type LocatedExpression, readExpression, type Scope } from './expression-text.ts'
import type { NumberCode } from './number-code.ts'
import { nearest } from './problem.ts'
import { tolerantFloor } from './tolerance.ts'
import { type Entries, type Entry, readMap, readNumber, readText, required } from './yaml-reader.ts'
import { isTextScalar, type YamlSource } from './yaml-source.ts'

export const DEFAULT_ZONE = 'UTC'
export const SCORE_KEYS = ['formula', 'caps', 'time_zone'] as const
export const CAP_KEYS = ['per_bet', 'per_event', 'per_minute', 'per_hour', 'per_day'] as const

/** `score` is a map; its zone is what all else is read in. */
export interface ScoreEntries {
  readonly entry: Entry
  readonly keys: Entries
  readonly zone: string
}

export function readScoreEntries(source: YamlSource, entry: Entry | undefined): ScoreEntries | undefined {
  const keys = entry && readMap(source, entry.value, 'score', SCORE_KEYS)
  if (entry === undefined || keys === undefined) return undefined
  return { entry, keys, zone: readZone(source, keys.get('time_zone')) }
}

/** A number as it stands, or a formula that gives one. */
export interface Formula {
  readonly node: Node
  readonly code: NumberCode
  /** Absent where it is a plain number. */
  readonly located?: LocatedExpression
}

export interface Score {
  readonly formula: Formula
  readonly points: CompiledRule['points']
}

export function readScore(source: YamlSource, { entry, keys }: ScoreEntries, scope: Scope): Score | undefined {
  const formula = required(source, keys, 'formula', { node: entry.key, hint: 'write formula: "1"' })
  const read = formula && readFormula(source, formula, scope)
  return read && { formula: read, points: pointsOf(read.code) }
}

export function readZone(source: YamlSource, entry: Entry | undefined): string {
  const zone = readText(source, entry)
  if (zone === undefined || entry === undefined) return DEFAULT_ZONE
  if (isValidZone(zone)) return zone
  const like = nearest(zone, Intl.supportedValuesOf('timeZone'))
  const hint =
    like === undefined
      ? 'write a name of the IANA time zone database, such as Europe/Istanbul'
      : `did you mean ${like}?`
  source.report(entry.value, { code: 'ONCEWARD_E_RULE_WRONG_VALUE', message: `there is no time zone "${zone}"`, hint })
  return DEFAULT_ZONE
}

/** A number, or a text that is a number expression. */
export function readFormula(source: YamlSource, { key, value: node }: Entry, scope: Scope): Formula | undefined {
  if (isScalar(node) && typeof node.value === 'number' && Number.isFinite(node.value)) {
    const number = node.value
    return { node, code: { value: () => number, explain: () => undefined } }
  }
  if (!isTextScalar(node)) {
    source.report(node, {
      code: 'ONCEWARD_E_RULE_WRONG_TYPE',
      message: `${key.value} is a text or a number`,
      hint: `write ${key.value}: "floor(payload.win * 3)"`,
    })
    return undefined
  }
  const located = readExpression(source, node, 'number', scope)
  return located && { node, located, code: compileNumber(located.expression, { ...scope, text: node.value }) }
}

export function readCaps(source: YamlSource, entry: Entry | undefined): Caps {
  const keys = entry && readMap(source, entry.value, 'caps', CAP_KEYS)
  if (keys === undefined) return {}
  const alias = keys.get('per_event')
  if (alias !== undefined && keys.has('per_bet')) {
    source.report(alias.key, {
      code: 'ONCEWARD_E_RULE_WRONG_VALUE',
      message: 'per_event and per_bet are the same cap',
      hint: 'write one of them',
    })
  }
  const cap = (name: string): number | undefined =>
    readNumber(source, keys.get(name), { min: 0, max: Number.MAX_SAFE_INTEGER, decimals: 0 })
  const perBet = cap('per_bet') ?? cap('per_event')
  const [perMinute, perHour, perDay] = [cap('per_minute'), cap('per_hour'), cap('per_day')]
  return {
    ...(perBet === undefined ? {} : { perBet }),
    ...(perMinute === undefined ? {} : { perMinute }),
    ...(perHour === undefined ? {} : { perHour }),
    ...(perDay === undefined ? {} : { perDay }),
  }
}

function pointsOf(formula: NumberCode): CompiledRule['points'] {
  return (event): Points => {
    const raw = formula.value(event)
    if (!Number.isFinite(raw)) {
      return { ok: false, detail: formula.explain(event) ?? 'the formula gave no finite number' }
    }
    const points = tolerantFloor(raw)
    return { ok: true, points: points > 0 ? Math.min(points, Number.MAX_SAFE_INTEGER) : 0 }
  }
}
