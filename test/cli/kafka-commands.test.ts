import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openKafkaLog } from '../../connectors/log/kafka/kafka-log.ts'
import { systemClock } from '../../core/clock.ts'
import { kafkaForTests, startKafka, type TestKafka } from '../support/kafka.ts'
import { type CliOptions, type Ended, type RunningCli, runCli, startCli } from './process.ts'

const EVENTS = 2_000

function event(number: number): string {
  return JSON.stringify({
    event_id: `e${number}`,
    event_name: 'login',
    version: '1.2.0',
    ts: '2025-10-24T11:37:21Z',
    user: { id: `u${number % 50}`, geo: 'TR', platform: 'web', payer_flag: false, risk_flags: [] },
    context: { session_id: 's', device_fp: 'f', ip: '203.0.113.24' },
    payload: {},
  })
}

describe.skipIf(!kafkaForTests().available)('commands over a real Kafka', () => {
  let kafka: TestKafka
  let dir = ''
  /** What a failed test would leave behind: tail waits for a broker as long as it takes. */
  const started: RunningCli[] = []
  // A prefix of its own, so that a cluster that others use too can serve.
  const prefix = `cli-${randomUUID().slice(0, 8)}.`
  const call = (args: readonly string[], options?: CliOptions): Promise<Ended> =>
    runCli([...args, '--brokers', kafka.brokers, '--prefix', prefix], options)
  const linesOf = ({ stdout }: Ended): Record<string, unknown>[] =>
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'onceward-cli-kafka-'))
    kafka = await startKafka()
    const lines = [...Array.from({ length: EVENTS }, (_, i) => event(i)), 'this is no event']
    await writeFile(join(dir, 'events.ndjson.gz'), gzipSync(`${lines.join('\n')}\n`))
  })
  afterAll(async () => {
    for (const { child } of started) child.kill('SIGKILL')
    await kafka?.stop()
    await rm(dir, { recursive: true, force: true })
  })

  test('ingest before the topics are there says how to make them', async () => {
    const { code, stderr } = await call(['ingest', '--events', join(dir, 'events.ndjson.gz')])
    expect(stderr).toMatch(/there is no topic .*events\.raw; .*onceward topics create/)
    expect(code).toBe(1)
  })

  test('topics create makes them, and warns the second time about another number of partitions', async () => {
    const first = await call(['topics', 'create', '--partitions', '4'])
    expect(first).toMatchObject({ code: 0, stderr: '' })
    expect(first.stdout.split('\n').filter((line) => line.startsWith('created'))).toHaveLength(9)
    const second = await call(['topics', 'create', '--partitions', '8'])
    expect(second.code).toBe(0)
    expect(second.stdout).not.toContain('created')
    expect(second.stderr).toMatch(/warning: .*events\.raw has 4 partitions, not 8/)
  })

  test('ingest, tail and lag agree on what is there', async () => {
    const ingested = await call(['ingest', '--events', join(dir, 'events.ndjson.gz')])
    expect(ingested.stderr).toMatch(/^2,000 events written, 1 to the DLQ, in .* a second\)\n$/)
    expect(linesOf(ingested)).toMatchObject([{ lines: EVENTS + 1, events: EVENTS, rejected: 1, complete: true }])

    const events = linesOf(await call(['tail', 'events.raw', '--to-end']))
    expect(new Set(events.map(({ value }) => (value as { event_id: string }).event_id)).size).toBe(EVENTS)
    expect(events).toHaveLength(EVENTS)
    expect(events[0]).toMatchObject({
      topic: `${prefix}events.raw`,
      timestamp: expect.stringMatching(/^20.*Z$/) as string,
    })
    const one = linesOf(await call(['tail', 'events.raw', '--to-end', '--key', 'u7']))
    expect(one).toHaveLength(EVENTS / 50)
    expect(linesOf(await call(['tail', 'dlq', '--to-end']))).toMatchObject([
      { value: { type: 'dlq', reason: 'schema', raw: 'this is no event' } },
    ])

    const lag = await call(['lag', '--application', 'nobody', '--json'])
    expect(linesOf(lag)).toMatchObject([{ lag: EVENTS, groups: [{ group: 'nobody' }] }])
    const waited = await call(['lag', '--application', 'nobody', '--wait', '--timeout', '1s'])
    expect(waited.stderr).toMatch(/after \d+s the lag is still 2,000 records/)
    expect(waited.code).toBe(1)
  })

  test('lag --wait ends with 0 once the group has read everything, markers or not', async () => {
    const waiting = startCli(['lag', '--application', 'done', '--wait', '--brokers', kafka.brokers, '--prefix', prefix])
    const log = await openKafkaLog({ brokers: kafka.brokers.split(','), clock: systemClock })
    const topic = `${prefix}events.raw`
    const ids = [0, 1, 2, 3].map((partition) => ({ topic, partition }))
    const bounds = await log.bounds(ids)
    const positions = ids.map((id, index) => ({ ...id, offset: bounds[index]?.end ?? 0 }))
    const producer = await log.transactional(`${prefix}done`)
    // One more record, accounted for in its own transaction: a marker stays behind the committed position.
    const record = { topic, partition: 0, key: 'u', value: event(EVENTS), timestamp: systemClock.now() }
    const moved = positions.map((position) => ({
      ...position,
      offset: position.offset + (position.partition === 0 ? 1 : 0),
    }))
    await producer.commit({ records: [record], offsets: { group: 'done', positions: moved } })
    await producer.close()
    await log.close()
    const { code, stdout } = await waiting.ended
    expect(stdout).toMatch(/events\.raw {2}group done {2}lag 0/)
    expect(code).toBe(0)
  })

  test('tail follows what is written until Ctrl-C, which it reports as 130', async () => {
    const following = startCli(['tail', 'scores', '--brokers', kafka.brokers, '--prefix', prefix])
    started.push(following)
    const log = await openKafkaLog({ brokers: kafka.brokers.split(','), clock: systemClock })
    const producer = await log.producer()
    await producer.send([
      { topic: `${prefix}scores`, partition: 3, key: 'u', value: '{"points":7}', timestamp: systemClock.now() },
    ])
    await following.until(({ stdout }) => stdout.includes('"points":7'))
    following.child.kill('SIGINT')
    const { code, stderr } = await following.ended
    expect({ code, stderr }).toEqual({ code: 130, stderr: '' })
    await producer.close()
    await log.close()
  })

  test('a reader that goes away ends tail quietly', async () => {
    const cli = startCli(['tail', 'events.raw', '--brokers', kafka.brokers, '--prefix', prefix])
    started.push(cli)
    await cli.until(({ stdout }) => stdout.includes('\n'))
    cli.child.stdout?.destroy()
    const log = await openKafkaLog({ brokers: kafka.brokers.split(','), clock: systemClock })
    const producer = await log.producer()
    await producer.send([
      { topic: `${prefix}events.raw`, partition: 0, key: 'u', value: event(0), timestamp: systemClock.now() },
    ])
    await producer.close()
    await log.close()
    const { code, stderr } = await cli.ended
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })
})
