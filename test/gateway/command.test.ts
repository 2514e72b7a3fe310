import { createHmac, randomUUID } from 'node:crypto'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { keyHash } from '../../connectors/gateway/keys.ts'
import { openKafkaLog } from '../../connectors/log/kafka/kafka-log.ts'
import { systemClock } from '../../core/clock.ts'
import { type RunningCli, runCli, startCli } from '../cli/process.ts'
import { kafkaForTests, startKafka, type TestKafka } from '../support/kafka.ts'
import { valuesOf } from './bus-reading.ts'
import { type Answer, event, send, type SendOptions } from './gateway-harness.ts'

const EXAMPLES = fileURLToPath(new URL('../../examples/gateway', import.meta.url))
const BACKEND = 'onceward_try_me_not_a_secret_of_anybody'

describe('keys create', () => {
  test('prints the key once, and its line', async () => {
    const { code, stdout } = await runCli(['keys', 'create', '--name', 'web_2'])
    const [key = ''] = stdout.split('\n')
    expect(code).toBe(0)
    expect(stdout).toContain(keyHash(key))
  })

  test('refuses a name that cannot be one', async () => {
    const { code, stderr } = await runCli(['keys', 'create', '--name', 'a b'])
    expect([code, stderr]).toEqual([2, expect.stringContaining('a name for a key')])
  })
})

test.each([
  ['sources:\n  - name: web\n    key: x\n', /gateway\.yaml:3:5: a source has no key "key"; did you mean keys\?/],
  [undefined, /gateway\.yaml cannot be read/],
])('a broken file ends onceward gateway with the place, whether or not Kafka is there', async (text, says) => {
  const dir = await mkdtemp(join(tmpdir(), 'onceward-gateway-'))
  const path = join(dir, 'gateway.yaml')
  if (text !== undefined) await writeFile(path, text)
  const { code, stderr } = await runCli(['gateway', '--brokers', '127.0.0.1:1', '--gateway-file', path])
  await rm(dir, { recursive: true })
  expect([code, stderr]).toEqual([1, expect.stringMatching(says)])
})

describe.skipIf(!kafkaForTests().available)('onceward gateway on Kafka', () => {
  let kafka: TestKafka
  let dir = ''
  let prefix = ''
  const running: RunningCli[] = []

  beforeAll(async () => {
    kafka = await startKafka()
  })
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'onceward-gateway-'))
  })
  afterEach(async () => {
    for (const cli of running.splice(0)) cli.child.kill('SIGKILL')
    await rm(dir, { recursive: true, force: true })
  })
  afterAll(() => kafka?.stop())

  async function start(...more: string[]): Promise<{ cli: RunningCli; port: number }> {
    prefix = `gw-${randomUUID().slice(0, 8)}.`
    await cp(EXAMPLES, dir, { recursive: true })
    const shared = ['--brokers', kafka.brokers, '--prefix', prefix]
    const made = await runCli(['topics', 'create', ...shared, '--partitions', '2'])
    expect(made).toMatchObject({ code: 0 })
    const file = ['--gateway-file', join(dir, 'gateway.yaml'), '--host', '127.0.0.1', '--port', '0']
    const cli = startCli(['gateway', ...shared, ...file, ...more])
    running.push(cli)
    await cli.until(({ stderr }) => /listening on \S+:\d+/.test(stderr), 60_000)
    return { cli, port: Number(/listening on \S+:(\d+)/.exec(cli.stderr())?.[1]) }
  }

  const sendAs = (port: number, key: string, change: SendOptions = {}): Promise<Answer> =>
    send({ port, json: event(), headers: { authorization: `Bearer ${key}` }, ...change })

  async function onTheBus(): Promise<string[]> {
    const log = await openKafkaLog({ brokers: kafka.brokers.split(','), clock: systemClock })
    const values = await valuesOf(log, `${prefix}events.raw`)
    await log.close()
    return values.map((value) => (JSON.parse(value.toString('utf8')) as { event_id: string }).event_id)
  }

  test('takes events and webhooks of the example; a second signal is not needed to end with 0', async () => {
    const { cli, port } = await start('--audit', join(dir, 'audit'))
    expect((await sendAs(port, BACKEND)).status).toBe(202)
    expect((await sendAs(port, BACKEND, { json: { ...event(), event_name: 'nonsense' } })).status).toBe(422)
    const body = await readFile(join(EXAMPLES, 'bodies/gameco-rounds.json'))
    const secret = (await readFile(join(EXAMPLES, 'gameco.secret'), 'utf8')).trim()
    const webhook = (signature: string): Promise<Answer> =>
      send({
        port,
        path: '/v1/webhooks/gameco',
        body,
        headers: {
          authorization: undefined,
          'x-request-id': 'r1',
          'x-timestamp': String(Math.floor(Date.now() / 1_000)),
          'x-signature': `sha256=${signature}`,
        },
      })
    const signed = await webhook(createHmac('sha256', secret).update(body).digest('hex'))
    expect([signed.status, signed.json['rejected']]).toEqual([202, 0])
    expect((await webhook('0'.repeat(64))).status).toBe(401)
    expect((await onTheBus()).length).toBe(1 + Number(signed.json['accepted']))
    cli.child.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ code: 0 })
  })

  test('reads its file anew on SIGHUP, and keeps the old one where the new one is broken', async () => {
    const { cli, port } = await start()
    const path = join(dir, 'gateway.yaml')
    const text = await readFile(path, 'utf8')
    await writeFile(path, text.replace(keyHash(BACKEND), keyHash('the-new-key')))
    cli.child.kill('SIGHUP')
    await cli.until(({ stderr }) => stderr.includes('was read anew'))
    expect((await sendAs(port, BACKEND)).status).toBe(401)
    expect((await sendAs(port, 'the-new-key')).status).toBe(202)
    await writeFile(path, 'sources: []')
    await cli.until(({ stderr }) => stderr.includes('the one before stays in use'))
    expect((await sendAs(port, 'the-new-key')).status).toBe(202)
    await writeFile(path, text)
    await expect.poll(async () => (await sendAs(port, BACKEND)).status, { timeout: 20_000 }).toBe(202)
  })

  test('told to stop under load, it loses no event that it has answered with 202', async () => {
    const { cli, port } = await start()
    const accepted: string[] = []
    const stopped = new AbortController()
    const sender = async (lane: number): Promise<void> => {
      for (let n = 0; !stopped.signal.aborted; n++) {
        const id = `e_${lane}_${n}`
        const answer = await sendAs(port, BACKEND, { json: event(id) }).catch(() => undefined)
        if (answer === undefined) return
        expect([202, 503]).toContain(answer.status)
        if (answer.status === 202) accepted.push(id)
      }
    }
    const load = Promise.all(Array.from({ length: 20 }, (_, lane) => sender(lane)))
    await expect.poll(() => accepted.length, { timeout: 30_000 }).toBeGreaterThan(100)
    cli.child.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ code: 0 })
    stopped.abort()
    await load
    const there = new Set(await onTheBus())
    expect(accepted.filter((id) => !there.has(id))).toEqual([])
  })
})
