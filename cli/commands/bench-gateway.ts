import { command } from '../command.ts'
import { benchDir } from '../settings/bench.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { setting } from '../settings/setting.ts'
import { brokers, partitions } from '../settings/shared.ts'

const requestRate = setting('request-rate', {
  type: 'integer',
  default: '2000',
  min: 1,
  max: 100_000,
  help: 'requests of one event each, a second',
})

const rateSeconds = setting('rate-seconds', {
  type: 'integer',
  default: '60',
  min: 1,
  max: 86_400,
  help: 'how long single events are sent',
})

const batchSeconds = setting('batch-seconds', {
  type: 'integer',
  default: '20',
  min: 1,
  max: 86_400,
  help: 'how long batches of 100 are sent',
})

const warmUp = setting('warm-up', {
  type: 'integer',
  default: '5',
  min: 0,
  max: 600,
  help: 'seconds before either that are not measured',
})

const atOnce = setting('at-once', { type: 'integer', default: '16', min: 1, max: 256, help: 'batches at once' })

const audited = setting('audited', { type: 'flag', help: 'have the gateway keep an audit log, in the folder' })

const json = setting('json', { type: 'flag', help: 'print one line of JSON instead of a table' })

export const benchGateway = command({
  name: 'bench gateway',
  group: 'Trying out',
  summary:
    'measure how long the gateway takes for single events at a steady rate, and how many events a second in batches',
  description: `
    Starts a gateway on Kafka as a process of its own, and a second process that sends to it over HTTP: first single events at a
    steady rate that no slow answer holds up, latency counted from the instant at which a request was due; then batches of 100, as
    fast as they are answered. In the end the events on the bus are counted against those that were accepted.

    It makes topics of its own, named bench-..., and says at the end which to delete. Exit code 1 says that a goal was missed:
    p95 below 50 ms, 30,000 events a second, no request that is not answered 202.`,
  examples: [
    {
      line: 'onceward bench gateway --brokers localhost:9092',
      says: '2,000 requests a second for 60 s, then batches for 20 s',
    },
    {
      line: 'onceward bench gateway --brokers localhost:9092 --request-rate 500 --rate-seconds 10 --audited --json',
      says: 'less, with an audit log, for a program to read',
    },
  ],
  settings: [
    brokers,
    requestRate,
    rateSeconds,
    batchSeconds,
    warmUp,
    atOnce,
    partitions,
    audited,
    benchDir,
    json,
    ...KAFKA_SECURITY,
  ],
  async run(context) {
    const { benchGateways } = await import('../bench/gateway-command.ts')
    return benchGateways(context)
  },
})
