import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import { openKafkaLog } from '../../connectors/log/kafka/kafka-log.ts'
import { systemClock } from '../../core/clock.ts'
import { type RunningCli, runCli, startCli } from '../cli/process.ts'
import { kycOf } from '../support/engine.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { kafkaForTests, startKafka, type TestKafka } from '../support/kafka.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { reference } from '../support/reference.ts'
import { SHARED_RULES } from '../support/shared-rules.ts'
import { sharedData } from '../support/workload.ts'

const shared = sharedData()

interface Input {
  readonly events: string
  readonly rules: string
  /** `user|rule|threshold`, sorted. */
  readonly rewards: readonly string[]
  readonly scores: number
}

describe.skipIf(!kafkaForTests().available)('the whole system on a real Kafka and a real Postgres', () => {
  const prefix = `e2e-${randomUUID().slice(0, 8)}.`
  const application = `${prefix}season`
  const running: RunningCli[] = []
  let kafka: TestKafka
  let postgres: TestPostgres
  let dir = ''

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'onceward-e2e-'))
    writeFileSync(join(dir, 'secret'), 'sesame\n')
    ;[kafka, postgres] = await Promise.all([startKafka(), startTestPostgres()])
  })
  afterAll(async () => {
    for (const { child } of running) child.kill('SIGKILL')
    await Promise.all(running.map(({ ended }) => ended))
    await kafka?.stop()
    await postgres?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  const start = (args: readonly string[]): RunningCli => {
    const cli = startCli(args)
    running.push(cli)
    return cli
  }
  const onKafka = (...args: string[]): string[] => [...args, '--brokers', kafka.brokers, '--prefix', prefix]

  function worker(name: string, rules: string): RunningCli {
    const flags = ['--application', application, '--rules', rules, '--state', join(dir, name), '--metrics-port', '0']
    // Small batches, so that there is a midway.
    const pace = ['--batch-bytes', '8192', '--session-timeout', '6s', '--log-level', 'info']
    return start(onKafka('worker', ...flags, ...pace))
  }

  test('a worker killed midway comes back from its own disk, and each reward is paid once', async () => {
    const input = shared === undefined ? generated(dir) : realBets(shared, dir)
    await run(onKafka('topics', 'create', '--partitions', '4'))
    const partner = start([
      'partner',
      '--port',
      '0',
      '--secret-file',
      join(dir, 'secret'),
      '--seed',
      '7',
      '--fail-rate',
      '0.1',
      '--timeout-rate',
      '0.05',
    ])
    await partner.until(({ stdout, stderr }) => /http:\/\/\S+/.test(stdout + stderr))
    const wallet = /http:\/\/[^\s"]+:\d+/.exec(partner.stdout() + partner.stderr())?.[0] ?? ''
    const db = await postgres.freshDatabase()
    const sink = start([
      ...onKafka('sink', '--db', db, '--wallet', wallet, '--secret-file', join(dir, 'secret')),
      '--allow-hosts',
      '127.0.0.1',
      '--allow-non-durable-db',
      '--application',
      application,
      '--wallet-timeout',
      '500ms',
    ])
    await run(onKafka('ingest', '--events', input.events))

    const first = worker('one', input.rules)
    const second = worker('two', input.rules)
    await second.until(() => recovered(second) > 0 && recovered(first) > 0, 60_000)
    // Whose first batch is committed but not yet in its store has nothing on its disk to come back from.
    for (let commits = 0; commits < 2; commits++) await untilAllMove()
    second.child.kill('SIGKILL')
    await second.ended
    const again = worker('two', input.rules)
    await run(onKafka('lag', '--application', application, '--wait', '--timeout', '120s'))

    const decisions = linesOf(again).flatMap(({ decision }) => (decision === undefined ? [] : [decision]))
    expect(decisions.length).toBeGreaterThan(0)
    for (const decision of decisions) expect(decision).toMatch(/^(ready|replay-tail)$/)

    const tasks = await tail('reward.tasks')
    // Beside them stand the records that say what became known of players.
    const rewards = tasks
      .filter(({ value }) => value.type.startsWith('reward_task.'))
      .map(({ value }) => `${value.user_id}|${value.origin.rule_id}|${value.origin.threshold}`)
      .sort()
    expect(rewards).toEqual(input.rewards)
    const scores = (await tail('scores')).filter(({ value }) => value.points > 0)
    expect(scores).toHaveLength(input.scores)

    const ledger = openPostgresLedger({ url: db })
    try {
      await waitFor(async () => (await ledger.outstanding()) === 0 && (await rows(ledger)) === input.rewards.length)
      const totals = await ledger.totals()
      expect(totals.every(({ status }) => status === 'succeeded')).toBe(true)
    } finally {
      await ledger.close()
    }
    const stats = (await (await fetch(`${wallet}/stats`)).json()) as { distinct: number; calls: number }
    expect(stats.distinct).toBe(input.rewards.length)
    expect(stats.calls).toBeGreaterThan(stats.distinct)

    for (const service of [first, again, sink, partner]) service.child.kill('SIGTERM')
    for (const service of [first, again, sink, partner]) expect(await service.ended).toMatchObject({ code: 0 })
  }, 240_000)

  /** Each partition's position moves on, or has come to its end. */
  async function untilAllMove(): Promise<void> {
    const log = await openKafkaLog({ brokers: [kafka.brokers], clock: systemClock })
    try {
      const inputs = [0, 1, 2, 3].map((partition) => ({ topic: `${prefix}events.raw`, partition }))
      const ends = await log.bounds(inputs)
      const before = await log.committed(application, inputs)
      await waitFor(async () => {
        const now = await log.committed(application, inputs)
        return now.every((at, p) => at !== undefined && (at > (before[p] ?? 0) || at === ends[p]?.end))
      })
    } finally {
      await log.close()
    }
  }

  async function run(args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await runCli(args)
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
    return stdout
  }

  interface Tailed {
    readonly value: { type: string; user_id: string; points: number; origin: { rule_id: string; threshold: number } }
  }

  async function tail(topic: string): Promise<Tailed[]> {
    const out = await run(onKafka('tail', topic, '--to-end'))
    return out
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Tailed)
  }
})

function linesOf(cli: RunningCli): Record<string, unknown>[] {
  return cli
    .stderr()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

/** How many partitions the worker has recovered so far. */
function recovered(cli: RunningCli): number {
  return linesOf(cli).filter(({ decision }) => decision !== undefined).length
}

async function rows(ledger: { totals(): Promise<readonly { readonly count: number }[]> }): Promise<number> {
  return (await ledger.totals()).reduce((sum, { count }) => sum + count, 0)
}

async function waitFor(holds: () => Promise<boolean>): Promise<void> {
  const giveUpAt = systemClock.monotonic() + 60_000
  while (!(await holds())) {
    if (systemClock.monotonic() > giveUpAt) throw new Error('not within 60 s')
    await systemClock.sleep(100)
  }
}

function realBets(shared: string, dir: string): Input {
  const data = (name: string): string => join(shared, 'data', name)
  const bets = gunzipSync(readFileSync(data('bets.ndjson.gz')))
    .toString()
    .trim()
    .split('\n')
  const expected = JSON.parse(readFileSync(data('expected.json'), 'utf8')) as { rewards: string[]; scores: number }
  return {
    events: withKyc(bets, dir),
    rules: data('rules'),
    rewards: expected.rewards.sort(),
    scores: expected.scores,
  }
}

/** The bets, after the events that say who the players are: without them no reward is paid. */
function withKyc(bets: readonly string[], dir: string): string {
  const events = join(dir, 'events.ndjson')
  writeFileSync(events, `${[...kycOf(bets), ...bets].join('\n')}\n`)
  return events
}

function generated(dir: string): Input {
  const rules = join(dir, 'rules')
  mkdirSync(rules)
  for (const [name, text] of Object.entries(RULE_FILES)) writeFileSync(join(rules, name), text)
  const lines = generatedBets(20_000, 3)
  const events = withKyc(lines, dir)
  const { rewards, scores } = reference(lines, { rules: SHARED_RULES })
  return { events, rules, rewards, scores }
}
