import type { PolicyVersion } from '../../core/model/policy.ts'
import { policiesOf } from '../../rules/policy-control.ts'
import { type PolicySource, readPolicy } from '../../rules/policy-file.ts'
import { Violation } from './violation.ts'

/** The pools of the simulated rules: so small that they close while it runs, each in its way. */
const TEXT = `
policy: payout
currency: EUR
pools:
  season: { budget: 40, when_closed: dlq }
  season_de: { budget: 4, when_closed: hold, geo: [DE], large_prize: 0.50 }
  streaks: { budget: 30, when_closed: dlq, geo: [TR, DE] }
  daily: { budget: 15, period: daily, time_zone: Europe/Istanbul, when_closed: hold, breaker: 80%, large_prize: 1.50 }
meta: { version: "1" }
`

export const POLICY: PolicySource = read()

const TIMELINE = policiesOf([POLICY])

/** What the sinks go by. */
export function policyAt(ts: number): PolicyVersion {
  return TIMELINE.at(ts)
}

function read(): PolicySource {
  const reading = readPolicy({ file: 'payout.policy.yaml', text: TEXT })
  if (!reading.ok) throw new Violation(JSON.stringify(reading))
  return reading.policy
}
