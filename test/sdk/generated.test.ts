import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { renderEvents } from '../../sdk/generate/schema-types.ts'
import { PROJECT } from '../repo/source-files.ts'

const envelope = {
  name: 'envelope.avsc',
  text: JSON.stringify({
    type: 'record',
    name: 'envelope',
    fields: [
      { name: 'event_id', type: 'string' },
      { name: 'user', doc: 'Who.', type: { type: 'record', name: 'user', fields: [{ name: 'id', type: 'string' }] } },
    ],
  }),
}

function payload(fields: readonly object[], more: object = {}): string {
  return renderEvents([
    envelope,
    { name: 'own.avsc', text: JSON.stringify({ type: 'record', name: 'own_type', ...more, fields }) },
  ])
}

test('sdk/events.ts is what the schemas say; npm run generate:sdk writes it', () => {
  const schemas = readdirSync(join(PROJECT, 'schemas')).filter((name) => name.endsWith('.avsc'))
  const files = schemas.map((name) => ({ name, text: readFileSync(join(PROJECT, 'schemas', name), 'utf8') }))
  expect(readFileSync(join(PROJECT, 'sdk', 'events.ts'), 'utf8')).toBe(renderEvents(files))
})

describe('a field', () => {
  test.each([
    [{ name: 'a', type: 'double' }, 'a: number'],
    [{ name: 'a', type: ['null', 'string', 'long'], default: null }, 'a?: string | number | null'],
    [{ name: 'a', type: ['string', 'null'] }, 'a: string | null'],
    [{ name: 'a', type: 'boolean', default: false }, 'a?: boolean'],
    [{ name: 'a', type: { type: 'array', items: ['null', 'string'] } }, 'a: readonly (string | null)[]'],
    [{ name: 'a', type: { type: 'map', values: 'int' } }, 'a: Readonly<Record<string, number>>'],
    [{ name: 'a', type: { type: 'enum', name: 'e', symbols: ['X', 'Y'] } }, "a: 'X' | 'Y'"],
    [{ name: 'a', type: { type: 'long', logicalType: 'timestamp-millis' } }, 'a: number'],
    [
      { name: 'a', type: { type: 'record', name: 'r', fields: [{ name: 'b', type: 'int', doc: 'Inner.' }] } },
      'a: {\n    /** Inner. */\n    b: number\n  }',
    ],
  ])('%j', (field, line) => {
    expect(payload([field])).toContain(`export interface OwnType {\n  ${line}\n}`)
  })

  test('has its doc as a comment that it cannot leave', () => {
    expect(payload([{ name: 'a', type: 'int', doc: 'Ends */ here.' }])).toContain(
      '  /** Ends * here. */\n  a: number\n',
    )
  })
})

test('an event may have another name than its record, and a version', () => {
  const text = payload([], { event_name: 'vip.level-up', version: '2.1.0', doc: 'Up.' })
  expect(text).toContain('/** Up. */\nexport interface VipLevelUp {}\n')
  expect(text).toContain("  'vip.level-up': VipLevelUp\n")
  expect(text).toContain("  'vip.level-up': '2.1.0',\n")
})

test.each([
  ['no envelope', [], 'there is no envelope.avsc'],
  ['no JSON', [envelope, { name: 'a.avsc', text: '{' }], 'a.avsc is not JSON'],
  ['no record', [envelope, { name: 'a.avsc', text: '{"type":"string"}' }], 'a.avsc does not declare a record'],
])('%s is said, with the file', (_, files, message) => {
  expect(() => renderEvents(files)).toThrow(message)
})
