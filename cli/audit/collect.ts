import { openAuditLog } from '../../connectors/audit/audit-log.ts'
import { segmentNames, segmentRecords } from '../../connectors/audit/records.ts'
import { openLedgerTrail } from '../../connectors/ledger/trail/trail.ts'
import type { JsonObject } from '../../core/model/event.ts'
import type { LedgerTrail } from '../../core/ports/ledger-trail.ts'
import type { Log } from '../../core/ports/log.ts'
import { topicNames } from '../../core/topics.ts'
import { createCollector, type CollectorOptions } from '../../pipeline/audit/collector.ts'
import { foldRecord, type Positions } from '../../pipeline/audit/positions.ts'
import type { Context } from '../command.ts'
import {
  closing,
  type KafkaSettings,
  type ObservationSettings,
  openObservation,
  runService,
  withKafka,
} from '../runtime.ts'
import { anchorPlaces } from './places.ts'

export interface CollectSettings extends KafkaSettings, ObservationSettings {
  readonly audit: string
  readonly anchors: string | undefined
  readonly prefix: string | undefined
  readonly db: string | undefined
  readonly withScores: boolean
  readonly stream: string
}

/** Collects until the context's signal aborts. */
export async function collectCommand(context: Context<CollectSettings>): Promise<void> {
  const { settings, logger } = context
  await withKafka(context, async (log) => {
    if (settings.db === undefined) return collect(log, context, undefined)
    const trail = openLedgerTrail({ url: settings.db, logger })
    await closing(trail, () => collect(log, context, trail))
  })
}

async function collect(log: Log, context: Context<CollectSettings>, trail: LedgerTrail | undefined): Promise<void> {
  const { settings, clock, logger, signal, terminal } = context
  const { audit: folder, stream } = settings
  const observation = await openObservation('audit', context)
  await closing(observation, async () => {
    const audit = await openAuditLog({ folder, stream, clock, logger, anchors: anchorPlaces(log, settings) })
    await closing(audit, async () => {
      const positions = await lastPositions(folder, stream)
      const { metrics } = observation
      const topics = collectedTopics(settings)
      const collector = createCollector({ log, audit, topics, trail, positions, clock, logger, metrics })
      await observation.serve(() => {
        const reasons = collector.troubles()
        const { seq, refused, anchors } = audit.state()
        const told = { seq, refused, anchors: anchors.map((one) => ({ ...one })) }
        return { alive: true, ready: reasons.length === 0, reasons, details: told }
      })
      terminal.note(`collecting into ${folder}/${stream}`)
      await runService(collector, signal)
    })
  })
}

export function collectedTopics({
  prefix,
  withScores,
}: Pick<CollectSettings, 'prefix' | 'withScores'>): CollectorOptions['topics'] {
  const topics = topicNames(prefix)
  return [
    { topic: topics.control, kind: 'command' },
    { topic: topics.rewards, kind: 'decision' },
    { topic: topics.dlq, kind: 'decision' },
    { topic: topics.dlqReviews, kind: 'command' },
    ...(withScores ? [{ topic: topics.scores, kind: 'decision' } as const] : []),
  ]
}

/** How far a collector's chain says that it is: its segments from the newest back to the first that says so of all sources. */
export async function lastPositions(folder: string, stream: string): Promise<Positions> {
  const positions: Positions = new Map()
  for (const segment of [...(await segmentNames(folder, stream))].reverse()) {
    const own: Positions = new Map()
    let complete = false
    for await (const records of segmentRecords(folder, { stream, segment })) {
      for (const { record } of records) {
        const body = JSON.parse(record.body) as JsonObject
        complete = foldRecord(own, { kind: record.kind, body }) || complete
      }
    }
    for (const [source, next] of own) if (!positions.has(source)) positions.set(source, next)
    if (complete) break
  }
  return positions
}
