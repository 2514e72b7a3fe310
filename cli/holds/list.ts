import { formatDuration } from '../../core/durations.ts'
import { formatMoney } from '../../core/money.ts'
import type { HoldView } from '../../core/ports/back-office.ts'
import type { Context } from '../command.ts'
import { type HoldFilterSettings, holdFilterOf } from '../rewards/commands.ts'
import { type LedgerSettings, withOffice } from '../rewards/connection.ts'
import { oneLine } from '../rewards/outcomes.ts'
import { rewardJson } from '../rewards/show.ts'
import { textTable } from '../text-table.ts'

export type ListSettings = LedgerSettings & HoldFilterSettings & { readonly limit: number; readonly json: boolean }

/** What waits for a person, longest first. */
export async function listHolds(context: Context<ListSettings>): Promise<void> {
  const { settings, clock, terminal } = context
  const filter = holdFilterOf(settings)
  // One more than is shown says that there are more.
  const found = await withOffice(context, (office) => office.holds(filter, settings.limit + 1))
  const shown = found.slice(0, settings.limit)
  const more = found.length > shown.length
  if (settings.json) await terminal.print(`${JSON.stringify({ holds: rewardJson(shown), more })}\n`)
  else await terminal.print(listText(shown, clock.now()))
  if (more) terminal.note(`there are more than ${settings.limit}; raise --limit, or ask for fewer with filters`)
}

const HEADS = ['REWARD', 'PLAYER', 'WHAT', 'COST', 'POOL', 'WAITS', 'BY', 'APPROVALS', 'WHY']

export function listText(holds: readonly HoldView[], now: number): string {
  if (holds.length === 0) return 'nothing waits for a review\n'
  const rows = holds.map((hold) => [
    hold.taskId,
    hold.userId,
    `${hold.type} ${formatMoney(hold.value)}${hold.currency === null ? '' : ` ${hold.currency}`}`,
    formatMoney(hold.cost),
    hold.poolId ?? '-',
    formatDuration(Math.max(0, now - hold.openedAt.getTime())),
    hold.assignee ?? '-',
    `${hold.approvedBy.length} of ${hold.approvals}`,
    hold.reasons.map(({ by, detail }) => `${by}: ${detail}`).join('; '),
  ])
  const total = holds.reduce((sum, { cost }) => sum + cost, 0n)
  return `${textTable([HEADS, ...rows.map((row) => row.map(oneLine))], 'texts')}\n${holds.length} shown, ${formatMoney(total)} in all\n`
}
