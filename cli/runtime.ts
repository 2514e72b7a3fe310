import { readFile } from 'node:fs/promises'
import { messageOf, OncewardError } from '../core/errors.ts'
import type { Health } from '../core/ports/health.ts'
import type { Log } from '../core/ports/log.ts'
import type { ObservedMetrics } from '../connectors/observe/metrics.ts'
import type { Context } from './command.ts'
import type { Normalized } from '../operators/normalize.ts'

type Surroundings = Pick<Context<unknown>, 'clock' | 'logger' | 'signal'>

export interface BrokerSettings {
  readonly brokers: readonly string[]
}

/** Connects to Kafka, hands the log to `use` and closes it whatever comes of that. */
export async function withKafka<T>(
  context: Surroundings & { readonly settings: BrokerSettings },
  use: (log: Log) => Promise<T>,
): Promise<T> {
  const { openKafkaLog } = await import('../connectors/log/kafka/kafka-log.ts')
  const { clock, logger, settings } = context
  const log = await openKafkaLog({ brokers: settings.brokers, clientId: 'onceward', clock, logger })
  return closing(log, () => use(log))
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

/** The secret in a file, without the line end that editors leave. It is never logged. */
export async function readSecret(path: string): Promise<string> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new OncewardError(
      'ONCEWARD_E_FILE_UNREADABLE',
      `--secret-file: ${path} cannot be read: ${messageOf(error)}`,
      {
        cause: error,
      },
    )
  }
  const secret = text.trimEnd()
  if (secret !== '') return secret
  throw new OncewardError(
    'ONCEWARD_E_FILE_UNREADABLE',
    `--secret-file: ${path} is empty; write the shared secret into it`,
  )
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
