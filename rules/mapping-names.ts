import { isScalar, isSeq, type Node } from 'yaml'
import type { Json, JsonObject } from '../core/model/event.ts'
import { report } from './mapping-value.ts'
import { isObject } from './yaml-json.ts'
import { type Entry, readMap } from './yaml-reader.ts'
import type { YamlSource } from './yaml-source.ts'
import { KEYWORDS } from './token-cursor.ts'

/** Names for what a path of an expression cannot reach: `player-id`, the second item of a list. */
export interface NamedFields {
  readonly names: ReadonlySet<string>
  /** What each name stands for in an item; what is not there is left out. */
  read(item: Json, body: JsonObject): JsonObject
}

type Step = string | number

const NAME = /^[\p{L}_$][\p{L}\p{N}_$]*$/u
const TAKEN = [...KEYWORDS, 'ts', 'item', 'body', 'request', 'index']
const NAMES_MAX = 100
const STEPS_MAX = 16

/** `fields: { user_ref: [player, "user-ref"], first_leg: [legs, 0] }`. A path that begins with body is one of the whole body. */
export function readNames(source: YamlSource, entry: Entry | undefined): NamedFields {
  const entries = entry && readMap(source, entry.value, 'fields')
  const paths = new Map<string, readonly Step[]>()
  for (const { key, value } of entries?.values() ?? []) {
    const steps = readSteps(source, value)
    if (!NAME.test(key.value)) {
      report(source, key, `"${key.value}" cannot be a name here`, 'use letters, digits and _: user_ref')
    } else if (TAKEN.includes(key.value)) {
      report(source, key, `"${key.value}" has a meaning of its own in expressions`, 'choose another name')
    } else if (steps !== undefined) paths.set(key.value, steps)
  }
  if (entry !== undefined && paths.size > NAMES_MAX) {
    report(source, entry.key, `these are ${paths.size} names, at most ${NAMES_MAX} are allowed`, 'leave out some')
  }
  return { names: new Set(entries?.keys() ?? []), read: (item, body) => readAll(paths, item, body) }
}

function readSteps(source: YamlSource, node: Node): readonly Step[] | undefined {
  const items = isSeq<Node>(node) ? node.items : []
  const steps = items.map((item) => (isScalar(item) ? item.value : undefined)).filter(isStep)
  if (steps.length === items.length && steps.length > 0 && steps.length <= STEPS_MAX) return steps
  report(
    source,
    node,
    `a path is a list of 1 to ${STEPS_MAX} names and places in lists, from 0`,
    'write [player, "user-id"] or [legs, 0, odds]',
  )
  return undefined
}

function isStep(value: unknown): value is Step {
  if (typeof value === 'string') return value !== '' && !Object.hasOwn(Object.prototype, value)
  return typeof value === 'number' && Number.isInteger(value) && value >= 0
}

function readAll(paths: ReadonlyMap<string, readonly Step[]>, item: Json, body: JsonObject): JsonObject {
  const named: Record<string, Json> = {}
  for (const [name, [first, ...rest]] of paths) {
    const whole = first === 'body' && rest.length > 0
    const steps = whole || first === undefined ? rest : [first, ...rest]
    const found = steps.reduce<Json | undefined>(inside, whole ? body : item)
    if (found !== undefined && found !== null) named[name] = found
  }
  return named
}

function inside(holder: Json | undefined, step: Step): Json | undefined {
  if (typeof step === 'number') return isList(holder) ? holder[step] : undefined
  return isObject(holder) && Object.hasOwn(holder, step) ? holder[step] : undefined
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}
