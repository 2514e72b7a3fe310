import { formatCount } from '../progress.ts'
import type { FrozenBy, Summary } from './results.ts'

/** One line for people about the rewards that are not to be paid; undefined where there are none. */
export function frozenText(
  { rewards, frozen, expired }: Pick<Summary, 'rewards' | 'frozen' | 'expired'>,
  { kyc, rg }: FrozenBy,
): string | undefined {
  if (frozen + expired === 0) return undefined
  const why = [
    ...(kyc === 0 ? [] : [`${formatCount(kyc)} for want of KYC`]),
    ...(rg === 0 ? [] : [`${formatCount(rg)} because of a restriction of the player`]),
  ].join(', ')
  const waits = frozen === 0 ? [] : [`${formatCount(frozen)} are frozen (${why})`]
  const gone = expired === 0 ? [] : [`${formatCount(expired)} have expired while they were frozen`]
  return `of ${formatCount(rewards)} rewards ${[...waits, ...gone].join(', ')}; onceward explain says what each waits for`
}
