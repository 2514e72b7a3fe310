import { countsJson } from '../../core/letter-json.ts'
import type { LetterCounts } from '../../core/ports/review.ts'
import type { Context } from '../command.ts'
import { formatCount } from '../progress.ts'
import { oneLine } from '../rewards/outcomes.ts'
import { textTable } from '../text-table.ts'
import { type DeskSettings, withDesk } from './connection.ts'
import { type FilterSettings, filterOf } from './targets.ts'

export type CountSettings = DeskSettings & FilterSettings & { readonly json: boolean }

export async function countLetters(context: Context<CountSettings>): Promise<void> {
  const { settings, terminal } = context
  const filter = filterOf(settings)
  const counts = await withDesk(context, (desk) => desk.count(filter))
  await terminal.print(settings.json ? `${JSON.stringify(countsJson(counts))}\n` : countsText(counts))
}

/** Of all events at most so many are to be set aside (SPEC S20). */
const SHARE_PERCENT_MAX = 0.06

export function countsText({ letters, byState, groups, share, unreadable }: LetterCounts): string {
  const states = Object.entries(byState).map(([state, of]) => `${formatCount(of)} ${state}`)
  const rows = groups.map(({ cause, error, day, state, letters: of }) => [
    formatCount(of),
    cause,
    day,
    state,
    oneLine(error),
  ])
  return [
    ...(rows.length === 0 ? [] : [textTable([['LETTERS', 'CAUSE', 'DAY', 'STATUS', 'ERROR'], ...rows], 'texts'), '\n']),
    `${formatCount(letters)} ${letters === 1 ? 'letter' : 'letters'}: ${states.join(', ')}\n`,
    ...(share === null ? [] : [`${shareText(share)}\n`]),
    ...(unreadable === 0 ? [] : [`${formatCount(unreadable)} records are no dead letters, and are left out\n`]),
  ].join('')
}

function shareText({ letters, events }: NonNullable<LetterCounts['share']>): string {
  const percent = (letters * 100) / events
  const judged = percent < SHARE_PERCENT_MAX ? `below ${SHARE_PERCENT_MAX} %` : `${SHARE_PERCENT_MAX} % or more`
  return `of about ${formatCount(events)} events on the topic ${formatCount(letters)} were set aside: ${percent.toFixed(4)} % (${judged})`
}
