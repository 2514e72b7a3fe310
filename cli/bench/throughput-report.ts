import { formatCount } from '../progress.ts'
import { machineShape } from './machine.ts'
import { textTable } from '../text-table.ts'
import type { ThroughputFigures, WorkerFigures } from './throughput.ts'

export interface ThroughputSetting {
  readonly brokers: readonly string[]
  readonly partitions: number
  readonly workers: number
}

/** Why the figures are not what they say; empty where they are. */
export function throughputFindings({ written, raw, runs }: ThroughputFigures): readonly string[] {
  const findings: string[] = []
  const events = formatCount(written)
  if (raw.events !== written)
    findings.push(`reading alone found ${formatCount(raw.events)} of ${events} events that parse`)
  for (const [i, run] of runs.entries()) {
    if (run.events !== written)
      findings.push(`run ${i + 1} counted ${formatCount(run.events)} events, and ${events} were written`)
  }
  if (new Set(runs.map(resultOf)).size > 1) findings.push('runs over the same events ended with different results')
  return findings
}

function resultOf({ duplicates, scores, rewards }: WorkerFigures): string {
  return `${duplicates} ${scores} ${rewards}`
}

/** One object with everything; `findings` is empty where the figures hold. */
export function throughputJson(figures: ThroughputFigures, about: ThroughputSetting): string {
  const findings = throughputFindings(figures)
  return `${JSON.stringify({ machine: machineShape(), ...about, ...figures, findings })}\n`
}

/** The table, the machine, and what the figures do not say. */
export function throughputReport(figures: ThroughputFigures, about: ThroughputSetting): string {
  const { written, rejected, raw, runs } = figures
  const workers = `${about.workers} ${about.workers === 1 ? 'worker' : 'workers'}`
  const heading = ['', 'events/s', 'seconds', 'CPU s per 1M', 'largest worker', 'unique', 'scores', 'rewards']
  const rows = runs.map((run, i) => [
    `${workers}, run ${i + 1}`,
    ...speed(run),
    `${Math.round(run.rssBytes / 2 ** 20)} MiB`,
    ...[run.events - run.duplicates, run.scores, run.rewards].map(formatCount),
  ])
  const findings = throughputFindings(figures).map((finding) => `\nNOT AS ASKED: ${finding}.`)
  return `${formatCount(written)} events${rejected === 0 ? '' : ` (and ${formatCount(rejected)} lines that are none)`} on Kafka at ${about.brokers.join(', ')}, ${about.partitions} partitions
${machineShape()}

${textTable([heading, ['reading and parsing alone', ...speed(raw), '', '', '', ''], ...rows])}${findings.join('')}
Reading and parsing alone is one process that does nothing else: no worker on this log can be faster than one of it.
Workers: from the first partition that was ready until every event was through, each exactly once, outputs and changelog
committed; CPU with the start of the processes. Each run is a new application. Broker and workers share this machine.
`
}

function speed({ events, seconds, cpuSeconds }: Pick<WorkerFigures, 'events' | 'seconds' | 'cpuSeconds'>): string[] {
  const perSecond = formatCount(events / Math.max(seconds, 0.001))
  return [perSecond, seconds.toFixed(1), ((cpuSeconds * 1e6) / Math.max(1, events)).toFixed(1)]
}
