import { command } from '../command.ts'
import { benchDir } from '../settings/bench.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { setting } from '../settings/setting.ts'
import { brokers, partitions, schemas } from '../settings/shared.ts'

const events = setting('events', {
  type: 'path',
  placeholder: 'FILE',
  help: 'events, one JSON object a line; synthetic ones where it is left out',
})

const count = setting('count', {
  type: 'integer',
  default: '1000000',
  min: 1,
  max: 1_000_000_000,
  help: 'how many synthetic events',
})

const rules = setting('rules', {
  type: 'path',
  placeholder: 'DIR',
  help: 'folder with rule files (*.yaml); three of its own where it is left out',
})

const workers = setting('workers', { type: 'integer', default: '2', min: 1, max: 100, help: 'worker processes' })

const runs = setting('runs', {
  type: 'integer',
  default: '2',
  min: 1,
  max: 100,
  help: 'how many times the workers do the work; figures vary, above all with how warm the broker is',
})

const json = setting('json', { type: 'flag', help: 'print one line of JSON instead of a table' })

export const benchKafka = command({
  name: 'bench kafka',
  group: 'Trying out',
  summary: 'measure how many events a second workers do, and the limit that reading and parsing alone sets',
  description: `
    Writes events to a topic, has one process read and parse them and do nothing else, then has real workers do the whole
    work on them: state, outputs and changelog, exactly once. Prints events a second, CPU seconds per million events and
    memory of each, and counts every event.

    It makes topics of its own, named bench-..., and says at the end which to delete. Exit code 1 says that counts do not
    add up.`,
  examples: [
    { line: 'onceward bench kafka --brokers localhost:9092', says: 'a million synthetic events, two workers' },
    {
      line: 'onceward bench kafka --brokers localhost:9092 --events day.ndjson --rules rules --workers 4 --partitions 8',
      says: 'your own events and rules',
    },
  ],
  settings: [brokers, events, count, rules, schemas, partitions, workers, runs, benchDir, json, ...KAFKA_SECURITY],
  async run(context) {
    const { runThroughputBench } = await import('../bench/throughput-command.ts')
    return runThroughputBench(context)
  },
})
