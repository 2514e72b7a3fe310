import { describe, expect, it } from 'vitest'
import { hasCode, OncewardError } from '../../core/errors.ts'
import { parseSchemas } from '../../operators/event-schema.ts'
import { bet, normalizerOf, ownSchemas } from './support.ts'

function file(schema: unknown, name = 'own.avsc'): { name: string; text: string } {
  return { name, text: typeof schema === 'string' ? schema : JSON.stringify(schema) }
}

function record(name: string, fields: unknown[] = [], more: object = {}): object {
  return { type: 'record', name, fields, ...more }
}

function problemWith(...files: { name: string; text: string }[]): string {
  try {
    parseSchemas([...ownSchemas, ...files])
  } catch (error) {
    if (hasCode(error, 'ONCEWARD_E_SCHEMA_INVALID')) return error.message
    throw error
  }
  return 'accepted'
}

describe('a schema file that cannot be used is refused by name', () => {
  it.each([
    ['{', 'schema file own.avsc is not JSON'],
    [[], 'does not declare a record'],
    [{ type: 'enum', name: 'x', symbols: ['A'] }, 'does not declare a record'],
    [record('two words'), 'is not an Avro schema: invalid name'],
    [record('x', [{ name: 'a', type: 'strin' }]), 'is not an Avro schema: undefined type name: strin'],
    [{ type: 'record', fields: [] }, 'without a name'],
    [record('bet'), 'declares the event "bet", which bet.avsc declares already'],
    [record('x', [], { event_name: 'onceward.x' }), 'names that begin with "onceward." are reserved'],
    [record('x', [], { event_name: '' }), 'not text of 1 to 256 characters'],
    [record('x', [{ name: 'constructor', type: 'string' }]), 'declares the field "constructor"'],
    [
      record('x', [
        { name: 'a', type: { type: 'array', items: record('y', [{ name: '__proto__', type: 'string' }]) } },
      ]),
      'declares the field "__proto__"',
    ],
    [record('envelope', [], { namespace: 'onceward' }), 'which envelope.avsc declares already'],
  ])('%j', (schema, message) => {
    expect(problemWith(file(schema))).toContain(message)
  })

  it('and so is a set without an envelope', () => {
    expect(() => parseSchemas([file(record('x'))])).toThrow(OncewardError)
  })
})

describe('events of users', () => {
  const level = record(
    'level_up',
    [
      { name: 'level', type: 'int' },
      { name: 'kind', type: ['null', { type: 'enum', name: 'kind', symbols: ['gold', 'silver'] }], default: null },
      { name: 'counts', type: ['null', { type: 'map', values: 'long' }], default: null },
      { name: 'steps', type: ['null', { type: 'array', items: record('step', [{ name: 'at', type: 'double' }]) }] },
      { name: 'next', type: ['null', 'level_up'], default: null },
    ],
    { event_name: 'level.up' },
  )
  const normalize = normalizerOf([...ownSchemas, file(level)])
  const detailOf = (payload: object): string => {
    const result = normalize({ ...bet, event_name: 'level.up', payload })
    return result.kind === 'rejected' ? result.detail : 'accepted'
  }

  it('are known by event_name and pass where they fit', () => {
    expect(detailOf({ level: 1 })).toBe('accepted')
    expect(detailOf({ level: 1, kind: 'gold', counts: { a: 2 }, steps: [{ at: 0.5, x: 1 }], next: { level: 2 } })).toBe(
      'accepted',
    )
  })

  it.each([
    [{ level: 1.5 }, 'payload.level is the number 1.5; it must be a whole number of 32 bits in a "level.up" event'],
    [{ level: 2 ** 31 }, 'payload.level is the number 2147483648; it must be a whole number of 32 bits'],
    [{ level: 1, kind: 'iron' }, 'payload.kind is the text "iron"; it must be one of gold, silver, or nothing'],
    [
      { level: 1, counts: { a: 2 ** 53 } },
      'payload.counts.a is the number 9007199254740992; it must be a whole number',
    ],
    [{ level: 1, counts: [] }, 'payload.counts is an empty list; it must be an object, or nothing'],
    [{ level: 1, steps: {} }, 'payload.steps is an object; it must be a list, or nothing'],
    [{ level: 1, steps: [{ at: 1 }, {}] }, 'payload.steps[1].at is missing; it must be a number'],
    [
      { level: 1, next: { level: 2, next: { level: '3' } } },
      'payload.next.next.level is the text "3"; it must be a whole',
    ],
  ])('%j is rejected with its path', (payload, detail) => {
    expect(detailOf(payload)).toContain(detail)
  })
})
