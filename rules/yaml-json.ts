import { isMap, isScalar, isSeq, type Node } from 'yaml'
import type { Json, JsonObject } from '../core/model/event.ts'

/**
 * The value of a YAML node as JSON; undefined where JSON cannot hold it: a key that is no text or that objects inherit,
 * one that comes twice, an
 * infinite number, a reference.
 */
export function jsonOf(node: Node | null): Json | undefined {
  if (node === null) return null
  if (isScalar(node)) {
    const { value } = node
    if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
    return typeof value === 'number' && Number.isFinite(value) ? value : undefined
  }
  if (isSeq<Node | null>(node)) {
    const items = node.items.map(jsonOf)
    const good = items.filter((item) => item !== undefined)
    return good.length === items.length ? good : undefined
  }
  return isMap<Node, Node | null>(node) ? objectOf(node.items) : undefined
}

function objectOf(pairs: readonly { key: Node; value: Node | null }[]): Json | undefined {
  const object: Record<string, Json> = {}
  for (const { key, value } of pairs) {
    const name = isScalar(key) && typeof key.value === 'string' ? key.value : undefined
    const json = jsonOf(value)
    if (name === undefined || json === undefined) return undefined
    if (Object.hasOwn(Object.prototype, name) || Object.hasOwn(object, name)) return undefined
    object[name] = json
  }
  return object
}

/** JSON with the keys of every object in order, so that equal contents give equal texts. */
export function canonicalJson(value: Json | undefined): string {
  if (value === undefined || value === null || typeof value !== 'object') return JSON.stringify(value ?? null)
  if (isList(value)) return `[${value.map(canonicalJson).join(',')}]`
  const names = Object.keys(value).sort()
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name])}`).join(',')}}`
}

function isList(value: object): value is readonly Json[] {
  return Array.isArray(value)
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !isList(value)
}
