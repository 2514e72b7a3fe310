import { command } from '../command.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { json, lookAt, ruleId, ruleVersion } from '../settings/rules-control.ts'
import { brokers, prefix } from '../settings/shared.ts'

export const rulesShow = command({
  name: 'rules show',
  group: 'Rules',
  summary: 'print a published rule as it judges events of a time',
  description: `
    Prints the file of the version that is in effect at a time, as it was published, with comments that say since when, for
    whom, who published it and why. In a rollout there are two or more, the newest first: whom it does not take in is judged
    by the next.`,
  examples: [
    {
      line: 'onceward rules show r_points --brokers localhost:9092 --at 2025-11-03T18:00:00Z',
      says: 'what judged an event of that time',
    },
    {
      line: 'onceward rules show r_points --brokers localhost:9092 --rule-version 1.0 > r_points.yaml',
      says: 'an old version, as a file',
    },
  ],
  settings: [ruleId, brokers, prefix, lookAt, ruleVersion, json, ...KAFKA_SECURITY],
  async run(context) {
    const { showRule } = await import('../rules-control/show.ts')
    const { LOOK_PATIENCE_MS, withKafka } = await import('../runtime.ts')
    await withKafka(context, (log) => showRule(log, context), { patienceMs: LOOK_PATIENCE_MS })
  },
})
