import { formatCount } from '../progress.ts'
import type { LatencyFigures, Percentiles } from './latency.ts'
import { machineShape } from './machine.ts'
import { textTable } from '../text-table.ts'

export interface LatencySetting {
  readonly brokers: readonly string[]
  readonly partitions: number
  readonly workers: number
  readonly seconds: number
}

/** What comes later than this after the end has piled up. */
const BEHIND_MS_MAX = 1_000

/** Why the figures at this rate are not what they say; empty where they are. */
export function latencyFindings(figures: LatencyFigures): readonly string[] {
  const { rate, reached, appendedMs, drainMs, settled, warmUpSeconds, expected, came } = figures
  const at = `at ${formatCount(rate)} a second`
  const findings: string[] = []
  if (appendedMs > BEHIND_MS_MAX) {
    findings.push(`${at} the rate was not held: the broker took ${formatCount(reached)} events a second`)
  }
  if (drainMs > BEHIND_MS_MAX) {
    findings.push(
      `${at} the workers fell behind: the last output came ${(drainMs / 1000).toFixed(1)} s after the last event was due`,
    )
  }
  if (!settled) findings.push(`${at} latency had not settled after ${warmUpSeconds} s of warming up`)
  for (const what of ['scores', 'rewards'] as const) {
    if (came[what] === expected[what]) continue
    findings.push(`${at} ${formatCount(came[what])} ${what} came, and ${formatCount(expected[what])} had to`)
  }
  return findings
}

/** One object with everything; `findings` of each run are empty where its figures hold. */
export function latencyJson(runs: readonly LatencyFigures[], about: LatencySetting): string {
  const withFindings = runs.map((figures) => ({ ...figures, findings: latencyFindings(figures) }))
  return `${JSON.stringify({ machine: machineShape(), ...about, runs: withFindings })}\n`
}

/** The table, the machine, and what the figures do not say. */
export function latencyReport(runs: readonly LatencyFigures[], about: LatencySetting): string {
  const heading = [
    'events/s',
    'reached',
    'events',
    'append p95',
    'score p50',
    ...TAIL,
    'reward p50',
    ...TAIL,
    'worker CPU',
  ]
  const rows = runs.map(({ rate, reached, events, append, score, reward, workerCpu }) => [
    formatCount(rate),
    formatCount(reached),
    formatCount(events),
    ms(append.p95),
    ...threeOf(score),
    ...threeOf(reward),
    `${Math.round(workerCpu * 100)}%`,
  ])
  const findings = runs.flatMap(latencyFindings).map((finding) => `\nNOT AS ASKED: ${finding}.\n`)
  const { brokers, partitions, workers, seconds } = about
  return `latency on Kafka at ${brokers.join(', ')}: ${plural(workers, 'worker')}, ${plural(partitions, 'partition')}, ${seconds} s at each rate after a warm-up
${machineShape()}

${textTable([heading, ...rows])}${findings.join('')}
From the instant at which an event was due (its timestamp on events.raw, so that a late send counts as latency) until a
read_committed reader had the score or reward task that came of it; in ms of this machine's clock.
append: until the broker had acknowledged the event, of which up to 5 ms is the sender's linger. CPU: of all workers, 100% is
one core. All scores and reward tasks were counted against the events. Broker, workers, sender and readers share this
machine. One run each: repeat it to see how far the figures vary.
`
}

const TAIL = ['p95', 'p99']

function threeOf({ p50, p95, p99 }: Percentiles): string[] {
  return [p50, p95, p99].map(ms)
}

function ms(value: number | undefined): string {
  return value === undefined ? '-' : formatCount(value)
}

function plural(count: number, unit: string): string {
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}
