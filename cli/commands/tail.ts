import { OncewardError } from '../../core/errors.ts'
import { command } from '../command.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { REGISTRY } from '../settings/registry.ts'
import { setting } from '../settings/setting.ts'
import { brokers, prefix, schemas } from '../settings/shared.ts'

const topic = setting('topic', {
  type: 'text',
  required: true,
  positional: true,
  placeholder: 'TOPIC',
  help: 'the topic to read, without what --prefix adds: events.raw, scores, reward.tasks, dlq, rules.control or another',
})

const toEnd = setting('to-end', { type: 'flag', help: 'end once everything that is there has been printed' })

const from = setting('from', {
  type: 'text',
  default: 'beginning',
  placeholder: 'WHERE',
  help: 'where to begin: beginning, end, or an offset (of the one --partition)',
  pattern: { test: /^(beginning|end|\d{1,15})$/, right: 'a place to begin; write beginning, end or an offset' },
})

const partition = setting('partition', {
  type: 'integer',
  min: 0,
  help: 'only this partition; all where it is left out',
})

const key = setting('key', { type: 'text', help: 'only records with this key, such as a user id' })

export const tail = command({
  name: 'tail',
  group: 'Look inside',
  summary: 'print the committed records of a topic, one JSON a line',
  description: `
    Each line has topic, partition, offset, key, timestamp (RFC 3339) and value (parsed where it is JSON). Bytes that are
    no text stand under key_base64 and value_base64; events in Avro are shown as JSON where a schema registry is named, with
    the id of their schema under schema_id. Records of transactions that did not commit are never shown.

    First comes what is there, partition by partition; then, without --to-end, what is written, as it is written, until
    Ctrl-C.`,
  examples: [
    { line: 'onceward tail reward.tasks --brokers localhost:9092 --to-end', says: 'all rewards so far' },
    { line: 'onceward tail dlq --brokers localhost:9092 --from end', says: 'what is set aside from now on' },
    { line: 'onceward tail scores --brokers localhost:9092 --key u_123 --to-end', says: 'what one player scored' },
  ],
  settings: [topic, brokers, prefix, toEnd, from, partition, key, schemas, ...REGISTRY, ...KAFKA_SECURITY],
  async run(context) {
    const { tail: tailTopic } = await import('../log-tools/tail.ts')
    const { LOOK_PATIENCE_MS, withKafka } = await import('../runtime.ts')
    const { withEvents } = await import('../schemas/event-reading.ts')
    const { topicNames } = await import('../../core/topics.ts')
    const { settings, signal, clock, terminal } = context
    const begin = placeOf(settings.from)
    if (typeof begin === 'number' && settings.partition === undefined) {
      throw new OncewardError('ONCEWARD_E_USAGE', `--from ${begin} is an offset, so it needs --partition N as well`)
    }
    const options = {
      topic: `${settings.prefix ?? ''}${settings.topic}`,
      partition: settings.partition,
      from: begin,
      toEnd: settings.toEnd,
      key: settings.key,
    }
    const { events: topic } = topicNames(settings.prefix)
    await withEvents(context, ({ avro, over }) => {
      const parts = { clock, signal, print: terminal.print, avro: options.topic === topic ? avro?.decoder : undefined }
      return withKafka(context, (log) => tailTopic(options, { ...parts, log: over(log, topic) }), {
        patienceMs: LOOK_PATIENCE_MS,
      })
    })
  },
})

function placeOf(text: string): 'beginning' | 'end' | number {
  return text === 'beginning' || text === 'end' ? text : Number(text)
}
