import { command } from '../command.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { by, effectiveAt, reason, ruleId } from '../settings/rules-control.ts'
import { brokers, prefix } from '../settings/shared.ts'

export const rulesPause = command({
  name: 'rules pause',
  group: 'Rules',
  summary: 'let a rule judge no events from a time on, until it is resumed',
  description: `
    Events from that time on are not scored by the rule, by any worker and in any replay. Points and progress stay as they
    are; what was rewarded before is still paid (stop the sinks to hold payments back at once).`,
  examples: [
    {
      line: 'onceward rules pause r_points --brokers localhost:9092 --reason "pays too much"',
      says: 'as soon as every worker must know it',
    },
  ],
  settings: [ruleId, brokers, prefix, effectiveAt, by, reason, ...KAFKA_SECURITY],
  async run(context) {
    const { change } = await import('../rules-control/change.ts')
    const { LOOK_PATIENCE_MS, withKafka } = await import('../runtime.ts')
    await withKafka(context, (log) => change(log, context, { kind: 'pause' }), { patienceMs: LOOK_PATIENCE_MS })
  },
})
