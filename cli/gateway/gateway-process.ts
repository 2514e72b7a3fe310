import { openAuditLog } from '../../connectors/audit/audit-log.ts'
import { openDevices } from '../../connectors/enrich/devices.ts'
import { type GeoFile, openGeoFile } from '../../connectors/enrich/geo.ts'
import { loadSchemas } from '../../connectors/files/schemas.ts'
import { createGateway, type Gateway } from '../../connectors/gateway/server.ts'
import type { AuditLog } from '../../core/ports/audit.ts'
import type { AnswerLog, EventIntake } from '../../core/ports/gateway.ts'
import type { HealthReport } from '../../core/ports/health.ts'
import type { Log } from '../../core/ports/log.ts'
import type { Logger } from '../../core/ports/logger.ts'
import type { Metrics } from '../../core/ports/metrics.ts'
import { topicNames, type Topics } from '../../core/topics.ts'
import { parseSchemas } from '../../operators/event-schema.ts'
import { openAnswerLog } from '../../pipeline/gateway/answer-log.ts'
import type { IntakeMetrics } from '../../pipeline/gateway/intake-metrics.ts'
import { openIntake } from '../../pipeline/gateway/intake.ts'
import { anchorPlaces } from '../audit/places.ts'
import type { Context } from '../command.ts'
import { closing, type Observation, type ObservationSettings, openObservation, untilAborted } from '../runtime.ts'
import { productVersion } from '../version.ts'
import type { GatewayFile } from './gateway-file.ts'
import { WatchedFile } from './watched-file.ts'

export interface GatewaySettings extends ObservationSettings {
  readonly gatewayFile: string
  readonly port: number
  readonly host: string
  readonly prefix: string | undefined
  readonly schemas: string | undefined
  readonly audit: string | undefined
  readonly auditStream: string
  readonly anchors: string | undefined
  readonly geoFile: string | undefined
}

/** How often the gateway's file is looked at. */
const FILE_EVERY_MS = 2_000

/** Before Kafka is asked for anything, so that what is wrong with the file is told at once. Throws what is wrong with it. */
export function openGatewayFile({ settings, clock, logger }: Context<GatewaySettings>): Promise<WatchedFile> {
  return WatchedFile.open({
    path: settings.gatewayFile,
    environment: process.env,
    clock,
    logger,
    everyMs: FILE_EVERY_MS,
  })
}

/** The gateway as a process: audit log, intake, server, metrics and health, until the context's signal aborts. */
export async function runGateway(log: Log, file: WatchedFile, context: Context<GatewaySettings>): Promise<void> {
  const { settings, clock, logger } = context
  const topics = topicNames(settings.prefix)
  const observation = await openObservation('gateway', context)
  await closing(observation, async () => {
    const audit = await openAudit(log, context)
    await closing(audit ?? NOTHING, async () => {
      const geo = await openGeo(settings.geoFile, context)
      await closing(geo ?? NOTHING, async () => {
        const intake = await openEvents(log, context, { topics, geo, metrics: observation.metrics })
        await closing(intake, async () => {
          const answers = await openAnswerLog({ log, topics, clock, logger })
          await closing(answers, () => serve(context, { file, observation, audit, intake, answers }))
        })
      })
    })
  })
}

const NOTHING = { close: async (): Promise<void> => undefined }

async function openAudit(log: Log, { settings, clock, logger }: Context<GatewaySettings>) {
  if (settings.audit === undefined) {
    logger.warn({}, 'there is no --audit: what comes and what is answered is kept nowhere')
    return undefined
  }
  return openAuditLog({
    folder: settings.audit,
    stream: settings.auditStream,
    clock,
    logger,
    anchors: anchorPlaces(log, settings),
  })
}

async function openGeo(path: string | undefined, context: Context<GatewaySettings>): Promise<GeoFile | undefined> {
  const { clock, logger } = context
  return path === undefined ? undefined : openGeoFile({ file: path, clock, logger })
}

interface EventParts {
  readonly topics: Topics
  readonly geo: GeoFile | undefined
  readonly metrics: Metrics
}

async function openEvents(
  log: Log,
  { settings, clock, logger }: Context<GatewaySettings>,
  { topics, geo, metrics }: EventParts,
): Promise<EventIntake> {
  return openIntake({
    log,
    topics,
    schemas: parseSchemas(await loadSchemas(settings.schemas)),
    clock,
    logger,
    metrics: intakeMetrics(metrics),
    geo,
    devices: openDevices(),
  })
}

/** What the server counts by itself, the intake need not tell. */
function intakeMetrics(metrics: Metrics): IntakeMetrics {
  return {
    answered: (source, outcome, events) => {
      if (outcome === 'repeated') metrics.gatewayRepeats.add(events, { source })
    },
    sent: (_records, seconds) => metrics.gatewaySendSeconds.observe(seconds, {}),
    notSetAside: (letters) => metrics.gatewayLettersDropped.add(letters, {}),
    notShared: (ids) => metrics.gatewayIdsNotShared.add(ids, {}),
  }
}

interface ServerParts {
  readonly file: WatchedFile
  readonly observation: Observation
  readonly audit: AuditLog | undefined
  readonly intake: EventIntake
  readonly answers: AnswerLog
}

async function serve(context: Context<GatewaySettings>, parts: ServerParts): Promise<void> {
  const { settings, signal, clock, random, logger, terminal } = context
  const { file, observation, audit, intake, answers } = parts
  const health = (): HealthReport => healthOf({ bus: intake.state().available, stopping: signal.aborted })
  const gateway = await createGateway({
    intake,
    answers,
    audit,
    directory: () => file.file.directory,
    tls: file.file.tls,
    health,
    clock,
    random,
    logger,
    metrics: observation.metrics,
    version: await productVersion(),
  })
  await closing(gateway, async () => {
    showState(gateway, parts)
    await observation.serve(health)
    const port = await gateway.listen({ host: settings.host, port: settings.port })
    terminal.note(`listening on ${file.file.tls === undefined ? 'http' : 'https'}://${settings.host}:${port}`)
    const changed = (next: GatewayFile, before: GatewayFile): void => takeOver(gateway, next, { before, logger })
    context.onHangup?.(() => void file.look(changed))
    const watching = file.watch(changed)
    await untilAborted(signal)
    await file.close()
    await watching
  })
}

/** Takes over what of a new file can be taken over while the server runs; the rest is said. Throws where TLS cannot be used. */
function takeOver(
  gateway: Pick<Gateway, 'renewTls'>,
  next: GatewayFile,
  { before, logger }: { readonly before: GatewayFile; readonly logger: Logger },
): void {
  if (next.tls !== undefined && before.tls !== undefined) gateway.renewTls(next.tls)
  const asks = (file: GatewayFile): string => `${file.tls !== undefined} ${file.tls?.asksForCertificate === true}`
  if (asks(next) !== asks(before)) {
    logger.error({}, 'whether there is TLS, and whether it asks for certificates, changes at the next start only')
  }
}

function showState(gateway: Gateway, { observation, intake, file }: ServerParts): void {
  const { metrics } = observation
  metrics.beforePage(() => {
    const { connections, bodyBytes } = gateway.state()
    const { pendingBytes, available } = intake.state()
    metrics.gatewayConnections.set(connections, {})
    metrics.gatewayBodyBytes.set(bodyBytes, {})
    metrics.gatewayPendingBytes.set(pendingBytes, {})
    metrics.gatewayBusAvailable.set(available ? 1 : 0, {})
    metrics.gatewayFileCurrent.set(file.good ? 1 : 0, {})
  })
}

function healthOf(is: { readonly bus: boolean; readonly stopping: boolean }): HealthReport {
  const reasons = [
    ...(is.bus ? [] : ['the event bus does not answer']),
    ...(is.stopping ? ['the gateway is stopping'] : []),
  ]
  return { alive: true, ready: reasons.length === 0, reasons }
}
