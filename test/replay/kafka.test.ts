import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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

const BETS = generatedBets(6_000, 41)

describe.skipIf(!kafkaForTests().available)('a replay on a real Kafka, with a real sink behind it', () => {
  const prefix = `replay-${randomUUID().slice(0, 8)}.`
  const season = `${prefix}season`
  const running: RunningCli[] = []
  let kafka: TestKafka
  let postgres: TestPostgres
  let dir = ''

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'onceward-replay-'))
    writeFileSync(join(dir, 'secret'), 'sesame\n')
    // Who the players are comes first: without that no reward is paid.
    writeFileSync(join(dir, 'events.ndjson'), `${[...kycOf(BETS), ...BETS].join('\n')}\n`)
    rules('some', { 'rounds.yaml': RULE_FILES['rounds.yaml'] ?? '' })
    rules('all', RULE_FILES)
    ;[kafka, postgres] = await Promise.all([startKafka(), startTestPostgres()])
  })
  afterAll(async () => {
    for (const { child } of running) child.kill('SIGKILL')
    await Promise.all(running.map(({ ended }) => ended))
    await kafka?.stop()
    await postgres?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  function rules(name: string, files: Readonly<Record<string, string>>): void {
    mkdirSync(join(dir, name))
    for (const [file, text] of Object.entries(files)) writeFileSync(join(dir, name, file), text)
  }
  const onKafka = (...args: string[]): string[] => [...args, '--brokers', kafka.brokers, '--prefix', prefix]
  const start = (args: readonly string[]): RunningCli => {
    const cli = startCli(args)
    running.push(cli)
    return cli
  }
  async function run(args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
    const { code, stdout, stderr } = await runCli(args)
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
    return { stdout, stderr }
  }

  /** A worker that processes everything, and ends. */
  async function season1(application: string, folder: string): Promise<void> {
    const state = ['--state', join(dir, application), '--rules', join(dir, folder)]
    const worker = start(onKafka('worker', '--application', application, ...state))
    await run(onKafka('lag', '--application', application, '--wait', '--timeout', '60s'))
    worker.child.kill('SIGTERM')
    expect(await worker.ended).toMatchObject({ code: 0 })
  }

  const replayOf = (name: string, ...more: string[]): string[] =>
    onKafka(
      'replay',
      '--application',
      `${prefix}${name}`,
      '--from',
      'beginning',
      '--state',
      join(dir, 'replays'),
      ...more,
    )

  /** Stopped with Ctrl-C once it has begun to commit. */
  async function stopMidway(args: readonly string[], application: string): Promise<void> {
    const log = await openKafkaLog({ brokers: kafka.brokers.split(','), clock: systemClock })
    const ids = [0, 1, 2].map((partition) => ({ topic: `${prefix}events.raw`, partition }))
    const replay = start(args)
    await waitFor(async () => (await log.committed(application, ids)).some((offset) => (offset ?? 0) > 50))
    replay.child.kill('SIGINT')
    const { code, stderr } = await replay.ended
    await log.close()
    expect(stderr).toMatch(/ % of the replay is done\nstopped; the same command goes on from here/)
    expect(code).toBe(130)
  }

  async function paid(db: string, wallet: string): Promise<{ rows: number; distinct: number }> {
    await run(onKafka('lag', '--application', season, '--sink-group', `${season}.sink`, '--wait', '--timeout', '60s'))
    const ledger = openPostgresLedger({ url: db })
    try {
      await waitFor(async () => (await ledger.outstanding()) === 0)
      const rows = (await ledger.totals()).reduce((sum, { count }) => sum + count, 0)
      const stats = (await (await fetch(`${wallet}/stats`)).json()) as { distinct: number }
      return { rows, distinct: stats.distinct }
    } finally {
      await ledger.close()
    }
  }

  test('finds nothing where nothing is wrong, issues what was lost, and nothing is ever paid twice', async () => {
    const secret = ['--secret-file', join(dir, 'secret')]
    await run(onKafka('topics', 'create', '--partitions', '3'))
    await run(onKafka('ingest', '--events', join(dir, 'events.ndjson')))
    const partner = start(['partner', '--port', '0', ...secret])
    await partner.until(({ stdout }) => stdout.includes('"url"'))
    const { url: wallet } = JSON.parse(partner.stdout()) as { url: string }
    const db = await postgres.freshDatabase()
    const paying = ['--wallet', wallet, '--allow-hosts', '127.0.0.1']
    start(onKafka('sink', '--db', db, '--allow-non-durable-db', ...paying, '--application', season, ...secret))
    await season1(season, 'some')

    const same = await run(replayOf('same', '--fail-on-difference'))
    expect(same.stdout).toMatch(/r_rounds[^]*no differences\n$/)

    const { rewards } = reference(BETS, { rules: SHARED_RULES })
    const lost = rewards.filter((name) => !name.includes('|r_rounds|')).length
    const mend = replayOf('mend', '--rules', join(dir, 'all'), '--mode', 'apply', '--batch-bytes', '4096')
    await stopMidway(mend, `${prefix}mend`)
    const unasked = await runCli(mend)
    expect(unasked.stderr).toMatch(/continuing the replay[^]*r_points_winmult_v2 2\.0, 100[^]*give --yes/)
    expect(unasked.code).toBe(2)
    const mended = await run([...mend, '--yes'])
    expect(mended.stderr).toContain(`\n${lost} reward tasks issued on ${prefix}reward.tasks\n`)
    expect(await paid(db, wallet)).toEqual({ rows: rewards.length, distinct: rewards.length })

    expect((await run([...mend, '--yes'])).stderr).toContain('nothing is missing; nothing was issued')
    // Another application issues the tasks of the published rules once more: the ledger knows them all.
    await season1(`${prefix}second`, 'some')
    expect(await paid(db, wallet)).toEqual({ rows: rewards.length, distinct: rewards.length })
    const again = rewards.filter((name) => name.includes('|r_rounds|'))
    expect((await tasks()).sort()).toEqual([...rewards, ...again].sort())
  }, 240_000)

  async function tasks(): Promise<string[]> {
    const { stdout } = await run(onKafka('tail', 'reward.tasks', '--to-end'))
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .flatMap((line) => {
        const { value } = JSON.parse(line) as {
          value: { type: string; user_id: string; origin: { rule_id: string; threshold: number } }
        }
        if (value.type === 'player.changed') return []
        return [`${value.user_id}|${value.origin.rule_id}|${value.origin.threshold}`]
      })
  }
})

async function waitFor(holds: () => Promise<boolean>): Promise<void> {
  const giveUpAt = systemClock.monotonic() + 60_000
  while (!(await holds())) {
    if (systemClock.monotonic() > giveUpAt) throw new Error('not within 60 s')
    await systemClock.sleep(20)
  }
}
