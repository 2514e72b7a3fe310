import { command } from '../command.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { rulesDir } from '../settings/rules-control.ts'
import { setting } from '../settings/setting.ts'
import { brokers, prefix } from '../settings/shared.ts'

const failOnDifference = setting('fail-on-difference', {
  type: 'flag',
  help: 'end with exit code 1 where anything differs',
})

export const rulesDiff = command({
  name: 'rules diff',
  group: 'Rules',
  summary: 'compare the rules of a folder with what is published',
  description: `
    Prints a unified diff for each file that says something else than what was published under its version, or whose version
    is new: then against the newest one. Comments, blanks and the order of keys are no difference by themselves.`,
  examples: [
    { line: 'onceward rules diff rules --brokers localhost:9092', says: 'what a publication would change' },
    {
      line: 'onceward rules diff rules --brokers localhost:9092 --fail-on-difference',
      says: 'in a pipeline: is what is published what the repository says?',
    },
  ],
  settings: [rulesDir, brokers, prefix, failOnDifference, ...KAFKA_SECURITY],
  async run(context) {
    const { diffFolder } = await import('../rules-control/diff.ts')
    const { LOOK_PATIENCE_MS, withKafka } = await import('../runtime.ts')
    return withKafka(context, (log) => diffFolder(log, context), { patienceMs: LOOK_PATIENCE_MS })
  },
})
