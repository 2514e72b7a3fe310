import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../core/model/event.ts'
import { canonicalText, FINGERPRINT_BYTES, writeFingerprint } from '../../pipeline/gateway/content.ts'
import { EventMemory } from '../../pipeline/gateway/event-memory.ts'
import { PayerSet } from '../../pipeline/gateway/payers.ts'

const seed = { first: 0x12345678, second: 0x9abcdef1 }

function fingerprint(eventId: string, data: JsonObject = {}): Buffer {
  const bytes = Buffer.alloc(FINGERPRINT_BYTES)
  writeFingerprint({ eventId, data }, bytes, 0)
  return bytes
}

describe('what is remembered of accepted events', () => {
  it('is the id and the content, for as long as there is room', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(300), { maxLength: 400 }), fc.integer({ min: 8, max: 200 }), (ids, idsMax) => {
        const memory = new EventMemory({ idsMax, seed })
        const newest: number[] = []
        for (const id of ids) {
          const known = memory.look(fingerprint(`e${id}`, { id }), 0)
          if (newest.slice(-Math.floor(idsMax * 0.75)).includes(id)) expect(known).toBe('same')
          if (!newest.includes(id)) expect(known).toBe('unknown')
          if (known === 'same') expect(memory.look(fingerprint(`e${id}`, { id: -1 }), 0)).toBe('other')
          if (known !== 'unknown') continue
          memory.remember(fingerprint(`e${id}`, { id }), 0)
          newest.push(id)
        }
        expect(memory.size).toBeLessThanOrEqual(idsMax + 4)
      }),
    )
  })

  it('takes 30 bytes each', () => {
    const memory = new EventMemory({ idsMax: 2_000_000, seed })
    for (let i = 0; i < 1_600_000; i++) memory.remember(numbered(i), 0)
    expect(memory.bytes).toBeLessThan(61_000_000)
    expect(memory.look(numbered(1_599_999), 0)).toBe('same')
    expect(memory.look(numbered(0), 0)).toBe('same')
    for (let i = 1_600_000; i < 2_500_000; i++) memory.remember(numbered(i), 0)
    expect(memory.bytes).toBeLessThan(61_000_000)
    expect([memory.look(numbered(0), 0), memory.look(numbered(1_000_000), 0)]).toEqual(['unknown', 'same'])
  })

  it('ids that were chosen to lie in one place do not', () => {
    const memory = new EventMemory({ idsMax: 80_000, seed })
    const started = performance.now()
    for (let i = 0; i < 20_000; i++) {
      const chosen = Buffer.alloc(FINGERPRINT_BYTES)
      chosen.writeUInt32LE(7, 0)
      chosen.writeUInt32LE(i, 4)
      memory.remember(chosen, 0)
    }
    expect(performance.now() - started).toBeLessThan(1_000)
  })
})

function numbered(i: number): Buffer {
  const bytes = Buffer.alloc(FINGERPRINT_BYTES)
  bytes.writeUInt32LE(Math.imul(i, 0x9e3779b1) >>> 0, 0)
  bytes.writeUInt32LE(i, 4)
  return bytes
}

describe('the content of an event', () => {
  const shuffled = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(shuffled)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value)
        .reverse()
        .map(([key, inner]) => [key, shuffled(inner)]),
    )
  }

  it('is the same whatever the order of its keys', () => {
    fc.assert(
      fc.property(
        fc.jsonValue(),
        (value) => canonicalText(shuffled(value) as JsonObject) === canonicalText(value as JsonObject),
      ),
    )
  })

  it.each([
    [['a', 'b'], ['a"b']],
    [['1,'], [1, '']],
    [{ a: 'b', c: 1 }, { 'a="1:bc': 1 }],
    [[[], 1], [[1]]],
    [{}, []],
    [[null], ['null']],
    [[1], ['1']],
  ])('is not the same for %j and %j', (one, other) => {
    expect(canonicalText(one)).not.toBe(canonicalText(other))
  })

  it('is another one for any other JSON', () => {
    const near = fc.jsonValue({
      depthSize: 'small',
      maxDepth: 3,
      stringUnit: fc.constantFrom('"', ':', ',', '1', '{', '}', '[', ']', '='),
    })
    const normal = (value: unknown): string =>
      JSON.stringify(value, (_, inner: unknown) =>
        typeof inner === 'object' && inner !== null && !Array.isArray(inner)
          ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
          : inner,
      )
    fc.assert(
      fc.property(near, near, (one, other) => {
        const same = canonicalText(one) === canonicalText(other)
        expect(same).toBe(normal(one) === normal(other))
      }),
      { numRuns: 5_000 },
    )
  })
})

describe('who pays', () => {
  it('is remembered up to a bound', () => {
    const payers = new PayerSet(50_000, seed)
    for (let i = 0; i < 60_000; i++) payers.add(`u${i}`)
    expect(payers.size).toBe(50_000)
    expect([payers.has('u0'), payers.has('u49999'), payers.has('u50000'), payers.has('nobody')]).toEqual([
      true,
      true,
      false,
      false,
    ])
  })
})
