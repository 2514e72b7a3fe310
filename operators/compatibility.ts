import avro, { type Type } from 'avsc'
import { messageOf } from '../core/errors.ts'
import type { JsonObject } from '../core/model/event.ts'
import { avroType, branchesOf, decimalScale, underlying } from './avro-type.ts'

/** Something of an older version that a newer one cannot read. */
export interface Incompatibility {
  /** The field, such as `payload.bet`; empty where it is the record itself. */
  readonly path: string
  /** What is wrong, and what would be right: to stand after the path. */
  readonly problem: string
}

/**
 * What keeps events written by `older` from being read by `newer`: backward compatibility, as Avro's schema resolution
 * has it. Empty where every value can be read. Never says yes where avsc's resolver, which reads the events, says no.
 */
export function incompatibilities(newer: JsonObject, older: JsonObject): readonly Incompatibility[] {
  const [reader, writer] = [avroType(newer), avroType(older)]
  const found = new Comparison().read(reader, writer, '')
  if (found.length > 0) return found
  try {
    reader.createResolver(writer, { ignoreNamespaces: true })
    return []
  } catch (error) {
    return [{ path: '', problem: `cannot be resolved: ${messageOf(error)}; see Avro's rules of schema resolution` }]
  }
}

type RecordType = InstanceType<typeof avro.types.RecordType>
type Field = RecordType['fields'][number]

/** Which types are read as which others without a loss that Avro minds. */
const PROMOTIONS: Readonly<Record<string, readonly string[]>> = {
  long: ['int'],
  float: ['int', 'long'],
  double: ['int', 'long', 'float'],
  string: ['bytes'],
  bytes: ['string'],
}

const READABLE: readonly Incompatibility[] = []

class Comparison {
  /** Pairs of records under comparison or done: a record that contains itself ends here. */
  readonly #met = new Map<Type, Set<Type>>()

  read(reader: Type, writer: Type, path: string): readonly Incompatibility[] {
    const written = branchesOf(writer)
    if (written !== undefined) return this.#eachBranch(reader, written, path)
    const branches = branchesOf(reader)
    if (branches !== undefined) {
      if (branches.some((branch) => this.#attempt(branch, writer).length === 0)) return READABLE
      return this.#noBranch(branches, writer, path)
    }
    return this.#plain(reader, writer, path)
  }

  /** A comparison that may come to nothing must not leave behind that its records have been met. */
  #attempt(reader: Type, writer: Type): readonly Incompatibility[] {
    const trial = new Comparison()
    for (const [type, others] of this.#met) trial.#met.set(type, new Set(others))
    return trial.read(reader, writer, '')
  }

  #eachBranch(reader: Type, written: readonly Type[], path: string): readonly Incompatibility[] {
    const lost = written.flatMap((branch) => (this.#attempt(reader, branch).length === 0 ? [] : [branch]))
    if (lost.length === 0) return READABLE
    // Where one branch alone is in trouble, what is wrong within it says more.
    const [only] = lost
    const within = only === undefined ? [] : this.read(reader, only, path)
    if (lost.length === 1 && within.some((each) => each.path !== path)) return within
    const names = lost.map(describe).join(' and ')
    return [
      {
        path,
        problem: `could be ${names} in older versions, and is ${describe(reader)} now; keep ${names} among its types`,
      },
    ]
  }

  #noBranch(branches: readonly Type[], writer: Type, path: string): readonly Incompatibility[] {
    const name = writer.name
    const same = branches.find((branch) => name !== undefined && shortName(branch.name) === shortName(name))
    if (same !== undefined) return this.read(same, writer, path)
    const now = branches.map(describe).join(' or ')
    return [{ path, problem: `was ${describe(writer)}, and is ${now} now; keep ${describe(writer)} among its types` }]
  }

  #plain(reader: Type, writer: Type, path: string): readonly Incompatibility[] {
    const { types } = avro
    if (decimalScale(reader) !== undefined) {
      if (decimalScale(reader) === decimalScale(writer))
        return this.#plain(underlying(reader), underlying(writer), path)
      const was =
        decimalScale(writer) === undefined ? `plain ${describe(writer)}` : `a decimal of scale ${decimalScale(writer)}`
      return [{ path, problem: `was ${was}, and is a decimal of scale ${decimalScale(reader)} now; keep what it was` }]
    }
    const plain = underlying(writer)
    if (reader instanceof types.RecordType && plain instanceof types.RecordType)
      return this.#record(reader, plain, path)
    if (reader instanceof types.ArrayType && plain instanceof types.ArrayType) {
      return this.read(reader.itemsType, plain.itemsType, `${path}[]`)
    }
    if (reader instanceof types.MapType && plain instanceof types.MapType) {
      return this.read(reader.valuesType as Type, plain.valuesType as Type, `${path}{}`)
    }
    if (reader instanceof types.EnumType && plain instanceof types.EnumType) return enumeration(reader, plain, path)
    if (reader instanceof types.FixedType && plain instanceof types.FixedType) {
      if (reader.size !== plain.size) {
        return [{ path, problem: `had ${plain.size} bytes, and has ${reader.size} now; keep ${plain.size}` }]
      }
      return named(reader, plain, path)
    }
    const promoted = PROMOTIONS[reader.typeName]?.includes(plain.typeName) === true
    if (promoted || (reader.typeName === plain.typeName && isPrimitive(reader))) return READABLE
    return [
      {
        path,
        problem: `was ${describe(writer)}, and is ${describe(reader)} now; keep ${describe(writer)}${widerThan(plain)}`,
      },
    ]
  }

  #record(reader: RecordType, writer: RecordType, path: string): readonly Incompatibility[] {
    const wrongName = named(reader, writer, path)
    if (wrongName.length > 0) return wrongName
    const met = this.#met.get(reader) ?? new Set()
    if (met.has(writer)) return READABLE
    this.#met.set(reader, met.add(writer))
    const written = new Map(writer.fields.map((field) => [field.name, field]))
    return reader.fields.flatMap((field) => {
      const where = path === '' ? field.name : `${path}.${field.name}`
      const names = [...new Set([field.name, ...field.aliases])].filter((name) => written.has(name))
      if (names.length > 1) {
        const problem = `goes by the names ${names.join(' and ')}, which are different fields of an older version; drop the alias`
        return [{ path: where, problem }]
      }
      const source = written.get(names[0] ?? '')
      if (source !== undefined) return this.read(field.type, source.type, where)
      if (field.defaultValue() !== undefined) return READABLE
      return [
        { path: where, problem: `is not in older versions and has no default; ${this.#remedy(field, reader, writer)}` },
      ]
    })
  }

  #remedy(field: Field, reader: RecordType, writer: RecordType): string {
    const kept = new Set(reader.fields.flatMap(({ name, aliases }) => [name, ...aliases]))
    const gone = writer.fields.filter(
      ({ name, type }) => !kept.has(name) && this.#attempt(field.type, type).length === 0,
    )
    const renamed =
      gone.length === 0
        ? ''
        : `; or, if it was called ${gone.map(({ name }) => name).join(' or ')}, name that in "aliases"`
    return `give it one, such as null for a field that may be absent: "type": ["null", …], "default": null${renamed}`
  }
}

function enumeration(
  reader: InstanceType<typeof avro.types.EnumType>,
  writer: InstanceType<typeof avro.types.EnumType>,
  path: string,
): readonly Incompatibility[] {
  const wrongName = named(reader, writer, path)
  if (wrongName.length > 0) return wrongName
  const gone = writer.symbols.filter((symbol) => !reader.symbols.includes(symbol))
  if (gone.length === 0 || ('default' in reader && reader.default !== undefined)) return READABLE
  const problem = `has lost the symbol${gone.length === 1 ? '' : 's'} ${gone.join(', ')}; keep ${gone.length === 1 ? 'it' : 'them'}, or give the enum a "default" that stands for what it does not know`
  return [{ path, problem }]
}

/** Names count without their namespace. */
function named(reader: Type, writer: Type, path: string): readonly Incompatibility[] {
  const names = [reader.name, ...(reader.aliases ?? [])].map(shortName)
  if (writer.name === undefined || names.includes(shortName(writer.name))) return READABLE
  const was = shortName(writer.name)
  return [
    {
      path,
      problem: `was named ${was}, and is named ${shortName(reader.name)} now; keep the name, or write "aliases": ["${was}"]`,
    },
  ]
}

function shortName(name: string | undefined): string {
  return name?.slice(name.lastIndexOf('.') + 1) ?? ''
}

const PRIMITIVES = new Set(['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string'])

function isPrimitive(type: Type): boolean {
  return PRIMITIVES.has(type.typeName)
}

/** What older numbers may become. */
function widerThan({ typeName }: Type): string {
  const wider = Object.keys(PROMOTIONS).filter((name) => PROMOTIONS[name]?.includes(typeName) === true)
  return wider.length === 0 ? '' : ` or take ${wider.join(' or ')}`
}

function describe(type: Type): string {
  const scale = decimalScale(type)
  if (scale !== undefined) return `a decimal of scale ${scale}`
  const branches = branchesOf(type)
  if (branches !== undefined) return branches.map(describe).join(' or ')
  const plain = underlying(type)
  const { name, typeName } = plain
  if (name !== undefined) return `the ${typeName} ${shortName(name)}`
  return typeName
}
