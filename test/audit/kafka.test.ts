import { sql } from '@databases/pg'
import { randomUUID } from 'node:crypto'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { segmentNames, streamRecords } from '../../connectors/audit/records.ts'
import { openKafkaLog } from '../../connectors/log/kafka/kafka-log.ts'
import { systemClock } from '../../core/clock.ts'
import type { Log } from '../../core/ports/log.ts'
import { topicNames } from '../../core/topics.ts'
import { type RunningCli, runCli, startCli } from '../cli/process.ts'
import { book, entries, openWorkbench, type Workbench } from '../ledger/fixtures.ts'
import { out, outs, sendAll } from '../log/harness.ts'
import { sourceOf } from './made-logs.ts'
import { kafkaForTests, startKafka, type TestKafka } from '../support/kafka.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'

const PATIENCE_MS = 90_000

describe.skipIf(!kafkaForTests().available)('audit collect and audit verify', () => {
  const prefix = `audit-${randomUUID().slice(0, 8)}.`
  const topics = topicNames(prefix)
  let dir = ''
  let kafka: TestKafka
  let postgres: TestPostgres
  let bench: Workbench
  let log: Log
  const running: RunningCli[] = []

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'onceward-audit-kafka-'))
    ;[kafka, postgres] = await Promise.all([startKafka(), startTestPostgres()])
    bench = await openWorkbench(postgres)
    log = await openKafkaLog({ brokers: kafka.brokers.split(','), clock: systemClock })
    await log.createTopics([
      { topic: topics.control, partitions: 1, cleanup: 'compact' },
      { topic: topics.auditHeads, partitions: 1, cleanup: 'delete' },
      ...[topics.rewards, topics.dlq, topics.dlqReviews].map(
        (topic) => ({ topic, partitions: 2, cleanup: 'delete' }) as const,
      ),
    ])
  }, 180_000)
  afterAll(async () => {
    for (const { child } of running) child.kill('SIGKILL')
    await Promise.all(running.map(({ ended }) => ended))
    await log?.close()
    await bench?.close()
    await Promise.all([kafka?.stop(), postgres?.stop()])
    rmSync(dir, { recursive: true, force: true })
  })

  const place = (): string[] => [
    '--brokers',
    kafka.brokers,
    '--prefix',
    prefix,
    '--audit',
    join(dir, 'log'),
    '--anchors',
    join(dir, 'anchors'),
  ]

  async function sources(): Promise<string[]> {
    const all: string[] = []
    for await (const records of streamRecords(join(dir, 'log'), 'collector')) {
      for (const { record } of records) {
        if (record.kind !== 'command' && record.kind !== 'decision') continue
        const { topic, partition, offset, table, id } = sourceOf(record.body)
        all.push(table === undefined ? `${topic} ${partition} ${offset}` : `${table} ${id}`)
      }
    }
    return all
  }

  async function collected(count: number, cli: RunningCli): Promise<void> {
    const until = systemClock.monotonic() + PATIENCE_MS
    while (new Set(await sources()).size < count) {
      if (cli.child.exitCode !== null || systemClock.monotonic() > until)
        throw new Error(`${cli.stdout()}\n${cli.stderr()}`)
      await systemClock.sleep(50)
    }
  }

  test('everything is there once, whenever the collector was killed, and a change is named', {
    timeout: 400_000,
  }, async () => {
    const collect = (): RunningCli => {
      const cli = startCli(['audit', 'collect', ...place()], { environment: { ONCEWARD_DB: bench.url } })
      running.push(cli)
      return cli
    }
    let expected = 0
    for (let life = 0; life < 3; life += 1) {
      for (const topic of [topics.control, topics.rewards, topics.dlq, topics.dlqReviews]) {
        await sendAll(log, outs(topic, `${life} `, 300))
      }
      await bench.query(
        sql`INSERT INTO audit_log (actor, action, subject) VALUES ('ann', 'hold.approved', ${`rt_${life}`})`,
      )
      const booked = entries(10 * (life + 1)).slice(10 * life)
      await book(bench.ledger, booked)
      // Killed in the middle, and then once everything is there.
      const cut = collect()
      await collected(expected + 1, cut)
      cut.child.kill('SIGKILL')
      await cut.ended
      // Each reward has two moves.
      expected += 4 * 300 + 1 + 2 * booked.length
      const whole = collect()
      await whole.until(({ stderr }) => stderr.includes('collecting into'), PATIENCE_MS)
      await collected(expected, whole)
      whole.child.kill(life === 2 ? 'SIGTERM' : 'SIGKILL')
      const { code, stderr } = await whole.ended
      if (life === 2) expect({ code, stderr }).toMatchObject({ code: 0 })
    }
    const all = await sources()
    expect(all).toHaveLength(expected)
    expect(new Set(all).size).toBe(expected)

    const sound = await runCli(['audit', 'verify', ...place()])
    expect(sound).toMatchObject({ code: 0, stderr: expect.stringMatching(/nothing was changed/) })
    const shown = await runCli(['audit', 'show', '--audit', join(dir, 'log'), '--request', 'rt_1', '--kind', 'command'])
    expect(shown.stdout.trimEnd().split('\n')).toHaveLength(1)

    const folder = join(dir, 'log')
    const [segment = ''] = await segmentNames(folder, 'collector')
    const path = join(folder, 'collector', segment)
    chmodSync(path, 0o640)
    writeFileSync(path, readFileSync(path, 'utf8').replace('hold.approved', 'hold.rejected'))
    const changed = await runCli(['audit', 'verify', ...place(), '--json'])
    expect(changed.code).toBe(1)
    const [finding = '{}'] = changed.stdout.split('\n')
    expect(JSON.parse(finding)).toMatchObject({ stream: 'collector', what: 'changed', where: segment })
  })

  test('the anchors on the topic alone find a chain that was made anew', { timeout: 60_000 }, async () => {
    const folder = join(dir, 'other')
    const write = async (text: string): Promise<void> => {
      const { anchorTopic } = await import('../../connectors/audit/anchor-topic.ts')
      const { openAuditLog } = await import('../../connectors/audit/audit-log.ts')
      const anchors = text === 'true' ? [anchorTopic(log, topics.auditHeads)] : []
      const audit = await openAuditLog({ folder, stream: 'rewritten', clock: systemClock, anchors })
      await audit.append([{ at: 1, kind: 'decision', body: { text } }])
      await audit.close()
    }
    await write('true')
    rmSync(folder, { recursive: true })
    await write('false')
    const args = ['--brokers', kafka.brokers, '--prefix', prefix, '--audit', folder, '--streams', 'rewritten']
    expect(await runCli(['audit', 'verify', ...args])).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(
        /rewritten\/0{15}1\.audit {2}rewritten: record 1 is not the one that anchor 1 .*\(topic /,
      ),
    })
    await sendAll(log, [out(topics.auditHeads, 'none of ours', { key: 'rewritten' })])
    expect((await runCli(['audit', 'verify', ...args])).stdout).toMatch(
      /offset \d+ of the anchors is none of this stream's/,
    )
  })
})
