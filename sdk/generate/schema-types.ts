/** A schema file as it was read. */
export interface SchemaText {
  readonly name: string
  readonly text: string
}

type Avro = string | readonly Avro[] | AvroNode

interface AvroNode {
  readonly type: Avro
  readonly name?: string
  readonly doc?: string
  readonly event_name?: string
  /** Of the event; without it events carry none. */
  readonly version?: string
  readonly fields?: readonly AvroField[]
  readonly items?: Avro
  readonly values?: Avro
  readonly symbols?: readonly string[]
}

interface AvroField {
  readonly name: string
  readonly type: Avro
  readonly doc?: string
  readonly default?: unknown
}

/** Of the envelope, what a caller gives: the rest is the client's. */
const GIVEN = ['user', 'context']

const PRIMITIVES: Readonly<Record<string, string>> = {
  null: 'null',
  boolean: 'boolean',
  int: 'number',
  long: 'number',
  float: 'number',
  double: 'number',
  string: 'string',
  bytes: 'string',
}

/**
 * sdk/events.ts: TypeScript for the Avro schemas of events. A field is optional where it has a default; unions become unions.
 * Throws an Error that names the file for what is no schema.
 */
export function renderEvents(files: readonly SchemaText[]): string {
  const records = files.map((file) => ({ file, record: recordOf(file) }))
  const envelope = records.find(({ file }) => file.name === 'envelope.avsc')?.record
  if (envelope === undefined) throw new Error('there is no envelope.avsc among the schemas')
  const payloads = records
    .filter(({ record }) => record !== envelope)
    .map(({ record }) => ({ event: record.event_name ?? record.name ?? '', record }))
    .toSorted((one, other) => (one.event < other.event ? -1 : 1))
  const given = (envelope.fields ?? []).filter(({ name }) => GIVEN.includes(name))
  return [
    '// Made by `npm run generate:sdk` from the schemas/ of the events. Do not edit it: a test compares the two.\n',
    ...given.map((field) => interfaceOf(typeName(field.name), { ...innerRecord(field.type), ...docOf(field) })),
    ...payloads.map(({ event, record }) => interfaceOf(typeName(event), record)),
    [
      '/**\n * The payload of each event by its name. Add event types of your own by declaring this interface again:',
      " * `declare module 'onceward/sdk' { interface EventPayloads { level_up: { level: number } } }`.\n */",
      'export interface EventPayloads {',
      ...payloads.map(({ event }) => `  ${propertyName(event)}: ${typeName(event)}`),
      '}\n',
    ].join('\n'),
    [
      '/** The version that events of a name carry, where their schema says one. */',
      `export const EVENT_VERSIONS: Readonly<Record<string, string>> = ${block(
        payloads.flatMap(({ event, record: { version } }) =>
          version === undefined ? [] : [`  ${propertyName(event)}: '${version}',\n`],
        ),
      )}\n`,
    ].join('\n'),
  ].join('\n')
}

function recordOf({ name, text }: SchemaText): AvroNode {
  let parsed: AvroNode
  try {
    parsed = JSON.parse(text) as AvroNode
  } catch (error) {
    throw new Error(`${name} is not JSON`, { cause: error })
  }
  if (parsed.type !== 'record' || parsed.name === undefined) throw new Error(`${name} does not declare a record`)
  return parsed
}

function docOf({ doc }: { readonly doc?: string }): { doc?: string } {
  return doc === undefined ? {} : { doc }
}

/** The record that a field is, maybe beside null. */
function innerRecord(type: Avro): AvroNode {
  const branches = Array.isArray(type) ? (type as readonly Avro[]) : [type]
  const record = branches.find((branch): branch is AvroNode => typeof branch === 'object' && 'fields' in branch)
  if (record === undefined) throw new Error('a part of the envelope is not a record')
  return record
}

function interfaceOf(name: string, { doc, fields = [] }: AvroNode): string {
  return `${comment(doc, '')}export interface ${name} ${block(fields.map((field) => memberOf(field, '  ')))}\n`
}

function block(lines: readonly string[]): string {
  return lines.length === 0 ? '{}' : `{\n${lines.join('')}}`
}

function memberOf(field: AvroField, indent: string): string {
  const optional = 'default' in field ? '?' : ''
  return `${comment(field.doc, indent)}${indent}${propertyName(field.name)}${optional}: ${typeOf(field.type, indent)}\n`
}

function typeOf(type: Avro, indent: string): string {
  if (typeof type === 'string') return PRIMITIVES[type] ?? 'unknown'
  if (isUnion(type)) {
    const branches = new Set(type.map((branch) => typeOf(branch, indent)))
    return [...branches].toSorted((one, other) => Number(one === 'null') - Number(other === 'null')).join(' | ')
  }
  if (type.type === 'array') return `readonly ${wrapped(typeOf(type.items ?? 'unknown', indent))}[]`
  if (type.type === 'map') return `Readonly<Record<string, ${typeOf(type.values ?? 'unknown', indent)}>>`
  if (type.type === 'enum') return (type.symbols ?? []).map((symbol) => `'${symbol}'`).join(' | ')
  if (type.type === 'fixed') return 'string'
  if (type.type !== 'record') return typeOf(type.type, indent)
  return `{\n${(type.fields ?? []).map((field) => memberOf(field, `${indent}  `)).join('')}${indent}}`
}

function isUnion(type: Avro): type is readonly Avro[] {
  return Array.isArray(type)
}

function wrapped(type: string): string {
  return type.includes('|') ? `(${type})` : type
}

function comment(doc: string | undefined, indent: string): string {
  return doc === undefined ? '' : `${indent}/** ${doc.replaceAll('*/', '*')} */\n`
}

function propertyName(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : `'${name.replaceAll(/['\\]/g, '\\$&')}'`
}

/** mission_view → MissionView */
function typeName(name: string): string {
  const words = name.split(/[^A-Za-z0-9]+/).filter((word) => word !== '')
  return words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')
}
