import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openKafkaLog } from '../../connectors/log/kafka/kafka-log.ts'
import { systemClock } from '../../core/clock.ts'
import type { ScoreRecord } from '../../core/model/score.ts'
import { partitionOf } from '../../core/partitioner.ts'
import type { Log } from '../../core/ports/log.ts'
import { type RunningCli, runCli, startCli } from '../cli/process.ts'
import { ruleText } from '../rules/rule-texts.ts'
import { eventLine } from '../support/engine.ts'
import { kafkaForTests, startKafka, type TestKafka } from '../support/kafka.ts'

const PARTITIONS = 4
const USERS = Array.from({ length: 40 }, (_, i) => `u_${i}`)
const SECOND = 1_000

describe.skipIf(!kafkaForTests().available)('versions on a real Kafka', () => {
  const prefix = `versions-${randomUUID().slice(0, 8)}.`
  const application = `${prefix}season`
  const topic = `${prefix}events.raw`
  const workers: RunningCli[] = []
  let kafka: TestKafka
  let log: Log
  let dir = ''
  let sent = 0

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'onceward-versions-'))
    for (const [name, version, formula] of [
      ['one', '1.0', '1'],
      ['two', '2.0', '3'],
      ['edited', '1.0', '2'],
    ] as const) {
      mkdirSync(join(dir, name))
      writeFileSync(join(dir, name, 'r.yaml'), ruleText({ version, formula }))
    }
    kafka = await startKafka()
    log = await openKafkaLog({ brokers: kafka.brokers.split(','), clock: systemClock })
  }, 120_000)
  afterAll(async () => {
    for (const { child } of workers) child.kill('SIGKILL')
    await Promise.all(workers.map(({ ended }) => ended))
    await log?.close()
    await kafka?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  const onKafka = (...args: string[]): string[] => [...args, '--brokers', kafka.brokers, '--prefix', prefix]

  async function run(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await runCli(onKafka(...args))
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
    return stdout
  }

  function worker(name: string): RunningCli {
    const flags = ['--application', application, '--state', join(dir, name), '--log-level', 'info']
    // Small batches, so that there is a midway.
    const cli = startCli(onKafka('worker', ...flags, '--batch-bytes', '8192', '--session-timeout', '6s'))
    workers.push(cli)
    return cli
  }

  /** A bet of every player each 100 ms of event time; they come in when they are made. */
  async function send(from: number, until: number): Promise<void> {
    const producer = await log.producer()
    for (let ts = from; ts < until; ts += 100) {
      await producer.send(
        USERS.map((user) => ({
          topic,
          partition: partitionOf(user, PARTITIONS),
          key: user,
          value: eventLine({ id: `e${sent++}`, name: 'bet', ts, user, payload: { bet: 1 } }),
          timestamp: ts,
        })),
      )
    }
    await producer.close()
  }

  async function processed(): Promise<number> {
    const ids = Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition }))
    return (await log.committed(application, ids)).reduce<number>((sum, offset) => sum + (offset ?? 0), 0)
  }

  async function scores(of = ''): Promise<readonly ScoreRecord[]> {
    const lines = (await run('tail', `${of}scores`, '--to-end')).split('\n').filter((line) => line !== '')
    return lines.map((line) => (JSON.parse(line) as { value: ScoreRecord }).value)
  }

  /** Every event once, by the version of its own time. */
  function expectSplit(found: readonly ScoreRecord[], instant: number): void {
    expect(found).toHaveLength(sent)
    expect(new Set(found.map(({ event_id }) => event_id)).size).toBe(sent)
    const wrong = found.filter(({ event_ts, rule_version, points }) => {
      const [version, worth] = Date.parse(event_ts) < instant ? ['1.0', 1] : ['2.0', 3]
      return rule_version !== version || points !== worth
    })
    expect(wrong).toEqual([])
  }

  test('two workers, one killed around the instant: scores split exactly at it, and in a replay as well', async () => {
    await run('topics', 'create', '--partitions', String(PARTITIONS))
    expect(await run('rules', 'publish', join(dir, 'one'))).toBe('published  r 1.0, in effect since ever\n')
    const [one, two] = [worker('one-state'), worker('two-state')]
    const opened = (): number => [one, two].reduce((sum, cli) => sum + count(cli.stderr(), '"decision"'), 0)
    await one.until(() => opened() >= PARTITIONS && count(two.stderr(), '"decision"') > 0, 60_000)

    const begin = systemClock.now()
    await send(begin - 5 * SECOND, begin)
    const edited = await runCli(onKafka('rules', 'publish', join(dir, 'edited')))
    expect(edited.code).toBe(1)
    expect(edited.stderr).toMatch(
      /nothing was published[^]*\n-score: \{ formula: "1" \}\n\+score: \{ formula: "2" \}\n/,
    )
    await run('rules', 'publish', join(dir, 'two'), '--by', 'ann', '--reason', 'triple points')
    const listed = JSON.parse(await run('rules', 'list', '--json')) as {
      rules: { versions: { version: string; effective_from: string; status: string }[] }[]
    }
    const [first, second] = listed.rules[0]?.versions ?? []
    expect([first?.status, second]).toMatchObject([
      'active',
      { version: '2.0', status: 'scheduled', published_by: 'ann', reason: 'triple points' },
    ])
    const instant = Date.parse(second?.effective_from ?? '')
    expect(instant).toBeGreaterThan(begin + 300 * SECOND)
    await one.until(() => [one, two].every((cli) => count(cli.stderr(), '"rules updated"') > 1))

    // What the wall clock would bring in five minutes: Kafka takes times of the near future.
    await send(instant - 5 * SECOND, instant - SECOND)
    const before = await processed()
    const around = send(instant - SECOND, instant + SECOND)
    await untilHolds(async () => (await processed()) > before + USERS.length)
    two.child.kill('SIGKILL')
    await Promise.all([around, two.ended])
    await send(instant + SECOND, instant + 4 * SECOND)
    await run('lag', '--application', application, '--wait', '--timeout', '120s')
    expectSplit(await scores(), instant)

    const shown = await run('rules', 'show', 'r', '--at', new Date(instant - 1).toISOString())
    expect(shown).toContain('# r 1.0: active, in effect since ever\n')
    const replay = ['--from', 'beginning', '--state', join(dir, 'replay'), '--fail-on-difference']
    await run('replay', '--application', `${prefix}again`, ...replay)
    const again = (await log.listTopics()).filter((name) => name.includes('again') && name.endsWith('scores'))
    expect(again).toHaveLength(1)
    expectSplit(await scores(again[0]?.slice(prefix.length, -'scores'.length)), instant)
  }, 240_000)
})

function count(text: string, part: string): number {
  return text.split(part).length - 1
}

async function untilHolds(holds: () => Promise<boolean>): Promise<void> {
  const giveUpAt = systemClock.monotonic() + 60_000
  while (!(await holds())) {
    if (systemClock.monotonic() > giveUpAt) throw new Error('not within 60 s')
    await systemClock.sleep(20)
  }
}
