import { topicNames } from '../../core/topics.ts'
import { command } from '../command.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { setting } from '../settings/setting.ts'
import { allowNonDurableDb, brokers, db, metricsHost, metricsPort, prefix, sessionTimeout } from '../settings/shared.ts'

const partners = setting('partners', {
  type: 'path',
  placeholder: 'FILE',
  help: 'YAML file that says which partner pays which reward types, and how each is called',
})

const wallet = setting('wallet', {
  type: 'url',
  help: 'where there is no file of partners: the one that pays everything; without a path, /wallet/credit of that host',
})

const secretFile = setting('secret-file', {
  type: 'path',
  placeholder: 'FILE',
  help: 'with --wallet: file with the secret that sink and wallet share; while it is exchanged two lines, the current one first',
})

const allowHosts = setting('allow-hosts', {
  type: 'list',
  placeholder: 'HOST,...',
  help: 'with --wallet: names and addresses that may be called although they are private or of this machine',
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
  help: 'with --wallet: calls at once',
})

const walletTimeout = setting('wallet-timeout', {
  type: 'duration',
  default: '10s',
  min: 10,
  max: 25_000,
  help: 'with --wallet: how long one call may take; one that takes longer is sent again with the same request id',
})

export const sink = command({
  name: 'sink',
  group: 'On Kafka',
  summary: 'write reward tasks to the ledger and have the partners pay each once, within its budget',
  description: `
    Reads reward.tasks, books each task in reward_ledger (the tables are created and brought up to date by themselves)
    within its pool's budget as the published policy has it, and calls the partner of its type, signed, with a request id
    that is the same on every try. Directly before each call it looks at the player once more: whoever is protected by
    then is not paid. What fails is sent again, at most 8 times and ever later; what is refused or stays without success
    goes to the dlq topic and is "failed" in the ledger.

    A partner that does not answer is left alone for a while and then tried with one reward. It runs until it is stopped,
    and any number of sinks may run at once. On SIGTERM it ends what is under way and exits with 0.`,
  examples: [
    {
      line: 'onceward sink --brokers localhost:9092 --db postgres://onceward@localhost/onceward --wallet http://localhost:8090 --allow-hosts localhost --secret-file wallet.secret',
      says: 'against the wallet of onceward partner',
    },
    {
      line: 'onceward sink --brokers localhost:9092 --db postgres://onceward@localhost/onceward --partners partners.yaml',
      says: 'each reward type to its own partner',
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
    partners,
    wallet,
    secretFile,
    allowHosts,
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
