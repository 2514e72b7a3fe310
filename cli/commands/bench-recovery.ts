import { command } from '../command.ts'
import { benchDir } from '../settings/bench.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { setting } from '../settings/setting.ts'
import { BROKER_ADDRESS } from '../settings/shared.ts'

const keys = setting('keys', {
  type: 'integer',
  default: '1000000',
  min: 1_000,
  max: 100_000_000,
  help: 'accounts in the partition; it remembers as many event ids',
})

const brokers = setting('brokers', {
  type: 'list',
  placeholder: 'HOST:PORT,...',
  help: 'Kafka brokers to measure on; without them, an embedded log of its own',
  pattern: BROKER_ADDRESS,
})

export const benchRecovery = command({
  name: 'bench recovery',
  group: 'Trying out',
  summary: 'measure how fast a worker is back with its state: restart, take-over by a standby copy, rebuild',
  description: `
    Builds the state of one partition in the log, then measures how long it takes until the next event is committed: by a
    worker that has to rebuild everything, by one that comes back to its own disk, level or behind, and by one that kept a
    standby copy while the owner stops. Each time the event's score must follow on from what was built.

    On Kafka it makes topics of its own, named bench-..., and says at the end which to delete.`,
  examples: [
    { line: 'onceward bench recovery', says: 'one million keys on the embedded log' },
    {
      line: 'onceward bench recovery --brokers localhost:9092 --dir /var/lib/onceward',
      says: 'on Kafka, and the disk of the workers',
    },
  ],
  settings: [keys, brokers, benchDir, ...KAFKA_SECURITY],
  async run(context) {
    const { runRecoveryBench } = await import('../bench/recovery-command.ts')
    await runRecoveryBench(context)
  },
})
