import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ThroughputFigures, WorkerFigures } from '../../cli/bench/throughput.ts'
import { throughputFindings, throughputReport } from '../../cli/bench/throughput-report.ts'
import { kafkaForTests, startKafka, type TestKafka } from '../support/kafka.ts'
import { runCli } from './process.ts'

const RUN: WorkerFigures = {
  events: 1_000,
  seconds: 2,
  secondsFromStart: 3,
  cpuSeconds: 0.02,
  rssBytes: 300 * 2 ** 20,
  duplicates: 20,
  scores: 400,
  rewards: 7,
}
const GOOD: ThroughputFigures = {
  written: 1_000,
  rejected: 0,
  raw: { events: 1_000, seconds: 0.5, cpuSeconds: 0.004 },
  runs: [RUN, { ...RUN, seconds: 4 }],
}

describe('what bench kafka says of its figures', () => {
  test.each<[string, Partial<ThroughputFigures>, readonly RegExp[]]>([
    ['all is well', {}, []],
    ['an event counted twice', { runs: [{ ...RUN, events: 1_001 }] }, [/run 1 counted 1,001 events, and 1,000/]],
    ['a reward more in one run', { runs: [RUN, { ...RUN, rewards: 8 }] }, [/ended with different results/]],
    ['unreadable events', { raw: { ...GOOD.raw, events: 998 } }, [/reading alone found 998 of 1,000/]],
  ])('%s', (_, change, findings) => {
    expect(throughputFindings({ ...GOOD, ...change })).toEqual(findings.map((said) => expect.stringMatching(said)))
  })

  test('a row for reading alone and one for each run', () => {
    const report = throughputReport(GOOD, { brokers: ['k:9092'], partitions: 4, workers: 2 })
    expect(report).toMatch(/^reading and parsing alone +2,000 +0\.5 +4\.0$/m)
    expect(report).toMatch(/^2 workers, run 1 +500 +2\.0 +20\.0 +300 MiB +980 +400 +7$/m)
    expect(report).toMatch(/^2 workers, run 2 +250 +4\.0 +20\.0 +300 MiB +980 +400 +7$/m)
  })
})

describe.skipIf(!kafkaForTests().available)('bench kafka on a real Kafka', () => {
  let kafka: TestKafka
  let dir = ''

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'onceward-bench-kafka-'))
    kafka = await startKafka()
  })
  afterAll(async () => {
    await kafka?.stop()
    await rm(dir, { recursive: true, force: true })
  })

  test('has two workers do all the work, twice, with one result, and leaves no files behind', {
    timeout: 240_000,
  }, async () => {
    const args = ['--brokers', kafka.brokers, '--dir', dir, '--partitions', '2', '--count', '3000', '--json']
    const { code, stdout, stderr } = await runCli(['bench', 'kafka', ...args])
    expect({ code, stderr }).toMatchObject({ code: 0 })
    const { written, rejected, raw, runs, findings } = JSON.parse(stdout) as ThroughputFigures & { findings: string[] }
    expect(written + rejected).toBe(3_000)
    expect(findings).toEqual([])
    expect(raw.events).toBe(written)
    expect(runs).toHaveLength(2)
    for (const run of runs) {
      expect(run.events).toBe(written)
      expect(run.scores).toBeGreaterThan(500)
      expect(run.cpuSeconds).toBeGreaterThan(0)
      expect(run.rssBytes).toBeGreaterThan(2 ** 20)
      expect(run.seconds).toBeLessThanOrEqual(run.secondsFromStart)
    }
    expect(await readdir(dir)).toEqual([])
  })
})
