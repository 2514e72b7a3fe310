import { OncewardError } from '../../core/errors.ts'
import { parseMoney } from '../../core/money.ts'
import type { RewardStatus } from '../../core/model/reward-status.ts'
import type { BackOffice, Command, HoldFilter, Mandate, RewardFilter } from '../../core/ports/back-office.ts'
import type { Context } from '../command.ts'
import { type BulkSettings, runBulk } from './bulk.ts'
import { type LedgerSettings, withOffice } from './connection.ts'
import { mandateOf, type MandateSettings, policyNow } from './mandate.ts'
import { type TargetSettings, targetsOf } from './targets.ts'

export interface HoldFilterSettings {
  readonly pool: string | undefined
  readonly type: string | undefined
  readonly user: string | undefined
  readonly heldBy: string | undefined
  readonly assignee: string | undefined
  readonly olderThan: number | undefined
  readonly minCost: string | undefined
}

/** Throws ONCEWARD_E_SETTING_INVALID for what is no amount. */
export function holdFilterOf(settings: HoldFilterSettings): HoldFilter {
  const { pool, type, user, heldBy, assignee, olderThan, minCost } = settings
  const costMin = minCost === undefined ? undefined : amountOf('--min-cost', minCost)
  return { pool, type, user, by: heldBy, assignee: assignee === 'nobody' ? '' : assignee, ageMsMin: olderThan, costMin }
}

/** Throws ONCEWARD_E_SETTING_INVALID. */
export function amountOf(flag: string, text: string): bigint {
  try {
    const cents = parseMoney(text)
    if (cents >= 0n) return cents
  } catch {
    // Said below.
  }
  throw new OncewardError(
    'ONCEWARD_E_SETTING_INVALID',
    `${flag}: "${text}" is no amount; write digits with at most two decimals, such as 2.50`,
  )
}

type Settings = LedgerSettings & MandateSettings & BulkSettings & TargetSettings

export type HoldCommandSettings = Settings & HoldFilterSettings & { readonly policy?: string | undefined }

/** Does something to reviews: `make` says what. */
export async function decideHolds(
  context: Context<HoldCommandSettings>,
  verb: string,
  make: (mandate: Mandate) => Command,
): Promise<number | undefined> {
  const filter = holdFilterOf(context.settings)
  const asked = Object.values(filter).some((value) => value !== undefined)
  return carryOut(context, { verb, make, find: asked ? (office) => office.heldIds(filter) : undefined })
}

export type RewardCommandSettings = Settings & {
  readonly pool: string | undefined
  readonly type: string | undefined
  readonly user: string | undefined
  readonly rule: string | undefined
  readonly frozenBy?: string | undefined
  readonly policy?: string | undefined
}

/** Does something to rewards. `statuses`: those that filters look for, because it can be done to them. */
export async function commandRewards(
  context: Context<RewardCommandSettings>,
  { verb, statuses }: { readonly verb: string; readonly statuses: readonly RewardStatus[] },
  make: (mandate: Mandate) => Command,
): Promise<number | undefined> {
  const { pool, type, user, rule, frozenBy } = context.settings
  const filter: RewardFilter = { statuses, pool, type, user, rule, frozenBy }
  const asked = [pool, type, user, rule].some((value) => value !== undefined)
  return carryOut(context, { verb, make, find: asked ? (office) => office.rewardIds(filter) : undefined })
}

interface Work {
  readonly verb: string
  readonly make: (mandate: Mandate) => Command
  /** What the filters say; absent: none was given, and the ids are. */
  readonly find: ((office: BackOffice) => Promise<readonly string[]>) | undefined
}

async function carryOut(
  context: Context<Settings & { readonly policy?: string | undefined }>,
  { verb, make, find }: Work,
): Promise<number | undefined> {
  const { settings, clock } = context
  const command = make(mandateOf(settings, await policyNow({ settings: { policy: settings.policy }, clock })))
  return withOffice(context, async (office) => {
    const targets = await targetsOf(office, settings, find && (() => find(office)))
    return runBulk(
      {
        verb,
        targets,
        forecast: (some, positions) => office.forecast(command, some, positions),
        carryOut: (some) => office.carryOut(command, some),
      },
      context,
    )
  })
}
