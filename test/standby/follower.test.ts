import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openEmbeddedLog } from '../../connectors/log/embedded/log.ts'
import { systemClock } from '../../core/clock.ts'
import type { Log, LogRecord } from '../../core/ports/log.ts'
import type { OrderedKv } from '../../core/ports/ordered-kv.ts'
import { ChangelogFollower, type FollowerOptions } from '../../pipeline/changelog-follower.ts'
import { recover } from '../../pipeline/recover.ts'
import { memoryKv } from '../../state/memory-kv.ts'
import { PartitionStore } from '../../state/partition-store.ts'
import { decideRecovery, decideStandby } from '../../state/recovery.ts'
import { NO_INPUT_OFFSET, STORE_FORMAT, type Stamp } from '../../state/stamp.ts'
import { ACCOUNTS, META, TASK_META_KEY } from '../../state/stores.ts'

const APPLICATION = 'app'
const CHANGELOG = 'app.changelog'
const PLACE = { topic: CHANGELOG, partition: 0 }

/** A commit: these accounts change, then the position, then more accounts; the position alone does not end a commit. */
type Commit = readonly (readonly [key: string, value: number | null])[]
const commits = fc.array(
  fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.option(fc.nat(99))), { minLength: 1, maxLength: 5 }),
  { minLength: 1, maxLength: 8 },
)

function changesOf(commit: Commit, inputOffset: number): [Buffer, Buffer | null][] {
  const accounts = commit.map(([key, value]): [Buffer, Buffer | null] => [
    Buffer.from(ACCOUNTS.prefix + key),
    value === null ? null : Buffer.from(String(value)),
  ])
  const meta: [Buffer, Buffer] = [Buffer.from(META.prefix + TASK_META_KEY), META.encode({ inputOffset })]
  return [...accounts.slice(0, -1), meta, ...accounts.slice(-1)]
}

/** The accounts after the first `count` commits. */
function fold(all: readonly Commit[], count: number): Record<string, string> {
  const state = new Map<string, string>()
  for (const commit of all.slice(0, count)) {
    for (const [key, value] of commit) {
      if (value === null) state.delete(key)
      else state.set(key, String(value))
    }
  }
  return Object.fromEntries(state)
}

async function accountsOf(kv: OrderedKv): Promise<Record<string, string>> {
  const found: [string, string][] = []
  for await (const [key, value] of kv.range({ gte: Buffer.from('a'), lt: Buffer.from('b') })) {
    found.push([key.toString().slice(1), value.toString()])
  }
  return Object.fromEntries(found)
}

/** A log with these commits in the changelog, each for one record of input; readers get `recordsMax` records at most. */
async function logWith(all: readonly Commit[], recordsMax: number): Promise<Log> {
  const log = await openEmbeddedLog({ kv: memoryKv(), clock: systemClock, maintenanceIntervalMs: 0 })
  await log.createTopics([
    { topic: CHANGELOG, partitions: 1, cleanup: 'compact' },
    { topic: 'events', partitions: 1, cleanup: 'delete' },
  ])
  const input = await log.producer()
  await input.send(all.map(() => ({ topic: 'events', partition: 0, key: null, value: '', timestamp: 0 })))
  const producer = await log.transactional('app.0')
  for (const [i, commit] of all.entries()) {
    await producer.commit({
      records: changesOf(commit, i + 1).map(([key, value]) => ({ ...PLACE, key, value, timestamp: 0 })),
      offsets: { group: APPLICATION, positions: [{ topic: 'events', partition: 0, offset: i + 1 }] },
    })
  }
  return new Proxy(log, {
    get: (target, name) => (name === 'reader' ? () => shortReader(target, recordsMax) : bound(target, name)),
  })
}

function bound(target: Log, name: string | symbol): unknown {
  const value: unknown = Reflect.get(target, name)
  return typeof value === 'function' ? value.bind(target) : value
}

async function shortReader(log: Log, recordsMax: number): ReturnType<Log['reader']> {
  const reader = await log.reader(PLACE)
  return {
    async read(offset, options) {
      const batch = await reader.read(offset, options)
      const records: readonly LogRecord[] = batch.records.slice(0, recordsMax)
      const last = records.at(-1)
      return records.length === batch.records.length || last === undefined
        ? batch
        : { ...batch, records, nextOffset: last.offset + 1 }
    },
    close: () => reader.close(),
  }
}

function follow(log: Log, store: PartitionStore, change: Partial<FollowerOptions> = {}): Promise<ChangelogFollower> {
  return ChangelogFollower.open({
    log,
    store,
    application: APPLICATION,
    partition: 0,
    changelog: CHANGELOG,
    from: 0,
    levelAt: 5,
    deleteRetentionMs: 60_000,
    readBytesMax: 1 << 20,
    now: () => 1_000,
    ...change,
  })
}

async function stampOf(store: PartitionStore): Promise<Stamp> {
  const stamp = await store.stamp()
  if (stamp === undefined || stamp === 'unreadable') throw new Error('the store has no stamp')
  return stamp
}

describe('following a changelog', () => {
  test('I7: wherever it stops, the stamp names an input offset only if the store is level with it, and is dated when it was', async () => {
    await fc.assert(
      fc.asyncProperty(commits, fc.integer({ min: 1, max: 7 }), fc.nat(20), async (all, recordsMax, steps) => {
        const log = await logWith(all, recordsMax)
        const kv = memoryKv()
        const store = new PartitionStore(kv)
        const follower = await follow(log, store)
        for (let step = 0; step <= steps; step++) {
          const { level } = await follower.step()
          const { inputOffset, changelogOffset, writtenAt } = await stampOf(store)
          expect(changelogOffset).toBeLessThanOrEqual(follower.reached)
          if (inputOffset === NO_INPUT_OFFSET) expect(writtenAt).toBe(5)
          else expect(await accountsOf(kv)).toEqual(fold(all, inputOffset))
          expect(level && inputOffset !== NO_INPUT_OFFSET ? inputOffset : all.length).toBe(all.length)
          expect(level ? writtenAt : 5).toBe(inputOffset === NO_INPUT_OFFSET ? 5 : 1_000)
        }
        await follower.close()
        await log.close()
      }),
      { numRuns: 150 },
    )
  })

  test('a recovery goes on from wherever a copy or another recovery stopped, and ends with the fold', async () => {
    await fc.assert(
      fc.asyncProperty(
        commits,
        fc.integer({ min: 1, max: 7 }),
        fc.integer({ min: 1, max: 9 }),
        async (all, recordsMax, steps) => {
          const log = await logWith(all, recordsMax)
          const kv = memoryKv()
          const store = new PartitionStore(kv)
          const follower = await follow(log, store, { levelAt: 1_000 })
          for (let step = 0; step < steps; step++) await follower.step()
          const from = (await stampOf(store)).changelogOffset
          await follower.close()
          const recovered = await recover({
            log,
            store,
            application: APPLICATION,
            partition: 0,
            events: 'events',
            changelog: CHANGELOG,
            deleteRetentionMs: 60_000,
            now: () => 2_000,
            cancelled: () => false,
          })
          expect(recovered.recovery).toMatchObject(
            recovered.recovery.kind === 'ready' ? { kind: 'ready' } : { kind: 'replay-tail', from },
          )
          expect(await accountsOf(kv)).toEqual(fold(all, all.length))
          expect(recovered.position).toBe(all.length)
          await log.close()
        },
      ),
      { numRuns: 100 },
    )
  })
})

describe('a follower that stood still', () => {
  const all: readonly Commit[] = [[['a', 1]], [['b', 2]], [['a', null]]]

  test('goes on where it was not level for less long than tombstones are kept', async () => {
    const kv = memoryKv()
    const log = await logWith(all, 2)
    const follower = await follow(log, new PartitionStore(kv), { levelAt: 1_000, now: () => 60_999 })
    for (let level = false; !level; ) ({ level } = await follower.step())
    expect(await accountsOf(kv)).toEqual({ b: '2' })
    await follower.close()
    await log.close()
  })

  test('I11: applies nothing more once tombstones may be gone, and leaves a store that is rebuilt', async () => {
    const kv = memoryKv()
    const store = new PartitionStore(kv)
    const log = await logWith(all, 2)
    let now = 1_000
    const follower = await follow(log, store, { levelAt: now, now: () => now })
    await follower.step()
    const before = await accountsOf(kv)
    now = 61_000
    await expect(follower.step()).rejects.toMatchObject({ code: 'ONCEWARD_E_STATE_OUTDATED', retry: true })
    expect(await accountsOf(kv)).toEqual(before)
    const stamp = await stampOf(store)
    const facts = {
      application: APPLICATION,
      partition: 0,
      changelog: { earliest: 0, end: 9 },
      deleteRetentionMs: 60_000,
    }
    expect(decideStandby({ ...facts, stamp, now }).kind).toBe('rebuild')
    await follower.close()
    await log.close()
  })

  test('I11: while it was level it may stand still for ever in between, as long as it looks often enough', async () => {
    let now = 1_000
    const log = await logWith(all, 9)
    const follower = await follow(log, new PartitionStore(memoryKv()), { levelAt: now, now: () => now })
    for (let i = 0; i < 9; i++) {
      expect((await follower.step()).level).toBe(true)
      now += 59_999
    }
    await follower.close()
    await log.close()
  })
})

describe('the decision how a copy begins', () => {
  const stamp: Stamp = {
    format: STORE_FORMAT,
    application: APPLICATION,
    partition: 3,
    inputOffset: 9,
    changelogOffset: 50,
    writtenAt: 1_000,
  }
  const facts = {
    application: APPLICATION,
    partition: 3,
    stamp,
    changelog: { earliest: 0, end: 80 },
    now: 2_000,
    deleteRetentionMs: 60_000,
  }
  test.each([
    ['a store of this partition goes on', {}, 'replay-tail'],
    ['a store in the middle of a commit goes on', { stamp: { ...stamp, inputOffset: NO_INPUT_OFFSET } }, 'replay-tail'],
    [
      'no store and no changelog: it waits for the first record',
      { stamp: undefined, changelog: { earliest: 0, end: 0 } },
      'replay-tail',
    ],
    ['no store begins anew', { stamp: undefined }, 'rebuild'],
    ['a store without a readable stamp begins anew', { stamp: 'unreadable' as const }, 'rebuild'],
    ["another partition's store begins anew", { stamp: { ...stamp, partition: 4 } }, 'rebuild'],
    ['a store that may have missed tombstones begins anew', { now: 61_000 }, 'rebuild'],
    ['a changelog that lost its tail empties no store', { changelog: { earliest: 0, end: 49 } }, 'refuse'],
  ])('%s', (_, change, kind) => {
    expect(decideStandby({ ...facts, ...change }).kind).toBe(kind)
  })

  test('a store in the middle of a commit is never ready, whatever was committed', () => {
    fc.assert(
      fc.property(fc.option(fc.nat(), { nil: undefined }), (committed) => {
        const input = { earliest: 0, end: Number.MAX_SAFE_INTEGER }
        const between = { ...facts, committed, input, stamp: { ...stamp, inputOffset: NO_INPUT_OFFSET } }
        expect(decideRecovery(between).kind).toBe('replay-tail')
      }),
    )
  })
})
