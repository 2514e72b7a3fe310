import { formatCount } from '../progress.ts'
import { textTable } from '../text-table.ts'
import type { GatewayFigures } from './gateway.ts'
import { machineShape } from './machine.ts'

/** Of single events the 95th percentile in ms, of batches the events a second; and no error in either. */
export const GATEWAY_GOALS = { p95Ms: 50, eventsPerSecond: 30_000 } as const

/** What was missed or broken; empty where all is well. */
export function gatewayFindings({ phases, onBus }: GatewayFigures): readonly string[] {
  const findings: string[] = []
  for (const { kind, p95, events, requests, seconds, errors } of phases) {
    if (requests === 0) findings.push(`no request of the ${kind} was measured`)
    for (const [error, times] of Object.entries(errors)) {
      findings.push(`${formatCount(times)} requests of the ${kind} were not answered 202 but: ${error}`)
    }
    if (kind === 'singles' && p95 >= GATEWAY_GOALS.p95Ms) {
      findings.push(`p95 of single events is ${p95.toFixed(1)} ms, and the goal is below ${GATEWAY_GOALS.p95Ms} ms`)
    }
    const rate = events / seconds
    if (kind === 'batches' && rate < GATEWAY_GOALS.eventsPerSecond) {
      findings.push(
        `batches brought ${formatCount(rate)} events a second, and the goal is ${formatCount(GATEWAY_GOALS.eventsPerSecond)}`,
      )
    }
  }
  const accepted = phases.reduce((sum, phase) => sum + phase.accepted, 0)
  const sentInDoubt = phases.some(({ errors }) => Object.keys(errors).length > 0)
  if (onBus < accepted || (onBus > accepted && !sentInDoubt)) {
    findings.push(`${formatCount(accepted)} events were accepted, and ${formatCount(onBus)} stand on the bus`)
  }
  return findings
}

export function gatewayJson(figures: GatewayFigures): string {
  const findings = gatewayFindings(figures)
  return `${JSON.stringify({ machine: machineShape(), goals: GATEWAY_GOALS, ...figures, findings })}\n`
}

/** The table, the machine, and what the figures do not say. */
export function gatewayReport(figures: GatewayFigures): string {
  const rows = figures.phases.map(
    ({ kind, requests, events, seconds, p50, p95, p99, greatest, cpuSeconds, accepted, rssBytes }) => [
      kind === 'singles' ? 'single events' : 'batches',
      formatCount(requests / seconds),
      formatCount(events / seconds),
      ...[p50, p95, p99, greatest].map((ms) => ms.toFixed(1)),
      ((cpuSeconds * 1e6) / Math.max(1, accepted)).toFixed(1),
      `${Math.round(rssBytes / 2 ** 20)} MiB`,
    ],
  )
  const head = ['', 'requests/s', 'events/s', 'p50 ms', 'p95 ms', 'p99 ms', 'greatest', 'CPU us/event', 'RSS']
  const findings = gatewayFindings(figures).map((finding) => `MISSED: ${finding}.\n`)
  return [
    `${machineShape()}\n`,
    textTable([head, ...rows]),
    `${formatCount(figures.onBus)} events stand on the bus; ${figures.audited ? 'with' : 'without'} an audit log.\n${findings.join('')}`,
    `Gateway, load and whatever else runs here share this machine. Latency counts from the instant at which a request was due until its
answer was there, so that one slow answer counts for all that it kept waiting; the load's own lateness, up to a millisecond or two,
is in it. Single events come at a steady rate over as many connections as it takes, batches one after the other over each
connection. CPU is the gateway's alone, over warm-up and measurement.\n`,
  ].join('\n')
}
