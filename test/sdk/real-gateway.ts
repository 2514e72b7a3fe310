import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readGatewayFile } from '../../cli/gateway/gateway-file.ts'
import { createGateway, type GatewayParts } from '../../connectors/gateway/server.ts'
import { systemClock } from '../../core/clock.ts'
import type { Log } from '../../core/ports/log.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { silentMetrics } from '../../core/ports/metrics.ts'
import { systemRandom } from '../../core/random.ts'
import { topicNames } from '../../core/topics.ts'
import { parseSchemas } from '../../operators/event-schema.ts'
import { openIntake } from '../../pipeline/gateway/intake.ts'
import { ownSchemas } from '../events/support.ts'
import { PROJECT } from '../repo/source-files.ts'

/** What examples/web/gateway.yaml has the hash of. */
export const PUBLIC_KEY = 'onceward_try_me_public'

export interface RealGateway {
  readonly url: string
  readonly port: number
  /** The events on events.raw, in the order of each partition. */
  bus(): Promise<readonly BusEvent[]>
  close(): Promise<void>
}

export interface BusEvent {
  readonly event_id: string
  readonly event_name: string
  readonly user: { readonly id: string }
}

/** The gateway of the example, its server and its intake, over `log`, for pages of `origins`. */
export async function realGateway(
  log: Log,
  place: { readonly port: number; readonly origins: readonly string[] },
): Promise<RealGateway> {
  const topics = topicNames()
  const path = join(PROJECT, 'examples', 'web', 'gateway.yaml')
  const { directory } = await readGatewayFile(path, await readFile(path, 'utf8'), {
    environment: {},
    read: (name) => readFile(name, 'utf8'),
  })
  const schemas = parseSchemas(ownSchemas)
  const intake = await openIntake({ log, topics, schemas, clock: systemClock, logger: silentLogger })
  const answers: GatewayParts['answers'] = { once: async (_, work) => ({ ...(await work()), replayed: false }) }
  const gateway = await createGateway({
    intake,
    answers,
    audit: undefined,
    directory: () => ({ ...directory, origins: new Set(place.origins) }),
    tls: undefined,
    health: () => ({ alive: true, ready: true, reasons: [] }),
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    metrics: silentMetrics,
    version: 'test',
  })
  const port = await gateway.listen({ host: '127.0.0.1', port: place.port })
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    bus: async () => (await valuesOf(log, topics.events)).map((value) => JSON.parse(value.toString()) as BusEvent),
    close: async () => {
      await gateway.close()
      await intake.close()
    },
  }
}

async function valuesOf(log: Log, topic: string): Promise<readonly Buffer[]> {
  const { partitions = 0 } = (await log.topic(topic)) ?? {}
  const values: Buffer[] = []
  for (let partition = 0; partition < partitions; partition++) {
    const [bounds] = await log.bounds([{ topic, partition }])
    const reader = await log.reader({ topic, partition })
    for (let offset = bounds?.earliest ?? 0; offset < (bounds?.end ?? 0); ) {
      const { records, nextOffset } = await reader.read(offset, { waitMs: 100 })
      for (const { value } of records) if (value !== null) values.push(value)
      offset = nextOffset
    }
    await reader.close()
  }
  return values
}
