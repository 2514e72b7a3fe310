import { isSeq, type Node, type Scalar } from 'yaml'
import type { Json, JsonObject } from '../core/model/event.ts'
import type { Condition } from './expression.ts'
import type { ValueCode } from './mapping-expression.ts'
import { placeOf, readCondition, readValue, report, type Reading } from './mapping-value.ts'
import { EVENT_ROOTS, viewOf } from './mapping-view.ts'
import { nearest, type RuleProblem } from './problem.ts'
import { isObject } from './yaml-json.ts'
import { type Entry, readBoolean, readList, readMap, readText } from './yaml-reader.ts'
import { type FileKind, isTextScalar, type RuleFile, YamlSource } from './yaml-source.ts'

export const FIX_KEYS = ['when', 'set', 'unset', 'allow_ids', 'description'] as const

const FIX_KIND: FileKind = { noun: 'fix', begins: 'set: …', code: 'ONCEWARD_E_MAPPING_INVALID' }

/** Where an event's fields begin. Others may stand beside them; a name like one of these is a slip of the pen. */
const EVENT_KEYS = ['event_id', 'event_name', 'version', 'ts', 'user', 'context', 'payload']
/** Another id is another event, another user another player. */
const ID_PATHS = ['event_id', 'user.id']
const PATH_LEVELS_MAX = 16
const CHANGES_MAX = 100

/** What a fix made of an event. */
export type Fixed =
  | { readonly ok: true; readonly event: JsonObject }
  /** `other`: its `when` does not hold, so it is not for this event. `failed`: it is, and cannot be carried out. */
  | { readonly ok: false; readonly why: 'other' | 'failed'; readonly detail: string }

/**
 * Changes the event of a dead letter. Pure: the event it is given stays as it is, and the same event gives the same. Never
 * throws. What it answers is not checked against any schema.
 */
export type Fix = (event: JsonObject) => Fixed

export type FixReading =
  | { readonly ok: true; readonly fix: Fix }
  | { readonly ok: false; readonly problems: readonly RuleProblem[] }

/** One change of an event: what to set a path to, or that it shall go. */
interface Change {
  readonly path: readonly string[]
  readonly written: Node
  /** Undefined: the path is removed. */
  readonly code: ValueCode | undefined
  /** `file:line:column`. */
  readonly at: string
}

/**
 * Reads a fix (docs/PROVIDERS.md has its form):
 *
 *     when: payload.stake > 0 and not exists(payload.bet)
 *     set: { payload.bet: payload.stake / 100, payload.currency: '"EUR"' }
 *     unset: [payload.stake]
 *
 * Values are those of a mapping, over the fields of the event as it was: what is set first is not seen by what is set next.
 * `event_id` and `user.id` can be changed only with `allow_ids: true`. Answers every problem found
 * (ONCEWARD_E_MAPPING_INVALID), by place; never throws.
 */
export function compileFix(file: RuleFile): FixReading {
  const source = new YamlSource(file, FIX_KIND)
  const root = source.parse()
  const fix = root && readFix({ source, roots: EVENT_ROOTS }, root)
  if (fix !== undefined && source.problems.length === 0) return { ok: true, fix }
  return { ok: false, problems: source.problems.toSorted((a, b) => a.line - b.line || a.column - b.column) }
}

/** A fix as it is given on a command line. */
export interface FixFlags {
  /** Each `path=expression`. */
  readonly set: readonly string[]
  /** Paths. */
  readonly unset: readonly string[]
  /** A condition; undefined: it is for every event. */
  readonly when?: string | undefined
  readonly allowIds: boolean
}

/** As compileFix, from flags. Its problems name lines of a file `(flags)`, and show what was written there. */
export function compileFixFlags({ set, unset, when, allowIds }: FixFlags): FixReading {
  const quoted = (text: string): string => JSON.stringify(text.trim())
  const pairs = set.map((each): readonly [string, string] => {
    const at = each.indexOf('=')
    return at < 0 ? [each, ''] : [each.slice(0, at), each.slice(at + 1)]
  })
  const lines = [
    ...(when === undefined ? [] : [`when: ${quoted(when)}`]),
    ...(pairs.length === 0 ? [] : ['set:', ...pairs.map(([path, value]) => `  ${quoted(path)}: ${quoted(value)}`)]),
    ...(unset.length === 0 ? [] : ['unset:', ...unset.map((path) => `  - ${quoted(path)}`)]),
    ...(allowIds ? ['allow_ids: true'] : []),
  ]
  return compileFix({ file: '(flags)', text: `${lines.join('\n')}\n` })
}

function readFix(reading: Reading, root: Node): Fix | undefined {
  const { source } = reading
  const top = readMap(source, root, 'a fix', FIX_KEYS)
  if (top === undefined) return undefined
  readText(source, top.get('description'))
  const allowIds = readBoolean(source, top.get('allow_ids')) ?? false
  const when = readCondition(reading, top.get('when'))
  const changes = [...readSet(reading, top.get('set')), ...readUnset(reading, top.get('unset'))]
  if (top.get('set') === undefined && top.get('unset') === undefined) {
    report(
      source,
      root,
      'this changes nothing',
      'write set: { payload.bet: payload.stake / 100 } or unset: [payload.stake]',
    )
  }
  if (changes.length > CHANGES_MAX) {
    report(source, root, `a fix changes at most ${CHANGES_MAX} fields`, 'split it into several')
    // Each is held against each below: thousands would take seconds.
    return undefined
  }
  if (!allowIds) changes.forEach((change) => guardIds(source, change))
  guardOverlaps(source, changes)
  return source.problems.length > 0 ? undefined : fixOf(when, changes)
}

function readSet(reading: Reading, entry: Entry | undefined): readonly Change[] {
  const entries = entry && readMap(reading.source, entry.value, 'set')
  return [...(entries?.values() ?? [])].flatMap(({ key, value }): readonly Change[] => {
    const path = readPath(reading.source, key)
    const code = readValue(reading, value)
    const at = placeOf(reading.source, value)
    return path === undefined || code === undefined ? [] : [{ path, written: key, code, at }]
  })
}

function readUnset({ source }: Reading, entry: Entry | undefined): readonly Change[] {
  if (entry === undefined) return []
  if (isSeq(entry.value) && entry.value.items.length === 0) {
    report(source, entry.value, 'this list is empty', 'name what shall go, or leave out unset')
  }
  return readList(entry).flatMap((node): readonly Change[] => {
    const path = isTextScalar(node) ? readPath(source, node) : undefined
    if (!isTextScalar(node)) report(source, node, 'unset is a list of paths', 'write unset: [payload.stake]')
    return path === undefined ? [] : [{ path, written: node, code: undefined, at: placeOf(source, node) }]
  })
}

function readPath(source: YamlSource, scalar: Scalar<string>): readonly string[] | undefined {
  const path = scalar.value.split('.')
  const [root = '', ...rest] = path
  const inherited = path.find((name) => Object.hasOwn(Object.prototype, name) || name === 'prototype')
  if (inherited !== undefined) {
    report(source, scalar, `"${inherited}" cannot be the name of a field`, 'write a path such as payload.bet')
  } else if (path.includes('') || path.some((name) => /[\s{}[\]"']/.test(name)) || path.length > PATH_LEVELS_MAX) {
    report(source, scalar, `"${scalar.value.slice(0, 80)}" is no path`, 'write names with points between: payload.bet')
  } else if (!EVENT_KEYS.includes(root) && nearest(root, EVENT_KEYS) !== undefined) {
    const like = [nearest(root, EVENT_KEYS), ...rest].join('.')
    report(source, scalar, `an event has no field "${root}"`, `did you mean ${like}?`)
  } else return path
  return undefined
}

function guardIds(source: YamlSource, { path, written }: Change): void {
  const name = path.join('.')
  const touched = ID_PATHS.find((id) => id === name || id.startsWith(`${name}.`) || name.startsWith(`${id}.`))
  if (touched === undefined) return
  const what = touched === 'user.id' ? 'another player' : 'another event'
  report(
    source,
    written,
    `${name} says which ${what.slice(8)} this is: changed, it is ${what}`,
    'where that is meant, write allow_ids: true',
  )
}

/** Of two changes to one place, or to one within the other, nobody could say which counts. */
function guardOverlaps(source: YamlSource, changes: readonly Change[]): void {
  changes.forEach(({ path, written }, index) => {
    const name = `${path.join('.')}.`
    const other = changes.slice(0, index).find((each) => {
      const earlier = `${each.path.join('.')}.`
      return earlier.startsWith(name) || name.startsWith(earlier)
    })
    if (other === undefined) return
    const hint = 'change each place once'
    report(source, written, `${path.join('.')} is changed by ${other.path.join('.')} above already`, hint)
  })
}

function fixOf(when: Condition | undefined, changes: readonly Change[]): Fix {
  return (event) => {
    const view = viewOf({ item: event, body: event, request: {}, index: 0, named: {} })
    if (when !== undefined && !when(view)) {
      return { ok: false, why: 'other', detail: 'the fix is not for this event: its `when` does not hold' }
    }
    let fixed = event
    for (const { path, code, at } of changes) {
      const name = path.join('.')
      const value = code?.(view)
      if (value !== undefined && value.kind !== 'value') {
        return { ok: false, why: 'failed', detail: `${name} cannot be set: ${value.why} (${at})` }
      }
      const changed = withChange(fixed, path, value?.value)
      if (changed === undefined) {
        return { ok: false, why: 'failed', detail: `${name} cannot be set: what holds it is no object (${at})` }
      }
      fixed = changed
    }
    return { ok: true, event: fixed }
  }
}

/** A copy with `value` at `path`, or without the path; undefined where it cannot be set: something on the way is no object. */
function withChange(holder: JsonObject, path: readonly string[], value: Json | undefined): JsonObject | undefined {
  const [name = '', ...rest] = path
  if (rest.length === 0) {
    const { [name]: _before, ...others } = holder
    return value === undefined ? others : { ...holder, [name]: value }
  }
  const inner = holder[name] ?? undefined
  if (value === undefined) {
    return isObject(inner) ? { ...holder, [name]: withChange(inner, rest, value) } : holder
  }
  if (inner !== undefined && !isObject(inner)) return undefined
  const changed = withChange(inner ?? {}, rest, value)
  return changed && { ...holder, [name]: changed }
}
