/** Pairs of schemas, older and newer, and whether the newer reads what the older has written. */
export interface Pair {
  readonly name: string
  readonly older: object
  readonly newer: object
  readonly compatible: boolean
  /** What the message names, where it is not. */
  readonly says?: RegExp
  /** Where the real registry is of another opinion, and why we are stricter. */
  readonly registrySays?: boolean
}

const record = (fields: readonly object[], more: object = {}): object => ({
  type: 'record',
  name: 'acme.thing',
  fields,
  ...more,
})
const field = (type: unknown, more: object = {}): object => record([{ name: 'a', type, ...more }])
/** One field of another type. `outcome`: that it can be read, or what the message names. */
const both = (name: string, older: unknown, newer: unknown, outcome: true | RegExp): Pair => ({
  name,
  older: field(older),
  newer: field(newer),
  compatible: outcome === true,
  ...(outcome === true ? {} : { says: outcome }),
})
const color = (symbols: readonly string[], more: object = {}): object => ({
  type: 'enum',
  name: 'color',
  symbols,
  ...more,
})
const fixed = (name: string, size: number): object => ({ type: 'fixed', name, size })
const inner = (name: string, ...fields: readonly object[]): object => ({ type: 'record', name, fields })
const decimal = (scale: number): object => ({ type: 'bytes', logicalType: 'decimal', precision: 10, scale })

const A = { name: 'a', type: 'string' }
const list = inner('node', { name: 'value', type: 'int' }, { name: 'next', type: ['null', 'node'], default: null })
const longer = inner('node', { name: 'value', type: 'long' }, { name: 'next', type: ['null', 'node'], default: null })
const broken = inner('node', { name: 'value', type: 'string' }, { name: 'next', type: ['null', 'node'], default: null })

export const PAIRS: readonly Pair[] = [
  { name: 'the same', older: record([A]), newer: record([A]), compatible: true },
  {
    name: 'a new field with a default',
    older: record([A]),
    newer: record([A, { name: 'b', type: 'int', default: 1 }]),
    compatible: true,
  },
  {
    name: 'a new field without one',
    older: record([A]),
    newer: record([A, { name: 'b', type: 'int' }]),
    compatible: false,
    says: /^b is not in older versions and has no default/,
  },
  {
    name: 'a field that may be null is no default',
    older: record([A]),
    newer: record([A, { name: 'b', type: ['null', 'int'] }]),
    compatible: false,
    says: /^b .*no default/,
  },
  { name: 'a field is gone', older: record([A, { name: 'b', type: 'int' }]), newer: record([A]), compatible: true },
  {
    name: 'renamed without an alias',
    older: record([A]),
    newer: record([{ name: 'z', type: 'string' }]),
    compatible: false,
    says: /^z .*if it was called a, name that in "aliases"/,
  },
  {
    name: 'renamed with an alias',
    older: record([A]),
    newer: record([{ name: 'z', type: 'string', aliases: ['a'] }]),
    compatible: true,
  },
  {
    name: 'two fields for one name',
    older: record([A, { name: 'z', type: 'string' }]),
    newer: record([{ name: 'z', type: 'string', aliases: ['a'] }]),
    compatible: false,
    says: /^z goes by the names z and a/,
  },
  {
    name: 'another order',
    older: record([A, { name: 'b', type: 'int' }]),
    newer: record([{ name: 'b', type: 'int' }, A]),
    compatible: true,
  },
  both('int to long', 'int', 'long', true),
  both('int to double', 'int', 'double', true),
  both('long to float', 'long', 'float', true),
  both('float to double', 'float', 'double', true),
  both('double to float', 'double', 'float', /^a was double, and is float now; keep double/),
  both('long to int', 'long', 'int', /^a was long, and is int now; keep long or take float or double/),
  both('string to bytes', 'string', 'bytes', true),
  both('bytes to string', 'bytes', 'string', true),
  both('string to long', 'string', 'long', /^a was string, and is long now/),
  both('a type to a union with it', 'string', ['null', 'string'], true),
  both('a type to a union with a wider one', 'int', ['null', 'double'], true),
  both('a type to a union without it', 'string', ['null', 'long'], /^a was string, and is null or long now/),
  both('a union to a wider one', ['null', 'int'], ['null', 'int', 'string'], true),
  both(
    'a union to a narrower one',
    ['null', 'int', 'string'],
    ['null', 'int'], /^a could be string in older versions/,
  ),
  both('a union to a branch of it', ['null', 'string'], 'string', /^a could be null in older versions/),
  both('a union in another order', ['null', 'string', 'long'], ['long', 'string', 'null'], true),
  both('an enum with a new symbol', color(['RED']), color(['RED', 'BLUE']), true),
  both(
    'an enum that has lost one',
    color(['RED', 'BLUE']),
    color(['RED']), /^a has lost the symbol BLUE; keep it, or give the enum a "default"/,
  ),
  both('an enum that has lost one, with a default', color(['RED', 'BLUE']), color(['RED'], { default: 'RED' }), true),
  both('an enum to text', color(['RED']), 'string', /^a was the enum color, and is string now/),
  both('a fixed of another size', fixed('hash', 4), fixed('hash', 8), /^a had 4 bytes, and has 8 now/),
  both('a fixed of another name', fixed('hash', 4), fixed('sum', 4), /^a was named hash, and is named sum now/),
  both('items that widen', { type: 'array', items: 'int' }, { type: 'array', items: 'long' }, true),
  both(
    'items that narrow',
    { type: 'array', items: 'long' },
    { type: 'array', items: 'int' }, /^a\[\] was long/,
  ),
  both(
    'values that narrow',
    { type: 'map', values: 'double' },
    { type: 'map', values: 'float' }, /^a\{\} was double/,
  ),
  both(
    'a map to a list',
    { type: 'map', values: 'int' },
    { type: 'array', items: 'int' }, /^a was map, and is array now/,
  ),
  both(
    'an inner record with a new field',
    inner('part', A),
    inner('part', A, { name: 'b', type: 'int' }), /^a\.b is not in older/,
  ),
  both(
    'an inner record within a union',
    ['null', inner('part', A)],
    ['null', inner('part', A, { name: 'b', type: 'int' })], /^a\.b is not in older/,
  ),
  both(
    'an inner record of another name',
    inner('part', A),
    inner('piece', A), /^a was named part, and is named piece now/,
  ),
  both('a record that contains itself, widened', list, longer, true),
  both('a record that contains itself, changed', list, broken, /^a\.value was int, and is string now/),
  { name: 'another namespace', older: record([A]), newer: { ...record([A]), name: 'other.thing' }, compatible: true },
  {
    name: 'another name',
    older: record([A]),
    newer: { ...record([A]), name: 'acme.stuff' },
    compatible: false,
    says: /^was named thing, and is named stuff now/,
  },
  {
    name: 'another name with an alias',
    older: record([A]),
    newer: { ...record([A], { aliases: ['acme.thing'] }), name: 'acme.stuff' },
    compatible: true,
  },
  {
    ...both(
      'a decimal of another scale',
      decimal(2),
      decimal(4), /^a was a decimal of scale 2, and is a decimal of scale 4 now/,
    ),
    registrySays: true,
  },
  both('a decimal to bytes', decimal(2), 'bytes', true),
]
