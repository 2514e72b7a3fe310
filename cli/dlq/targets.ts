import { OncewardError } from '../../core/errors.ts'
import { DLQ_REASONS } from '../../core/model/dlq.ts'
import { LETTER_STATES, type LetterFilter, type ReviewDesk } from '../../core/ports/review.ts'
import { dayOrTime } from '../settings/day-or-time.ts'

export interface FilterSettings {
  readonly cause: readonly string[] | undefined
  readonly status: readonly string[] | undefined
  readonly rule: string | undefined
  readonly user: string | undefined
  readonly eventName: string | undefined
  readonly error: string | undefined
  readonly from: string | undefined
  readonly to: string | undefined
}

export interface TargetSettings extends FilterSettings {
  readonly letter: readonly string[] | undefined
  readonly limit: number | undefined
}

/** Throws ONCEWARD_E_SETTING_INVALID. */
export function filterOf(settings: FilterSettings): LetterFilter {
  const { cause, status, rule, user, eventName, error, from, to } = settings
  return {
    causes: cause && DLQ_REASONS.filter((one) => cause.includes(one)),
    states: status && LETTER_STATES.filter((one) => status.includes(one)),
    from: dayOrTime('--from', from),
    until: dayOrTime('--to', to),
    rule,
    user,
    eventName,
    error,
  }
}

/**
 * Ids of the letters that a command is for: those given, or the open ones that fit the filters. Throws ONCEWARD_E_USAGE where
 * it is for nothing, or for two kinds of things at once.
 */
export async function targetsOf(
  desk: ReviewDesk,
  settings: TargetSettings,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { letter, limit = Number.POSITIVE_INFINITY } = settings
  const filter = filterOf(settings)
  const filtered = Object.values(filter).some((value) => value !== undefined)
  if (filtered === (letter !== undefined)) {
    const what = filtered ? 'that is said in more than one way' : 'it is not said for which letters'
    throw new OncewardError(
      'ONCEWARD_E_USAGE',
      `${what}; write ids, or filters such as --cause schema or --status open`,
    )
  }
  if (letter !== undefined) return [...new Set(letter)].slice(0, limit)
  const ids: string[] = []
  for await (const { id } of desk.letters({ states: ['open'], ...definedOnly(filter) })) {
    if (ids.length >= limit || signal.aborted) break
    ids.push(id)
  }
  return ids
}

function definedOnly(filter: LetterFilter): LetterFilter {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined))
}
