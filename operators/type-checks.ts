import avro, { type Type } from 'avsc'
import { decimalScale } from './avro-type.ts'

/**
 * Whether a parsed JSON value fits an Avro type. `fits` runs for every event and only answers yes or no; `explain` runs
 * for the few that fail and says what is wrong.
 *
 * JSON is read as people write it and not in Avro's own JSON encoding: a union holds the bare value, null stands for
 * absent, and a record may hold more fields than it declares.
 */
export interface Check {
  fits(value: unknown): boolean
  /** What would be right, such as `a number`. */
  readonly expected: string
  /** The first thing wrong with a value that does not fit: its path below the value, and what would be right there. */
  explain(value: unknown): Mismatch
}

export interface Mismatch {
  /** From the outside in; empty where the value itself is wrong. */
  readonly path: readonly (string | number)[]
  readonly found: unknown
  readonly expected: string
}

/** Builds the check of `type`; types that contain themselves are fine. */
export function checkOf(type: Type): Check {
  return new CheckBuilder().build(type)
}

class CheckBuilder {
  private readonly records = new Map<Type, Check>()

  build(type: Type): Check {
    const { types } = avro
    if (type instanceof types.RecordType) return this.record(type)
    if (type instanceof types.UnwrappedUnionType || type instanceof types.WrappedUnionType)
      return this.union(type.types)
    if (type instanceof types.ArrayType) return this.array(this.build(type.itemsType))
    if (type instanceof types.MapType) return this.map(this.build(type.valuesType))
    if (type instanceof types.EnumType) {
      const symbols = new Set<unknown>(type.symbols)
      return leaf(`one of ${type.symbols.join(', ')}`, (value) => symbols.has(value))
    }
    return decimalScale(type) === undefined ? primitive(type) : decimal
  }

  private record(type: InstanceType<typeof avro.types.RecordType>): Check {
    const known = this.records.get(type)
    if (known !== undefined) return known
    const names: string[] = []
    const checks: Check[] = []
    const fits = (value: unknown): boolean => {
      if (!isObject(value)) return false
      for (let i = 0; i < names.length; i++) if (checks[i]?.fits(value[names[i] ?? '']) !== true) return false
      return true
    }
    const explain = (value: unknown): Mismatch => {
      if (!isObject(value)) return { path: [], found: value, expected: 'an object' }
      const at = names.findIndex((name, i) => checks[i]?.fits(value[name]) !== true)
      const name = names[at] ?? ''
      return below(name, checks[at], value[name])
    }
    const check: Check = { fits, explain, expected: 'an object' }
    this.records.set(type, check)
    for (const field of type.fields) {
      names.push(field.name)
      checks.push(this.build(field.type))
    }
    return check
  }

  private union(types: readonly Type[]): Check {
    const optional = types.some((type) => type instanceof avro.types.NullType)
    const branches = types.filter((type) => !(type instanceof avro.types.NullType)).map((type) => this.build(type))
    const only = branches.length === 1 ? branches[0] : undefined
    const expected = `${branches.map((branch) => branch.expected).join(' or ')}${optional ? ', or nothing' : ''}`
    const explain = (value: unknown): Mismatch => {
      const inner = only?.explain(value)
      return inner === undefined || inner.path.length === 0 ? { path: [], found: value, expected } : inner
    }
    const absent = (value: unknown): boolean => optional && (value === undefined || value === null)
    const fits =
      only === undefined
        ? (value: unknown): boolean => absent(value) || branches.some((branch) => branch.fits(value))
        : (value: unknown): boolean => absent(value) || only.fits(value)
    return { fits, expected, explain }
  }

  private array(items: Check): Check {
    const expected = 'a list'
    return {
      expected,
      fits: (value) => Array.isArray(value) && value.every((item) => items.fits(item)),
      explain: (value) => {
        if (!Array.isArray(value)) return { path: [], found: value, expected }
        const at = value.findIndex((item) => !items.fits(item))
        return below(at, items, value[at])
      },
    }
  }

  private map(values: Check): Check {
    const expected = 'an object'
    return {
      expected,
      fits: (value) => isObject(value) && Object.values(value).every((item) => values.fits(item)),
      explain: (value) => {
        if (!isObject(value)) return { path: [], found: value, expected }
        const key = Object.keys(value).find((name) => !values.fits(value[name])) ?? ''
        return below(key, values, value[key])
      },
    }
  }
}

function primitive(type: Type): Check {
  switch (type.typeName) {
    case 'null':
      return leaf('nothing', (value) => value === undefined || value === null)
    case 'boolean':
      return leaf('true or false', (value) => typeof value === 'boolean')
    case 'int':
      return leaf('a whole number of 32 bits', (value) => typeof value === 'number' && (value | 0) === value)
    case 'long':
      return leaf('a whole number below 2^53', (value) => Number.isSafeInteger(value))
    case 'float':
    case 'double':
      return leaf('a number', (value) => typeof value === 'number' && Number.isFinite(value))
    default:
      // Avro writes bytes and fixed as text in JSON, and this is what a feed can send.
      return leaf('text', (value) => typeof value === 'string')
  }
}

/** A number as it is decoded, or text, as JSON has sent the bytes of it before they were numbers. */
const decimal = leaf(
  'a number',
  (value) => (typeof value === 'number' && Number.isFinite(value)) || typeof value === 'string',
)

function leaf(expected: string, fits: (value: unknown) => boolean): Check {
  return { fits, expected, explain: (found) => ({ path: [], found, expected }) }
}

function below(step: string | number, check: Check | undefined, value: unknown): Mismatch {
  const inner = check?.explain(value) ?? { path: [], found: value, expected: 'another value' }
  return { ...inner, path: [step, ...inner.path] }
}

/** True for what JSON calls an object. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
