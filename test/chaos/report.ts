import type { ChaosReport } from './chaos.ts'

const DIFFERENCES_SHOWN = 50
const LINES_SHOWN = 15

/** The run as a table for people. */
export function reportTable(report: ChaosReport, seed: number): string {
  const { faults, audit, terminations, logs, differences } = report
  const terminateMs = terminations.map(({ ms }) => ms)
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
    ['calls to the wallet', audit.walletCalls],
    ...Object.entries(logs.recoveries).map(([decision, count]) => [`recoveries: ${decision}`, count] as const),
    ['longest recovery', `${logs.recoverySecondsMax.toFixed(2)} s`],
    ['longest SIGTERM to exit', `${(Math.max(0, ...terminateMs) / 1_000).toFixed(2)} s of ${terminateMs.length}`],
    ['hand-over to take-over, median', `${(logs.takeOverSeconds[logs.takeOverSeconds.length >> 1] ?? 0).toFixed(2)} s`],
    ['differences', differences.length],
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  const lines = rows.map(([name, value]) => `${name.padEnd(width)}  ${String(value).padStart(10)}`)
  return [
    ...lines,
    ...listed('slow recoveries', logs.slow, LINES_SHOWN),
    ...listed('error lines', logs.errors, LINES_SHOWN),
    ...listed('DIFFERENCES', differences, DIFFERENCES_SHOWN),
    '',
  ].join('\n')
}

function listed(title: string, lines: readonly string[], most: number): string[] {
  if (lines.length === 0) return []
  const rest = lines.length > most ? [`  ... and ${lines.length - most} more`] : []
  return ['', `${title}:`, ...lines.slice(0, most).map((line) => `  ${line}`), ...rest]
}
