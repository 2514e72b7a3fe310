import { setting } from './setting.ts'

/** Settings that several commands have; one object each, so that they mean the same everywhere. */

const BROKER = /^(\[[0-9a-fA-F:]+\]|[^\s:,/]+):\d{1,5}$/
const TOPIC_NAME = /^[a-zA-Z0-9._-]{1,180}$/

export const BROKER_ADDRESS = { test: BROKER, right: 'a broker; write HOST:PORT, such as localhost:9092' } as const

export const brokers = setting('brokers', {
  type: 'list',
  required: true,
  placeholder: 'HOST:PORT,...',
  help: 'Kafka brokers to begin with; one that answers is enough',
  pattern: BROKER_ADDRESS,
})

export const prefix = setting('prefix', {
  type: 'text',
  placeholder: 'TEXT',
  help: 'what the names of all topics begin with, so that several installations share a cluster',
  pattern: { test: TOPIC_NAME, right: 'a part of a topic name; use letters, digits, ".", "_" and "-"' },
})

export const application = setting('application', {
  type: 'text',
  required: true,
  placeholder: 'ID',
  help: "name of the application: the workers' consumer group, and what its changelog topics begin with",
  pattern: { test: TOPIC_NAME, right: 'a name for an application; use letters, digits, ".", "_" and "-"' },
})

export const db = setting('db', {
  type: 'url',
  required: true,
  secret: true,
  protocols: ['postgres', 'postgresql'],
  placeholder: 'URL',
  help: 'Postgres for the ledger: postgres://user:password@host:5432/database; better a variable than a flag, which others can see',
})

export const allowNonDurableDb = setting('allow-non-durable-db', {
  type: 'flag',
  help: 'also use a Postgres with fsync or full_page_writes off, which may forget after a crash what was paid: to try things out',
})

export const metricsPort = setting('metrics-port', {
  type: 'integer',
  min: 0,
  max: 65_535,
  placeholder: 'PORT',
  help: 'port that serves /metrics, /healthz and /readyz (0: any free one); none where it is left out',
})

export const metricsHost = setting('metrics-host', {
  type: 'text',
  default: '0.0.0.0',
  placeholder: 'ADDRESS',
  help: 'address that the metrics port listens on',
})

/** Where a command listens that serves others. */
export const listenPort = (standard: string) =>
  setting('port', {
    type: 'integer',
    default: standard,
    min: 0,
    max: 65_535,
    placeholder: 'PORT',
    help: 'port to listen on (0: any free one)',
  })

export const listenHost = (standard: string) =>
  setting('host', { type: 'text', default: standard, placeholder: 'ADDRESS', help: 'address to listen on' })

export const schemas = setting('schemas', {
  type: 'path',
  placeholder: 'DIR',
  help: 'folder with Avro schemas (*.avsc) of your own events, beside those that come with Onceward',
})

export const secretFile = setting('secret-file', {
  type: 'path',
  required: true,
  placeholder: 'FILE',
  help: 'file with the secret that sink and wallet share, to sign and to check',
})

export const logLevel = setting('log-level', {
  type: 'choice',
  choices: ['debug', 'info', 'warn', 'error', 'silent'],
  placeholder: 'LEVEL',
  default: 'warn',
  help: 'least important lines that are logged (JSON on stderr): debug, info, warn, error or silent',
})

export const config = setting('config', {
  type: 'path',
  placeholder: 'FILE',
  help: 'YAML file with settings; flags and variables win over it',
})

export const rules = setting('rules', {
  type: 'path',
  required: true,
  placeholder: 'DIR',
  help: 'folder with rule files (*.yaml)',
})

export const partitions = setting('partitions', {
  type: 'integer',
  default: '4',
  min: 1,
  max: 1_000,
  placeholder: 'N',
  help: 'partitions of the topics',
})

export const reorderWindow = setting('reorder-window', {
  type: 'duration',
  default: '60s',
  min: 0,
  max: 86_400_000,
  help: "how far an event may lie behind its partition's newest one before it is late",
})

export const dedupeWindow = setting('dedupe-window', {
  type: 'duration',
  default: '24h',
  min: 60_000,
  max: 30 * 86_400_000,
  help: 'how long an event id is remembered, in event time',
})

export const sessionTimeout = setting('session-timeout', {
  type: 'duration',
  default: '30s',
  min: 6_000,
  max: 300_000,
  help: 'how long this process may be silent before the group gives its partitions to others',
})

/** What every command has. */
export const GLOBAL_SETTINGS = [logLevel, config] as const
