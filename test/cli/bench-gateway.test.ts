import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { GatewayFigures } from '../../cli/bench/gateway.ts'
import { runPhase } from '../../cli/bench/gateway-load.ts'
import { gatewayFindings, gatewayReport } from '../../cli/bench/gateway-report.ts'
import { systemClock as clock } from '../../core/clock.ts'
import { kafkaForTests, startKafka, type TestKafka } from '../support/kafka.ts'
import { runCli } from './process.ts'

const MEASURED = { requests: 2_000, seconds: 1, p50: 2, p95: 20, p99: 40, greatest: 60, errors: {} }
const SINGLES = {
  ...MEASURED,
  kind: 'singles',
  events: 2_000,
  accepted: 3_000,
  cpuSeconds: 0.3,
  rssBytes: 2 ** 27,
} as const
const BATCHES = { ...SINGLES, kind: 'batches', events: 40_000, accepted: 50_000 } as const
const GOOD: GatewayFigures = { phases: [SINGLES, BATCHES], onBus: 53_000, audited: false }

describe('what bench gateway says of its figures', () => {
  test.each<[string, Partial<GatewayFigures>, readonly RegExp[]]>([
    ['all is well', {}, []],
    ['slow answers', { phases: [{ ...SINGLES, p95: 50 }, BATCHES] }, [/p95 of single events is 50\.0 ms/]],
    ['too few events', { phases: [SINGLES, { ...BATCHES, events: 29_999 }] }, [/29,999 events a second/]],
    [
      'an error',
      { phases: [{ ...SINGLES, errors: { 'status 503': 7 } }, BATCHES] },
      [/7 requests of the singles were not answered 202 but: status 503/],
    ],
    ['nothing measured', { phases: [{ ...SINGLES, requests: 0 }, BATCHES] }, [/no request of the singles/]],
    ['an accepted event that is nowhere', { onBus: 52_999 }, [/53,000 events were accepted, and 52,999 stand/]],
    ['one that stands there twice', { onBus: 53_001 }, [/53,000 events were accepted, and 53,001 stand/]],
  ])('%s', (_, change, findings) => {
    expect(gatewayFindings({ ...GOOD, ...change })).toEqual(findings.map((said) => expect.stringMatching(said)))
  })

  test('a row for each kind of request', () => {
    const report = gatewayReport(GOOD)
    expect(report).toMatch(/^single events +2,000 +2,000 +2\.0 +20\.0 +40\.0 +60\.0 +100\.0 +128 MiB$/m)
    expect(report).toMatch(/^batches +2,000 +40,000 /m)
  })
})

describe('the load', () => {
  const servers: Server[] = []
  afterEach(() => {
    for (const server of servers.splice(0)) server.close()
  })

  /** Answers each request as `answer` says, which may be late or never. */
  async function serve(answer: (request: string, socket: Socket) => void): Promise<number> {
    const server = createServer((socket) => {
      let text = ''
      socket.on('data', (data) => {
        text += data.toString('latin1')
        for (;;) {
          const head = text.indexOf('\r\n\r\n')
          const length = Number(/content-length: (\d+)/.exec(text)?.[1])
          if (head === -1 || text.length < head + 4 + length) return
          answer(text.slice(head + 4, head + 4 + length), socket)
          text = text.slice(head + 4 + length)
        }
      })
      socket.on('error', () => undefined)
    })
    servers.push(server)
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  const ok = (accepted: number): string => {
    const body = `{"accepted":${accepted},"rejected":0,"events":[]}`
    return `HTTP/1.1 202 Accepted\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  }
  const job = (port: number) => ({ job: { port, key: 'k', run: 'r', phases: [] }, clock })
  const singles = { kind: 'singles', rate: 200, warmUpSeconds: 0, seconds: 1 } as const

  test('is held by no slow answer, and counts what one kept waiting', async () => {
    const stalled: Socket[] = []
    let seen = 0
    const begun = clock.monotonic()
    const port = await serve((_, socket) => {
      seen++
      // For the first half of the time nobody is answered.
      if (clock.monotonic() - begun > 500) socket.write(ok(1))
      else stalled.push(socket)
    })
    const answering = clock.sleep(500).then(() => stalled.splice(0).forEach((socket) => socket.write(ok(1))))
    const figures = await runPhase(job(port), singles, 0)
    await answering
    expect({ seen, ...figures }).toMatchObject({ seen: 200, requests: 200, events: 200, accepted: 200, errors: {} })
    expect(figures.greatest).toBeGreaterThan(300)
    expect(figures.p95).toBeGreaterThan(200)
  })

  test('sends what is due last also where nothing is under way any more', async () => {
    let answered = 0
    const port = await serve((_, socket) => socket.write(ok(1), () => void answered++))
    // All that is due after the first falls into its last look at the clock.
    let now = 0
    const jumping = {
      ...clock,
      monotonic: () => now,
      sleep: async () => {
        await vi.waitFor(() => expect(answered).toBeGreaterThan(0))
        await clock.sleep(20)
        now += 10_000
      },
    }
    const figures = await runPhase({ ...job(port), clock: jumping }, { ...singles, rate: 5 }, 0)
    expect(figures).toMatchObject({ requests: 5, accepted: 5, errors: {} })
  })

  test('tells by what it was answered where that is no success, and goes on', async () => {
    let n = 0
    const port = await serve((_, socket) => {
      n++
      if (n === 1) socket.write('HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}')
      else if (n === 2) socket.write(ok(0))
      else if (n === 3) socket.destroy()
      else socket.write(ok(1))
    })
    const figures = await runPhase(job(port), { ...singles, rate: 50 }, 0)
    expect(figures.errors).toEqual({ 'status 503': 1, 'status 202': 1, 'the connection was cut': 1 })
    expect(figures).toMatchObject({ requests: 50, accepted: 47 })
  })

  test('sends batches of events with ids of their own', async () => {
    const ids = new Set<string>()
    const port = await serve((body, socket) => {
      for (const { event_id } of JSON.parse(body) as { event_id: string }[]) ids.add(event_id)
      socket.write(ok(100))
    })
    const batches = { kind: 'batches', size: 100, atOnce: 3, warmUpSeconds: 0, seconds: 0.2 } as const
    const { accepted, errors } = await runPhase(job(port), batches, 0)
    expect(errors).toEqual({})
    expect(ids.size).toBe(accepted)
  })
})

describe.skipIf(!kafkaForTests().available)('bench gateway on a real Kafka', () => {
  let kafka: TestKafka
  let dir = ''

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'onceward-bench-gateway-'))
    kafka = await startKafka()
  })
  afterAll(async () => {
    await kafka?.stop()
    await rm(dir, { recursive: true, force: true })
  })

  test('measures a gateway, counts its events on the bus, and leaves no files behind', {
    timeout: 120_000,
  }, async () => {
    const load = ['--request-rate', '100', '--rate-seconds', '2', '--batch-seconds', '1', '--warm-up', '0', '--audited']
    const { code, stdout, stderr } = await runCli([
      'bench',
      'gateway',
      '--brokers',
      kafka.brokers,
      '--dir',
      dir,
      '--json',
      ...load,
    ])
    // Its goals are for a machine of its own: here it only has to have measured.
    expect({ code, stderr }).toMatchObject({ code: expect.toSatisfy((exit: number) => exit === 0 || exit === 1) })
    const { phases, onBus, findings } = JSON.parse(stdout) as GatewayFigures & { findings: string[] }
    expect(phases.map(({ kind, errors }) => [kind, errors])).toEqual([
      ['singles', {}],
      ['batches', {}],
    ])
    expect(phases[0]?.accepted).toBe(200)
    expect(onBus).toBe(phases.reduce((sum, { accepted }) => sum + accepted, 0))
    expect(findings.filter((finding) => finding.includes('on the bus'))).toEqual([])
    for (const { cpuSeconds, rssBytes } of phases) {
      expect(cpuSeconds).toBeGreaterThan(0)
      expect(rssBytes).toBeGreaterThan(2 ** 20)
    }
    expect(await readdir(dir)).toEqual([])
  })
})
