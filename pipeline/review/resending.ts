import { KYC_DEFAULTS } from '../../core/model/policy.ts'
import {
  type BackOffice,
  type Command,
  COMMAND_TARGETS_MAX,
  type Outcome,
  type PoolPositions,
} from '../../core/ports/back-office.ts'

export type Office = Pick<BackOffice, 'forecast' | 'carryOut'>

/** What the policy says that the ledger does not know itself; see Mandate. */
export interface OfficeTerms {
  readonly kycUnknown: number
  readonly reviewFrom: Command['reviewFrom']
}

export const LEDGER_TERMS: OfficeTerms = { kycUnknown: KYC_DEFAULTS.unknown, reviewFrom: null }

/** The ledger's way of sending a failed reward again, for many rewards at a time. */
export interface Resending {
  /** What it would do; what it takes from pools is carried from call to call. */
  forecast(taskIds: readonly string[]): Promise<ReadonlyMap<string, Resent>>
  resend(taskIds: readonly string[]): Promise<ReadonlyMap<string, Resent>>
}

export type Resent = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly detail: string }

export function resendingOf(
  office: Office,
  terms: OfficeTerms,
  { actor, reason }: { readonly actor: string; readonly reason: string | undefined },
): Resending {
  const command: Command = {
    name: 'resend',
    actor,
    reason: reason ?? 'its dead letter was reprocessed',
    override: false,
    ...terms,
  }
  const positions: PoolPositions = new Map()
  const all = async (
    taskIds: readonly string[],
    ask: (some: readonly string[]) => Promise<readonly Outcome[]>,
  ): Promise<ReadonlyMap<string, Resent>> => {
    const resent = new Map<string, Resent>()
    const distinct = [...new Set(taskIds)]
    for (let at = 0; at < distinct.length; at += COMMAND_TARGETS_MAX) {
      const outcomes = await ask(distinct.slice(at, at + COMMAND_TARGETS_MAX))
      for (const outcome of outcomes) resent.set(outcome.taskId, resentOf(outcome))
    }
    return resent
  }
  return {
    forecast: (taskIds) => all(taskIds, (some) => office.forecast(command, some, positions)),
    resend: (taskIds) => all(taskIds, (some) => office.carryOut(command, some)),
  }
}

/** What was done already is no refusal: somebody has sent it again, or it was paid after all. */
function resentOf(outcome: Outcome): Resent {
  if (outcome.kind === 'refused') return { ok: false, detail: outcome.detail }
  if (outcome.kind === 'unchanged') return { ok: true, text: `reward ${outcome.taskId}: ${outcome.detail}` }
  const { taskId, from, to, notes } = outcome
  return { ok: true, text: [`reward ${taskId}: ${from ?? 'new'} becomes ${to}`, ...notes].join('; ') }
}
