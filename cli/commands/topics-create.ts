import { topicNames } from '../../core/topics.ts'
import { command } from '../command.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { setting } from '../settings/setting.ts'
import { brokers, prefix } from '../settings/shared.ts'

const partitions = setting('partitions', {
  type: 'integer',
  required: true,
  min: 1,
  max: 10_000,
  help: 'partitions of the events: as many workers as that can share the work, and the number can hardly be changed later',
})

const replicationFactor = setting('replication-factor', {
  type: 'integer',
  min: 1,
  max: 32,
  help: "copies of each record on different brokers; the cluster's own default where it is left out",
})

const retention = setting('retention', {
  type: 'duration',
  default: '7d',
  help: 'how long events and scores can be read again; 0s keeps them for ever. Reward tasks and dead letters stay 30 days at least',
})

export const topicsCreate = command({
  name: 'topics create',
  group: 'On Kafka',
  summary: 'create the topics that Onceward works with',
  description: `
    Creates events.raw, rules.control (compacted, one partition), scores, reward.tasks, dlq and dlq.reviews, and for gateways and
    the audit log gateway.answers, gateway.payers and audit.heads, and says of each whether it was created or was there. An existing topic is never changed; where it differs from what was asked for, a warning says so.

    Changelogs are no matter of yours: workers create them.`,
  examples: [
    {
      line: 'onceward topics create --brokers localhost:9092 --partitions 4',
      says: 'everything that a first try needs',
    },
    {
      line: 'onceward topics create --brokers kafka-1:9092,kafka-2:9092 --partitions 24 --replication-factor 3 --retention 30d',
      says: 'for production: three copies, a month of events',
    },
  ],
  settings: [brokers, partitions, prefix, replicationFactor, retention, ...KAFKA_SECURITY],
  async run(context) {
    const { createTopics, outcomeLine, topicSpecs } = await import('../log-tools/topics.ts')
    const { withKafka } = await import('../runtime.ts')
    const { settings, terminal } = context
    const specs = topicSpecs({
      topics: topicNames(settings.prefix),
      partitions: settings.partitions,
      replicationFactor: settings.replicationFactor,
      retentionMs: settings.retention,
    })
    const outcomes = await withKafka(context, (log) => createTopics(log, specs))
    await terminal.print(outcomes.map((outcome) => `${outcomeLine(outcome)}\n`).join(''))
    for (const warning of outcomes.flatMap(({ warnings }) => warnings)) terminal.note(`warning: ${warning}`)
  },
})
