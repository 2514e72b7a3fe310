import { topicNames } from '../../core/topics.ts'
import { command } from '../command.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { REGISTRY } from '../settings/registry.ts'
import { setting } from '../settings/setting.ts'
import {
  application,
  brokers,
  dedupeWindow,
  metricsHost,
  metricsPort,
  prefix,
  reorderWindow,
  schemas,
  sessionTimeout,
} from '../settings/shared.ts'

const rules = setting('rules', {
  type: 'path',
  placeholder: 'DIR',
  help: 'folder with rule files (*.yaml): versions that are not on the control topic yet are published; without it, what the topic says is run',
})

const state = setting('state', {
  type: 'path',
  required: true,
  placeholder: 'DIR',
  help: 'folder for the state, kept from one start to the next; one process at a time may use it',
})

const tickAfter = setting('tick-after', {
  type: 'duration',
  default: '5s',
  min: 100,
  max: 3_600_000,
  help: 'how long a partition in which ordered events wait may be silent before a tick moves its time',
})

const batchBytes = setting('batch-bytes', {
  type: 'integer',
  min: 1_024,
  max: 64 << 20,
  placeholder: 'BYTES',
  help: 'most bytes of one partition in one batch; a batch is one transaction. Where it is left out, 512 KiB, and less for a topic of more than 8 partitions',
})

const standby = setting('standby', {
  type: 'integer',
  default: '0',
  min: 0,
  max: 10,
  help: "copies of each partition's state that workers keep beside its owner's, so that taking it over needs no rebuild; the same for every worker",
})

const storeRetention = setting('store-retention', {
  type: 'duration',
  default: '7d',
  min: 3_600_000,
  help: 'how long the state of a partition that this worker neither works on nor keeps a copy of stays on its disk',
})

export const worker = command({
  name: 'worker',
  group: 'On Kafka',
  summary: 'score events and create reward tasks, exactly once',
  description: `
    Reads events.raw, applies the rules, and writes scores, reward.tasks and dlq. Any number of workers with the same
    --application share the partitions, on one machine or many; each partition is worked on by one of them.

    State lies in --state and is mirrored in the topic <application>.changelog. A worker that was killed comes back from
    its own disk; one on a new machine rebuilds from the changelog. On SIGTERM it finishes its batches, hands its
    partitions over and exits with 0.`,
  examples: [
    {
      line: 'onceward worker --brokers localhost:9092 --application season --rules rules --state state',
      says: 'one worker; start more of them with a state folder each',
    },
    {
      line: 'onceward worker --brokers localhost:9092 --application season --state state --standby 1',
      says: 'with a copy of each partition on another worker, which is ready to go on at once',
    },
    {
      line: 'onceward worker --config production.yaml --metrics-port 9101 --log-level info',
      says: 'settings from a file, metrics and readiness on port 9101',
    },
  ],
  service: true,
  settings: [
    brokers,
    application,
    rules,
    state,
    prefix,
    schemas,
    ...REGISTRY,
    reorderWindow,
    dedupeWindow,
    tickAfter,
    sessionTimeout,
    batchBytes,
    standby,
    storeRetention,
    metricsPort,
    metricsHost,
    ...KAFKA_SECURITY,
  ],
  async run(context) {
    const { runWorker } = await import('../worker-process.ts')
    const { withKafka } = await import('../runtime.ts')
    await withKafka(context, (log) => runWorker(log, context, topicNames(context.settings.prefix)))
  },
})
