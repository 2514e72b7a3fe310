import * as fc from 'fast-check'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { lastPositions } from '../../cli/audit/collect.ts'
import { openAuditLog } from '../../connectors/audit/audit-log.ts'
import { streamRecords } from '../../connectors/audit/records.ts'
import { type EmbeddedLog, openEmbeddedLog } from '../../connectors/log/embedded/log.ts'
import { systemClock } from '../../core/clock.ts'
import { DAY_MS, HOUR_MS } from '../../core/durations.ts'
import type { LedgerTrail, TrailRow, TrailTable } from '../../core/ports/ledger-trail.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { silentMetrics } from '../../core/ports/metrics.ts'
import { createCollector } from '../../pipeline/audit/collector.ts'
import { memoryKv } from '../../state/memory-kv.ts'
import { out, readAll, sendAll } from '../log/harness.ts'
import { fastClock } from '../support/clocks.ts'
import { type DiskFaults, faultyDisk } from './faulty-disk.ts'
import { MadeLog, quickDisk, sourceOf } from './made-logs.ts'

const RUNS = Number(process.env['ONCEWARD_FUZZ'] ?? 40)
const TOPICS = [
  { topic: 'rules.control', kind: 'command' },
  { topic: 'reward.tasks', kind: 'decision' },
] as const
const PARTITIONS = 2

/** A ledger whose tables are lists. */
class ListedTrail implements LedgerTrail {
  readonly tables: Readonly<Record<TrailTable, TrailRow[]>> = { audit_log: [], reward_history: [] }

  add(table: TrailTable): void {
    const rows = this.tables[table]
    // Ids have gaps: transactions that were rolled back.
    const id = (rows.at(-1)?.id ?? 0) + 1 + (rows.length % 3)
    rows.push({ id, at: 1_700_000_000_000, body: { actor: 'ann' } })
  }

  rows(table: TrailTable, after: number, limit: number): Promise<readonly TrailRow[]> {
    return Promise.resolve(this.tables[table].filter(({ id }) => id > after).slice(0, limit))
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

class Lab {
  readonly made: MadeLog
  readonly log: EmbeddedLog
  readonly trail = new ListedTrail()
  readonly clock = fastClock(200)

  private constructor(made: MadeLog, log: EmbeddedLog) {
    this.made = made
    this.log = log
  }

  static async begin(): Promise<Lab> {
    const log = await openEmbeddedLog({ kv: memoryKv(), clock: fastClock(200) })
    await log.createTopics(TOPICS.map(({ topic }) => ({ topic, partitions: PARTITIONS, cleanup: 'delete' })))
    return new Lab(await MadeLog.begin(), log)
  }

  /** Collects until everything is in the chain, or the disk has died at one of its bytes. */
  async live(faults: DiskFaults, isDead: () => boolean): Promise<void> {
    const { log, trail, clock, made } = this
    const disk = faultyDisk(faults, quickDisk)
    const place = { folder: made.folder, stream: 'collector', clock, disk, segmentBytesMax: 2_000 }
    const audit = await openAuditLog(place).catch((error: unknown) => {
      // It may die while it repairs what the one before has left.
      if (!isDead()) throw error
    })
    if (audit === undefined) return
    const positions = await lastPositions(made.folder, 'collector')
    const common = { clock, logger: silentLogger, metrics: silentMetrics }
    const collector = createCollector({ log, audit, topics: TOPICS, trail, positions, ...common })
    const running = collector.run()
    const isDone = async (): Promise<boolean> => isDead() || (await this.#isCollected(collector.positions()))
    while (!(await isDone())) await systemClock.sleep(1)
    if (isDead()) Object.assign(faults, dead)
    await collector.stop()
    await running
    await audit.close().catch(() => undefined)
    const folder = join(made.folder, 'collector')
    for (const name of await readdir(folder)) if (name.startsWith('lock.')) await rm(join(folder, name))
  }

  async #isCollected(positions: ReadonlyMap<string, number>): Promise<boolean> {
    for (const { topic } of TOPICS) {
      for (let partition = 0; partition < PARTITIONS; partition += 1) {
        const [bounds] = await this.log.bounds([{ topic, partition }])
        if ((positions.get(`${topic}/${partition}`) ?? -1) < (bounds?.end ?? 0)) return false
      }
    }
    return Object.entries(this.trail.tables).every(
      ([table, rows]) => (positions.get(table) ?? 0) > (rows.at(-1)?.id ?? -1),
    )
  }

  /** What the sources hold, and what the chain has of them: each a list in its own order. */
  async expected(): Promise<Record<string, number[]>> {
    const all: Record<string, number[]> = {}
    for (const { topic } of TOPICS) {
      for (let partition = 0; partition < PARTITIONS; partition += 1) {
        const offsets = (await readAll(this.log, { topic, partition })).map(({ offset }) => offset)
        if (offsets.length > 0) all[`${topic}/${partition}`] = offsets
      }
    }
    for (const [table, rows] of Object.entries(this.trail.tables))
      if (rows.length > 0) all[table] = rows.map(({ id }) => id)
    return all
  }

  async collected(): Promise<Record<string, number[]>> {
    const all: Record<string, number[]> = {}
    for await (const records of streamRecords(this.made.folder, 'collector')) {
      for (const { record } of records) {
        if (record.kind !== 'command' && record.kind !== 'decision') continue
        const { topic, partition, offset, table, id } = sourceOf(record.body)
        const name = table ?? `${topic}/${partition}`
        ;(all[name] ??= []).push(Number(id ?? offset))
      }
    }
    return all
  }

  async close(): Promise<void> {
    await this.log.close()
    await this.made.remove()
  }
}

const dead: DiskFaults = {
  write: () => ({ written: 0, code: 'EIO' }),
  truncate: () => 'EIO',
  sync: () => 'EIO',
  create: () => 'EIO',
}

interface Step {
  readonly records: readonly (readonly [topic: number, partition: number, length: number])[]
  readonly aborted: boolean
  readonly rows: readonly TrailTable[]
  /** After so many bytes of the chain it dies; undefined: it lives. */
  readonly diesAfter: number | undefined
}

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    records: fc.array(fc.tuple(fc.nat(1), fc.nat(PARTITIONS - 1), fc.nat(200)), { maxLength: 12 }),
    aborted: fc.boolean(),
    rows: fc.array(fc.constantFrom<TrailTable>('audit_log', 'reward_history'), { maxLength: 5 }),
    diesAfter: fc.option(fc.nat(6_000), { nil: undefined }),
  }),
  { minLength: 1, maxLength: 5 },
)

describe('the collector', () => {
  test('has each record and row once and in order, wherever it was killed', { timeout: 120_000 }, async () => {
    const property = fc.asyncProperty(steps, async (all) => {
      const lab = await Lab.begin()
      try {
        for (const { records, aborted, rows, diesAfter } of all) {
          const outs = records.map(([topic, partition, length]) =>
            out(TOPICS[topic]?.topic ?? '', 'x"'.repeat(length), { partition }),
          )
          await sendAll(lab.log, outs)
          if (aborted && outs.length > 0) {
            const transaction = await lab.log.stepped('t')
            await transaction.append(outs.slice(0, 2))
            await transaction.end('abort')
          }
          for (const table of rows) lab.trail.add(table)
          let left = diesAfter ?? Number.POSITIVE_INFINITY
          const write = (bytes: number): { written: number; code: string } | undefined => {
            const written = Math.min(bytes, left)
            left -= bytes
            return left < 0 ? { written: Math.max(0, written), code: 'EIO' } : undefined
          }
          // What a dying writer has left is not cut by itself.
          await lab.live({ write, truncate: () => (left < 0 ? 'EIO' : undefined) }, () => left < 0)
        }
        await lab.live({}, () => false)
        expect(await lab.collected()).toEqual(await lab.expected())
        expect((await lab.made.verify([])).findings).toEqual([])
      } finally {
        await lab.close()
      }
    })
    await fc.assert(property, { numRuns: RUNS })
  })

  test('a disk that is full for a while makes it wait, and nothing is lost or doubled', async () => {
    const lab = await Lab.begin()
    await sendAll(lab.log, [out('rules.control', 'a'), out('reward.tasks', 'b'), out('reward.tasks', 'c')])
    let writes = 0
    await lab.live(
      {
        write: (bytes) =>
          ++writes % 2 === 0 && writes < 20 ? { written: Math.floor(bytes / 2), code: 'ENOSPC' } : undefined,
      },
      () => false,
    )
    expect(writes).toBeGreaterThan(6)
    expect(await lab.collected()).toEqual(await lab.expected())
    await lab.close()
  })
})

test('has each record once also after the segments that said how far it was are retired', async () => {
  const made = await MadeLog.begin()
  const time = { now: 1_700_000_000_000 }
  const clock = { ...fastClock(200), now: () => time.now, monotonic: () => time.now }
  const log = await openEmbeddedLog({ kv: memoryKv(), clock, maintenanceIntervalMs: 0 })
  await log.createTopics(TOPICS.map(({ topic }) => ({ topic, partitions: 1, cleanup: 'delete' as const })))
  const collect = async (steps: readonly (readonly [topic: string, value: string])[]): Promise<void> => {
    const place = { folder: made.folder, stream: 'collector', clock, disk: quickDisk, segmentMsMax: DAY_MS }
    const audit = await openAuditLog(place)
    const positions = await lastPositions(made.folder, 'collector')
    const common = { clock, logger: silentLogger, metrics: silentMetrics }
    const collector = createCollector({ log, audit, topics: TOPICS, trail: undefined, positions, ...common })
    const running = collector.run()
    for (const [topic, value] of steps) {
      await sendAll(log, [out(topic, value, { partition: 0 })])
      const [bounds] = await log.bounds([{ topic, partition: 0 }])
      await expect
        .poll(() => collector.positions().get(`${topic}/0`), { timeout: 10_000, interval: 5 })
        .toBe(bounds?.end)
      time.now += DAY_MS
    }
    await collector.stop()
    await running
    await audit.close()
  }
  await collect([
    ['rules.control', 'a rule'],
    ['reward.tasks', 'a'],
    ['reward.tasks', 'b'],
    ['reward.tasks', 'c'],
  ])
  const known = await lastPositions(made.folder, 'collector')
  made.clock.advance(10 * DAY_MS)
  expect(await made.retire()).toMatchObject({ code: 0 })
  expect(await made.segments('collector')).toHaveLength(1)
  expect(await lastPositions(made.folder, 'collector')).toEqual(known)
  await log.close()
  await made.remove()
})

describe('what retention has deleted before it was collected', () => {
  let made: MadeLog
  beforeEach(async () => {
    made = await MadeLog.begin()
  })
  afterEach(() => made.remove())

  test('stands in the chain as a gap', async () => {
    const time = { now: 1_700_000_000_000 }
    const clock = { ...fastClock(200), now: () => time.now }
    const log = await openEmbeddedLog({ kv: memoryKv(), clock, tailBytes: 200, maintenanceIntervalMs: 0 })
    await log.createTopics([{ topic: 'dlq', partitions: 1, cleanup: 'delete', retentionMs: HOUR_MS }])
    const send = (value: string): Promise<void> => sendAll(log, [out('dlq', value, { timestamp: time.now })])
    const kinds = async (): Promise<unknown[]> => {
      const all: unknown[] = []
      for await (const records of streamRecords(made.folder, 'c')) {
        for (const { record } of records) {
          if (record.kind !== 'positions') all.push([record.kind, sourceOf(record.body).offset])
        }
      }
      return all
    }
    const collect = async (until: number): Promise<void> => {
      const audit = await openAuditLog({ folder: made.folder, stream: 'c', clock, disk: quickDisk })
      const positions = await lastPositions(made.folder, 'c')
      const topics = [{ topic: 'dlq', kind: 'decision' }] as const
      const common = { clock, logger: silentLogger, metrics: silentMetrics }
      const collector = createCollector({ log, audit, topics, trail: undefined, positions, ...common })
      const running = collector.run()
      await expect.poll(() => collector.positions().get('dlq/0'), { timeout: 10_000, interval: 5 }).toBe(until)
      await collector.stop()
      await running
      await audit.close()
    }
    await send('first')
    await collect(1)
    for (const value of ['lost', 'lost too']) await send(value)
    time.now += DAY_MS
    await send('kept')
    await log.maintain()
    const [bounds] = await log.bounds([{ topic: 'dlq', partition: 0 }])
    expect(bounds?.earliest).toBe(3)
    await collect(4)
    expect(await kinds()).toEqual([
      ['begin', -1],
      ['decision', 0],
      ['gap', 2],
      ['decision', 3],
    ])
    await log.close()
  })
})
