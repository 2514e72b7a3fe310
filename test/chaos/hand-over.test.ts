import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock as clock } from '../../core/clock.ts'
import { kafkaForTests } from '../support/kafka.ts'
import { Feeder } from './feeder.ts'
import { type Installation, PARTITIONS, startInstallation } from './installation.ts'
import { readLogs } from './process-logs.ts'
import type { Service } from './service.ts'
import { feedOf } from './workload.ts'

const MS_MAX = 5_000

describe.skipIf(!kafkaForTests().available || process.env['KAFKA_BROKERS'] !== undefined)('SIGTERM', () => {
  let dir = ''
  let installation: Installation
  let feeder: Feeder

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'onceward-hand-over-'))
    installation = await startInstallation({ dir, seed: 5, prefix: 'hand.' })
    const { log, topics } = installation
    const rate = 100
    feeder = new Feeder({ log, clock, topic: topics.events, partitions: PARTITIONS, rate, events: feedOf(5) })
    feeder.start()
  })
  afterAll(async () => {
    await feeder?.stop()
    await installation?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  /** A worker and a sink that have begun to work. */
  async function atWork(n: number): Promise<{ worker: Service; sink: Service }> {
    const worker = installation.workers[n]
    const sink = installation.sinks[n]
    if (worker === undefined || sink === undefined) throw new Error(`there is no worker ${n}`)
    worker.start()
    await worker.until((text) => text.includes('partition recovered'))
    sink.start()
    await clock.sleep(3_000)
    return { worker, sink }
  }

  async function endsInOrder(services: readonly Service[]): Promise<void> {
    for (const { name, end } of await Promise.all(
      services.map(async (service) => ({ name: service.name, end: await service.terminate(60_000) })),
    )) {
      expect({ name, code: end.code, signal: end.signal }).toEqual({ name, code: 0, signal: null })
      expect(end.ms).toBeLessThan(MS_MAX)
    }
  }

  test('ends a worker and a sink with 0 within 5 s; another worker takes over about at once', async () => {
    const first = await atWork(0)
    const second = await atWork(1)
    await endsInOrder([first.worker, first.sink])
    await clock.sleep(3_000)
    const { takeOverSeconds } = readLogs(join(dir, 'logs'))
    expect(takeOverSeconds.length).toBeGreaterThan(0)
    // About a second where the machine has nothing else to do.
    expect(Math.max(...takeOverSeconds)).toBeLessThan(3)
    await endsInOrder([second.worker, second.sink])
  }, 120_000)

  test('does so too while the broker is frozen', async () => {
    const { worker, sink } = await atWork(0)
    installation.kafka.pause()
    try {
      await clock.sleep(500)
      await endsInOrder([worker, sink])
    } finally {
      installation.kafka.resume()
    }
  }, 120_000)

  test('does so too while the broker is away', async () => {
    const { worker, sink } = await atWork(0)
    const restarted = installation.kafka.restart({ kill: true })
    try {
      await clock.sleep(500)
      await endsInOrder([worker, sink])
    } finally {
      await restarted
    }
  }, 120_000)
})
