import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/ports/log.ts'
import type { Logger } from '../../core/ports/logger.ts'
import type { Normalized } from '../../operators/normalize.ts'
import type { WireDecoder } from '../../operators/wire-decoder.ts'
import type { SchemaLoader } from '../../pipeline/wire/schema-loader.ts'
import { closing, loadNormalizer } from '../runtime.ts'
import { openRegistry, type RegistrySettings } from './registry.ts'

export interface EventSettings extends RegistrySettings {
  readonly schemas: string | undefined
}

/** How this process reads events: JSON always, Avro where a registry is named. */
export interface EventReading {
  readonly normalize: (raw: Buffer | null) => Normalized
  /** What decodes Avro, and what tells it the schemas; undefined where no registry is named. */
  readonly avro: { readonly decoder: WireDecoder; readonly loader: SchemaLoader } | undefined
  /** The log through which the events of `topic` are to be read by whoever is no worker. */
  readonly over: (log: Log, topic: string) => Log
}

export interface Surroundings {
  readonly settings: EventSettings
  readonly clock: Clock
  readonly logger: Logger
}

/** Opens what events are read with, hands it to `use`, and closes the registry whatever comes of that. */
export async function withEvents<T>(context: Surroundings, use: (events: EventReading) => Promise<T>): Promise<T> {
  const { settings, clock, logger } = context
  const registry = await openRegistry(settings, { clock })
  if (registry === undefined) {
    return use({ normalize: await loadNormalizer(settings.schemas), avro: undefined, over: (log) => log })
  }
  return closing(registry, async () => {
    const { loadSchemas } = await import('../../connectors/files/schemas.ts')
    const { eventRecords } = await import('../../operators/event-record.ts')
    const { parseSchemas } = await import('../../operators/event-schema.ts')
    const { createNormalizer } = await import('../../operators/normalize.ts')
    const { WireDecoder } = await import('../../operators/wire-decoder.ts')
    const { SchemaLoader } = await import('../../pipeline/wire/schema-loader.ts')
    const { withSchemas } = await import('../../pipeline/wire/wire-log.ts')
    const schemas = parseSchemas(await loadSchemas(settings.schemas))
    const decoder = new WireDecoder(eventRecords(schemas))
    const loader = new SchemaLoader({ registry, decoder, clock, logger })
    return use({
      normalize: createNormalizer(schemas, decoder),
      avro: { decoder, loader },
      over: (log, topic) => withSchemas(log, topic, loader),
    })
  })
}
