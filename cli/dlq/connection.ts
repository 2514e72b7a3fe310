import { randomUUID } from 'node:crypto'
import { openAuditLog } from '../../connectors/audit/audit-log.ts'
import { anchorTopic } from '../../connectors/audit/anchor-topic.ts'
import type { AuditLog } from '../../core/ports/audit.ts'
import type { Log } from '../../core/ports/log.ts'
import type { ReviewDesk } from '../../core/ports/review.ts'
import { topicNames } from '../../core/topics.ts'
import { Desk, type DeskOptions } from '../../pipeline/review/desk.ts'
import type { OfficeTerms } from '../../pipeline/review/resending.ts'
import type { Context } from '../command.ts'
import { withOffice } from '../rewards/connection.ts'
import { mandateOf, policyNow } from '../rewards/mandate.ts'
import { closing, type KafkaSettings, LOOK_PATIENCE_MS, withKafka } from '../runtime.ts'
import { type EventReading, type EventSettings, withEvents } from '../schemas/event-reading.ts'

export type DeskSettings = KafkaSettings &
  EventSettings & {
    readonly prefix: string | undefined
    readonly reorderWindow: number
    readonly dedupeWindow: number
    readonly db?: string | undefined
    readonly allowNonDurableDb?: boolean
    readonly policy?: string | undefined
    readonly audit?: string | undefined
    readonly auditStream?: string
  }

/**
 * Opens the desk on the log, and on the ledger and the audit log where they are named, hands it to `use` and closes all of it
 * whatever comes of that.
 */
export function withDesk<T>(
  context: Context<DeskSettings>,
  use: (desk: ReviewDesk, log: Log) => Promise<T>,
): Promise<T> {
  return withKafka(
    context,
    (log) =>
      withEvents(context, (events) =>
        withAudit(context, log, (audit) =>
          withLedger(context, (ledger) => use(new Desk({ ...optionsOf(context, events), log, audit, ...ledger }), log)),
        ),
      ),
    { patienceMs: LOOK_PATIENCE_MS },
  )
}

async function withLedger<T>(
  context: Context<DeskSettings>,
  use: (ledger: Pick<DeskOptions, 'office' | 'terms'>) => Promise<T>,
): Promise<T> {
  const { settings, logger } = context
  const { db, allowNonDurableDb = false } = settings
  if (db === undefined) return use({})
  const terms = await termsOf(context)
  return withOffice({ settings: { db, allowNonDurableDb }, logger }, (office) => use({ office, terms }))
}

async function withAudit<T>(
  { settings, clock, logger }: Context<DeskSettings>,
  log: Log,
  use: (audit: AuditLog | undefined) => Promise<T>,
): Promise<T> {
  const { audit: folder, auditStream: stream = 'dlq', prefix } = settings
  if (folder === undefined) return use(undefined)
  const anchors = [anchorTopic(log, topicNames(prefix).auditHeads)]
  const audit = await openAuditLog({ folder, stream, clock, logger, anchors })
  return closing(audit, () => use(audit))
}

function optionsOf(
  { settings, clock, random, logger }: Context<DeskSettings>,
  { normalize, avro }: EventReading,
): Omit<DeskOptions, 'log' | 'audit'> {
  return {
    topics: topicNames(settings.prefix),
    prefix: settings.prefix ?? '',
    clock,
    random,
    logger,
    normalize,
    learn: avro && ((events) => avro.loader.load(events)),
    nextCommandId: () => randomUUID(),
    reorderWindowMs: settings.reorderWindow,
    dedupeWindowMs: settings.dedupeWindow,
  }
}

async function termsOf({ settings, clock }: Context<DeskSettings>): Promise<OfficeTerms> {
  const policy = await policyNow({ settings: { policy: settings.policy }, clock })
  const { kycUnknown, reviewFrom } = mandateOf({ as: undefined, actor: undefined, reason: undefined }, policy)
  return { kycUnknown, reviewFrom }
}
