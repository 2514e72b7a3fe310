import { randomUUID } from 'node:crypto'
import type { Log } from '../../core/ports/log.ts'
import type { ReviewDesk } from '../../core/ports/review.ts'
import { topicNames } from '../../core/topics.ts'
import { Desk, type DeskOptions } from '../../pipeline/review/desk.ts'
import type { OfficeTerms } from '../../pipeline/review/resending.ts'
import type { Context } from '../command.ts'
import { withOffice } from '../rewards/connection.ts'
import { mandateOf, policyNow } from '../rewards/mandate.ts'
import { type KafkaSettings, LOOK_PATIENCE_MS, loadNormalizer, withKafka } from '../runtime.ts'

export type DeskSettings = KafkaSettings & {
  readonly prefix: string | undefined
  readonly schemas: string | undefined
  readonly db?: string | undefined
  readonly allowNonDurableDb?: boolean
  readonly policy?: string | undefined
  readonly reorderWindow: number
  readonly dedupeWindow: number
}

/** Opens the desk on the log, and on the ledger where one is named, hands it to `use` and closes it whatever comes of that. */
export function withDesk<T>(context: Context<DeskSettings>, use: (desk: ReviewDesk) => Promise<T>): Promise<T> {
  const { settings, logger } = context
  return withKafka(
    context,
    async (log) => {
      const options = await optionsOf(context, log)
      const { db, allowNonDurableDb = false } = settings
      if (db === undefined) return use(new Desk(options))
      const terms = await termsOf(context)
      return withOffice({ settings: { db, allowNonDurableDb }, logger }, (office) =>
        use(new Desk({ ...options, office, terms })),
      )
    },
    { patienceMs: LOOK_PATIENCE_MS },
  )
}

async function optionsOf({ settings, clock, random, logger }: Context<DeskSettings>, log: Log): Promise<DeskOptions> {
  return {
    log,
    topics: topicNames(settings.prefix),
    prefix: settings.prefix ?? '',
    clock,
    random,
    logger,
    audit: undefined,
    normalize: await loadNormalizer(settings.schemas),
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
