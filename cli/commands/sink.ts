import { topicNames } from '../../core/topics.ts'
import { command } from '../command.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { setting } from '../settings/setting.ts'
import { brokers, metricsHost, metricsPort, prefix, secretFile, sessionTimeout } from '../settings/shared.ts'

const db = setting('db', {
  type: 'url',
  required: true,
  secret: true,
  protocols: ['postgres', 'postgresql'],
  placeholder: 'URL',
  help: 'Postgres for the ledger: postgres://user:password@host:5432/database; better a variable than a flag, which others can see',
})

const wallet = setting('wallet', {
  type: 'url',
  required: true,
  help: 'the wallet that pays; without a path, /wallet/credit of that host',
})

const allowNonDurableDb = setting('allow-non-durable-db', {
  type: 'flag',
  help: 'also use a Postgres with fsync or full_page_writes off, which may forget after a crash what was paid: to try things out',
})

const application = setting('application', {
  type: 'text',
  placeholder: 'ID',
  help: 'application whose sink this is; its consumer group is <application>.sink, or onceward.sink without one',
})

const group = setting('group', {
  type: 'text',
  placeholder: 'GROUP',
  help: 'consumer group, where it should have another name; sinks of one group share the work',
})

const concurrency = setting('concurrency', {
  type: 'integer',
  default: '16',
  min: 1,
  max: 1_000,
  help: 'calls to the wallet at once',
})

const walletTimeout = setting('wallet-timeout', {
  type: 'duration',
  default: '10s',
  min: 10,
  max: 25_000,
  help: 'how long one call to the wallet may take; one that takes longer is sent again with the same request id',
})

export const sink = command({
  name: 'sink',
  group: 'On Kafka',
  summary: 'write reward tasks to the ledger and have the wallet pay each once',
  description: `
    Reads reward.tasks, books each task in reward_ledger (the tables are created and brought up to date by themselves) and
    calls the wallet, signed, with the task's id as the request id. What fails is sent again, at most 8 times and ever
    later; what is refused or stays without success goes to the dlq topic and is "failed" in the ledger.

    It runs until it is stopped, and any number of sinks may run at once. On SIGTERM it ends what is under way and exits
    with 0.`,
  examples: [
    {
      line: 'onceward sink --brokers localhost:9092 --db postgres://onceward@localhost/onceward --wallet http://localhost:8090 --secret-file wallet.secret',
      says: 'against the wallet of onceward partner',
    },
    {
      line: 'ONCEWARD_DB=postgres://... onceward sink --config production.yaml --metrics-port 9102',
      says: 'settings from a file, the password from a variable, metrics on port 9102',
    },
  ],
  service: true,
  settings: [
    brokers,
    db,
    wallet,
    secretFile,
    allowNonDurableDb,
    application,
    group,
    prefix,
    concurrency,
    walletTimeout,
    sessionTimeout,
    metricsPort,
    metricsHost,
    ...KAFKA_SECURITY,
  ],
  async run(context) {
    const { runSink } = await import('../sink-process.ts')
    const { withKafka } = await import('../runtime.ts')
    const { settings } = context
    const topics = topicNames(settings.prefix)
    const application = settings.application ?? `${settings.prefix ?? ''}onceward`
    await withKafka(context, (log) => runSink(log, context, { topics, group: settings.group ?? `${application}.sink` }))
  },
})
