import type { Health } from '../core/ports/health.ts'
import type { Log } from '../core/ports/log.ts'
import type { ObservedMetrics } from '../connectors/observe/metrics.ts'
import type { Context } from './command.ts'
import type { KAFKA_SECURITY } from './settings/kafka-security.ts'
import type { Values } from './settings/setting.ts'
import type { brokers } from './settings/shared.ts'
import type { Normalized } from '../operators/normalize.ts'

type Surroundings = Pick<Context<unknown>, 'clock' | 'logger' | 'signal'>

export type KafkaSettings = Values<readonly [typeof brokers, ...typeof KAFKA_SECURITY]>

export interface KafkaOptions {
  /** How long a step that keeps failing is tried again, in ms; the adapter's own bound (a minute) where it is left out. */
  readonly patienceMs?: number
}

/** For commands that somebody waits for: a minute of silence is too long to learn that an address is wrong. */
export const LOOK_PATIENCE_MS = 10_000

/**
 * Connects to Kafka, hands the log to `use` and closes it whatever comes of that. An abort while connecting ends it with
 * the signal's reason; once connected, `use` minds the signal.
 */
export async function withKafka<T>(
  context: Surroundings & { readonly settings: KafkaSettings },
  use: (log: Log) => Promise<T>,
  options: KafkaOptions = {},
): Promise<T> {
  const { openKafkaLog } = await import('../connectors/log/kafka/kafka-log.ts')
  const { readKafkaSecurity } = await import('./kafka-security.ts')
  const { clock, logger, settings, signal } = context
  const opening = openKafkaLog({
    brokers: settings.brokers,
    clientId: 'onceward',
    clock,
    logger,
    ...(await readKafkaSecurity(settings)),
    ...(options.patienceMs === undefined ? {} : { retryMsMax: options.patienceMs }),
  })
  const log = await unlessAborted(opening, signal)
  return closing(log, () => use(log))
}

/** What `opening` gives, or the signal's reason; what opens too late is closed again. */
async function unlessAborted<T extends { close(): Promise<void> }>(
  opening: Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    const stop = (): void => reject(signal.reason as Error)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([opening, aborted])
  } catch (error) {
    opening.then(
      (late) => late.close(),
      () => undefined,
    )
    throw error
  }
}

/** Closes `resource` after `use`. Where both fail, the failure of `use` is the one that counts. */
export async function closing<T>(resource: { close(): Promise<void> }, use: () => Promise<T>): Promise<T> {
  let result: T
  try {
    result = await use()
  } catch (error) {
    await resource.close().catch(() => undefined)
    throw error
  }
  await resource.close()
  return result
}

/** The first operator, over the schemas that come with Onceward and those of `dir`. */
export async function loadNormalizer(dir?: string): Promise<(raw: Buffer | null) => Normalized> {
  const { loadSchemas } = await import('../connectors/files/schemas.ts')
  const { parseSchemas } = await import('../operators/event-schema.ts')
  const { createNormalizer } = await import('../operators/normalize.ts')
  return createNormalizer(parseSchemas(await loadSchemas(dir)))
}

export interface ObservationSettings {
  readonly metricsPort: number | undefined
  readonly metricsHost: string
}

export interface Observation {
  readonly metrics: ObservedMetrics
  /** Serves from now on: what `health` answers decides what /healthz and /readyz say. */
  serve(health: Health): Promise<void>
  /** The port that it serves on; undefined where none was asked for. */
  port(): number | undefined
  close(): Promise<void>
}

/** The metrics of one role, served where a port was asked for. `role` becomes a label of every series. */
export async function openObservation(
  role: string,
  context: Surroundings & { readonly settings: ObservationSettings },
): Promise<Observation> {
  const { createMetrics } = await import('../connectors/observe/metrics.ts')
  const { startHealthServer } = await import('../connectors/observe/health-server.ts')
  const { logger, settings } = context
  const metrics = createMetrics({ role })
  let server: Awaited<ReturnType<typeof startHealthServer>> | undefined
  return {
    metrics,
    async serve(health) {
      if (settings.metricsPort === undefined) return
      server = await startHealthServer({
        port: settings.metricsPort,
        host: settings.metricsHost,
        metrics,
        health,
        logger,
      })
      logger.info({ port: server.port }, 'serving /metrics, /healthz and /readyz')
    },
    port: () => server?.port,
    close: async () => server?.close(),
  }
}

/** Something that works until it is told to stop: a worker, a sink. */
export interface Service {
  /** Resolves after `stop`; rejects where it cannot go on. */
  run(): Promise<void>
  stop(): Promise<void>
}

/** Runs `service` until `signal` aborts, then stops it cleanly. Rejects with what ended it otherwise. */
export async function runService(service: Service, signal: AbortSignal): Promise<void> {
  let stopping: Promise<void> = Promise.resolve()
  const stop = (): void => {
    stopping = service.stop()
    stopping.catch(() => undefined)
  }
  if (signal.aborted) return
  signal.addEventListener('abort', stop, { once: true })
  try {
    await service.run()
  } finally {
    signal.removeEventListener('abort', stop)
    await stopping
  }
}

export async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
