import { formatCount } from '../progress.ts'
import { machineShape } from './machine.ts'
import type { RecoveryFigures } from './recovery.ts'
import { textTable } from '../text-table.ts'

/** What a restart and a take-over may take, seconds. */
const BOUND_SECONDS = 3

/** The table, the machine, and what the figures do not say. */
export function recoveryReport(
  figures: RecoveryFigures,
  about: { readonly keys: number; readonly where: string },
): string {
  const rows = figures.measured.map(({ name, decision, applied, openSeconds, totalSeconds }) => [
    name,
    decision,
    formatCount(applied),
    openSeconds.toFixed(2),
    totalSeconds.toFixed(2),
    decision === 'rebuild' ? '' : totalSeconds < BOUND_SECONDS ? 'kept' : 'MISSED',
  ])
  const heading = ['', 'decision', 'records applied', 'open s', 'to first commit s', `under ${BOUND_SECONDS} s`]
  return `recovery of one partition with ${formatCount(about.keys)} accounts and as many remembered ids, on ${about.where}
${machineShape()}

${textTable([heading, ...rows])}
A second worker had made its copy from nothing, beside the owner, in ${figures.copySeconds.toFixed(2)} s.

open s: fencing the former owner, deciding, opening the store, catching up. To first commit: from the start of the worker
(for the take-over: from the moment that the owner was told to stop) until an event that was waiting is committed; joining
the group is part of it.
Not measured: the start of the Node process, and after a crash the time until the group gives the dead worker up
(--session-timeout). Broker, owner and standby share this machine; files are in its page cache. One run each: repeat it to
see how far the figures vary.
`
}
