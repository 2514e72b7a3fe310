import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../core/model/event.ts'
import { eventRecords, eventSchemaOf } from '../../operators/event-record.ts'
import { type EventSchemas, parseSchemas, type SchemaFile } from '../../operators/event-schema.ts'
import { fieldsOfSchemas } from '../../operators/schema-fields.ts'
import { incompatibilities } from '../../operators/compatibility.ts'
import { Build, event, payloadFile, shipped, valueOf, withoutNulls } from './support.ts'

interface Field {
  readonly name: string
  readonly type: unknown
  readonly default?: unknown
}

const fieldsOf = (json: JsonObject): readonly Field[] => json['fields'] as unknown as Field[]
const withFields = (file: SchemaFile, fields: readonly Field[]): SchemaFile => ({
  name: file.name,
  text: JSON.stringify({ ...(JSON.parse(file.text) as object), fields }),
})

/** What a shipped schema may once have been: without each of its optional fields, without all, and with one that is gone. */
function olderVersions(file: SchemaFile): readonly SchemaFile[] {
  const fields = fieldsOf(JSON.parse(file.text) as JsonObject)
  const optional = fields.filter((field) => field.default !== undefined)
  const gone: Field = { name: 'gone_since', type: ['null', { type: 'array', items: 'long' }], default: null }
  return [
    ...optional.map((field) =>
      withFields(
        file,
        fields.filter((other) => other !== field),
      ),
    ),
    withFields(
      file,
      fields.filter((field) => field.default === undefined),
    ),
    withFields(file, [gone, ...fields, { ...gone, name: 'gone_too', type: 'string', default: '' }]),
    // A whole number may have been one, and been an int.
    withFields(
      file,
      fields.map((field) => (field.type === 'double' ? { ...field, type: 'int' } : field)),
    ),
  ]
}

const current = new Build()
const payloadFiles = shipped.filter(({ name }) => name !== 'envelope.avsc')

describe('the schema of each base type reads all that its older versions wrote', () => {
  test.each(payloadFiles.map((file) => [file.name, file] as const))('%s', (_, file) => {
    for (const older of olderVersions(file)) {
      const before = new Build([...shipped.filter(({ name }) => name !== file.name), older])
      const eventName = file.name.replace('.avsc', '')
      const record = before.record(eventName)
      expect(incompatibilities(current.record(eventName).schema, record.schema)).toEqual([])
      const build = new Build()
      build.decoder.learn(7, { schema: record.text })
      const declared = new Set(fieldsOf(current.record(eventName).payload.json).map(({ name }) => name))
      fc.assert(
        fc.property(valueOf(record.payload.json), (given) => {
          const read = build.normalize(before.write(event(eventName, given as JsonObject), 7))
          const kept = Object.entries(withoutNulls(given) as JsonObject).filter(([name]) => declared.has(name))
          expect(read).toMatchObject({ kind: 'event', event: { data: event(eventName, Object.fromEntries(kept)) } })
        }),
        { numRuns: 8 },
      )
    }
  })

  test('and those of an older envelope', () => {
    const [envelope] = shipped.filter(({ name }) => name === 'envelope.avsc')
    const fields = fieldsOf(JSON.parse(envelope?.text ?? '') as JsonObject).filter(
      ({ name }) => name !== 'context' && name !== 'version',
    )
    const before = new Build([...payloadFiles, withFields(envelope ?? { name: '', text: '' }, fields)])
    const build = new Build()
    build.decoder.learn(7, { schema: before.record('bet').text })
    expect(build.normalize(before.write(event('bet', { bet: 1 }), 7))).toMatchObject({ kind: 'event' })
  })
})

describe('a newer writer and an older reader', () => {
  const reader = new Build([...shipped, payloadFile('own', [{ name: 'stake', type: 'double' }])])

  test('what the reader does not declare is left out, what the writer lacks has its default', () => {
    const writer = new Build([
      ...shipped,
      payloadFile('own', [
        { name: 'stake', type: 'int' },
        { name: 'more', type: 'string' },
      ]),
    ])
    reader.decoder.learn(1, { schema: writer.record('own').text })
    const read = reader.normalize(writer.write(event('own', { stake: 2, more: 'x' }), 1))
    expect(read.kind === 'event' && read.event.data['payload']).toEqual({ stake: 2 })
    const newest = new Build([
      ...shipped,
      payloadFile('own', [
        { name: 'bet', type: 'double', aliases: ['stake'] },
        { name: 'currency', type: 'string', default: 'EUR' },
      ]),
    ])
    newest.decoder.learn(1, { schema: writer.record('own').text })
    const renamed = newest.normalize(writer.write(event('own', { stake: 2, more: 'x' }), 1))
    expect(renamed.kind === 'event' && renamed.event.data['payload']).toEqual({ bet: 2, currency: 'EUR' })
  })

  test.each<[string, { readonly schema: string; readonly unusable?: string }, RegExp]>([
    ['is no Avro', { schema: '{}', unusable: 'is PROTOBUF and not Avro' }, /schema 9, which is PROTOBUF and not Avro$/],
    ['is no schema', { schema: '{"type":"recor"}' }, /schema 9, which cannot be used: unknown type/],
    ['is no JSON', { schema: '{' }, /schema 9, which cannot be used/],
    ['has no name', { schema: '"string"' }, /schema 9, which is no record with a name; events are one of/],
    [
      'is of something else',
      { schema: '{"type":"record","name":"acme.order","fields":[]}' },
      /is the record acme\.order; events are one of .*onceward\.events\.bet_v1/,
    ],
    [
      'cannot be read',
      { schema: '{"type":"record","name":"onceward.events.bet_v1","fields":[]}' },
      /bet\.avsc cannot read: no matching field .*onceward schemas check/,
    ],
    [
      'has a field of every object',
      { schema: '{"type":"record","name":"acme.own_v1","fields":[{"name":"__proto__","type":"string"}]}' },
      /the field "__proto__", a name that every JavaScript object has/,
    ],
    ['is too long', { schema: ' '.repeat(1_048_577) }, /has more than 1048576 characters/],
  ])('a writer whose schema %s', (_, schema, says) => {
    const build = new Build()
    build.decoder.learn(9, schema)
    const raw = Buffer.from([0, 0, 0, 0, 9, 2])
    expect(build.normalize(raw)).toMatchObject({ kind: 'rejected', detail: expect.stringMatching(says) })
  })

  test('an id keeps its meaning, except one that was not known', () => {
    const build = new Build()
    build.decoder.learn(3, undefined)
    const raw = build.write(event('bet', { bet: 1 }), 3)
    expect(build.normalize(raw)).toMatchObject({
      detail: expect.stringMatching(/schema 3, which the schema registry does not know/),
    })
    build.decoder.learn(3, { schema: build.record('bet').text })
    expect(build.normalize(raw)).toMatchObject({ kind: 'event' })
    build.decoder.learn(3, { schema: build.record('win').text })
    build.decoder.learn(3, undefined)
    build.decoder.forget(3)
    expect(build.normalize(raw)).toMatchObject({ kind: 'event' })
  })
})

describe('majors of one event side by side', () => {
  const one = payloadFile('own', [{ name: 'stake', type: 'double' }])
  const two = {
    ...payloadFile(
      'own',
      [
        { name: 'stake', type: 'string' },
        { name: 'cents', type: 'long' },
      ],
      { version: '2.1.0' },
    ),
    name: 'own.v2.avsc',
  }
  const build = new Build([...shipped, two, one])
  const json = (payload: JsonObject, version?: string) =>
    build.normalize(Buffer.from(JSON.stringify(event('own', payload, version === undefined ? {} : { version }))))

  test.each<[JsonObject, string | undefined, string]>([
    [{ stake: 1 }, undefined, 'event'],
    [{ stake: 1 }, '1.0.0', 'event'],
    [{ stake: 1 }, '1.7.3', 'event'],
    [{ stake: 1 }, '1', 'event'],
    [{ stake: 1 }, '2.0.0', 'payload.stake is the number 1; it must be text'],
    [{ stake: 'a', cents: 1 }, '2.0.0', 'event'],
    [{ stake: 'a', cents: 1 }, '2.9', 'event'],
    [{ stake: 'a', cents: 1 }, undefined, 'payload.stake is the text "a"; it must be a number'],
    [
      { stake: 1 },
      '3.0.0',
      'version is the text "3.0.0", but the schemas of this event have the majors 1 and 2; name one of these, such as 2.0.0',
    ],
    [{ stake: 1 }, 'latest', 'version is the text "latest", but the schemas of this event have the majors 1 and 2'],
  ])('%j of version %s', (payload, version, expected) => {
    const read = json(payload, version)
    expect(read.kind === 'event' ? 'event' : read.detail).toContain(expected)
  })

  test('where there is one major, version is not looked at', () => {
    for (const version of ['1.0.0', '7.0.0', 'whatever']) {
      expect(build.normalize(Buffer.from(JSON.stringify(event('bet', { bet: 1 }, { version })))).kind).toBe('event')
    }
  })

  test('an event in Avro is of the major that its schema is of', () => {
    build.decoder.learn(1, { schema: build.record('own', 1).text })
    build.decoder.learn(2, { schema: build.record('own', 2).text })
    const kindOf = (payload: JsonObject, major: number, version?: string): string => {
      const read = build.normalize(
        build.write(event('own', payload, version === undefined ? {} : { version }), major, major),
      )
      return read.kind === 'event' ? 'event' : read.detail
    }
    expect(kindOf({ stake: 1 }, 1)).toBe('event')
    expect(kindOf({ stake: 'a', cents: 1 }, 2)).toBe('event')
    expect(kindOf({ stake: 'a', cents: 1 }, 2, '2.0.0')).toBe('event')
    expect(kindOf({ stake: 1 }, 1, '2.0.0')).toContain(
      'version is the text "2.0.0", but the Avro schema that it was written by is of major 1',
    )
  })

  test('rules know the fields of all of them', () => {
    const fields = fieldsOfSchemas(build.schemas).fieldsOf(['own'])
    expect(fields?.typeOf(['payload', 'cents'])).toBe('number')
    expect(fields?.typeOf(['payload', 'stake'])).toBe('any')
  })
})

describe('the record of a whole event', () => {
  const parse = (...files: readonly SchemaFile[]): EventSchemas => parseSchemas([...shipped, ...files])

  test('is the envelope with the payload in it, with names in full', () => {
    const own = payloadFile(
      'own',
      [{ name: 'user', type: { type: 'record', name: 'user', fields: [{ name: 'next', type: ['null', 'user'] }] } }],
      {
        version: '3.2.1',
        event_name: 'own.thing',
        aliases: ['former'],
      },
    )
    const record = eventRecords(parse(own)).find(({ payload }) => payload.file === 'own.avsc')
    expect(record?.name).toBe('acme.own_v3')
    expect(record?.schema).toMatchObject({ version: '3.2.1', event_name: 'own.thing', aliases: ['acme.former_v3'] })
    const payload = fieldsOf(record?.schema ?? {}).find(({ name }) => name === 'payload')
    expect(payload?.type).toMatchObject({
      name: 'acme.own',
      fields: [{ type: { name: 'acme.user', fields: [{ type: ['null', 'acme.user'] }] } }],
    })
    expect(fieldsOf(record?.schema ?? {}).find(({ name }) => name === 'user')?.type).toMatchObject({
      name: 'onceward.user',
    })
  })

  test('does not change what it is made of, and is the same each time', () => {
    const { envelopeSource, all } = parse()
    for (const { json } of all) {
      expect(JSON.stringify(eventSchemaOf(envelopeSource.json, json))).toBe(
        JSON.stringify(eventSchemaOf(envelopeSource.json, json)),
      )
    }
  })

  test.each<[string, SchemaFile, RegExp]>([
    [
      'two events of one name',
      {
        ...payloadFile('bet', [], { event_name: 'other' }),
        text: JSON.stringify({ type: 'record', name: 'onceward.events.bet', fields: [], event_name: 'other' }),
      },
      /bet\.avsc declares a record of the same name as bet\.avsc, for another event/,
    ],
    [
      'a type of the envelope',
      { name: 'x.avsc', text: JSON.stringify({ type: 'record', name: 'onceward.user', fields: [] }) },
      /x\.avsc does not go together with envelope\.avsc: duplicate type name: onceward\.user/,
    ],
  ])('%s is refused', (_, file, says) => {
    expect(() => eventRecords(parse(file))).toThrow(says)
  })

  test.each(['1', '1.0', 'v1.0.0', '1.0.0-rc', 1, '01.0.0'])('the version %j is refused', (version) => {
    expect(() => parse(payloadFile('own', [], { version }))).toThrow(
      /own\.avsc has a version that is not three numbers; write "version": "1\.0\.0"/,
    )
  })

  test('two files of one major are refused, with what would be right', () => {
    expect(() =>
      parse(payloadFile('own', []), { ...payloadFile('own', [], { version: '1.5.0' }), name: 'own.v2.avsc' }),
    ).toThrow(
      /own\.v2\.avsc declares the event "own", which own\.avsc declares already; keep one of them, or give one of them a version that does not begin with 1/,
    )
  })
})
