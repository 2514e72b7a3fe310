import { isMap, isScalar, isSeq, type Node, type Scalar } from 'yaml'
import type { Json, JsonObject } from '../core/model/event.ts'

/**
 * The value of a YAML node as JSON; undefined where JSON cannot hold it: a key that is no text or that objects inherit,
 * one that comes twice, an
 * infinite number, a reference. `numberOf` says what a number becomes; itself where it is left out.
 */
export function jsonOf(node: Node | null, numberOf: (number: Scalar<number>) => Json = valueOf): Json | undefined {
  if (node === null) return null
  if (isScalar(node)) {
    const { value } = node
    if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
    return isFiniteNumber(node) ? numberOf(node) : undefined
  }
  if (isSeq<Node | null>(node)) {
    const items = node.items.map((item) => jsonOf(item, numberOf))
    const good = items.filter((item) => item !== undefined)
    return good.length === items.length ? good : undefined
  }
  return isMap<Node, Node | null>(node) ? objectOf(node.items, numberOf) : undefined
}

function valueOf({ value }: Scalar<number>): Json {
  return value
}

function isFiniteNumber(node: Scalar): node is Scalar<number> {
  return typeof node.value === 'number' && Number.isFinite(node.value)
}

function objectOf(
  pairs: readonly { key: Node; value: Node | null }[],
  numberOf: (number: Scalar<number>) => Json,
): Json | undefined {
  const object: Record<string, Json> = {}
  for (const { key, value } of pairs) {
    const name = isScalar(key) && typeof key.value === 'string' ? key.value : undefined
    const json = jsonOf(value, numberOf)
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
