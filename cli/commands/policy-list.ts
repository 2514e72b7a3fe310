import { command } from '../command.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { json, lookAt } from '../settings/rules-control.ts'
import { brokers, prefix } from '../settings/shared.ts'

export const policyList = command({
  name: 'policy list',
  group: 'Rules',
  summary: 'show every published version of the payout policy, who published it and why',
  description: `
    One line for each version: its status at a time (active, scheduled, replaced by a newer one), from when on it is in
    effect, and who published it when and why.`,
  examples: [{ line: 'onceward policy list --brokers localhost:9092', says: 'as it stands now' }],
  settings: [brokers, prefix, lookAt, json, ...KAFKA_SECURITY],
  async run(context) {
    const { listPolicies } = await import('../policy/list.ts')
    const { publishedPolicies } = await import('../policy/sources.ts')
    const { LOOK_PATIENCE_MS, withKafka } = await import('../runtime.ts')
    const known = await withKafka(context, (log) => publishedPolicies(log, context), { patienceMs: LOOK_PATIENCE_MS })
    await listPolicies(known, context)
  },
})
