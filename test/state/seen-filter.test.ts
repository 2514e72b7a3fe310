import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HOUR_MS } from '../../core/durations.ts'
import type { OrderedKv } from '../../core/ports/ordered-kv.ts'
import { memoryKv } from '../../state/memory-kv.ts'
import { SeenFilter } from '../../state/seen-filter.ts'
import { encodeSeenChunk, encodeSeenTime, idHash, seenChunkKey, seenIndexKey } from '../../state/seen-ids.ts'
import { StagedState } from '../../state/staged-state.ts'

function hashes(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => idHash(`${prefix}-${i}`))
}

/** Room of the smallest filter, and what the first one that is larger than a store of nothing holds. */
const SMALLEST_ROOM = Math.floor((2 ** 12 * 256) / 12)

describe('the filter of seen ids', () => {
  test('never denies an id that was added', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { maxLength: 200 }), fc.nat(500_000), (ids, room) => {
        const filter = new SeenFilter(room)
        for (const id of ids) filter.add(idHash(id))
        for (const id of ids) expect(filter.mayHave(idHash(id))).toBe(true)
      }),
    )
  })

  test('filled to its room, it takes less than two in a hundred strangers for known', () => {
    const filter = new SeenFilter(0)
    for (const hash of hashes('known', SMALLEST_ROOM)) filter.add(hash)
    const wrong = hashes('stranger', 20_000).filter((hash) => filter.mayHave(hash))
    expect(wrong.length).toBeLessThan(400)
  })

  test('is full after as many ids as it has room for', () => {
    const filter = new SeenFilter(0)
    const ids = hashes('id', SMALLEST_ROOM)
    for (const hash of ids.slice(1)) filter.add(hash)
    expect(filter.isFull).toBe(false)
    filter.add(ids[0] ?? '')
    expect(filter.isFull).toBe(true)
  })

  test('at its greatest size it is never full, however many it is asked to hold', () => {
    const filter = new SeenFilter(Number.MAX_SAFE_INTEGER)
    const hash = idHash('one')
    for (let i = 0; i < 45_000_000; i++) filter.add(hash)
    expect(filter.isFull).toBe(false)
    expect(filter.mayHave(hash)).toBe(true)
  })
})

describe('a partition that asks its filter first', () => {
  /** The keys that each look-up asked the store for. */
  function watched(kv: OrderedKv, asked: number[]): OrderedKv {
    return {
      get: (key) => kv.get(key),
      range: (range) => kv.range(range),
      write: (ops) => kv.write(ops),
      clear: (range) => kv.clear(range),
      close: () => kv.close(),
      getMany: (keys) => {
        asked.push(keys.length)
        return kv.getMany(keys)
      },
    }
  }

  async function remember(kv: OrderedKv, sequence: number, ids: readonly string[]): Promise<void> {
    const entries = ids.map((hash) => ({ hash, ts: HOUR_MS }))
    await kv.write([
      { type: 'put', key: seenChunkKey(1, sequence), value: encodeSeenChunk(1, entries) },
      ...ids.map((hash) => ({ type: 'put' as const, key: seenIndexKey(hash), value: encodeSeenTime(HOUR_MS) })),
    ])
  }

  test('knows what was on disk before it, and reads only what may be there', async () => {
    const kv = memoryKv()
    const [known, strangers] = [hashes('known', 500), hashes('stranger', 500)]
    await remember(kv, 1, known)
    const asked: number[] = []
    const state = new StagedState(watched(kv, asked))
    state.begin()
    for (const hash of [...known, ...strangers]) state.askSeen(hash)
    await state.load()
    expect([...known, ...strangers].map((hash) => state.isRemembered(hash, HOUR_MS))).toEqual([
      ...known.map(() => true),
      ...strangers.map(() => false),
    ])
    expect(asked[0]).toBeGreaterThanOrEqual(500)
    expect(asked[0]).toBeLessThan(520)
  })

  test('once its filter is full it makes another from the store, and goes on knowing all', async () => {
    const kv = memoryKv()
    const state = new StagedState(kv)
    const all: string[] = []
    for (let round = 0; round < 5; round++) {
      const ids = hashes(`round-${round}`, SMALLEST_ROOM / 2)
      state.begin()
      for (const hash of ids) state.askSeen(hash)
      await state.load()
      for (const hash of ids) state.remember(hash, HOUR_MS)
      await remember(kv, round, ids)
      all.push(...ids)
    }
    state.begin()
    for (const hash of all) state.askSeen(hash)
    await state.load()
    expect(all.filter((hash) => !state.isRemembered(hash, HOUR_MS))).toEqual([])
  })
})
