import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { openKafkaLog } from '../../connectors/log/kafka/kafka-log.ts'
import { systemClock } from '../../core/clock.ts'
import type { Log } from '../../core/ports/log.ts'
import { type RunningCli, runCli, startCli } from '../cli/process.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { kafkaForTests, startKafka, type TestKafka } from '../support/kafka.ts'
import { reference } from '../support/reference.ts'
import { SHARED_RULES } from '../support/shared-rules.ts'
import { QUICK, ThrottledProxy } from '../support/throttled-proxy.ts'

const PARTITIONS = 4
const LINES = generatedBets(40_000, 11)
const HALF = LINES.length / 2
const SLOW = { latencyMs: 20, bytesPerSecond: 300_000 }
const RESIDENT_MIB_MAX = 600

// The broker has to send its clients through the proxy, which a cluster that is there already does not.
const possible = kafkaForTests().available && process.env['KAFKA_BROKERS'] === undefined

describe.skipIf(!possible)('a slow broker', () => {
  const prefix = `slow-${randomUUID().slice(0, 8)}.`
  const application = `${prefix}season`
  let kafka: TestKafka
  let proxy: ThrottledProxy
  let log: Log
  let worker: RunningCli | undefined
  let dir = ''

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'onceward-slow-'))
    mkdirSync(join(dir, 'rules'))
    for (const [name, text] of Object.entries(RULE_FILES)) writeFileSync(join(dir, 'rules', name), text)
    writeFileSync(join(dir, 'first.ndjson'), `${LINES.slice(0, HALF).join('\n')}\n`)
    writeFileSync(join(dir, 'second.ndjson'), `${LINES.slice(HALF).join('\n')}\n`)
    proxy = await ThrottledProxy.open()
    kafka = await startKafka({ proxyPort: proxy.port })
    proxy.target = kafka.proxiedPort ?? 0
    log = await openKafkaLog({ brokers: kafka.brokers.split(','), clock: systemClock })
  }, 120_000)
  afterAll(async () => {
    worker?.child.kill('SIGKILL')
    await worker?.ended
    await log?.close()
    await proxy?.close()
    await kafka?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  async function run(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await runCli([...args, '--brokers', kafka.brokers, '--prefix', prefix])
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
    return stdout
  }

  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({
    topic: `${prefix}events.raw`,
    partition,
  }))
  const committed = async (): Promise<number> =>
    (await log.committed(application, partitions)).reduce<number>((sum, offset) => sum + (offset ?? 0), 0)
  const until = (holds: () => Promise<boolean>): Promise<void> =>
    vi.waitFor(async () => expect(await holds()).toBe(true), { timeout: 90_000, interval: 50 })

  test('slows a worker down and freezes it; nothing is lost or doubled, and it goes on when the broker is quick again', async () => {
    await run('topics', 'create', '--partitions', String(PARTITIONS))
    await run('ingest', '--events', join(dir, 'first.ndjson'))
    proxy.pace = SLOW
    const settings = ['--application', application, '--rules', join(dir, 'rules'), '--state', join(dir, 'state')]
    const through = ['--brokers', `127.0.0.1:${proxy.port}`, '--prefix', prefix, '--session-timeout', '6s']
    const running = (worker = startCli(['worker', ...settings, ...through, '--batch-bytes', '32768']))

    await until(async () => (await committed()) > 0)
    proxy.freeze()
    await run('ingest', '--events', join(dir, 'second.ndjson'))
    // So long that the group gives the worker up.
    await until(async () => (await log.members(application)) === 0)
    const frozenAt = await committed()
    expect(frozenAt).toBeLessThan(HALF)
    proxy.thaw()
    await until(async () => (await committed()) > frozenAt)
    expect(await committed()).toBeLessThan(LINES.length)
    proxy.pace = QUICK
    await run('lag', '--application', application, '--wait', '--timeout', '120s')

    const { rewards, scores } = reference(LINES, { rules: SHARED_RULES })
    expect((await tasks()).sort()).toEqual(rewards)
    expect((await tail('scores')).filter(({ value }) => value.points > 0)).toHaveLength(scores)
    expect(running.child.exitCode).toBeNull()
    const resident = residentMib(running)
    if (resident !== undefined) expect(resident).toBeLessThan(RESIDENT_MIB_MAX)
    running.child.kill('SIGTERM')
    expect(await running.ended).toMatchObject({ code: 0 })
  }, 300_000)

  interface Tailed {
    readonly value: { user_id: string; points: number; origin: { rule_id: string; threshold: number } }
  }

  async function tail(topic: string): Promise<Tailed[]> {
    const lines = (await run('tail', topic, '--to-end')).split('\n').filter((line) => line !== '')
    return lines.map((line) => JSON.parse(line) as Tailed)
  }

  async function tasks(): Promise<string[]> {
    const records = await tail('reward.tasks')
    return records.map(({ value: { user_id, origin } }) => `${user_id}|${origin.rule_id}|${origin.threshold}`)
  }
})

/** The most that the process has had, where the system tells. */
function residentMib({ child }: RunningCli): number | undefined {
  try {
    const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]
    return kib === undefined ? undefined : Number(kib) / 1024
  } catch {
    return undefined
  }
}
