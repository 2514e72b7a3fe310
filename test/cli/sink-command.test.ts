import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import { openKafkaLog } from '../../connectors/log/kafka/kafka-log.ts'
import { systemClock } from '../../core/clock.ts'
import { rewardTaskId } from '../../core/ids.ts'
import type { RewardTask } from '../../core/model/reward.ts'
import { partitionOf } from '../../core/partitioner.ts'
import { kafkaForTests, startKafka, type TestKafka } from '../support/kafka.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { type RunningCli, runCli, startCli } from './process.ts'

const TASKS = 120

function task(number: number): RewardTask {
  const userId = `u_${number}`
  return {
    type: 'reward_task.created',
    reward_task_id: rewardTaskId(userId, 'r_test', 'all', 100),
    user_id: userId,
    origin: { rule_id: 'r_test', rule_version: '1.0', threshold: 100, period: 'all', event_id: `e_${number}` },
    reward: { type: 'bonus_cash', amount: 2, currency: 'EUR', wagering: 15 },
    pool_id: 'nov_season',
    guardrails: { kyc_min_level: 2 },
    kyc: { required: 2, level: 2 },
    status: 'pending',
    created_at: '2025-11-03T11:38:30.000Z',
  }
}

describe.skipIf(!kafkaForTests().available)('sink and partner as processes', () => {
  const prefix = `sink-${randomUUID().slice(0, 8)}.`
  let kafka: TestKafka
  let postgres: TestPostgres
  let dir = ''
  const running: RunningCli[] = []
  const start = (args: readonly string[]): RunningCli => {
    const cli = startCli(args)
    running.push(cli)
    return cli
  }

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'onceward-cli-sink-'))
    await writeFile(join(dir, 'secret'), 'sesame\n')
    ;[kafka, postgres] = await Promise.all([startKafka(), startTestPostgres()])
  })
  afterAll(async () => {
    for (const cli of running) cli.child.kill('SIGKILL')
    await Promise.all([kafka?.stop(), postgres?.stop()])
    await rm(dir, { recursive: true, force: true })
  })

  async function sendTasks(): Promise<void> {
    const log = await openKafkaLog({ brokers: kafka.brokers.split(','), clock: systemClock })
    const producer = await log.producer()
    const records = Array.from({ length: TASKS }, (_, number) => {
      const value = task(number)
      return {
        topic: `${prefix}reward.tasks`,
        partition: partitionOf(value.user_id, 2),
        key: value.user_id,
        value: JSON.stringify(value),
        timestamp: systemClock.now(),
      }
    })
    // Twice, as a replay would.
    await producer.send([...records, ...records])
    await producer.close()
    await log.close()
  }

  test('every task is paid once although the wallet fails, health and metrics tell, SIGTERM ends it with 0', async () => {
    const broker = ['--brokers', kafka.brokers, '--prefix', prefix]
    expect(await runCli(['topics', 'create', '--partitions', '2', ...broker])).toMatchObject({ code: 0 })
    await sendTasks()
    const secret = ['--secret-file', join(dir, 'secret')]
    const partner = start(['partner', '--port', '0', '--fail-rate', '20%', '--seed', '7', ...secret])
    await partner.until(({ stdout }) => stdout.includes('"url"'))
    const { url } = JSON.parse(partner.stdout()) as { url: string }
    const db = await postgres.freshDatabase()
    const sink = start(
      [
        'sink',
        '--application',
        'season',
        '--wallet',
        url,
        '--allow-hosts',
        '127.0.0.1',
        '--db',
        db,
        '--allow-non-durable-db',
        '--metrics-port',
        '0',
        '--metrics-host',
        '127.0.0.1',
        '--log-level',
        'info',
      ].concat(secret, broker),
    )
    await sink.until(({ stderr }) => stderr.includes('/readyz'))
    const port = /"port":(\d+)/.exec(sink.stderr())?.[1] ?? ''
    const ready = async (): Promise<number> => (await fetch(`http://127.0.0.1:${port}/readyz`)).status

    const lag = await runCli([
      'lag',
      '--application',
      'season',
      '--sink-group',
      'season.sink',
      '--wait',
      '--timeout',
      '60s',
      '--json',
      ...broker,
    ])
    expect(lag).toMatchObject({ code: 0 })
    expect(JSON.parse(lag.stdout)).toMatchObject({ lag: 0, groups: [{ group: 'season' }, { group: 'season.sink' }] })
    const ledger = openPostgresLedger({ url: db })
    for (let tries = 0; (await ledger.outstanding()) > 0 && tries < 600; tries++) await systemClock.sleep(100)
    expect(await ledger.totals()).toMatchObject([{ status: 'succeeded', count: TASKS }])
    await ledger.close()
    expect(await ready()).toBe(200)
    const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    expect(page).toContain(`onceward_payouts_total{outcome="succeeded",role="sink"} ${TASKS}`)
    expect(page).toMatch(/onceward_wallet_seconds_count\{role="sink",outcome="retry",partner="wallet"\} [1-9]/)
    expect(page).toContain('onceward_partner_breaker{partner="wallet",role="sink"} 0')

    sink.child.kill('SIGTERM')
    expect(await sink.ended).toMatchObject({ code: 0 })
    expect(sink.stderr()).not.toContain('sesame')
    partner.child.kill('SIGTERM')
    const { code, stdout } = await partner.ended
    expect(code).toBe(0)
    expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ distinct: TASKS, differing_repeats: 0 })
  })
})
