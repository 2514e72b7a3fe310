import * as fc from 'fast-check'
import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { mentions } from '../../cli/audit/mentions.ts'
import { GENESIS, readLine, writeAnchor, writeFooter, writeHeader, writeRecord } from '../../core/audit/lines.ts'
import type { JsonObject } from '../../core/model/event.ts'

const record = (body: string) => writeRecord({ seq: 7, at: 1_700_000_000_000, kind: 'request', body }, GENESIS)
const typeOf = (line: string | Buffer): string => readLine(Buffer.from(line)).type

describe('a line of the audit log', () => {
  test('is read as it was written, whatever its body', () => {
    fc.assert(
      fc.property(fc.object({ withNullPrototype: false }), fc.maxSafeNat(), (object, seq) => {
        const body = JSON.stringify(object)
        const facts = { seq, at: -5, kind: 'a.b_1', body }
        const { line, hash } = writeRecord(facts, 'a'.repeat(64))
        expect(readLine(Buffer.from(line))).toEqual({ type: 'record', ...facts, prev: 'a'.repeat(64), hash })
      }),
    )
    const header = { stream: 'gateway-1', first: 8, at: 0, anchored: 2, anchor: 'b'.repeat(64) }
    expect(readLine(Buffer.from(writeHeader(header, GENESIS).line))).toMatchObject({ type: 'header', ...header })
    expect(readLine(Buffer.from(writeFooter({ last: 9, count: 2, at: 1 }, GENESIS).line))).toMatchObject({
      type: 'footer',
      last: 9,
    })
    const anchor = { number: 1, stream: 's', seq: 9, head: 'c'.repeat(64), closed: true, at: 3 }
    expect(readLine(Buffer.from(writeAnchor(anchor, GENESIS).line))).toMatchObject({ type: 'anchor', ...anchor })
  })

  test('is broken by any other byte at any place', () => {
    const bytes = Buffer.from(record('{"text":"ä"}').line)
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
        const changed = Buffer.from(bytes)
        changed[at] = ((changed[at] ?? 0) + by) % 256
        expect(typeOf(changed)).toBe('broken')
      }),
      { numRuns: 2_000 },
    )
  })

  test('is hashed by its bytes: a byte that reads as the same character changes it', () => {
    const bytes = Buffer.from(record('{"text":"\uFFFD"}').line)
    const at = bytes.indexOf(Buffer.from('\uFFFD'))
    const changed = Buffer.concat([bytes.subarray(0, at), Buffer.from([0xff]), bytes.subarray(at + 3)])
    expect(changed.toString()).toBe(bytes.toString())
    expect(typeOf(changed)).toBe('broken')
  })

  test.each([
    ['a member twice', '{"a":1,"a":2}'],
    ['white space', '{"a": 1}'],
    ['another form of a number', '{"a":1.0}'],
    ['no object', '[1]'],
    ['a member of the line in the body', '{"a":1},"kind":"other","x":{}'],
    ['no JSON', '{"a":'],
  ])('is none where its body has %s, even if the hash fits', (_, body) => {
    expect(typeOf(record(body).line)).toBe('broken')
  })

  test('can be checked with sed and sha256sum', () => {
    const { line, hash } = record('{"text":"ä"}')
    const script = `sed 's/,"hash":"[0-9a-f]*"}$//' | tr -d '\\n' | sha256sum`
    expect(execFileSync('sh', ['-c', script], { input: `${line}\n` }).toString()).toMatch(new RegExp(`^${hash} `))
  })
})

describe('a record that names somebody', () => {
  const names = new Set(['user_id'])
  const text = JSON.stringify({ events: [{ user_id: 'u_1', payload: {} }] })
  test.each<[string, JsonObject, boolean]>([
    ['at the top', { user_id: 'u_1' }, true],
    ['deep within', { a: [{ b: { user_id: 'u_1' } }] }, true],
    ['in a text that is JSON', { value: text }, true],
    ['in bytes', { raw_base64: Buffer.from(text).toString('base64') }, true],
    ['in a text in a text', { value: JSON.stringify({ raw: text }) }, true],
    ['by another name', { other: 'u_1' }, false],
    ['as a part of another', { user_id: 'u_12' }, false],
    ['in a text that is cut', { value: text.slice(0, -3) }, false],
  ])('%s', (_, body, found) => {
    expect(mentions(body, names, 'u_1')).toBe(found)
  })
})
