import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { createLogger } from '../../connectors/observe/logger.ts'
import { createMetrics } from '../../connectors/observe/metrics.ts'
import { type HealthServer, startHealthServer } from '../../connectors/observe/health-server.ts'
import type { HealthReport } from '../../core/ports/health.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { silentMetrics } from '../../core/ports/metrics.ts'

const servers: HealthServer[] = []
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
})

async function serve(
  health: () => HealthReport,
  metrics = createMetrics({ role: 'worker' }),
  port = 0,
): Promise<string> {
  const server = await startHealthServer({ port, host: '127.0.0.1', metrics, health, logger: silentLogger })
  servers.push(server)
  return `http://127.0.0.1:${server.port}`
}

const WELL: HealthReport = { alive: true, ready: true, reasons: [] }

describe('metrics', () => {
  test('everything that the port names is on the page, with a role and a help', async () => {
    const metrics = createMetrics({ role: 'worker' })
    metrics.events.add(3, { partition: 0 })
    metrics.events.add(2, { partition: 0 })
    metrics.deadLetters.add(1, { reason: 'late' })
    metrics.lagRecords.set(7, { topic: 'events.raw', partition: 1 })
    metrics.commitSeconds.observe(0.02, { partition: 0 })
    const { body } = await metrics.page()
    expect(body).toContain('onceward_events_total{partition="0",role="worker"} 5')
    expect(body).toContain('onceward_dlq_total{reason="late",role="worker"} 1')
    expect(body).toContain('onceward_lag_records{topic="events.raw",partition="1",role="worker"} 7')
    expect(body).toContain('onceward_commit_seconds_bucket{le="0.025",role="worker",partition="0"} 1')
    expect(body).toContain('process_cpu_seconds_total')
  })

  test('names follow the conventions: counters end in _total, histograms and gauges in a unit or a thing', async () => {
    const { body } = await createMetrics({ role: 'x' }).page()
    const types = [...body.matchAll(/^# TYPE (onceward_\w+) (\w+)$/gm)]
    expect(types).toHaveLength(Object.keys(silentMetrics).length)
    for (const [, name = '', type] of types) {
      expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter'])
      if (type === 'histogram') expect(name).toMatch(/_(seconds|records)$/)
    }
  })

  test('a partition that was handed over is gone from the page', async () => {
    const metrics = createMetrics({ role: 'worker' })
    metrics.lagSeconds.set(1, { topic: 't', partition: 1 })
    metrics.lagSeconds.remove({ topic: 't', partition: 1 })
    expect((await metrics.page()).body).not.toContain('onceward_lag_seconds{')
  })

  test('what is asked for before each page is on it', async () => {
    const metrics = createMetrics({ role: 'sink' })
    let lag = 1
    metrics.beforePage(() => metrics.lagRecords.set(lag++, { topic: 't', partition: 'all' }))
    await metrics.page()
    expect((await metrics.page()).body).toContain('onceward_lag_records{topic="t",partition="all",role="sink"} 2')
  })
})

describe('the health server', () => {
  test('serves metrics with their content type', async () => {
    const response = await fetch(`${await serve(() => WELL)}/metrics?x=1`)
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=/)
    expect(await response.text()).toContain('# TYPE onceward_events_total counter')
  })

  test.each([
    [WELL, 200, 200],
    [{ alive: true, ready: false, reasons: ['partition 1 is recovering'] }, 200, 503],
    [{ alive: false, ready: true, reasons: ['it hangs'] }, 503, 503],
  ] satisfies [HealthReport, number, number][])('%j: /healthz %d, /readyz %d', async (report, healthz, readyz) => {
    const url = await serve(() => report)
    const answers = await Promise.all([fetch(`${url}/healthz`), fetch(`${url}/readyz`)])
    expect(answers.map(({ status }) => status)).toEqual([healthz, readyz])
    expect(await answers[1]?.json()).toEqual(report)
  })

  test('knows nothing else, and changes nothing', async () => {
    const url = await serve(() => WELL)
    expect((await fetch(`${url}/`)).status).toBe(404)
    expect((await fetch(`${url}/healthz`, { method: 'POST' })).status).toBe(405)
    const head = await fetch(`${url}/healthz`, { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
  })

  test('a health that throws is an answer of 500, not the end of the process', async () => {
    const url = await serve(() => {
      throw new Error('broken')
    })
    expect((await fetch(`${url}/readyz`)).status).toBe(500)
  })

  test('a port that is taken is a setting that is wrong, with what to do', async () => {
    const url = await serve(() => WELL)
    const again = serve(() => WELL, undefined, Number(new URL(url).port))
    await expect(again).rejects.toMatchObject({
      code: 'ONCEWARD_E_SETTING_INVALID',
      message: expect.stringMatching(/another process listens there.*another port/) as string,
    })
  })

  test('closing cuts connections that are kept alive, and may be repeated', async () => {
    const url = await serve(() => WELL)
    const half = connect(Number(new URL(url).port), '127.0.0.1')
    half.on('error', () => undefined)
    await new Promise<void>((resolve) => half.write('GET /healthz HTTP/1.1\r\n', () => resolve()))
    await fetch(`${url}/healthz`)
    await Promise.all(servers.map((server) => server.close()))
    await Promise.all(servers.splice(0).map((server) => server.close()))
    await expect(fetch(`${url}/healthz`)).rejects.toThrow('fetch failed')
  })
})

describe('the logger', () => {
  const clock = { now: () => 0, monotonic: () => 0, sleep: () => Promise.resolve() }

  function logged(
    level: 'debug' | 'warn' | 'silent',
    write: (logger: ReturnType<typeof createLogger>) => void,
  ): unknown[] {
    const lines: string[] = []
    write(createLogger({ level, clock, destination: { write: (line) => void lines.push(line) } }))
    return lines.map((line) => JSON.parse(line) as unknown)
  }

  test('writes one JSON a line: level, time, fields, message', () => {
    expect(logged('debug', (logger) => logger.info({ partition: 3 }, 'recovered'))).toEqual([
      { level: 'info', time: '1970-01-01T00:00:00.000Z', partition: 3, msg: 'recovered' },
    ])
  })

  test('leaves out what is less important than its level', () => {
    expect(logged('warn', (logger) => (logger.info({}, 'a'), logger.warn({}, 'b')))).toMatchObject([{ msg: 'b' }])
    expect(logged('silent', (logger) => logger.error({}, 'a'))).toEqual([])
  })

  test('hides secrets wherever they stand, and keeps what is around them', () => {
    const [line] = logged('warn', (logger) =>
      logger
        .child({ apiKey: 'hunter2' })
        .child({ token: 'hunter2' })
        .warn(
          {
            secret: 'hunter2',
            sink: { password: 'hunter2', db: 'postgres://app:hunter2@db:5432/x', tries: 2 },
            headers: [{ 'X-Signature': 'hunter2' }],
            err: new Error('no route to postgres://app:hunter2@db', { cause: new Error('http://a:hunter2@b') }),
          },
          'failed',
        ),
    )
    expect(JSON.stringify(line)).not.toContain('hunter2')
    expect(line).toMatchObject({ sink: { db: 'postgres://app:[hidden]@db:5432/x', tries: 2 }, err: { type: 'Error' } })
  })
})
