import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type EmbeddedLog, openEmbeddedLog } from '../../connectors/log/embedded/log.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import { DAY_MS, HOUR_MS } from '../../core/durations.ts'
import type { OrderedKv } from '../../core/ports/ordered-kv.ts'
import { memoryKv } from '../../state/memory-kv.ts'
import { expectCode, out, outs, readAll, sendAll } from './harness.ts'

const TOPIC = 'kept'
const AT = { topic: TOPIC, partition: 0 }

interface Fixture {
  log: EmbeddedLog
  readonly kv: OrderedKv
  readonly time: { now: number }
  readonly reopen: () => Promise<EmbeddedLog>
}

async function fixture(spec: {
  tailBytes?: number
  cleanup: 'delete' | 'compact'
  retentionMs?: number
  deleteRetentionMs?: number
}): Promise<Fixture> {
  const kv = memoryKv()
  const time = { now: 1_700_000_000_000 }
  const clock: Clock = { ...systemClock, now: () => time.now }
  const open = () => openEmbeddedLog({ kv, clock, tailBytes: spec.tailBytes ?? 200, maintenanceIntervalMs: 0 })
  const log = await open()
  await log.createTopics([{ topic: TOPIC, partitions: 1, ...spec }])
  const made: Fixture = {
    log,
    kv,
    time,
    reopen: async () => {
      await made.log.close()
      made.log = await open()
      return made.log
    },
  }
  return made
}

async function contents(log: EmbeddedLog, from?: number): Promise<string[]> {
  const records = await readAll(log, AT, from)
  return records.map((record) => `${record.offset} ${record.key?.toString()}=${record.value?.toString()}`)
}

const write = (key: string, value: string | null) => out(TOPIC, value, { key })

type Step =
  | { readonly do: 'write'; readonly writes: readonly (readonly [key: number, tombstone: boolean])[] }
  | { readonly do: 'abort'; readonly writes: readonly (readonly [key: number, tombstone: boolean])[] }
  | { readonly do: 'compact' | 'reopen' | 'day' }

const writes = fc.array(fc.tuple(fc.nat(3), fc.boolean()), { minLength: 1, maxLength: 5 })
const compactionSteps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('write' as const, 'abort' as const), writes }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('compact' as const, 'reopen' as const, 'day' as const) }) },
  ),
  { maxLength: 25 },
)

describe('compaction of the embedded log', () => {
  test('the last committed value of each key survives at its offset, and no offset is given twice', async () => {
    await fc.assert(
      fc.asyncProperty(compactionSteps, fc.constantFrom(0, 200, 1 << 20), async (steps, tailBytes) => {
        const at = await fixture({ tailBytes, cleanup: 'compact', deleteRetentionMs: HOUR_MS })
        const last = new Map<string, string>()
        const written = new Set<string>()
        const given = new Set<number>()
        let number = 0
        for (const step of steps) {
          if (step.do === 'compact') await at.log.maintain()
          else if (step.do === 'reopen') await at.reopen()
          else if (step.do === 'day') at.time.now += DAY_MS
          else if ('writes' in step) {
            const records = step.writes.map(([key, tombstone]) =>
              write(`k${key}`, tombstone ? null : `v${(number += 1)}`),
            )
            const transaction = await at.log.stepped('tx')
            const [end] = await transaction.append(records)
            await transaction.end(step.do === 'write' ? 'commit' : 'abort')
            for (const [i, record] of records.entries()) {
              const offset = (end?.nextOffset ?? 0) - records.length + i
              expect(given.has(offset)).toBe(false)
              given.add(offset)
              if (step.do === 'abort') continue
              const line = `${offset} ${String(record.key)}=${record.value === null ? 'undefined' : String(record.value)}`
              written.add(line)
              last.set(String(record.key), record.value === null ? '' : line)
            }
          }
          const found = await contents(at.log)
          for (const line of found) expect(written).toContain(line)
          for (const line of last.values()) if (line !== '') expect(found).toContain(line)
          if (step.do !== 'compact') continue
          const keys = found.map((line) => line.split(/[ =]/)[1])
          expect(new Set(keys).size).toBe(keys.length)
          for (const offset of given) for (const line of await contents(at.log, offset)) expect(found).toContain(line)
        }
        await at.log.close()
      }),
      { numRuns: 100 },
    )
  })

  test('a tombstone stays deleteRetentionMs from the compaction that removed what it deletes', async () => {
    const at = await fixture({ cleanup: 'compact', deleteRetentionMs: HOUR_MS })
    await sendAll(at.log, [write('a', '1'), write('b', '1')])
    await sendAll(at.log, [write('a', null)])
    at.time.now += DAY_MS
    await at.log.maintain()
    expect(await contents(at.log)).toEqual(['1 b=1', '2 a=undefined'])
    at.time.now += HOUR_MS - 1
    await at.log.maintain()
    expect(await contents(at.log)).toEqual(['1 b=1', '2 a=undefined'])
    at.time.now += 1
    await at.log.maintain()
    expect(await contents(at.log)).toEqual(['1 b=1'])
    expect(await at.log.bounds([AT])).toEqual([{ earliest: 0, end: 3 }])
    expect(await (await at.reopen()).bounds([AT])).toEqual([{ earliest: 0, end: 3 }])
  })

  test('what an open transaction wrote is neither compacted nor compacts anything', async () => {
    const at = await fixture({ cleanup: 'compact', deleteRetentionMs: 0 })
    await sendAll(at.log, [write('a', '1')])
    const open = await at.log.stepped('tx')
    await open.append([write('a', '2')])
    await sendAll(at.log, [write('a', '3')])
    await at.log.maintain()
    expect(await contents(at.log)).toEqual(['0 a=1'])
    await open.end('abort')
    expect(await contents(at.log)).toEqual(['0 a=1', '2 a=3'])
    await at.log.maintain()
    expect(await contents(at.log)).toEqual(['2 a=3'])
  })

  test('a reader in the middle of a partition goes on while compaction merges chunks under it', async () => {
    const at = await fixture({ cleanup: 'compact' })
    for (let i = 0; i < 30; i++) await sendAll(at.log, [write(`k${i % 10}`, `v${i}`), write(`only${i}`, 'x')])
    const reader = await at.log.reader(AT)
    const seen: number[] = []
    for (let position = 0; position < 60; ) {
      const batch = await reader.read(position, { bytesMax: 1 })
      seen.push(...batch.records.map((record) => record.offset))
      position = batch.nextOffset
      if (seen.length === 7) await at.log.maintain()
    }
    expect(seen).toEqual([...seen].sort((a, b) => a - b))
    for (let i = 0; i < 30; i++) expect(seen).toContain(2 * i + 1)
    for (let i = 20; i < 30; i++) expect(seen).toContain(2 * i)
  })

  test('records without a key are refused on a compacted topic', async () => {
    const at = await fixture({ cleanup: 'compact' })
    await expectCode(sendAll(at.log, [out(TOPIC, 'x')]), 'ONCEWARD_E_LOG_REFUSED')
  })
})

describe('retention of the embedded log', () => {
  test('old records go, their offsets are never given again, also after a restart', async () => {
    const at = await fixture({ cleanup: 'delete', retentionMs: HOUR_MS })
    const now = at.time.now
    await sendAll(
      at.log,
      outs(TOPIC, 'a', 3).map((record) => ({ ...record, timestamp: now })),
    )
    at.time.now += HOUR_MS + 1
    await at.log.maintain()
    expect(await at.log.bounds([AT])).toEqual([{ earliest: 3, end: 3 }])
    expect(await (await at.reopen()).bounds([AT])).toEqual([{ earliest: 3, end: 3 }])
    await sendAll(
      at.log,
      outs(TOPIC, 'b', 1).map((record) => ({ ...record, timestamp: at.time.now })),
    )
    expect(await contents(at.log)).toEqual(['3 k0=b0'])
    expect(await at.log.offsetAt(AT, 0)).toBe(3)
    const reader = await at.log.reader(AT)
    await expectCode(reader.read(2), 'ONCEWARD_E_LOG_OFFSET_OUT_OF_RANGE')
  })

  test('nothing young goes, and nothing behind an open transaction', async () => {
    const at = await fixture({ cleanup: 'delete', retentionMs: HOUR_MS })
    const old = at.time.now - DAY_MS
    await sendAll(at.log, [out(TOPIC, 'old', { timestamp: old })])
    const open = await at.log.stepped('tx')
    await open.append([out(TOPIC, 'open', { timestamp: old })])
    await sendAll(at.log, [out(TOPIC, 'young', { timestamp: at.time.now })])
    expect(await at.log.maintain()).toEqual({ chunksExpired: 1, recordsCompacted: 0 })
    await open.end('commit')
    expect((await readAll(at.log, AT)).map((record) => record.value?.toString())).toEqual(['open', 'young'])
    await at.log.maintain()
    expect((await readAll(at.log, AT)).map((record) => record.value?.toString())).toEqual(['young'])
  })

  test('aborted records that outlive retention stay invisible, also where it took part of their transaction', async () => {
    const at = await fixture({ cleanup: 'delete', retentionMs: HOUR_MS })
    const [old, young] = [at.time.now - DAY_MS, at.time.now]
    const straddling = await at.log.stepped('straddling')
    await straddling.append([out(TOPIC, 'aborted', { timestamp: old })])
    await straddling.append([out(TOPIC, 'aborted', { timestamp: young })])
    await straddling.end('abort')
    const later = await at.log.stepped('later')
    await later.append([out(TOPIC, 'aborted', { timestamp: young })])
    await later.end('abort')
    await sendAll(at.log, [out(TOPIC, 'good', { timestamp: young })])
    expect(await at.log.maintain()).toEqual({ chunksExpired: 1, recordsCompacted: 0 })
    for (const open of [async () => at.log, at.reopen]) {
      const log = await open()
      expect((await readAll(log, AT)).map((record) => record.value?.toString())).toEqual(['good'])
      expect(await log.offsetAt(AT, young)).toBe(5)
    }
  })

  test('appends set maintenance off once its interval is over', async () => {
    const time = { now: 1_700_000_000_000 }
    const log = await openEmbeddedLog({ kv: memoryKv(), clock: { ...systemClock, now: () => time.now } })
    await log.createTopics([{ topic: TOPIC, partitions: 1, cleanup: 'delete', retentionMs: HOUR_MS }])
    await sendAll(log, [out(TOPIC, 'a', { timestamp: time.now })])
    time.now += DAY_MS
    await sendAll(log, [out(TOPIC, 'b', { timestamp: time.now })])
    await expect.poll(() => log.bounds([AT])).toEqual([{ earliest: 1, end: 2 }])
    await log.close()
  })
})
