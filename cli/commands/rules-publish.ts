import { command } from '../command.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { by, json, reason, rulesDir } from '../settings/rules-control.ts'
import { brokers, prefix } from '../settings/shared.ts'

export const rulesPublish = command({
  name: 'rules publish',
  group: 'Rules',
  summary: 'publish the rules of a folder: whole or not at all',
  description: `
    Publishes every version on rules.control that is not there yet. Workers take it up by themselves, all at the same event
    time: at meta.effective_from, or as soon as every worker must know it, 5 minutes and 10 seconds from now. The first rules
    of an installation are in effect since ever.

    A published version never changes. Where a file says something else than what was published under its version, or an
    instant is too soon, nothing is published, and all that is wrong is told, with a diff.`,
  examples: [
    {
      line: 'onceward rules publish rules --brokers localhost:9092 --reason "CRM-1234: winter season"',
      says: 'all that is new in a folder',
    },
  ],
  settings: [rulesDir, brokers, prefix, by, reason, json, ...KAFKA_SECURITY],
  async run(context) {
    const { publishFolder } = await import('../rules-control/publish.ts')
    const { LOOK_PATIENCE_MS, withKafka } = await import('../runtime.ts')
    await withKafka(context, (log) => publishFolder(log, context), { patienceMs: LOOK_PATIENCE_MS })
  },
})
