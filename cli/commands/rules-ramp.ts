import { command } from '../command.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { by, effectiveAt, reason, ruleId, ruleVersion } from '../settings/rules-control.ts'
import { setting } from '../settings/setting.ts'
import { brokers, prefix } from '../settings/shared.ts'

const to = setting('to', {
  type: 'text',
  required: true,
  placeholder: 'PERCENT',
  help: 'percent of the players that the version is for, from 0 to 100, with at most two decimals',
  pattern: {
    test: /^(100(\.0{1,2})?|\d{1,2}(\.\d{1,2})?)%?$/,
    right: 'a part of the players; write a percentage from 0 to 100 with at most two decimals, such as 50',
  },
})

export const rulesRamp = command({
  name: 'rules ramp',
  group: 'Rules',
  summary: 'change for how many of the players a version is',
  description: `
    Who is in is decided by a hash of the user id alone: a rollout that grows keeps everybody whom it has. Whom a version does
    not take in is judged by the version before, if there is one. --to 0 takes a version back.`,
  examples: [
    {
      line: 'onceward rules ramp r_points --brokers localhost:9092 --to 50 --reason "no complaints at 10 %"',
      says: 'the newest version for half of the players',
    },
  ],
  settings: [ruleId, to, brokers, prefix, ruleVersion, effectiveAt, by, reason, ...KAFKA_SECURITY],
  async run(context) {
    const { settings } = context
    const { change } = await import('../rules-control/change.ts')
    const { LOOK_PATIENCE_MS, withKafka } = await import('../runtime.ts')
    await withKafka(
      context,
      (log) =>
        change(log, context, { kind: 'ramp', to: Number.parseFloat(settings.to), version: settings.ruleVersion }),
      { patienceMs: LOOK_PATIENCE_MS },
    )
  },
})
