import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LatencyFigures, Percentiles } from '../../cli/bench/latency.ts'
import { latencyFindings, latencyReport } from '../../cli/bench/latency-report.ts'
import { openKafkaLog } from '../../connectors/log/kafka/kafka-log.ts'
import { systemClock } from '../../core/clock.ts'
import { kafkaForTests, startKafka, type TestKafka } from '../support/kafka.ts'
import { type RunningCli, runCli, startCli } from './process.ts'

interface Told {
  readonly partitions: number
  readonly runs: readonly (LatencyFigures & { readonly findings: readonly string[] })[]
}

const DONE: Percentiles = { p50: 20, p95: 40, p99: 80, count: 100 }
const GOOD: LatencyFigures = {
  rate: 5_000,
  reached: 4_998,
  warmUpSeconds: 4,
  settled: true,
  events: 100_000,
  append: DONE,
  score: DONE,
  reward: DONE,
  workerCpu: 0.5,
  appendedMs: 3,
  drainMs: 30,
  expected: { scores: 150, rewards: 12 },
  came: { scores: 150, rewards: 12 },
}

describe('what is said of figures that are not what they seem', () => {
  test.each<[string, Partial<LatencyFigures>, readonly RegExp[]]>([
    ['all is well', {}, []],
    ['late appends', { appendedMs: 2_500, reached: 4_000 }, [/5,000 a second the rate was not held.*4,000/]],
    ['a backlog', { drainMs: 2_500 }, [/fell behind: .*2\.5 s/]],
    ['a score too few', { came: { scores: 149, rewards: 12 } }, [/149 scores came, and 150 had to/]],
    ['a reward too many', { came: { scores: 150, rewards: 13 } }, [/13 rewards came, and 12 had to/]],
    ['a warm-up without an end', { settled: false, warmUpSeconds: 30 }, [/not settled after 30 s/]],
  ])('%s', (_, figures, findings) => {
    expect(latencyFindings({ ...GOOD, ...figures })).toEqual(findings.map((said) => expect.stringMatching(said)))
  })

  test('the table has a row for each rate, a dash where nothing was measured, and what was found below', () => {
    const nothing = { p50: undefined, p95: undefined, p99: undefined, count: 0 }
    const runs = [
      { ...GOOD, reward: nothing },
      { ...GOOD, rate: 20_000, drainMs: 9_000 },
    ]
    const report = latencyReport(runs, { brokers: ['k:9092'], partitions: 4, workers: 1, seconds: 20 })
    expect(report).toMatch(/^5,000 +4,998 +100,000 +40 +20 +40 +80 +- +- +- +50%$/m)
    expect(report).toMatch(/^20,000 .* 20 +40 +80 +20 +40 +80 +50%$/m)
    expect(report).toMatch(/^NOT AS ASKED: at 20,000 a second the workers fell behind/m)
  })
})

describe.skipIf(!kafkaForTests().available)('bench latency on a real Kafka', () => {
  let kafka: TestKafka
  let dir = ''
  const started: RunningCli[] = []

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'onceward-bench-latency-'))
    kafka = await startKafka()
  })
  afterAll(async () => {
    for (const { child } of started) child.kill('SIGKILL')
    await kafka?.stop()
    await rm(dir, { recursive: true, force: true })
  })

  test('measures each rate with a worker, and every score and reward is accounted for', {
    timeout: 240_000,
  }, async () => {
    const args = ['--brokers', kafka.brokers, '--dir', dir, '--partitions', '2', '--seconds', '2', '--json']
    const { code, stdout, stderr } = await runCli(['bench', 'latency', ...args, '--rates', '300,900'])
    const { partitions, runs } = JSON.parse(stdout) as Told
    expect(partitions).toBe(2)
    expect(runs.map(({ rate, events }) => [rate, events])).toEqual([
      [300, 600],
      [900, 1_800],
    ])
    for (const { expected, came, score, append, reached, rate, workerCpu } of runs) {
      expect(came).toEqual(expected)
      // most of what players send is a bet, which has two scores
      expect(score.count).toBeGreaterThan(2 * rate)
      expect(score.count).toBeLessThan(expected.scores)
      for (const each of [score, append]) expectAscending(each)
      expect(append.count).toBe(2 * rate)
      // an output cannot be read before its event was due
      expect(score.p50).toBeGreaterThan(0)
      expect(reached).toBeGreaterThan(0)
      expect(reached).toBeLessThanOrEqual(rate)
      expect(workerCpu).toBeGreaterThan(0)
    }
    // A machine that is busy otherwise may not hold a rate; then it says so.
    expect(code).toBe(runs.some(({ findings }) => findings.length > 0) ? 1 : 0)
    expect(stderr).toMatch(/^900 a second: measuring for 2 s/m)
    expect(stderr).toMatch(/left on Kafka, for you to delete: topics bench-/)
    expect(await readdir(dir)).toEqual([])
  })

  test('Ctrl-C stops the worker too, removes its state and ends with 130', { timeout: 120_000 }, async () => {
    const args = ['--brokers', kafka.brokers, '--dir', dir, '--rates', '100', '--seconds', '600']
    const bench = startCli(['bench', 'latency', ...args])
    started.push(bench)
    await bench.until(({ stderr }) => stderr.includes('warming up'), 60_000)
    bench.child.kill('SIGINT')
    const { code, stdout, stderr } = await bench.ended
    expect([code, stdout]).toEqual([130, ''])
    expect(await readdir(dir)).toEqual([])
    // A worker that runs on, or that was killed, would still be a member.
    const log = await openKafkaLog({ brokers: kafka.brokers.split(','), clock: systemClock })
    expect(await log.members(/group (bench-\w+)/.exec(stderr)?.[1] ?? '')).toBe(0)
    await log.close()
  })

  test('a worker that ends by itself ends the bench, with its last words', { timeout: 120_000 }, async () => {
    const args = ['--brokers', kafka.brokers, '--dir', dir, '--rates', '100', '--seconds', '600']
    const bench = startCli(['bench', 'latency', ...args])
    started.push(bench)
    await bench.until(({ stderr }) => stderr.includes('warming up'), 60_000)
    process.kill(await workerOf(bench.child.pid), 'SIGKILL')
    const { code, stderr } = await bench.ended
    expect(stderr).toMatch(/a worker of the bench ended by itself \(SIGKILL\); it said last:\n\{"level"/)
    expect(stderr).toContain('ONCEWARD_E_GAVE_UP')
    expect(code).toBe(1)
    expect(await readdir(dir)).toEqual([])
  })

  test('a rate that is none is said', async () => {
    const unknown = await runCli(['bench', 'latency', '--brokers', kafka.brokers, '--rates', '5,1000'])
    expect(unknown.code).toBe(2)
    expect(unknown.stderr).toMatch(/--rates: .*"5" is not a rate; write a whole number/)
  })
})

/** The process that the bench has started to work. */
async function workerOf(bench: number | undefined): Promise<number> {
  const children = (await readFile(`/proc/${bench}/task/${bench}/children`, 'utf8')).trim().split(' ')
  for (const pid of children) {
    const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0')
    if (words.includes('worker')) return Number(pid)
  }
  throw new Error(`${bench} has no worker among its children ${children.join(', ')}`)
}

function expectAscending({ p50, p95, p99 }: Percentiles): void {
  const all = [p50, p95, p99].map((value) => value ?? Number.NaN)
  expect(all).toEqual([...all].sort((a, b) => a - b))
  expect(all.every(Number.isFinite)).toBe(true)
}
