import { afterEach, describe, expect, test } from 'vitest'
import { OncewardError } from '../../core/errors.ts'
import type { JsonObject } from '../../core/model/event.ts'
import { partitionOf } from '../../core/partitioner.ts'
import type { LogRecord } from '../../core/ports/log.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import type { RegisteredSchema, SchemaRegistry } from '../../core/ports/registry.ts'
import { createWireEncoder } from '../../operators/wire-encoder.ts'
import { SchemaLoader } from '../../pipeline/wire/schema-loader.ts'
import { WIRE_HEADER_BYTES, withHeader } from '../../operators/wire-format.ts'
import { withSchemas } from '../../pipeline/wire/wire-log.ts'
import { fastClock, ManualClock } from '../support/clocks.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { Lab, type RunningWorker } from '../support/worker-harness.ts'
import { Build, errorOf, event } from './support.ts'

/** A registry that knows what it is told, and fails when it is told to. */
class FakeRegistry implements Pick<SchemaRegistry, 'schema'> {
  readonly schemas = new Map<number, RegisteredSchema>()
  readonly asked: number[] = []
  away = false

  schema(id: number): Promise<RegisteredSchema | undefined> {
    this.asked.push(id)
    if (this.away) return Promise.reject(new OncewardError('ONCEWARD_E_REGISTRY_UNAVAILABLE', 'it is away'))
    return Promise.resolve(this.schemas.get(id))
  }
}

let lab: Lab | undefined
afterEach(async () => {
  await lab?.close()
  lab = undefined
})

class Plant {
  readonly build = new Build()
  readonly registry = new FakeRegistry()
  readonly lab: Lab
  readonly worker: RunningWorker

  constructor(here: Lab) {
    this.lab = here
    this.registry.schemas.set(7, { schema: this.build.record('bet').text })
    const loader = new SchemaLoader({
      registry: this.registry,
      decoder: this.build.decoder,
      clock: here.clock,
      logger: silentLogger,
    })
    this.worker = here.start({ normalize: this.build.normalize, schemas: loader })
  }

  static async open(): Promise<Plant> {
    lab = await Lab.open({ rules: RULE_FILES })
    return new Plant(lab)
  }

  async send(values: readonly Buffer[], key = 'u_1'): Promise<void> {
    const producer = await this.lab.log.producer()
    const timestamp = Date.parse('2025-11-03T12:00:00Z')
    const partition = partitionOf(key, this.lab.partitions)
    await producer.send(values.map((value) => ({ topic: this.lab.topics.events, partition, key, value, timestamp })))
    await producer.close()
  }
}

const bet = (id: string): JsonObject => event('bet', { bet: 0.5, win: 1.25, currency: 'EUR' }, { event_id: id })

describe('a worker', () => {
  test('scores and rewards events in Avro as those in JSON', async () => {
    const lines = generatedBets(3_000, 3)
    const results = []
    const encode = createWireEncoder(new Build().record('bet').schema, 7)
    for (const avro of [false, true]) {
      const plant = await Plant.open()
      const producer = await plant.lab.log.producer()
      await producer.send(
        lines.map((line) => {
          const parsed = JSON.parse(line) as JsonObject & {
            readonly user: { readonly id: string }
            readonly ts: string
          }
          const key = parsed.user.id
          const encoded = encode(parsed)
          const value = avro && encoded.ok ? encoded.value : line
          const timestamp = Date.parse(parsed.ts)
          return {
            topic: plant.lab.topics.events,
            partition: partitionOf(key, plant.lab.partitions),
            key,
            value,
            timestamp,
          }
        }),
      )
      await producer.close()
      await plant.lab.caughtUp()
      expect(plant.registry.asked).toEqual(avro ? [7] : [])
      results.push(await plant.lab.results())
      await plant.lab.close()
    }
    const [fromJson, fromAvro] = results
    expect(fromJson?.scores.length).toBeGreaterThan(100)
    expect(fromJson?.rewards.length).toBeGreaterThan(0)
    expect(fromAvro).toEqual(fromJson)
  })

  test('asks for each id once, and for none where all is JSON', async () => {
    const { build, registry, lab: here, send } = await bound()
    await send([Buffer.from(JSON.stringify(bet('j-1')))])
    await here.caughtUp()
    expect(registry.asked).toEqual([])
    await send([build.write(bet('a-1'), 7), build.write(bet('a-2'), 7)])
    await here.caughtUp()
    await send([build.write(bet('a-3'), 7)])
    await here.caughtUp()
    expect(registry.asked).toEqual([7])
    expect((await here.results()).scores).toHaveLength(4)
  })

  test('waits while the registry is away: nothing is set aside, nothing is lost, and it says so', async () => {
    const { build, registry, lab: here, send, worker } = await bound()
    registry.away = true
    await send([build.write(bet('a-1'), 7), Buffer.from(JSON.stringify(bet('j-1')))])
    await here.until('it waits', () =>
      worker.worker.health().reasons.some((reason) => reason.includes('schema registry')),
    )
    await here.until('it has asked several times', () => registry.asked.length > 3)
    expect(worker.worker.health().ready).toBe(false)
    expect(await here.results()).toEqual({ scores: [], rewards: [], dlq: [] })
    registry.away = false
    await here.caughtUp()
    const { scores, dlq } = await here.results()
    expect(scores.map(({ event_id }) => event_id)).toEqual(['a-1', 'j-1'])
    expect(dlq).toEqual([])
    expect(worker.worker.health().ready).toBe(true)
  })

  test('can be stopped while it waits, and another goes on from the same place', async () => {
    const { build, registry, lab: here, send, worker } = await bound()
    registry.away = true
    await send([build.write(bet('a-1'), 7)])
    await here.until('it waits', () => registry.asked.length > 1)
    await worker.stop()
    expect(await here.processed()).toBe(0)
    const next = new Plant(here)
    await here.caughtUp()
    expect((await here.results()).scores).toHaveLength(1)
    await next.worker.stop()
  })

  test('sets aside what the registry does not know, whole and with a sentence, and goes on', async () => {
    const { build, lab: here, send } = await bound()
    const stray = build.write(bet('a-1'), 200)
    await send([stray, build.write(bet('a-2'), 7)])
    await here.caughtUp()
    const { scores, dlq } = await here.results()
    expect(scores.map(({ event_id }) => event_id)).toEqual(['a-2'])
    expect(dlq).toMatchObject([
      {
        reason: 'schema',
        detail: expect.stringContaining('Avro of schema 200, which the schema registry does not know'),
      },
    ])
    const [letter] = dlq
    const raw =
      letter?.raw_base64 === undefined ? Buffer.from(letter?.raw ?? '') : Buffer.from(letter.raw_base64, 'base64')
    expect(raw.equals(stray)).toBe(true)
  })

  test('without a registry sets Avro aside, and says what to do', async () => {
    lab = await Lab.open({ rules: RULE_FILES })
    lab.start()
    const build = new Build()
    const producer = await lab.log.producer()
    const value = build.write(bet('a-1'), 7)
    await producer.send([{ topic: lab.topics.events, partition: 0, key: 'u_1', value, timestamp: 0 }])
    await producer.close()
    await lab.caughtUp()
    expect((await lab.results()).dlq).toMatchObject([
      {
        reason: 'schema',
        detail: expect.stringMatching(/Avro, of schema 7, and no schema registry is named; start with --registry URL/),
      },
    ])
  })
})

/** A plant with its methods bound. */
async function bound() {
  const plant = await Plant.open()
  const { build, registry, lab: here, worker } = plant
  return { build, registry, lab: here, worker, send: (values: readonly Buffer[]) => plant.send(values) }
}

describe('whoever reads events without being a worker', () => {
  const build = new Build()
  const record = (value: Buffer): LogRecord => ({ topic: 't', partition: 0, offset: 0, timestamp: 0, key: null, value })

  test('is given the schemas with the records, of the events topic alone', async () => {
    lab = await Lab.open()
    const registry = new FakeRegistry()
    registry.schemas.set(7, { schema: build.record('bet').text })
    const fresh = new Build()
    const loader = new SchemaLoader({ registry, decoder: fresh.decoder, clock: lab.clock, logger: silentLogger })
    const producer = await lab.log.producer()
    const value = build.write(bet('a-1'), 7)
    const { events, scores } = lab.topics
    await producer.send([events, scores].map((topic) => ({ topic, partition: 0, key: null, value, timestamp: 0 })))
    await producer.close()
    const log = withSchemas(lab.log, events, loader)
    const other = await log.reader({ topic: scores, partition: 0 })
    await other.read(0)
    expect(registry.asked).toEqual([])
    const reader = await log.reader({ topic: events, partition: 0 })
    const { records } = await reader.read(0)
    expect(records.map((each) => fresh.normalize(each.value).kind)).toEqual(['event'])
    await Promise.all([reader.close(), other.close()])
  })

  test('hears that the registry is away', async () => {
    const registry = new FakeRegistry()
    registry.away = true
    const loader = new SchemaLoader({ registry, decoder: build.decoder, clock: fastClock(), logger: silentLogger })
    expect(await errorOf(loader.load([record(build.write(bet('a-1'), 70))]))).toBe('ONCEWARD_E_REGISTRY_UNAVAILABLE')
    expect(loader.holding).toBe(false)
  })

  test('an id that is not known is asked for twice, and after a minute again', async () => {
    const registry = new FakeRegistry()
    const clock = new ManualClock(0)
    const own = new Build()
    const loader = new SchemaLoader({ registry, decoder: own.decoder, clock, logger: silentLogger })
    const records = [record(build.write(bet('a-1'), 50))]
    const loading = loader.load(records)
    while (clock.sleeping === 0) await Promise.resolve()
    expect(registry.asked).toEqual([50])
    clock.advance(1_000)
    await loading
    expect(registry.asked).toEqual([50, 50])
    expect(own.normalize(records[0]?.value ?? null)).toMatchObject({ kind: 'rejected' })
    await loader.load(records)
    expect(registry.asked).toHaveLength(2)
    clock.advance(60_001)
    registry.schemas.set(50, { schema: build.record('bet').text })
    await loader.load(records)
    expect(registry.asked).toHaveLength(3)
    expect(own.normalize(records[0]?.value ?? null)).toMatchObject({ kind: 'event' })
  })

  test('ten thousand made-up ids do not fill the memory for ever', async () => {
    const registry = new FakeRegistry()
    const own = new Build()
    const loader = new SchemaLoader({ registry, decoder: own.decoder, clock: fastClock(100_000), logger: silentLogger })
    const bytes = build.write(bet('a-1'), 7).subarray(WIRE_HEADER_BYTES)
    const stray = (from: number, count: number): LogRecord[] =>
      Array.from({ length: count }, (_, i) => record(withHeader(from + i, bytes)))
    await loader.load(stray(1_000, 9_000))
    await loader.load(stray(20_000, 2_000))
    expect(own.decoder.knows(1_000)).toBe(false)
    expect(own.decoder.knows(20_000)).toBe(true)
  })
})
