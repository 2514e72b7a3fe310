import { command } from '../command.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { by, effectiveAt, reason, ruleId } from '../settings/rules-control.ts'
import { brokers, prefix } from '../settings/shared.ts'

export const rulesResume = command({
  name: 'rules resume',
  group: 'Rules',
  summary: 'let a paused rule judge events again from a time on',
  description: `
    Events between are not made up for: a replay of them scores nothing either.`,
  examples: [
    { line: 'onceward rules resume r_points --brokers localhost:9092 --at 2025-12-01', says: 'from midnight UTC on' },
  ],
  settings: [ruleId, brokers, prefix, effectiveAt, by, reason, ...KAFKA_SECURITY],
  async run(context) {
    const { change } = await import('../rules-control/change.ts')
    const { LOOK_PATIENCE_MS, withKafka } = await import('../runtime.ts')
    await withKafka(context, (log) => change(log, context, { kind: 'resume' }), { patienceMs: LOOK_PATIENCE_MS })
  },
})
