import { command } from '../command.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { by, effectiveAt, reason, ruleId } from '../settings/rules-control.ts'
import { brokers, prefix } from '../settings/shared.ts'

export const rulesRetire = command({
  name: 'rules retire',
  group: 'Rules',
  summary: 'end a rule for ever from a time on',
  description: `
    Events from that time on are not scored by the rule, and it gets no new versions. What was scored stays.`,
  examples: [
    {
      line: 'onceward rules retire r_points --brokers localhost:9092 --at 2025-12-31T21:00:00Z --reason "the season is over"',
      says: 'at a time',
    },
  ],
  settings: [ruleId, brokers, prefix, effectiveAt, by, reason, ...KAFKA_SECURITY],
  async run(context) {
    const { change } = await import('../rules-control/change.ts')
    const { LOOK_PATIENCE_MS, withKafka } = await import('../runtime.ts')
    await withKafka(context, (log) => change(log, context, { kind: 'retire' }), { patienceMs: LOOK_PATIENCE_MS })
  },
})
