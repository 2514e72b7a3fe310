import type { ChaosReport } from './chaos.ts'

const DIFFERENCES_SHOWN = 50
const LINES_SHOWN = 15

/** The run as a table for people. */
export function reportTable(report: ChaosReport, seed: number): string {
  const { faults, audit, terminations, logs, inVain, differences } = report
  const rows: (readonly [string, string | number])[] = [
    ['seed', seed],
    ...[...faults].map(([kind, count]) => [kind, count] as const),
    ['faults in all', [...faults.values()].reduce((sum, count) => sum + count, 0)],
    ['events', audit.events],
    ['  duplicates', audit.duplicates],
    ['  dead letters', audit.deadLetters],
    ['  ticks', audit.ticks],
    ['scores', audit.scores],
    ['rewards', audit.rewards],
    ['  frozen', audit.frozen],
    ['  released', audit.released],
    ['calls to the wallet', audit.walletCalls],
    ...Object.entries(logs.recoveries).map(([decision, count]) => [`recoveries: ${decision}`, count] as const),
    ['longest recovery', seconds(1_000 * logs.recoverySecondsMax)],
    ['zombies that their group had left behind', logs.zombies],
    ['SIGTERMs', terminations.length],
    ['  longest to exit', seconds(Math.max(0, ...terminations.map(({ ms }) => ms)))],
    ['  longest without waits for a CPU', seconds(Math.max(0, ...terminations.map(({ ownMs }) => ownMs)))],
    ['hand-over to take-over, median', seconds(1_000 * (logs.takeOverSeconds[logs.takeOverSeconds.length >> 1] ?? 0))],
    ['differences', differences.length],
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  const lines = rows.map(([name, value]) => `${name.padEnd(width)}  ${String(value).padStart(10)}`)
  return [
    ...lines,
    ...listed('waited in vain for', inVain, LINES_SHOWN),
    ...listed('slow recoveries', logs.slow, LINES_SHOWN),
    ...listed('error lines', logs.errors, LINES_SHOWN),
    ...listed('DIFFERENCES', differences, DIFFERENCES_SHOWN),
    '',
  ].join('\n')
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`
}

function listed(title: string, lines: readonly string[], most: number): string[] {
  if (lines.length === 0) return []
  const rest = lines.length > most ? [`  ... and ${lines.length - most} more`] : []
  return ['', `${title}:`, ...lines.slice(0, most).map((line) => `  ${line}`), ...rest]
}
