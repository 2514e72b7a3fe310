import { command } from '../command.ts'
import { benchDir } from '../settings/bench.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { setting } from '../settings/setting.ts'
import { brokers, partitions } from '../settings/shared.ts'

const users = setting('users', {
  type: 'integer',
  default: '1000000',
  min: 1,
  max: 1_000_000_000,
  help: 'users, each with an account and the same number of events',
})

const ids = setting('ids', {
  type: 'integer',
  default: '5000000',
  min: 1,
  max: 1_000_000_000,
  help: 'event ids within the dedupe window of 24 hours; a multiple of --users',
})

export const benchMemory = command({
  name: 'bench memory',
  group: 'Trying out',
  summary: 'measure the memory of a worker with many users and many remembered event ids',
  description: `
    Writes one event for each id to Kafka, spread over the last 23 hours, and lets a real worker work through all of them as
    fast as it can. Then some of the events are sent again: each must be known. Prints the largest resident memory that the
    worker's process has had, and checks every count: events, duplicates, points, and one reward for each user.

    It makes topics of its own, named bench-..., and says at the end which to delete. Exit code 1 says that counts do not
    add up; the words below the figures say which.`,
  examples: [
    { line: 'onceward bench memory --brokers localhost:9092', says: '1 million users, 5 million ids' },
    {
      line: 'onceward bench memory --brokers localhost:9092 --users 20000 --ids 100000 --partitions 12',
      says: 'less, on more partitions',
    },
  ],
  settings: [brokers, users, ids, partitions, benchDir, ...KAFKA_SECURITY],
  async run(context) {
    const { runMemoryBench } = await import('../bench/memory-command.ts')
    return runMemoryBench(context)
  },
})
