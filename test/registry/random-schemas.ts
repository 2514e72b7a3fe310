import * as fc from 'fast-check'

export interface Change {
  readonly older: object
  readonly newer: object
}

const primitive = fc.constantFrom('boolean', 'int', 'long', 'float', 'double', 'bytes', 'string')
const NAMES = ['a', 'b', 'c', 'd'] as const

/** Any type that may stand in a field; names of inner types are made by place, so that none is there twice. */
function typeAt(path: string, depth: number): fc.Arbitrary<unknown> {
  if (depth === 0) return primitive
  const inner = typeAt(path, depth - 1)
  return fc.oneof(
    { arbitrary: primitive, weight: 4 },
    {
      arbitrary: fc.uniqueArray(primitive, { minLength: 1, maxLength: 3 }).map((types) => ['null', ...types]),
      weight: 3,
    },
    inner.map((items) => ({ type: 'array', items })),
    inner.map((values) => ({ type: 'map', values })),
    fc.subarray(['RED', 'GREEN', 'BLUE'], { minLength: 1 }).chain((symbols) =>
      fc.option(fc.constantFrom(...symbols), { nil: undefined }).map((standIn) => ({
        type: 'enum',
        name: `e_${path}`,
        symbols,
        ...(standIn === undefined ? {} : { default: standIn }),
      })),
    ),
    fc.integer({ min: 1, max: 3 }).map((size) => ({ type: 'fixed', name: `f_${path}_${depth}`, size })),
    fieldsAt(`${path}_u`, depth - 1).map((fields) => ['null', { type: 'record', name: `u_${path}_${depth}`, fields }]),
    fieldsAt(`${path}_r`, depth - 1).map((fields) => ({ type: 'record', name: `r_${path}_${depth}`, fields })),
  )
}

/** A default is given where one is easy to find: for a union with null, and for plain types. */
const DEFAULTS: Readonly<Record<string, unknown>> = {
  boolean: true,
  int: 1,
  long: 2,
  float: 1.5,
  double: 2.5,
  string: 'x',
  bytes: 'y',
}

function fieldsAt(path: string, depth: number): fc.Arbitrary<object[]> {
  const field = (name: string): fc.Arbitrary<object> =>
    fc
      .record({
        type: typeAt(`${path}_${name}`, depth),
        withDefault: fc.boolean(),
        aliases: fc.option(fc.subarray([...NAMES]), { nil: [], freq: 4 }),
      })
      .map(({ type, withDefault, aliases }) => ({
        name,
        type,
        ...(withDefault ? defaultOf(type) : {}),
        ...(aliases.length === 0 ? {} : { aliases: aliases.filter((alias) => alias !== name) }),
      }))
  return fc.subarray([...NAMES], { minLength: 1 }).chain((names) => fc.tuple(...names.map(field)))
}

function defaultOf(type: unknown): object {
  if (Array.isArray(type)) return { default: null }
  return typeof type === 'string' ? { default: DEFAULTS[type] } : {}
}

const record = (fields: readonly object[]): object => ({ type: 'record', name: 'acme.thing', fields })

/** A record of one to four fields of any type. */
export const schemaOfFields: fc.Arbitrary<object> = fieldsAt('x', 2).map(record)

interface Field {
  readonly name: string
  readonly type: unknown
}

/** Two records: each field kept, dropped, retyped or new, so that a good part of the pairs goes together. */
export const changedSchema: fc.Arbitrary<Change> = fc
  .tuple(fieldsAt('x', 2), fieldsAt('x', 2))
  .chain(([before, after]) => {
    const [older, others] = [before as Field[], after as Field[]]
    const kept = older.map((field) => {
      const other = others.find(({ name }) => name === field.name)
      const choices: (Field | undefined)[] = [
        field,
        field,
        undefined,
        widened(field),
        ...(other === undefined ? [] : [other]),
      ]
      return fc.constantFrom(...choices)
    })
    const added = others.filter(({ name }) => !older.some((field) => field.name === name))
    return fc.tuple(fc.tuple(...kept), fc.subarray(added)).map(([some, more]) => ({
      older: record(older),
      newer: record([...some.filter((field) => field !== undefined), ...more]),
    }))
  })

const WIDER: Readonly<Record<string, string>> = {
  int: 'long',
  long: 'double',
  float: 'double',
  string: 'bytes',
  bytes: 'string',
}

function widened(field: Field): Field {
  if (typeof field.type !== 'string') return field
  return { name: field.name, type: ['null', WIDER[field.type] ?? field.type] }
}
