import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock as clock } from '../../core/clock.ts'
import { kafkaForTests } from '../support/kafka.ts'
import { TERMINATE_MS_MAX } from './actions.ts'
import { Feeder } from './feeder.ts'
import { type Installation, PARTITIONS, startInstallation } from './installation.ts'
import { readLogs } from './process-logs.ts'
import type { Service } from './service.ts'
import { Waits } from './waits.ts'
import { feedOf } from './workload.ts'

/**
 * Long beside what an orderly hand-over takes even on a busy machine: a partition whose worker just went away would be
 * taken over only after that.
 */
const SESSION_MS = 20_000

/** Each process is judged by what it took itself: the time in which it waited for a CPU is the machine's (cpu-wait.ts). */
describe.skipIf(!kafkaForTests().available || process.env['KAFKA_BROKERS'] !== undefined)('SIGTERM', () => {
  let dir = ''
  let installation: Installation
  let feeder: Feeder
  let waits: Waits

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'onceward-hand-over-'))
    installation = await startInstallation({ dir, seed: 5, prefix: 'hand.', sessionMs: SESSION_MS })
    const { log, topics } = installation
    const rate = 100
    feeder = new Feeder({ log, clock, topic: topics.events, partitions: PARTITIONS, rate, events: feedOf(5) })
    feeder.start()
    const { signal } = new AbortController()
    waits = new Waits({ log, msMax: 120_000, signal, note: () => undefined })
  }, 300_000)
  afterAll(async () => {
    await feeder?.stop()
    await installation?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  /** A worker and a sink that have joined and work, beside those that do already. */
  async function atWork(n: number): Promise<{ worker: Service; sink: Service }> {
    const { workers, sinks, workerGroup, sinkGroup, topics } = installation
    const worker = workers[n]
    const sink = sinks[n]
    if (worker === undefined || sink === undefined) throw new Error(`there is no worker ${n}`)
    worker.start()
    await worker.until((text) => text.includes('partition recovered'))
    sink.start()
    await waits.atWork(workerGroup, workers)
    await waits.atWork(sinkGroup, sinks)
    await waits.processed(workerGroup, topics.events)
    expect(waits.inVain).toEqual([])
    return { worker, sink }
  }

  async function endsInOrder(services: readonly Service[]): Promise<void> {
    for (const { name, end } of await Promise.all(
      services.map(async (service) => ({ name: service.name, end: await service.terminate(60_000) })),
    )) {
      expect({ name, code: end.code, signal: end.signal }).toEqual({ name, code: 0, signal: null })
      expect(end.ownMs).toBeLessThan(TERMINATE_MS_MAX)
    }
  }

  test('ends a worker and a sink with 0 within 5 s; another worker takes over long before a session would end', async () => {
    const { workerGroup, topics } = installation
    const first = await atWork(0)
    const second = await atWork(1)
    await endsInOrder([first.worker, first.sink])
    await waits.processed(workerGroup, topics.events)
    expect(waits.inVain).toEqual([])
    const { takeOverSeconds } = readLogs(join(dir, 'logs'))
    expect(takeOverSeconds.length).toBeGreaterThan(0)
    expect(Math.max(...takeOverSeconds)).toBeLessThan(SESSION_MS / 2_000)
    await endsInOrder([second.worker, second.sink])
  }, 600_000)

  test('does so too while the broker is frozen', async () => {
    const { worker, sink } = await atWork(0)
    installation.kafka.pause()
    try {
      await endsInOrder([worker, sink])
    } finally {
      installation.kafka.resume()
    }
  }, 600_000)

  test('does so too while the broker is away', async () => {
    const { worker, sink } = await atWork(0)
    const restarted = installation.kafka.restart({ kill: true })
    try {
      await endsInOrder([worker, sink])
    } finally {
      await restarted
    }
  }, 600_000)
})
