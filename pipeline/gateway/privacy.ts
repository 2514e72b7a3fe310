import { createHmac, type KeyObject } from 'node:crypto'
import { OncewardError } from '../../core/errors.ts'
import type { Json, JsonObject } from '../../core/model/event.ts'
import type { Privacy } from '../../core/ports/gateway.ts'
import { RecentMap } from '../../core/recent-map.ts'
import type { EventSchemas } from '../../operators/event-schema.ts'
import { fieldsOfSchemas } from '../../operators/schema-fields.ts'
import { isObject } from '../../operators/type-checks.ts'

/** Makes of an event what may stand on the bus of it; leaves the one it is given as it is. */
export type Scrub = (data: JsonObject, eventName: string) => JsonObject

/** What an event has to have, whatever may pass. */
const ALWAYS = ['event_id', 'event_name', 'version', 'ts', 'user.id']
const PATH = /^[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*$/
const TOKEN_LENGTH = 32
/** Link tokens that are remembered rather than computed again. */
const TOKENS_MAX = 20_000

/**
 * Compiles what of a source's events may pass. undefined: everything may, as it is. Of the payload pass the fields that its schema
 * declares and those that are listed; what is replaced by a link token passes as one, listed or not. Throws
 * ONCEWARD_E_GATEWAY_INVALID.
 */
export function compilePrivacy(privacy: Privacy, schemas: EventSchemas): Scrub | undefined {
  const wrong = privacyProblem(privacy)
  if (wrong !== undefined) {
    throw new OncewardError('ONCEWARD_E_GATEWAY_INVALID', `privacy: ${wrong.list}: ${wrong.problem}`)
  }
  const replace = replacing(privacy)
  if (privacy.pass === undefined) return replace
  const common = [...ALWAYS, ...privacy.pass, ...privacy.hash]
  const keepers = new Map<string, (value: JsonObject) => JsonObject>()
  const catalog = fieldsOfSchemas(schemas)
  for (const name of schemas.payloads.keys()) {
    const declared = (catalog.fieldsOf([name])?.paths() ?? []).filter((path) => path.startsWith('payload.'))
    keepers.set(name, keeping(treeOf([...common, ...declared.map((path) => path.split('.').slice(0, 2).join('.'))])))
  }
  const keepCommon = keeping(treeOf(common))
  return (data, eventName) => {
    const kept = (keepers.get(eventName) ?? keepCommon)(data)
    // An event has a payload, even where nothing of it may pass.
    const whole = kept.payload === undefined ? { ...kept, payload: {} } : kept
    return replace === undefined ? whole : replace(whole, eventName)
  }
}

function replacing(privacy: Privacy): Scrub | undefined {
  if (privacy.hash.length === 0) return undefined
  return changing(treeOf(privacy.hash), linkTokens(keyOf(privacy)))
}

/** What is wrong with the lists, as a sentence; for whoever reads them from a file, so that no request meets it. */
export function privacyProblem({
  pass = [],
  hash,
}: Privacy): { readonly list: 'pass' | 'hash'; readonly problem: string } | undefined {
  for (const [list, paths] of [['pass', pass] as const, ['hash', hash] as const]) {
    for (const path of paths) {
      const problem = pathProblem(path)
      if (problem !== undefined)
        return { list, problem: `"${path}" ${problem}; write the names of fields, joined by dots` }
    }
  }
  const needed = hash.find((path) => [...ALWAYS, 'user', 'payload'].includes(path))
  if (needed === undefined) return undefined
  const problem = `"${needed}" is what every event needs as it is: rewards are paid to the id; take it off the list`
  return { list: 'hash', problem }
}

function pathProblem(path: string): string | undefined {
  if (!PATH.test(path)) return 'is no path of fields such as context.session_id'
  const inherited = path.split('.').some((name) => name in Object.prototype)
  return inherited ? 'names what every JavaScript object has' : undefined
}

function keyOf({ hash, hashKey }: Privacy): KeyObject {
  if (hashKey !== undefined) return hashKey
  throw new OncewardError(
    'ONCEWARD_E_GATEWAY_INVALID',
    `privacy: hash names ${hash.join(', ')}, but there is no key to hash with; name a file in hash_key_file`,
  )
}

/** undefined: the whole value is meant. */
type Tree = Map<string, Tree | undefined>

function treeOf(paths: readonly string[]): Tree {
  const root: Tree = new Map()
  for (const path of paths) {
    const names = path.split('.')
    const last = names.pop() ?? ''
    let tree: Tree | undefined = root
    for (const name of names) tree = tree && branch(tree, name)
    tree?.set(last, undefined)
  }
  return root
}

/** The tree below `name`; undefined: all of it is meant already. */
function branch(tree: Tree, name: string): Tree | undefined {
  if (!tree.has(name)) tree.set(name, new Map())
  return tree.get(name)
}

type Step = (value: Json) => Json | undefined

/** Keeps only what the tree names. */
function keeping(tree: Tree): (value: JsonObject) => JsonObject {
  const steps = [...tree].map(
    ([name, below]) => [name, below === undefined ? undefined : within(keeping(below))] as const,
  )
  return (value) => {
    const kept: Record<string, Json> = {}
    for (const [name, step] of steps) {
      const found = value[name]
      if (found === undefined) continue
      const left = step === undefined ? found : step(found)
      if (left !== undefined) kept[name] = left
    }
    return kept
  }
}

/** Keeps everything, and changes what the tree names. */
function changing(tree: Tree, leaf: Step): (value: JsonObject) => JsonObject {
  const steps = [...tree].map(
    ([name, below]) => [name, below === undefined ? leaf : within(changing(below, leaf))] as const,
  )
  return (value) => {
    let changed: Record<string, Json | undefined> | undefined
    for (const [name, step] of steps) {
      const found = value[name]
      if (found === undefined) continue
      changed ??= { ...value }
      changed[name] = step(found)
    }
    return changed ?? value
  }
}

/** null stands for absent and stays; anything else without fields has nothing that is named, and is dropped. */
function within(inner: (value: JsonObject) => JsonObject): Step {
  return (value) => (value === null ? null : isObject(value) ? inner(value) : undefined)
}

/** The same token for the same text under the same key; numbers count as their text, anything else is dropped. */
function linkTokens(key: KeyObject): Step {
  const known = new RecentMap<string>(TOKENS_MAX)
  return (value) => {
    if (value === null) return null
    if (typeof value !== 'string' && typeof value !== 'number') return undefined
    const text = String(value)
    const found = known.get(text)
    if (found !== undefined) return found
    const token = `lt_${createHmac('sha256', key).update(text).digest('base64url').slice(0, TOKEN_LENGTH)}`
    if (text.length <= TOKEN_LENGTH * 8) known.set(text, token)
    return token
  }
}
