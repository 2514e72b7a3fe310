import { command } from '../command.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { by, json, reason } from '../settings/rules-control.ts'
import { setting } from '../settings/setting.ts'
import { brokers, prefix } from '../settings/shared.ts'

const path = setting('path', {
  type: 'path',
  required: true,
  positional: true,
  placeholder: 'FILE|DIR',
  help: 'a policy file, or a folder with versions of the policy',
})

export const policyPublish = command({
  name: 'policy publish',
  group: 'Rules',
  summary: 'publish a version of the payout policy',
  description: `
    Publishes every version on rules.control that is not there yet. Workers and sinks take it up by themselves, all at the
    same event time: at meta.effective_from, or as soon as each of them must know it, 5 minutes and 10 seconds from now.
    Where no rules are published yet the first policy is in effect since ever.

    A published version never changes. Where a file says something else than what was published under its version, or its
    instant is too soon, nothing is published, and all that is wrong is told, with a diff. A policy that lies in a folder of
    rules is published with them, too.`,
  examples: [
    {
      line: 'onceward policy publish payout.policy.yaml --brokers localhost:9092 --reason "RISK-17: more for Brazil"',
      says: 'a new version, raised in meta.version',
    },
  ],
  settings: [path, brokers, prefix, by, reason, json, ...KAFKA_SECURITY],
  async run(context) {
    const { publishPolicyFiles } = await import('../policy/publish.ts')
    const { LOOK_PATIENCE_MS, withKafka } = await import('../runtime.ts')
    await withKafka(context, (log) => publishPolicyFiles(log, context), { patienceMs: LOOK_PATIENCE_MS })
  },
})
