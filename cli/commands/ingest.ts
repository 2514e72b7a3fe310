import { formatDuration } from '../../core/durations.ts'
import { topicNames } from '../../core/topics.ts'
import { command } from '../command.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { REGISTRY } from '../settings/registry.ts'
import { setting } from '../settings/setting.ts'
import { brokers, prefix, schemas } from '../settings/shared.ts'

const events = setting('events', {
  type: 'path',
  required: true,
  placeholder: 'FILE',
  help: 'events, one JSON object a line; gzip is unpacked, - reads the standard input',
})

const rate = setting('rate', {
  type: 'number',
  min: 0.001,
  max: 10_000_000,
  placeholder: 'EVENTS',
  help: 'most events a second; as fast as it goes where it is left out',
})

const encode = setting('encode', {
  type: 'choice',
  choices: ['json', 'avro'],
  default: 'json',
  help: 'how events are written: json, as they are; or avro, by the schemas in the schema registry',
})

export const ingest = command({
  name: 'ingest',
  group: 'On Kafka',
  summary: 'check events from a file and write them to the events topic',
  description: `
    Each line that is an event (it fits the schemas) is written to events.raw as it is, keyed by its user id, with now as
    its ingest time. Each other line goes to the dlq topic with the reason, and is counted: nothing is lost. One line of
    JSON at the end says how many there were of each.

    With --encode avro events are written in Avro, by the schemas that onceward schemas register has put into the schema
    registry. One with a field that its schema does not declare is written as JSON all the same, so that nothing is lost.

    Sending a file twice is harmless: workers drop events that they have seen.`,
  examples: [
    {
      line: 'onceward ingest --brokers localhost:9092 --events bets.ndjson.gz',
      says: 'a whole file, with a progress bar',
    },
    {
      line: 'tail -F play.log | onceward ingest --brokers localhost:9092 --events -',
      says: 'what another program writes, as it comes',
    },
    { line: 'onceward ingest --brokers localhost:9092 --events bets.ndjson --rate 500', says: 'slowly, to watch it' },
    {
      line: 'onceward ingest --brokers localhost:9092 --events bets.ndjson --encode avro --registry http://localhost:8081',
      says: 'in Avro, which takes less than half the space',
    },
  ],
  settings: [brokers, events, prefix, rate, schemas, encode, ...REGISTRY, ...KAFKA_SECURITY],
  async run(context) {
    const { ingest: ingestLines } = await import('../log-tools/ingest.ts')
    const { loadNormalizer, withKafka } = await import('../runtime.ts')
    const { readLines } = await import('../../connectors/files/lines.ts')
    const { eventEncoder } = await import('../schemas/event-writing.ts')
    const { createProgress, formatCount } = await import('../progress.ts')
    const { settings, signal, clock, terminal } = context
    const normalize = await loadNormalizer(settings.schemas)
    const writing = await eventEncoder(context)
    const lines = await readLines(settings.events, { signal })
    const startedMs = clock.monotonic()
    const progress = createProgress({ terminal, clock, label: 'ingesting', unit: 'events' })
    const counts = await withKafka(context, (log) =>
      ingestLines(lines, {
        log,
        topics: topicNames(settings.prefix),
        clock,
        normalize,
        encode: writing?.encode,
        signal,
        perSecond: settings.rate,
        onProgress: (sofar) => {
          const share = lines.bytesTotal === undefined ? undefined : lines.bytesRead / lines.bytesTotal
          progress.update({ done: sofar.lines, share })
        },
      }),
    )
    const ms = clock.monotonic() - startedMs
    const stopped = signal.aborted ? 'stopped before the end: ' : ''
    progress.finish(
      `${stopped}${formatCount(counts.events)} events written, ${formatCount(counts.rejected)} to the DLQ, in ${formatDuration(ms)} (${formatCount((counts.lines * 1000) / Math.max(1, ms))} a second)`,
    )
    if (writing !== undefined && writing.left.count > 0) {
      terminal.note(
        `${formatCount(writing.left.count)} events were written as JSON, the first because ${writing.left.detail}`,
      )
    }
    await terminal.print(
      `${JSON.stringify({ ...counts, seconds: Math.round(ms) / 1000, complete: !signal.aborted })}\n`,
    )
  },
})
