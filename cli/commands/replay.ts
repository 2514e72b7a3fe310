import type { Log } from '../../core/ports/log.ts'
import { command } from '../command.ts'
import type { EventReading } from '../schemas/event-reading.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { REGISTRY } from '../settings/registry.ts'
import { setting } from '../settings/setting.ts'
import { application, brokers, dedupeWindow, prefix, reorderWindow, schemas } from '../settings/shared.ts'

const PLACE =
  'beginning, end, an RFC 3339 time of ingest, an offset (of a topic with one partition), or partition:offset,...'

const from = setting('from', {
  type: 'text',
  required: true,
  placeholder: 'WHERE',
  help: `where to begin: ${PLACE} (partitions not listed are left out)`,
})

const to = setting('to', {
  type: 'text',
  default: 'end',
  placeholder: 'WHERE',
  help: `where to end, exclusive: ${PLACE}; end is the end as it is when the replay begins`,
})

const mode = setting('mode', {
  type: 'choice',
  choices: ['shadow', 'apply'],
  default: 'shadow',
  help: 'shadow: say what differs from what was issued; apply: then issue the reward tasks that are missing',
})

const rules = setting('rules', {
  type: 'path',
  placeholder: 'DIR',
  help: 'folder with rule files to replay with, which are not published; without it, the published rules',
})

const state = setting('state', {
  type: 'path',
  required: true,
  placeholder: 'DIR',
  help: 'folder for the state of the replay, so that it can be continued; may be the one of a worker',
})

const batchBytes = setting('batch-bytes', {
  type: 'integer',
  default: '524288',
  min: 1_024,
  max: 64 << 20,
  help: 'most bytes of one partition in one batch; a batch is one transaction',
})

const out = setting('out', {
  type: 'path',
  placeholder: 'DIR',
  help: 'folder for rewards.ndjson, points.ndjson and summary.json: all differences, one a line, and their counts',
})

const json = setting('json', {
  type: 'flag',
  help: 'print each difference as a line of JSON, and the summary as the last line, instead of tables',
})

const failOnDifference = setting('fail-on-difference', {
  type: 'flag',
  help: 'end with exit code 1 where anything is missing, extra or different',
})

const allowGap = setting('allow-gap', {
  type: 'flag',
  help: 'go on although retention has deleted a part of what is replayed or compared',
})

const yes = setting('yes', { type: 'flag', eachTime: true, help: 'issue without asking (mode apply)' })

export const replay = command({
  name: 'replay',
  group: 'On Kafka',
  summary: 'run recorded events again, compare with what was issued, issue what is missing',
  description: `
    Reads events.raw again from --from to --to under an application of its own, with its own state, and writes to topics
    named after it: <application>.scores, .reward.tasks, .dlq. Then it compares them with the real ones. missing: the replay
    yields a reward that was never issued; extra: it was issued, and the replay does not yield it; different: both, but
    not the same is owed; moved: the same is owed, earned by another event. Points are compared by user and rule.

    In mode shadow that is all. In mode apply, the missing reward tasks are shown and, once somebody agrees (or with
    --yes), written to the real reward.tasks. Their ids are those that the worker would have given them, and the ledger
    takes an id once, so nothing can be paid twice. What KYC or a restriction stopped in the replay is written as frozen, and
    waits for somebody to release it. Scores are never touched.

    The range and the rules are fixed when a replay begins. Ctrl-C stops it; the same command continues it with the same
    result, and --mode apply may be given to one that ran as shadow. A replay that does not start at the beginning has an
    empty state there: what began earlier is incomplete. What retention has deleted is said first, and needs --allow-gap.`,
  examples: [
    {
      line: 'onceward replay --brokers localhost:9092 --application check-1 --from beginning --state state',
      says: 'the same rules over everything: there should be no differences',
    },
    {
      line: 'onceward replay --brokers localhost:9092 --application what-if-7 --from 2025-11-01T00:00:00Z --rules draft --state state --out diff',
      says: 'who would have got what under other rules',
    },
    {
      line: 'onceward replay --brokers localhost:9092 --application check-1 --from beginning --state state --mode apply',
      says: 'issue what the first one found missing, after a question',
    },
  ],
  settings: [
    brokers,
    application,
    from,
    to,
    mode,
    rules,
    state,
    prefix,
    schemas,
    ...REGISTRY,
    reorderWindow,
    dedupeWindow,
    batchBytes,
    out,
    json,
    failOnDifference,
    allowGap,
    yes,
    ...KAFKA_SECURITY,
  ],
  async run(context) {
    const { settings, signal } = context
    const { loadRulesFrom } = await import('../load-rules.ts')
    const { canAsk, confirm } = await import('../replay/confirmation.ts')
    const { replaySession } = await import('../replay/session.ts')
    const { withKafka } = await import('../runtime.ts')
    const { withEvents } = await import('../schemas/event-reading.ts')
    const { topicNames } = await import('../../core/topics.ts')
    const { storeFolder } = await import('../worker-process.ts')
    const { openRocksDb } = await import('../../state/rocksdb.ts')
    const loaded = settings.rules === undefined ? undefined : await loadRulesFrom(settings.rules)
    const { events: topic } = topicNames(settings.prefix)
    const replay = (log: Log, events: EventReading): Promise<number | undefined> =>
      replaySession({
        log: events.over(log, topic),
        context,
        normalize: events.normalize,
        rules: loaded,
        openStore: (partition) => openRocksDb(storeFolder(settings.state, settings.application, partition)),
        confirm: canAsk() ? (question) => confirm(question, signal) : undefined,
      })
    return withEvents(context, (events) => withKafka(context, (log) => replay(log, events)))
  },
})
