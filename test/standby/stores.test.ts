import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { DAY_MS, HOUR_MS } from '../../core/durations.ts'
import type { OrderedKv } from '../../core/ports/ordered-kv.ts'
import { type Logger, silentLogger } from '../../core/ports/logger.ts'
import { decideStoreFate, Stores } from '../../pipeline/stores.ts'
import { memoryKv } from '../../state/memory-kv.ts'
import { PartitionStore } from '../../state/partition-store.ts'
import { STORE_FORMAT } from '../../state/stamp.ts'
import { ManualClock } from '../support/clocks.ts'

const START = Date.UTC(2026, 0, 1)
const RETENTION_MS = 7 * DAY_MS

/** Stores in memory that outlive their handles. */
class Shelf {
  readonly clock = new ManualClock(START)
  readonly content = new Map<number, OrderedKv>()
  readonly infos: string[] = []
  readonly warnings: string[] = []
  readonly removed: number[] = []
  readonly inUse = new Set<number>()
  readonly stopping = new AbortController()
  locked: number | undefined
  readonly stores: Stores
  sweeping: Promise<void> | undefined

  constructor(retentionMs: number | undefined = RETENTION_MS) {
    const logger: Logger = {
      ...silentLogger,
      info: (_fields: object, line: string) => void this.infos.push(line),
      warn: (fields: object, line: string) => void this.warnings.push(line + JSON.stringify(fields)),
    }
    this.stores = new Stores({
      clock: this.clock,
      logger,
      open: async (partition) => this.#open(partition),
      list: () => [...this.content.keys()],
      remove: async (partition) => {
        this.content.delete(partition)
        this.removed.push(partition)
      },
      retentionMs,
    })
  }

  async put(partition: number, ageMs: number, changelogOffset = 0): Promise<void> {
    const kv = memoryKv()
    this.content.set(partition, kv)
    const writtenAt = this.clock.now() - ageMs
    const stamp = { format: STORE_FORMAT, application: 'app', partition, inputOffset: 0, changelogOffset, writtenAt }
    await new PartitionStore(kv).write([], [], stamp)
  }

  sweep(): void {
    this.sweeping = this.stores.sweep(this.stopping.signal, (partition) => this.inUse.has(partition))
  }

  /** Lets hours pass, one by one. */
  async pass(hours: number): Promise<void> {
    for (let hour = 0; hour < hours; hour++) {
      this.clock.advance(HOUR_MS)
      for (let i = 0; i < 20; i++) await turn()
    }
  }

  #open(partition: number): OrderedKv {
    if (partition === this.locked) throw new Error('the store is locked')
    const kv = this.content.get(partition) ?? memoryKv()
    // A handle is closed, the store stays.
    return new Proxy(kv, {
      get: (target, name) => {
        if (name === 'close') return () => Promise.resolve()
        const value: unknown = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }
}

let shelf: Shelf
afterEach(async () => {
  shelf.stopping.abort()
  await shelf.sweeping
})

describe('stores of partitions that are long gone', () => {
  test('are removed once they are past their retention, by the date of their stamp, and it is said', async () => {
    shelf = new Shelf()
    await shelf.put(1, 6 * DAY_MS)
    await shelf.put(2, 0)
    shelf.sweep()
    await shelf.pass(23)
    expect(shelf.removed).toEqual([])
    await shelf.pass(1)
    expect(shelf.removed).toEqual([1])
    expect(shelf.infos).toEqual([expect.stringContaining('was not used here for 168h')])
  })

  test('are not removed at once, however old they are', async () => {
    shelf = new Shelf()
    await shelf.put(1, 100 * DAY_MS)
    shelf.sweep()
    for (let i = 0; i < 20; i++) await turn()
    expect(shelf.removed).toEqual([])
    await shelf.pass(1)
    expect(shelf.removed).toEqual([1])
  })

  test('stay while they are in use, and where nobody set a retention', async () => {
    shelf = new Shelf()
    await shelf.put(1, 100 * DAY_MS)
    shelf.inUse.add(1)
    shelf.sweep()
    await shelf.pass(3)
    expect(shelf.removed).toEqual([])
    shelf.stopping.abort()
    await shelf.sweeping
    shelf = new Shelf(Number.POSITIVE_INFINITY)
    await shelf.put(1, 100 * DAY_MS)
    shelf.sweep()
    await shelf.pass(3)
    expect(shelf.removed).toEqual([])
  })

  test('one without a readable stamp counts from when it was found', async () => {
    shelf = new Shelf(2 * HOUR_MS)
    await shelf.put(1, 0)
    await shelf.content.get(1)?.write([{ type: 'put', key: Buffer.from('!stamp'), value: Buffer.from('garbage') }])
    shelf.sweep()
    await shelf.pass(2)
    expect(shelf.removed).toEqual([])
    await shelf.pass(1)
    expect(shelf.removed).toEqual([1])
  })

  test('one that cannot be opened is left alone, and the others are looked at all the same', async () => {
    shelf = new Shelf()
    await shelf.put(1, 100 * DAY_MS)
    await shelf.put(2, 100 * DAY_MS)
    shelf.locked = 1
    shelf.sweep()
    await shelf.pass(1)
    expect(shelf.removed).toEqual([2])
    expect(shelf.warnings).toHaveLength(1)
  })

  test.each([
    [RETENTION_MS - 1, 'keep'],
    [RETENTION_MS, 'remove'],
  ])('%i ms old with a retention of seven days: %s', (ageMs, kind) => {
    expect(decideStoreFate({ writtenAt: START - ageMs, now: START, retentionMs: RETENTION_MS }).kind).toBe(kind)
  })
})

test('the group is told how far each store on disk goes', async () => {
  shelf = new Shelf()
  await shelf.put(1, 0, 70)
  await shelf.put(4, 0, 90)
  await shelf.stores.takeStock()
  expect(shelf.stores.held()).toEqual([
    { partition: 1, reached: 70 },
    { partition: 4, reached: 90 },
  ])
  shelf.stores.left(1, 75)
  expect(shelf.stores.held()[0]).toEqual({ partition: 1, reached: 75 })
})
