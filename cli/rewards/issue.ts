import { OncewardError } from '../../core/errors.ts'
import type { Context } from '../command.ts'
import { type BulkSettings, runBulk } from './bulk.ts'
import { type LedgerSettings, withOffice } from './connection.ts'
import { mandateOf, type MandateSettings, policyNow } from './mandate.ts'
import { readOrders } from './orders.ts'
import { readText } from './targets.ts'

export type IssueSettings = LedgerSettings &
  MandateSettings &
  BulkSettings & {
    readonly policy: string | undefined
    readonly file: string | undefined
    readonly user: string | undefined
    readonly type: string | undefined
    readonly amount: string | undefined
    readonly currency: string | undefined
    readonly pool: string | undefined
    readonly reference: string | undefined
    readonly kycLevel: number | undefined
    readonly cost: string | undefined
  }

/** Gives rewards by hand: one that flags describe, or those of a CSV. */
export async function issueRewards(context: Context<IssueSettings>): Promise<number | undefined> {
  const { settings, clock } = context
  const policy = await policyNow(context)
  const mandate = mandateOf(settings, policy)
  const source = await sourceOf(settings)
  return withOffice(context, async (office) => {
    const targets = await readOrders({
      ...source,
      reason: settings.reason,
      policy,
      now: clock.now(),
      periodsOf: (poolId) => office.periodsOf(poolId),
    })
    // The reason of a command on the whole file; each reward is told with its own.
    const order = mandate.reason === '' ? { ...mandate, reason: 'as each line of the file says' } : mandate
    return runBulk(
      {
        verb: 'issue',
        targets,
        forecast: (some, positions) => office.forecastIssue(order, some, positions),
        carryOut: (some) => office.issue(order, some),
      },
      context,
    )
  })
}

async function sourceOf(settings: IssueSettings): Promise<{ readonly path: string; readonly text: string }> {
  const { file, user, type, amount, currency, pool, reference, kycLevel, cost } = settings
  const one = { user_id: user, type, amount, currency, pool, reference, kyc_level: kycLevel?.toString(), cost }
  const described = Object.values(one).some((value) => value !== undefined)
  if (file !== undefined && !described) return { path: file, text: await readText('--file', file) }
  if (file !== undefined || user === undefined || type === undefined || reference === undefined) {
    const message =
      'say what to issue: --file FILE, or one reward with --user, --type, --amount, --currency, --pool and --reference'
    throw new OncewardError('ONCEWARD_E_USAGE', message)
  }
  const line = (cells: readonly string[]): string => cells.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(',')
  return {
    path: 'the flags',
    text: `${line(Object.keys(one))}\n${line(Object.values(one).map((value) => value ?? ''))}\n`,
  }
}
