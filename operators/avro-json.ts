import avro, { type Type } from 'avsc'
import { LONG_LEAST } from './avro-bounds.ts'
import { branchesOf, decimalScale } from './avro-type.ts'
import { checkOf, isObject } from './type-checks.ts'

/**
 * What avsc decodes, as a sender of JSON would have written it: plain objects, the bare value of a union, null fields left
 * out, bytes as the text of their Latin-1 characters (which is how Avro itself writes them in JSON). The value comes from
 * avsc's decoder of `type`, so nothing is checked.
 */
export function toJson(type: Type): (value: unknown) => unknown {
  return new Readers().build(type) ?? same
}

type Convert = (value: unknown) => unknown

const same: Convert = (value) => value

class Readers {
  readonly #records = new Map<Type, Convert>()

  /** undefined: the value is JSON as it is. */
  build(type: Type): Convert | undefined {
    const { types } = avro
    const branches = branchesOf(type)
    if (branches !== undefined) return this.#union(type, branches)
    if (decimalScale(type) !== undefined) return undefined
    if (type instanceof types.RecordType) return this.#record(type)
    if (type instanceof types.ArrayType) {
      const item = this.build(type.itemsType)
      return item === undefined ? undefined : (value) => (value as unknown[]).map(item)
    }
    if (type instanceof types.MapType) return map(this.build(type.valuesType as Type) ?? same)
    if (holdsBytes(type)) return latin1
    return undefined
  }

  #record(type: InstanceType<typeof avro.types.RecordType>): Convert {
    const known = this.#records.get(type)
    if (known !== undefined) return known
    const fields: { readonly name: string; readonly convert: Convert | undefined }[] = []
    const convert: Convert = (value) => {
      const record = value as Readonly<Record<string, unknown>>
      const object: Record<string, unknown> = {}
      for (const field of fields) {
        const inner = record[field.name]
        if (inner !== null) object[field.name] = field.convert === undefined ? inner : field.convert(inner)
      }
      return object
    }
    this.#records.set(type, convert)
    for (const { name, type: inner } of type.fields) fields.push({ name, convert: this.build(inner) })
    return convert
  }

  #union(type: Type, branches: readonly Type[]): Convert | undefined {
    const converts = branches.map((branch) => ({ branch, convert: this.build(branch) }))
    if (type instanceof avro.types.WrappedUnionType) {
      const byName = new Map(converts.map(({ branch, convert }) => [branch.branchName, convert ?? same]))
      return (value) => {
        if (value === null) return null
        const [name = '', inner] = Object.entries(value as object)[0] ?? []
        return (byName.get(name) ?? same)(inner)
      }
    }
    if (converts.every(({ convert }) => convert === undefined)) return undefined
    // avsc leaves a union bare where the kinds of its branches tell them apart.
    const kinds = new Map(converts.map(({ branch, convert }) => [kindOfType(branch), convert ?? same]))
    return (value) =>
      typeof value === 'object' && value !== null ? (kinds.get(kindOfValue(value)) ?? same)(value) : value
  }
}

function map(convert: Convert): Convert {
  return (value) => {
    const object: Record<string, unknown> = {}
    for (const [key, inner] of Object.entries(value as object)) if (inner !== null) object[key] = convert(inner)
    return object
  }
}

const latin1: Convert = (value) => (value as Buffer).toString('latin1')

function kindOfValue(value: object): 'bytes' | 'list' | 'object' {
  if (Buffer.isBuffer(value)) return 'bytes'
  return Array.isArray(value) ? 'list' : 'object'
}

function kindOfType(type: Type): string {
  const { types } = avro
  if (type instanceof types.ArrayType) return 'list'
  if (type instanceof types.RecordType || type instanceof types.MapType) return 'object'
  if (decimalScale(type) !== undefined) return 'decimal'
  return holdsBytes(type) ? 'bytes' : type.typeName
}

/** Why a value cannot be encoded: a sentence that names the field. */
export class Unencodable extends Error {}

/**
 * The way back: JSON that fits `type` (`checkOf`) as avsc encodes it. Throws Unencodable for a field that the type does
 * not declare, which would be lost, and for what it requires and does not find.
 */
export function fromJson(type: Type): (value: unknown) => unknown {
  const write = new Writers().build(type)
  return (value) => write(value, '')
}

type Write = (value: unknown, path: string) => unknown

class Writers {
  readonly #records = new Map<Type, Write>()

  build(type: Type): Write {
    const { types } = avro
    const branches = branchesOf(type)
    if (branches !== undefined) return this.#union(type, branches)
    if (type instanceof types.RecordType) return this.#record(type)
    if (type instanceof types.ArrayType) {
      const item = this.build(type.itemsType)
      return (value, path) => {
        if (!Array.isArray(value)) throw new Unencodable(`${path} must be a list`)
        return value.map((each, i) => item(each, `${path}[${i}]`))
      }
    }
    if (type instanceof types.MapType) {
      const inner = this.build(type.valuesType as Type)
      return (value, path) => {
        if (!isObject(value)) throw new Unencodable(`${path} must be an object`)
        return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, inner(each, below(path, key))]))
      }
    }
    if (holdsBytes(type)) return fitting(type, bytesOf)
    if (type instanceof types.LongType) return fitting(type, exactLong)
    return fitting(type, (value) => value)
  }

  #record(type: InstanceType<typeof avro.types.RecordType>): Write {
    const known = this.#records.get(type)
    if (known !== undefined) return known
    const fields = new Map<string, { readonly write: Write; readonly hasDefault: boolean }>()
    const write: Write = (value, path) => {
      if (!isObject(value)) throw new Unencodable(`${path} is no object`)
      const record: Record<string, unknown> = {}
      for (const name of Object.keys(value)) {
        if (!fields.has(name))
          throw new Unencodable(`${below(path, name)} is not declared in the schema and would be lost`)
      }
      for (const [name, field] of fields) {
        const inner = value[name]
        if (inner !== undefined || !field.hasDefault) record[name] = field.write(inner ?? null, below(path, name))
      }
      return record
    }
    this.#records.set(type, write)
    for (const field of type.fields) {
      // What is absent gets its default from avsc.
      fields.set(field.name, { write: this.build(field.type), hasDefault: field.defaultValue() !== undefined })
    }
    return write
  }

  #union(type: Type, branches: readonly Type[]): Write {
    const wrapped = type instanceof avro.types.WrappedUnionType
    const writes = branches.map((branch) => ({ check: checkOf(branch), write: this.build(branch), branch }))
    const { expected } = checkOf(type)
    return (value, path) => {
      const chosen =
        writes.find(({ check, branch }) => check.fits(value) && (!holdsBytes(branch) || isLatin1(value))) ??
        // What lacks a field that has a default fits no check, and is written all the same.
        writes.find(({ branch }) => isOfKind(branch, value))
      if (chosen === undefined) throw new Unencodable(`${path} must be ${expected}`)
      const inner = chosen.write(value, path)
      return inner === null || !wrapped ? inner : { [chosen.branch.branchName ?? '']: inner }
    }
  }
}

function fitting(type: Type, write: Write): Write {
  const check = checkOf(type)
  return (value, path) => {
    if (!check.fits(value)) throw new Unencodable(`${path} must be ${check.expected}`)
    return write(value, path)
  }
}

/** Within what avsc writes as it is. */
function exactLong(value: unknown, path: string): unknown {
  if (Math.abs(value as number) < Number.MAX_SAFE_INTEGER && (value as number) >= LONG_LEAST) return value
  throw new Unencodable(`${path} is a whole number beyond -2^52 to 2^53, which is not written exactly; send it as text`)
}

function isOfKind(type: Type, value: unknown): boolean {
  if (type instanceof avro.types.ArrayType) return Array.isArray(value)
  return (type instanceof avro.types.RecordType || type instanceof avro.types.MapType) && isObject(value)
}

function holdsBytes(type: Type): boolean {
  return type instanceof avro.types.BytesType || type instanceof avro.types.FixedType
}

function isLatin1(value: unknown): boolean {
  return typeof value === 'string' && Buffer.from(value, 'latin1').toString('latin1') === value
}

function bytesOf(value: unknown, path: string): Buffer {
  if (!isLatin1(value)) {
    throw new Unencodable(
      `${path} has characters that are no bytes; bytes stand in JSON as the characters U+0000 to U+00FF`,
    )
  }
  return Buffer.from(value as string, 'latin1')
}

function below(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}
