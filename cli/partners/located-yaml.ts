import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLMap } from 'yaml'
import { type ErrorCode, OncewardError } from '../../core/errors.ts'
import { suggestion } from '../settings/nearest.ts'

/** A YAML file whose values are read one by one; what is wrong is thrown under the code of that kind of file, with its place. */
export class LocatedYaml {
  readonly file: string
  readonly #kind: { readonly code: ErrorCode; readonly begins: string }
  readonly #lines = new LineCounter()

  /** `begins`: the key that such a file begins with, for messages. */
  constructor(file: string, kind: { readonly code: ErrorCode; readonly begins: string }) {
    this.file = file
    this.#kind = kind
  }

  parse(text: string): Node {
    const document = parseDocument(text, { lineCounter: this.#lines, uniqueKeys: true, prettyErrors: false })
    const [error] = [...document.errors, ...document.warnings]
    if (error !== undefined) throw this.wrong(error.pos[0], `this is no YAML: ${error.message}`)
    if (document.contents === null) throw this.wrong(0, `the file is empty; it begins with ${this.#kind.begins}:`)
    return document.contents
  }

  /** `place`: an offset, or what begins there. */
  wrong(place: number | Node, sentence: string): OncewardError {
    const offset = typeof place === 'number' ? place : (place.range?.[0] ?? 0)
    const { line, col } = this.#lines.linePos(offset)
    return new OncewardError(this.#kind.code, `${this.file}:${line}:${col}: ${sentence}`)
  }

  map(node: Node, name: string, keys: readonly string[]): Fields {
    if (!isMap(node)) throw this.wrong(node, `${name} is a map of keys and values; its keys are ${keys.join(', ')}`)
    return new Fields(this, node, { name, keys })
  }
}

/** The fields of one map. Each reader answers undefined where the key is not there. */
export class Fields {
  readonly #source: LocatedYaml
  readonly #map: YAMLMap
  readonly #name: string
  readonly #values = new Map<string, Node>()

  constructor(
    source: LocatedYaml,
    map: YAMLMap,
    { name, keys }: { readonly name: string; readonly keys: readonly string[] },
  ) {
    this.#source = source
    this.#map = map
    this.#name = name
    for (const { key, value } of map.items) {
      const at = isNode(key) ? key : map
      const written = isScalar(key) ? String(key.value) : ''
      if (!keys.includes(written)) {
        const right = suggestion(written, keys) || `; its keys are ${keys.join(', ')}`
        throw source.wrong(at, `${name} has no key "${written}"${right}`)
      }
      if (!isNode(value) || (isScalar(value) && value.value === null)) {
        throw source.wrong(at, `${written} has no value; give it one, or leave the key out`)
      }
      this.#values.set(written, value)
    }
  }

  node(key: string): Node | undefined {
    return this.#values.get(key)
  }

  wrong(key: string, sentence: string): OncewardError {
    return this.#source.wrong(this.#values.get(key) ?? this.#map, sentence)
  }

  required<T>(key: string, value: T | undefined, right: string): T {
    if (value !== undefined) return value
    throw this.#source.wrong(this.#map, `${this.#name} has no ${key}; ${right}`)
  }

  text(key: string, right: string): string | undefined {
    const node = this.#values.get(key)
    return node === undefined ? undefined : this.#textAt(node, key, right)
  }

  /** One text, or a list of them. */
  texts(key: string, right: string): readonly string[] | undefined {
    const node = this.#values.get(key)
    if (node === undefined) return undefined
    if (!isSeq(node)) return [this.#textAt(node, key, right)]
    if (node.items.length === 0) throw this.#source.wrong(node, `${key} is an empty list; ${right}`)
    return node.items.map((item) => this.#textAt(isNode(item) ? item : node, key, right))
  }

  /** A list of maps. */
  list(key: string, right: string): readonly Node[] | undefined {
    const node = this.#values.get(key)
    if (node === undefined) return undefined
    if (!isSeq(node) || node.items.length === 0) throw this.#source.wrong(node, `${key} is a list; ${right}`)
    return node.items.map((item) => (isNode(item) ? item : node))
  }

  wholeNumber(key: string, bounds: { readonly min: number; readonly max: number }): number | undefined {
    const node = this.#values.get(key)
    if (node === undefined) return undefined
    const value = isScalar(node) ? node.value : undefined
    if (typeof value === 'number' && Number.isInteger(value) && value >= bounds.min && value <= bounds.max) return value
    throw this.#source.wrong(node, `${key} is a whole number from ${bounds.min} to ${bounds.max}`)
  }

  /** true or false. */
  flag(key: string): boolean | undefined {
    const node = this.#values.get(key)
    if (node === undefined) return undefined
    const value = isScalar(node) ? node.value : undefined
    if (typeof value === 'boolean') return value
    throw this.#source.wrong(node, `${key} is true or false`)
  }

  #textAt(node: Node, key: string, right: string): string {
    if (isScalar(node) && typeof node.value === 'string' && node.value.trim() !== '') return node.value
    throw this.#source.wrong(node, `${key} is a text; ${right}`)
  }
}

function isNode(value: unknown): value is Node {
  return isMap(value) || isSeq(value) || isScalar(value)
}
