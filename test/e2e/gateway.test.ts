import { createHmac, randomUUID } from 'node:crypto'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { keyHash } from '../../connectors/gateway/keys.ts'
import { openKafkaLog } from '../../connectors/log/kafka/kafka-log.ts'
import { systemClock as clock } from '../../core/clock.ts'
import { startCli, runCli, type RunningCli } from '../cli/process.ts'
import { valuesOf } from '../gateway/bus-reading.ts'
import { kafkaForTests, startKafka, type TestKafka } from '../support/kafka.ts'
import { Senders, whatIsWrong } from './gateway-senders.ts'

const KEY = 'onceward_e2e'
const LANES = 24
/** How long each part of a test goes on: ONCEWARD_GATEWAY_SECONDS=20 is what the issue asks for. */
const SECONDS = Number(process.env['ONCEWARD_GATEWAY_SECONDS'] ?? 3)
const EXAMPLES = fileURLToPath(new URL('../../examples/gateway', import.meta.url))

interface Gateway {
  readonly cli: RunningCli
  readonly port: number
}

describe.skipIf(!kafkaForTests().available)('the gateway on a real Kafka, whatever breaks', () => {
  let kafka: TestKafka
  let dir = ''
  const running: RunningCli[] = []

  beforeAll(async () => {
    kafka = await startKafka()
    dir = await mkdtemp(join(tmpdir(), 'onceward-gateway-e2e-'))
    await cp(EXAMPLES, dir, { recursive: true })
    const limits = '{ events_per_second: 1000000, burst: 10000000, body: 1MiB, batch: 500 }'
    const source = `  - { name: backend, keys: [{ id: k_1, hash: "sha256:${keyHash(KEY)}" }], limits: ${limits} }`
    const example = await readFile(join(dir, 'gateway.yaml'), 'utf8')
    const providers = example.slice(example.indexOf('\nproviders:'))
    await writeFile(join(dir, 'gateway.yaml'), `sources:\n${source}\n${providers}`)
  })
  afterEach(() => {
    for (const cli of running.splice(0)) cli.child.kill('SIGKILL')
  })
  afterAll(async () => {
    await kafka?.stop()
    await rm(dir, { recursive: true, force: true })
  })

  async function createTopics(): Promise<string> {
    const prefix = `gw-${randomUUID().slice(0, 8)}.`
    const made = await runCli(['topics', 'create', '--brokers', kafka.brokers, '--prefix', prefix, '--partitions', '4'])
    expect(made).toMatchObject({ code: 0 })
    return prefix
  }

  async function startGateway(prefix: string, port: number): Promise<Gateway> {
    const where = ['--brokers', kafka.brokers, '--prefix', prefix, '--host', '127.0.0.1', '--port', String(port)]
    const cli = startCli(['gateway', ...where, '--gateway-file', join(dir, 'gateway.yaml')])
    running.push(cli)
    await cli.until(({ stderr }) => /listening on \S+:\d+/.test(stderr), 60_000)
    return { cli, port: Number(/listening on \S+:(\d+)/.exec(cli.stderr())?.[1]) }
  }

  async function onBus(prefix: string): Promise<readonly string[]> {
    const log = await openKafkaLog({ brokers: kafka.brokers.split(','), clock })
    const values = await valuesOf(log, `${prefix}events.raw`)
    await log.close()
    return values.map((value) => (JSON.parse(value.toString()) as { event_id: string }).event_id)
  }

  function post(port: number, event: object, signal?: AbortSignal): Promise<Response> {
    const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }
    const request = { method: 'POST', headers, body: JSON.stringify(event), ...(signal && { signal }) }
    return fetch(`http://127.0.0.1:${port}/v1/events`, request)
  }

  /** Sends until one is refused, which is not one that the send under way has taken along. */
  async function refusedEvent(port: number): Promise<{ readonly id: string; readonly response: Response }> {
    for (let n = 0; ; n++) {
      const id = `probe-${n}`
      const response = await post(port, bet(id), AbortSignal.timeout(5_000)).catch(() => undefined)
      if (response?.status === 503) return { id, response }
    }
  }

  const bet = (id: string, bet = 1): object => ({
    event_id: id,
    event_name: 'bet',
    ts: '2026-11-28T09:00:00Z',
    user: { id: 'u_1' },
    payload: { bet },
  })

  it('killed in mid-load: what was answered 202 is there, what was refused is not, and the next one knows what it accepted', {
    timeout: 120_000 + SECONDS * 3_000,
  }, async () => {
    const prefix = await createTopics()
    const first = await startGateway(prefix, await freePort())
    const senders = new Senders({ run: 'kill', key: KEY, port: () => first.port })
    senders.start(LANES)
    const early = async (): Promise<readonly string[]> => senders.accepted.slice(0, 40)
    await expect.poll(async () => (await early()).length, { timeout: 60_000 }).toBe(40)
    await clock.sleep(SECONDS * 1_000)
    first.cli.child.kill('SIGKILL')
    await first.cli.ended
    const before = senders.accepted.length
    const second = await startGateway(prefix, first.port)
    await expect.poll(() => senders.accepted.length, { timeout: 60_000 }).toBeGreaterThan(before + 200)
    await clock.sleep(SECONDS * 1_000)
    await senders.stop()
    expect([...senders.statuses.keys()].filter((status) => ![202, 422, 503].includes(status))).toEqual([])
    expect([...senders.told.values()].some(({ unanswered }) => unanswered)).toBe(true)
    const there = await onBus(prefix)
    expect(whatIsWrong(senders.told, there)).toEqual([])
    // Those of the beginning are told to the next one before it listens: the same again is accepted, and not sent again.
    const again = (await early()).slice(0, 5)
    for (const id of again) expect((await post(second.port, bet(id, 2))).status).toBe(409)
    expect(await onBus(prefix)).toHaveLength(there.length)
  })

  it('without its broker for a while: it refuses with Retry-After, stays small, and takes events again, and none is lost', {
    timeout: 180_000 + SECONDS * 4_000,
  }, async () => {
    const prefix = await createTopics()
    const gateway = await startGateway(prefix, await freePort())
    const senders = new Senders({ run: 'broker', key: KEY, port: () => gateway.port })
    senders.start(LANES)
    await expect.poll(() => senders.accepted.length, { timeout: 60_000 }).toBeGreaterThan(2_000)
    const rssBefore = await rssMiB(gateway)
    let rssMost = rssBefore
    const over = new AbortController()
    const watch = (async () => {
      for (; !over.signal.aborted; await clock.sleep(100, over.signal))
        rssMost = Math.max(rssMost, await rssMiB(gateway))
    })()
    // First it does not answer, then it is not there, then it comes back.
    kafka.pause()
    const refused = await refusedEvent(gateway.port)
    expect(Number(refused.response.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await refused.response.json()).toMatchObject({ error: { code: 'ONCEWARD_E_LOG_UNAVAILABLE' } })
    await clock.sleep(SECONDS * 1_000)
    await kafka.restart({ kill: true })
    const before = senders.accepted.length
    await expect.poll(() => senders.accepted.length, { timeout: 60_000 }).toBeGreaterThan(before + 500)
    await senders.stop()
    over.abort()
    await watch
    expect(senders.statuses.get(503)).toBeGreaterThan(0)
    expect([...senders.statuses.keys()].filter((status) => ![202, 422, 503].includes(status))).toEqual([])
    const there = await onBus(prefix)
    const own = there.filter((id) => !id.startsWith('probe-'))
    expect(whatIsWrong(senders.told, own)).toEqual([])
    expect(there).not.toContain(refused.id)
    expect(rssMost - rssBefore).toBeLessThan(200)
  })

  it('two of them: what one has answered, the other answers as well', { timeout: 120_000 }, async () => {
    const prefix = await createTopics()
    const [one, other] = await Promise.all([startGateway(prefix, 0), startGateway(prefix, 0)])
    expect((await post(one.port, bet('shared'))).status).toBe(202)
    const body = await readFile(join(dir, 'bodies/gameco-rounds.json'))
    const secret = (await readFile(join(dir, 'gameco.secret'), 'utf8')).trim()
    const signed = (port: number, requestId: string): Promise<Response> =>
      fetch(`http://127.0.0.1:${port}/v1/webhooks/gameco`, {
        method: 'POST',
        body,
        headers: {
          'content-type': 'application/json',
          'x-request-id': requestId,
          'x-timestamp': String(Math.floor(clock.now() / 1_000)),
          'x-signature': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
        },
      })
    const answer = await signed(one.port, 'r')
    const text = await answer.text()
    expect([answer.status, answer.headers.get('idempotent-replay')]).toEqual([202, null])
    // The other hears of it within moments, in the order of the topic; until then it takes again what is sent.
    for (let n = 0, status = 0; status !== 409; n++) {
      await post(one.port, bet(`probe-${n}`))
      ;({ status } = await post(other.port, bet(`probe-${n}`, 2)))
    }
    expect((await post(other.port, bet('shared'))).status).toBe(202)
    expect((await post(other.port, bet('shared', 2))).status).toBe(409)
    for (let n = 0, replay: string | null = null; replay === null; n++) {
      await signed(one.port, `probe-${n}`)
      replay = (await signed(other.port, `probe-${n}`)).headers.get('idempotent-replay')
    }
    const replay = await signed(other.port, 'r')
    expect([replay.status, replay.headers.get('idempotent-replay'), await replay.text()]).toEqual([202, 'true', text])
    expect((await onBus(prefix)).filter((id) => id === 'shared')).toHaveLength(1)
  })
})

async function rssMiB({ cli }: Gateway): Promise<number> {
  const status = await readFile(`/proc/${cli.child.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1_024
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}
