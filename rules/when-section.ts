import { isSeq } from 'yaml'
import { type Equality, equalitiesOf } from './equality.ts'
import { compileCondition, type Condition } from './expression.ts'
import { type LocatedExpression, readExpression, type Scope } from './expression-text.ts'
import { looksBack } from './window-checker.ts'
import { type Entry, readList, readMap, readText, required } from './yaml-reader.ts'
import { isTextScalar, type YamlSource } from './yaml-source.ts'

const FILTERS_MAX = 100
const EVENT_NAMES_MAX = 100
const EVENT_NAME = { pattern: /^[A-Za-z0-9][\w.:-]{0,127}$/, hint: 'an event name has letters, digits, _, ., : and -' }

export const WHEN_KEYS = ['event_name', 'filters'] as const

/** Which events a rule looks at. */
export interface When {
  readonly eventNames: readonly string[]
  readonly names: Entry
  readonly filters: readonly LocatedExpression[]
  /** All filters hold. */
  readonly matches: Condition
  /** Those hold that do not look at recent events. */
  readonly mayMatch: Condition
  readonly equalities: readonly Equality[]
}

/** `when`. `scopeOf` answers the scope of expressions over these events. */
export function readWhen(
  source: YamlSource,
  entry: Entry | undefined,
  scopeOf: (eventNames: readonly string[]) => Scope,
): When | undefined {
  const when = entry && readMap(source, entry.value, 'when', WHEN_KEYS)
  if (entry === undefined || when === undefined) return undefined
  const names = required(source, when, 'event_name', { node: entry.key, hint: 'write event_name: bet' })
  const filters = when.get('filters')
  const eventNames = names && readEventNames(source, names)
  const scope = scopeOf(eventNames ?? [])
  const read = filters === undefined ? [] : readFilters(source, filters, scope)
  if (names === undefined || eventNames === undefined) return undefined
  const compiled = read.map(({ expression, scalar }) => ({
    holds: compileCondition(expression, true, { ...scope, text: scalar.value }),
    looksBack: looksBack(expression),
  }))
  const conditions = compiled.map(({ holds }) => holds)
  const mayMatch = allOf(compiled.filter((condition) => !condition.looksBack).map(({ holds }) => holds))
  const equalities = equalitiesOf(read.map(({ expression }) => expression))
  return { eventNames, names, filters: read, matches: allOf(conditions), mayMatch, equalities }
}

function readEventNames(source: YamlSource, entry: Entry): string[] | undefined {
  const nodes = readList(entry)
  if (nodes.length === 0 || nodes.length > EVENT_NAMES_MAX) {
    source.report(entry.value, {
      code: 'ONCEWARD_E_RULE_WRONG_VALUE',
      message: `event_name is a name or a list of 1 to ${EVENT_NAMES_MAX} names`,
    })
    return undefined
  }
  const names = nodes.map((value) => readText(source, { key: entry.key, value }, EVENT_NAME))
  return [...new Set(names.filter((name) => name !== undefined))]
}

/** A list of conditions, such as `filters`. */
export function readFilters(source: YamlSource, entry: Entry, scope: Scope): LocatedExpression[] {
  if (!isSeq(entry.value)) {
    source.report(entry.value, {
      code: 'ONCEWARD_E_RULE_WRONG_TYPE',
      message: `${entry.key.value} is a list of conditions`,
      hint: 'begin each with a dash: - payload.bet >= 0.2',
    })
    return []
  }
  const nodes = readList(entry)
  if (nodes.length > FILTERS_MAX) {
    source.report(entry.value, {
      code: 'ONCEWARD_E_RULE_WRONG_VALUE',
      message: `a rule has at most ${FILTERS_MAX} filters`,
      hint: 'join conditions with and',
    })
  }
  return nodes.slice(0, FILTERS_MAX).flatMap((node) => {
    if (!isTextScalar(node)) {
      source.report(node, {
        code: 'ONCEWARD_E_RULE_WRONG_TYPE',
        message: 'a filter is a text',
        hint: 'write it in quotes: - "payload.bet >= 0.2"',
      })
      return []
    }
    return readExpression(source, node, 'condition', scope) ?? []
  })
}

/** True where each of `conditions` is. */
export function allOf(conditions: readonly Condition[]): Condition {
  const [first, second, third] = conditions
  if (first === undefined) return () => true
  if (second === undefined) return first
  if (third === undefined) return (event) => first(event) && second(event)
  return (event) => {
    for (const condition of conditions) if (!condition(event)) return false
    return true
  }
}
