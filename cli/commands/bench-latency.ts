import { command } from '../command.ts'
import { benchDir } from '../settings/bench.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { setting } from '../settings/setting.ts'
import { brokers, partitions } from '../settings/shared.ts'

const rates = setting('rates', {
  type: 'list',
  default: '1000,5000,20000',
  placeholder: 'N,...',
  help: 'events a second, one run for each, in this order',
  pattern: { test: /^[1-9]\d{1,5}$/, right: 'a rate; write a whole number of events a second from 10 to 999999' },
})

const seconds = setting('seconds', {
  type: 'integer',
  default: '20',
  min: 1,
  max: 3_600,
  help: 'how long each rate is measured, after a warm-up that lasts until latency has settled, 30 s at most',
})

const workers = setting('workers', { type: 'integer', default: '1', min: 1, max: 100, help: 'worker processes' })

const json = setting('json', { type: 'flag', help: 'print one line of JSON instead of a table' })

export const benchLatency = command({
  name: 'bench latency',
  group: 'Trying out',
  summary: 'measure how long after an event its score and its reward task are committed, at steady rates',
  description: `
    Starts real workers on Kafka, sends synthetic events at a steady rate that no slow answer holds up, and reads scores and
    reward.tasks as any consumer of committed records would. Latency counts from the instant at which an event was due; p50,
    p95 and p99 are printed for each rate. Every score and reward task is counted against the events.

    It makes topics of its own, named bench-..., and says at the end which to delete. Exit code 1 says that a rate was not
    held, or that counts do not add up; the words below the table say which.`,
  examples: [
    { line: 'onceward bench latency --brokers localhost:9092', says: '1,000, 5,000 and 20,000 events a second' },
    {
      line: 'onceward bench latency --brokers localhost:9092 --rates 5000 --seconds 60 --workers 2 --json',
      says: 'one rate, longer, with two workers, for a program to read',
    },
  ],
  settings: [brokers, rates, seconds, partitions, workers, benchDir, json, ...KAFKA_SECURITY],
  async run(context) {
    const { runLatencyBench } = await import('../bench/latency-command.ts')
    return runLatencyBench(context)
  },
})
