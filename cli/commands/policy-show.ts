import { command } from '../command.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { policyBrokers, policyFile } from '../settings/policy.ts'
import { json, lookAt } from '../settings/rules-control.ts'
import { prefix } from '../settings/shared.ts'

export const policyShow = command({
  name: 'policy show',
  group: 'Rules',
  summary: 'print the payout policy as it decides at a time',
  description: `
    Prints the version in effect at a time as Onceward understands it: each pool with its budget, period, dates and
    countries, and where its soft cap and its breaker lie; unit costs in the order in which they are asked, exchange rates,
    levels of verification.`,
  examples: [
    { line: 'onceward policy show --brokers localhost:9092', says: 'what counts now' },
    {
      line: 'onceward policy show --policy examples/rules/payout.policy.yaml --at 2025-11-10 --json',
      says: 'what a file would say, for a program',
    },
  ],
  settings: [policyBrokers, policyFile, prefix, lookAt, json, ...KAFKA_SECURITY],
  async run(context) {
    const { showPolicy } = await import('../policy/show.ts')
    const { policiesToLookAt } = await import('../policy/sources.ts')
    await showPolicy(await policiesToLookAt(context), context)
  },
})
