import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DAY_MS, HOUR_MS } from '../../core/durations.ts'
import type { LogRecord } from '../../core/ports/log.ts'
import type { OrderedKv } from '../../core/ports/ordered-kv.ts'
import { memoryKv } from '../../state/memory-kv.ts'
import { PartitionStore } from '../../state/partition-store.ts'
import { decodeSeenChunk, encodeSeenChunk, hourOfChunkKey, idHash, seenChunkKey } from '../../state/seen-ids.ts'
import { STORE_FORMAT, type Stamp } from '../../state/stamp.ts'
import { type Change, StagedState } from '../../state/staged-state.ts'
import { jsonStore } from '../../state/store.ts'
import { heldKey, parseHeldKey } from '../../state/stores.ts'

const STORE = jsonStore<number>('number', 'a')
const stamp: Stamp = {
  format: STORE_FORMAT,
  application: 'a',
  partition: 0,
  inputOffset: 0,
  changelogOffset: 0,
  writtenAt: 0,
}

/** Runs one batch over `kv` as the task does and answers its changes. */
async function batch(
  kv: OrderedKv,
  state: StagedState,
  sequence: number,
  work: () => Promise<void>,
): Promise<Change[]> {
  state.begin()
  await work()
  const changes = state.changes(sequence)
  await new PartitionStore(kv).write(changes, state.indexOps(), stamp)
  state.settled()
  return changes
}

function asRecords(changes: readonly Change[]): LogRecord[] {
  return changes.map(({ key, value }, offset) => ({ topic: 'c', partition: 0, offset, timestamp: 0, key, value }))
}

async function contents(kv: OrderedKv): Promise<string[]> {
  const found: string[] = []
  for await (const [key, value] of kv.range({ gte: Buffer.from([0]), lt: Buffer.from([255]) })) {
    if (key.toString() !== '!stamp') found.push(`${key.toString('latin1')}=${value.toString('latin1')}`)
  }
  return found
}

describe('staged state', () => {
  test('a read of a key that was not asked for is refused, even where it is cached', async () => {
    const kv = memoryKv()
    const state = new StagedState(kv)
    await batch(kv, state, 1, async () => {
      state.ask(STORE, 'k')
      await state.load()
      state.put(STORE, 'k', 1)
    })
    state.begin()
    expect(() => state.get(STORE, 'k')).toThrow(/did not ask/)
  })

  test('what is asked for after the load is read alone: neither ids nor values are read twice', async () => {
    const kv = memoryKv()
    const state = new StagedState(kv)
    await batch(kv, state, 1, async () => {
      state.ask(STORE, 'a')
      state.ask(STORE, 'b')
      await state.load()
      state.put(STORE, 'a', 1)
      state.put(STORE, 'b', 2)
      state.remember(idHash('seen'), 0)
    })
    const read: string[] = []
    const watched = new StagedState({
      ...kv,
      get: (key) => kv.get(key),
      range: (range) => kv.range(range),
      write: (ops) => kv.write(ops),
      clear: (range) => kv.clear(range),
      close: () => kv.close(),
      getMany: (keys) => {
        read.push(keys.map((key) => key.toString('latin1').slice(0, 2)).join())
        return kv.getMany(keys)
      },
    })
    watched.begin()
    watched.ask(STORE, 'a')
    watched.askSeen(idHash('seen'))
    await watched.load()
    watched.ask(STORE, 'a')
    await watched.loadMore()
    watched.ask(STORE, 'b')
    await watched.loadMore()
    expect(read).toEqual([expect.stringMatching(/^aa,s/), 'ab'])
    expect([watched.get(STORE, 'a'), watched.get(STORE, 'b')]).toEqual([1, 2])
  })

  test('timers come in order of time and user, up to a bound; what a batch set is there once it is written', async () => {
    const kv = memoryKv()
    const state = new StagedState(kv)
    const timers = [
      { at: 20, userId: 'b' },
      { at: 3, userId: 'z' },
      { at: 20, userId: 'a' },
      { at: 21, userId: 'c' },
    ]
    await batch(kv, state, 1, async () => {
      for (const timer of timers) state.setTimer(timer, true)
      expect(await state.firstTimer()).toBeUndefined()
    })
    const [b, z, a, c] = timers
    expect(await state.firstTimer()).toBe(3)
    expect(await state.timersUntil(20, 9)).toEqual({ due: [z, a, b], next: undefined })
    expect(await state.timersUntil(20, 2)).toEqual({ due: [z, a], next: 20 })
    await batch(kv, state, 2, async () => {
      if (z !== undefined) state.setTimer(z, false)
    })
    expect(await state.timersUntil(99, 9)).toEqual({ due: [a, b, c], next: undefined })
  })

  test('nothing reaches the store before it is written', async () => {
    const kv = memoryKv()
    const state = new StagedState(kv)
    state.begin()
    state.ask(STORE, 'k')
    state.askSeen(idHash('e'))
    await state.load()
    state.put(STORE, 'k', 7)
    state.remember(idHash('e'), 5)
    expect(await contents(kv)).toEqual([])
    expect(state.get(STORE, 'k')).toBe(7)
  })

  test('an id is remembered for exactly the window of event time', async () => {
    const kv = memoryKv()
    const state = new StagedState(kv)
    const hash = idHash('e')
    await batch(kv, state, 1, async () => {
      state.askSeen(hash)
      await state.load()
      expect(state.isRemembered(hash, 0)).toBe(false)
      state.remember(hash, 1_000)
      expect(state.isRemembered(hash, 1_000)).toBe(true)
    })
    state.begin()
    state.askSeen(hash)
    await state.load()
    expect(state.isRemembered(hash, 1_000 + DAY_MS)).toBe(true)
    expect(state.isRemembered(hash, 1_001 + DAY_MS)).toBe(false)
  })

  test('expired segments leave the store whole, index and all', async () => {
    const kv = memoryKv()
    const state = new StagedState(kv)
    await batch(kv, state, 1, async () => {
      for (const id of ['a', 'b', 'c']) state.askSeen(idHash(id))
      await state.load()
      for (const id of ['a', 'b', 'c']) state.remember(idHash(id), 10)
    })
    expect(await contents(kv)).toHaveLength(4)
    await batch(kv, state, 2, async () => {
      await state.expireSeen(DAY_MS + HOUR_MS - 1)
      await state.load()
    })
    expect(await contents(kv)).toHaveLength(4)
    await batch(kv, state, 3, async () => {
      await state.expireSeen(DAY_MS + 2 * HOUR_MS)
      await state.load()
    })
    expect(await contents(kv)).toEqual([])
  })

  test('an id renewed after it was forgotten survives the end of its first segment', async () => {
    const kv = memoryKv()
    const state = new StagedState(kv)
    const hash = idHash('e')
    const remember = (ts: number) => async (): Promise<void> => {
      state.askSeen(hash)
      await state.load()
      state.remember(hash, ts)
    }
    await batch(kv, state, 1, remember(0))
    await batch(kv, state, 2, remember(2 * DAY_MS))
    await batch(kv, state, 3, async () => {
      await state.expireSeen(2 * DAY_MS)
      await state.load()
    })
    state.begin()
    state.askSeen(hash)
    await state.load()
    expect(state.isRemembered(hash, 2 * DAY_MS)).toBe(true)
  })

  test('I2: the store equals the fold of its changelog, applied in any runs', async () => {
    const step = fc.record({
      puts: fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.option(fc.nat(9))), { maxLength: 5 }),
      ids: fc.uniqueArray(fc.constantFrom('e1', 'e2', 'e3', 'e4', 'e5'), { maxLength: 3 }),
      hours: fc.nat(30),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.integer({ min: 1, max: 5 }), async (steps, run) => {
        const kv = memoryKv()
        const state = new StagedState(kv, { cachedValuesMax: 2 })
        const log: Change[] = []
        let now = 0
        for (const [index, { puts, ids, hours }] of steps.entries()) {
          now += hours * HOUR_MS
          const ts = now
          const changes = await batch(kv, state, index, async () => {
            for (const [key] of puts) state.ask(STORE, key)
            for (const id of ids) state.askSeen(idHash(id))
            await state.expireSeen(ts)
            await state.load()
            for (const [key, value] of puts) {
              if (value === null) state.delete(STORE, key)
              else state.put(STORE, key, value)
            }
            for (const id of ids) if (!state.isRemembered(idHash(id), ts)) state.remember(idHash(id), ts)
          })
          log.push(...changes)
        }
        const rebuilt = memoryKv()
        const records = asRecords(log)
        for (let at = 0; at < records.length; at += run)
          await new PartitionStore(rebuilt).apply(records.slice(at, at + run), () => stamp)
        expect(await contents(rebuilt)).toEqual(await contents(kv))
      }),
      { numRuns: 300 },
    )
  })

  test('held events are found in event-time order, ties by the bytes of the id', async () => {
    const ids = fc.string({ minLength: 1, maxLength: 4, unit: 'grapheme' })
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(fc.nat(3), ids), { selector: String, maxLength: 10 }),
        async (events) => {
          const kv = memoryKv()
          const state = new StagedState(kv)
          await batch(kv, state, 1, async () => {
            for (const [ts, id] of events) state.hold(heldKey(ts, id), { data: {}, ingestTs: 0 })
          })
          const { found, next } = await state.heldBefore(3, { events: 10, bytes: 1_000 })
          const expected = events
            .filter(([ts]) => ts < 3)
            .map(([ts, eventId]) => ({ ts, eventId }))
            .sort((a, b) => a.ts - b.ts || Buffer.compare(Buffer.from(a.eventId), Buffer.from(b.eventId)))
          expect(found.map(({ key }) => parseHeldKey(key))).toEqual(expected)
          expect(next).toBeUndefined()
        },
      ),
    )
  })
})

describe('chunks of remembered ids', () => {
  test('decode what they encode', () => {
    const entries = fc.array(fc.tuple(fc.string(), fc.nat(HOUR_MS - 1)))
    fc.assert(
      fc.property(entries, fc.integer({ min: -1_000, max: 1_000_000 }), (ids, hour) => {
        const chunk = ids.map(([id, within]) => ({ hash: idHash(id), ts: hour * HOUR_MS + within }))
        expect(decodeSeenChunk(hour, encodeSeenChunk(hour, chunk))).toEqual(chunk)
        expect(hourOfChunkKey(seenChunkKey(hour, 12))).toBe(hour)
      }),
    )
  })

  test('refuse torn bytes', () => {
    expect(() => decodeSeenChunk(0, Buffer.alloc(21))).toThrow(/whole entries/)
  })
})
