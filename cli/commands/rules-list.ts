import { command } from '../command.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { json, lookAt } from '../settings/rules-control.ts'
import { brokers, prefix } from '../settings/shared.ts'

export const rulesList = command({
  name: 'rules list',
  group: 'Rules',
  summary: 'show every published version: whether it is in effect, for whom, who published it and why',
  description: `
    One line for each version: its status at a time (active, scheduled, replaced by a newer one, paused, retired), the part of
    the players whom it judges, and who published it when and why; below, what was said of the rules since.`,
  examples: [
    { line: 'onceward rules list --brokers localhost:9092', says: 'as it stands now' },
    {
      line: 'onceward rules list --brokers localhost:9092 --at 2025-12-01 --json',
      says: 'as it will stand, for a program',
    },
  ],
  settings: [brokers, prefix, lookAt, json, ...KAFKA_SECURITY],
  async run(context) {
    const { listRules } = await import('../rules-control/list.ts')
    const { LOOK_PATIENCE_MS, withKafka } = await import('../runtime.ts')
    await withKafka(context, (log) => listRules(log, context), { patienceMs: LOOK_PATIENCE_MS })
  },
})
