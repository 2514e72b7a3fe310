import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { MemoryFigures } from '../../cli/bench/memory.ts'
import { memoryFindings, memoryReport } from '../../cli/bench/memory-report.ts'
import { batchBytesFor, storeBudget } from '../../cli/worker-process.ts'
import { cachedValuesFor } from '../../state/staged-state.ts'
import { runCli } from '../cli/process.ts'
import { kafkaForTests, startKafka, type TestKafka } from '../support/kafka.ts'

const MIB = 2 ** 20

describe('the memory of the stores', () => {
  test.each([
    [1, 8],
    [4, 8],
    [5, 6.4],
    [32, 1],
    [33, 1],
    [1_000, 1],
  ])('of a topic with %i partitions: %d MiB each', (partitions, mib) => {
    const bytes = Math.floor(mib * MIB)
    expect(storeBudget(partitions)).toEqual({ cacheBytes: bytes, writeBufferBytes: bytes })
  })
})

test.each([
  [1, 512],
  [8, 512],
  [16, 256],
  [64, 64],
  [65, 64],
])('a batch of one of %i partitions: %i KiB', (partitions, kib) => {
  expect(batchBytesFor(partitions)).toBe(kib * 1024)
})

test.each([
  [1, 4_000],
  [4, 4_000],
  [5, 3_200],
  [16_000, 1],
])('decoded values kept for each of %i partitions: %i', (partitions, values) => {
  expect(cachedValuesFor(partitions)).toBe(values)
})

describe('bench memory', () => {
  const counts = { events: 5_100, duplicates: 100, points: 5_000, rewards: 1_000, 'dead letters': 0 }
  const figures: MemoryFigures = {
    expected: counts,
    came: counts,
    eventsPerSecond: 10_000,
    residentBytesMax: 600 * MIB - 1,
    source: 'a test',
  }
  const about = { users: 1_000, ids: 5_000, partitions: 4 }

  test('says which counts do not add up', () => {
    expect(memoryFindings(figures)).toEqual([])
    const short = { ...figures, came: { ...counts, rewards: 999, duplicates: 99 } }
    expect(memoryFindings(short)).toEqual(['99 duplicates came, and 100 had to', '999 rewards came, and 1,000 had to'])
    expect(memoryReport(short, about)).toContain('NOT AS ASKED: 999 rewards came')
  })

  test('says whether the bound is kept', () => {
    expect(memoryReport(figures, about)).toMatch(/kept: under 600/)
    expect(memoryReport({ ...figures, residentBytesMax: 600 * MIB }, about)).toMatch(/MISSED: under 600/)
  })

  test('refuses what it could not check', async () => {
    const { code, stderr } = await runCli([
      'bench',
      'memory',
      '--brokers',
      'localhost:1',
      '--users',
      '3',
      '--ids',
      '10',
    ])
    expect([code, stderr]).toEqual([2, expect.stringContaining('--ids must be a multiple of --users: 10 is none of 3')])
  })

  describe.skipIf(!kafkaForTests().available)('on a real Kafka', () => {
    let kafka: TestKafka
    let dir = ''
    beforeAll(async () => {
      dir = await mkdtemp(join(tmpdir(), 'onceward-bench-memory-'))
      kafka = await startKafka()
    }, 120_000)
    afterAll(async () => {
      await kafka?.stop()
      await rm(dir, { recursive: true, force: true })
    })

    test('counts every event, every repeat and one reward for each user', async () => {
      const size = ['--users', '1000', '--ids', '5000', '--partitions', '3']
      const { code, stdout, stderr } = await runCli([
        'bench',
        'memory',
        '--brokers',
        kafka.brokers,
        '--dir',
        dir,
        ...size,
      ])
      expect({ code, stderr: code === 0 ? '' : stdout + stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toMatch(/^users +1,000\nremembered ids +5,000$/m)
      expect(Number(/^largest RSS, MiB +(\d+)/m.exec(stdout)?.[1])).toBeGreaterThan(50)
      expect(stderr).toMatch(/left on Kafka, for you to delete: topics bench-/)
      expect(await readdir(dir)).toEqual([])
    }, 120_000)
  })
})
