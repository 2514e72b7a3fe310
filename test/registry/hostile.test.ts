import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { EVENT_BYTES_MAX } from '../../operators/normalize.ts'
import { Build, event, payloadFile, shipped } from './support.ts'

const FIELDS = [
  { name: 'texts', type: { type: 'array', items: 'string' } },
  { name: 'nulls', type: { type: 'array', items: 'null' } },
  { name: 'parts', type: { type: 'array', items: { type: 'record', name: 'empty', fields: [] } } },
  { name: 'map', type: { type: 'map', values: 'long' } },
  {
    name: 'tree',
    type: ['null', { type: 'record', name: 'tree', fields: [{ name: 'below', type: ['null', 'tree'] }] }],
  },
  { name: 'raw', type: 'bytes' },
  { name: 'kind', type: { type: 'enum', name: 'kind', symbols: ['A', 'B'] } },
  { name: 'yes', type: 'boolean' },
  { name: 'small', type: 'int' },
]
/** Of fields that this build does not declare: they are skipped, which is another way through the bytes. */
const MORE = [
  ...FIELDS,
  { name: 'extra_list', type: { type: 'array', items: 'null' } },
  { name: 'extra', type: 'string' },
]

const writer = new Build([...shipped, payloadFile('own', MORE)])
const reader = new Build([...shipped, payloadFile('own', FIELDS)])
reader.decoder.learn(7, { schema: writer.record('own').text })

const payload = {
  texts: ['a'],
  nulls: [],
  parts: [{}],
  map: { k: 1 },
  tree: null,
  raw: '',
  kind: 'A',
  yes: true,
  small: 1,
  extra_list: [],
  extra: '',
}
const good = writer.write(event('own', payload), 7)
/** All up to the payload. */
const head = good.subarray(0, good.length - payloadBytes())

function payloadBytes(): number {
  // texts: count, length, a, end; nulls: end; parts: count, end; map: count, length, k, 1, end; tree, raw, kind, yes, small,
  // extra_list, extra: one byte each
  return 4 + 1 + 2 + 5 + 7
}

const long = (value: bigint): number[] => {
  let rest = value >= 0n ? value * 2n : -value * 2n - 1n
  const bytes: number[] = []
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  return [...bytes, Number(rest)]
}
const TEXTS = [2, 2, 0x61, 0]
const NULLS = [0]
const PARTS = [2, 0]
const MAP = [2, 2, 0x6b, 2, 0]
const REST = [0, 0, 0, 1, 2, 0, 0]
const withParts = (parts: readonly number[][]): Buffer => Buffer.concat([head, Buffer.from(parts.flat())])
const HUGE = long(2n ** 40n)

const CASES: readonly [string, readonly number[][], RegExp][] = [
  [
    'text of 2^40 characters',
    [[2], HUGE],
    /announces 1099511627776 bytes where 0 are left, in or after the field "texts"/,
  ],
  ['text of a negative length', [[2], long(-1n)], /announces -1 bytes/],
  ['2^40 texts', [HUGE], /announces 1099511627776 items/],
  ['2^40 items that take no bytes', [TEXTS, HUGE, [0]], /announces 1099511627776 items/],
  ['2^32-1 items, the longest array there is', [TEXTS, long(2n ** 32n - 1n), [0]], /announces 4294967295 items/],
  ['the least whole number as a count', [TEXTS, long(-(2n ** 63n)), [0], [0]], /announces 9223372036854776000 items/],
  ['blocks of nothing, again and again', [TEXTS, ...Array.from({ length: 50 }, () => [20]), [0]], /announces 10 items/],
  [
    'a block whose size is not its own',
    [TEXTS, NULLS, [1, 8], [0], MAP, REST],
    /a list whose size is not what it announces/,
  ],
  ['a block of a negative size', [TEXTS, NULLS, [1], long(-5n), [0], MAP, REST], /announces -5 bytes/],
  [
    'a map entry named __proto__',
    [TEXTS, NULLS, PARTS, [2, 18], [...Buffer.from('__proto__')], [2, 0], REST],
    /an entry named __proto__/,
  ],
  [
    'the same with a length in more bytes than it needs',
    [TEXTS, NULLS, PARTS, [2, 0x92, 0], [...Buffer.from('__proto__')], [2, 0], REST],
    /an entry named __proto__/,
  ],
  [
    'a tree of 10,000 levels',
    [TEXTS, NULLS, PARTS, MAP, Array.from({ length: 10_000 }, () => 2), [0], REST.slice(1)],
    /nested too deep/,
  ],
  ['a branch that a union has not', [TEXTS, NULLS, PARTS, MAP, [4], REST.slice(1)], /branch 2 of a union of 2/],
  ['a negative branch', [TEXTS, NULLS, PARTS, MAP, [1], REST.slice(1)], /branch -1 of a union/],
  [
    'a symbol that an enum has not',
    [TEXTS, NULLS, PARTS, MAP, [0, 0, 4, 1, 2, 0, 0]],
    /symbol of an enum number 2, of 2/,
  ],
  ['a boolean of 2', [TEXTS, NULLS, PARTS, MAP, [0, 0, 0, 2, 2, 0, 0]], /the byte 2 where true or false belongs/],
  [
    'an int of 40 bits',
    [TEXTS, NULLS, PARTS, MAP, [0, 0, 0, 1], HUGE, [0, 0]],
    /more than 32 bits as an int, in or after the field "small"/,
  ],
  ['a number without an end', [Array.from({ length: 11 }, () => 0xff)], /more than 64 bits/],
  ['text that is not UTF-8', [[2, 2, 0xff, 0], NULLS, PARTS, MAP, REST], /text that is not UTF-8/],
  ['half a surrogate pair', [[2, 6, 0xed, 0xa0, 0x80, 0], NULLS, PARTS, MAP, REST], /text that is not UTF-8/],
  ['bytes behind the end', [TEXTS, NULLS, PARTS, MAP, REST, [0]], /1 bytes behind its last field/],
]

describe('bytes that nobody should have sent', () => {
  test('the good event is read, and its parts are what the cases take them for', () => {
    expect(withParts([TEXTS, NULLS, PARTS, MAP, REST]).equals(good)).toBe(true)
    expect(reader.normalize(good)).toMatchObject({
      kind: 'event',
      event: { data: { payload: { texts: ['a'], map: { k: 1 } } } },
    })
  })

  test.each(CASES)('%s', (_, parts, says) => {
    const began = systemClock.monotonic()
    expect(reader.normalize(withParts([...parts]))).toMatchObject({
      kind: 'rejected',
      detail: expect.stringMatching(says),
    })
    expect(systemClock.monotonic() - began).toBeLessThan(1_000)
  })

  test('cut off anywhere, it is rejected', () => {
    for (let length = 0; length < good.length; length++) {
      const cut = reader.normalize(good.subarray(0, length))
      const says = length < 5 ? /the event is (not JSON|Avro)|has \d bytes/ : /ends before its last field|announces/
      expect([length, cut]).toEqual([length, { kind: 'rejected', detail: expect.stringMatching(says) }])
    }
  })

  test('a record larger than an event may be is not looked at', () => {
    const large = Buffer.concat([good, Buffer.alloc(EVENT_BYTES_MAX)])
    expect(reader.normalize(large)).toMatchObject({ kind: 'rejected', detail: expect.stringContaining('1 MiB') })
  })

  test('whatever a byte is changed to, it is an event or rejected, and quickly', { timeout: 600_000 }, () => {
    const change = fc.record({ at: fc.nat(good.length - 1), to: fc.nat(255) })
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 4 }),
        fc.oneof(fc.constant([]), fc.uint8Array({ maxLength: 20 })),
        (changes, tail) => {
          const raw = Buffer.concat([good, Buffer.from(tail)])
          for (const { at, to } of changes) if (at > 4) raw[at] = to
          const began = systemClock.monotonic()
          const read = reader.normalize(raw)
          expect(systemClock.monotonic() - began).toBeLessThan(1_000)
          if (read.kind === 'rejected') {
            expect(read.detail).toMatch(/^\S/)
            return
          }
          // What is an event can be written down, and is the same again.
          const again = reader.normalize(Buffer.from(JSON.stringify(read.event.data)))
          expect(JSON.stringify(again)).toBe(JSON.stringify(read))
        },
      ),
      { numRuns: Number(process.env['ONCEWARD_FUZZ'] ?? 3_000) },
    )
  })
})
