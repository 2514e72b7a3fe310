import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openKafkaLog } from '../../connectors/log/kafka/kafka-log.ts'
import { topicSpecs } from '../../cli/log-tools/topics.ts'
import { systemClock as clock } from '../../core/clock.ts'
import type { Log } from '../../core/ports/log.ts'
import { type Topics, topicNames } from '../../core/topics.ts'
import { startKafka, type TestKafka } from '../support/kafka.ts'
import { type ChaosPostgres, startChaosPostgres } from './postgres.ts'
import { Service, type ServiceEnd } from './service.ts'
import { CHAOS_RULE_FILES } from './workload.ts'

export const PARTITIONS = 6
/** Kafka's least that the command line takes. */
export const SESSION_MS = 6_000
const WORKERS_MAX = 4
const SINKS = 2
/** Every process serves its health: that is how the driver sees that it has begun, and that it is at work. */
const HEALTH = ['--metrics-port', '0']
/** Far longer than an answer takes on a busy machine: a call that fails nine times for that would be a dead letter. */
const WALLET_TIMEOUT = '2s'
/** Less than the feed's day, so that remembered ids are dropped while it runs. */
const DEDUPE_WINDOW = '2h'
export const DEDUPE_WINDOW_MS = 2 * 3_600_000

/** Everything that a run has started, all of it stopped by `stop`. */
export interface Installation {
  readonly kafka: TestKafka
  readonly postgres: ChaosPostgres
  readonly log: Log
  readonly topics: Topics
  readonly workerGroup: string
  readonly sinkGroup: string
  readonly workers: readonly Service[]
  readonly sinks: readonly Service[]
  readonly wallet: string
  /** Where the stores of a worker lie. */
  storesOf(worker: Service): string
  /** Ends of processes that nobody asked for. */
  readonly deaths: readonly string[]
  stop(): Promise<void>
}

export interface InstallationOptions {
  /** Where everything lies: logs, state, secret, Postgres. */
  readonly dir: string
  readonly seed: number
  readonly prefix: string
  /** Default SESSION_MS. */
  readonly sessionMs?: number
  /** Ends the start. */
  readonly signal?: AbortSignal
}

export async function startInstallation(options: InstallationOptions): Promise<Installation> {
  const { dir, seed, prefix, sessionMs = SESSION_MS, signal } = options
  const stops: (() => Promise<unknown>)[] = []
  const stop = async (): Promise<void> => {
    for (const each of stops.splice(0).reverse()) await each().catch(() => undefined)
  }
  try {
    mkdirSync(join(dir, 'rules'), { recursive: true })
    for (const [name, text] of Object.entries(CHAOS_RULE_FILES)) writeFileSync(join(dir, 'rules', name), text)
    writeFileSync(join(dir, 'secret'), 'sesame\n')
    const kafka = await startKafka()
    stops.push(() => kafka.stop())
    signal?.throwIfAborted()
    const postgres = await startChaosPostgres(join(dir, 'postgres'))
    stops.push(() => postgres.stop())
    signal?.throwIfAborted()
    const log = await openKafkaLog({ brokers: [kafka.brokers], clock, retryMsMax: 120_000 })
    stops.push(() => log.close())
    const topics = topicNames(prefix)
    await log.createTopics(topicSpecs({ topics, partitions: PARTITIONS, retentionMs: 0 }))
    const deaths: string[] = []
    const service = serviceMaker(dir, stops, deaths)
    const partner = service('partner', partnerFlags(dir, seed))
    partner.start()
    const said = await partner.until((text) => /http:\/\/\S+:\d+/.test(text))
    signal?.throwIfAborted()
    const wallet = /http:\/\/[^\s"]+:\d+/.exec(said)?.[0] ?? ''
    const workerGroup = `${prefix}season`
    const place = { dir, application: workerGroup, prefix, brokers: kafka.brokers, session: `${sessionMs}ms` }
    const workers = range(WORKERS_MAX).map((n) => service(`worker-${n}`, workerFlags(place, n)))
    const sinks = range(SINKS).map((n) => service(`sink-${n}`, sinkFlags({ ...place, db: postgres.url, wallet })))
    const storesOf = ({ name }: Service): string => join(stateFolder(dir, name), workerGroup)
    const sinkGroup = `${workerGroup}.sink`
    return { kafka, postgres, log, topics, workerGroup, sinkGroup, workers, sinks, wallet, storesOf, deaths, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function serviceMaker(dir: string, stops: (() => Promise<unknown>)[], deaths: string[]) {
  mkdirSync(join(dir, 'logs'), { recursive: true })
  const died = ({ name }: Service, { code, signal }: ServiceEnd): void => {
    deaths.push(`${name} ended by itself with ${signal ?? `exit code ${code}`}`)
  }
  return (name: string, args: readonly string[]): Service => {
    const service = new Service({ name, logFile: join(dir, 'logs', `${name}.log`), args, died })
    stops.push(() => service.retire())
    return service
  }
}

function stateFolder(dir: string, worker: string): string {
  return join(dir, 'state', worker)
}

function partnerFlags(dir: string, seed: number): string[] {
  const secret = ['--secret-file', join(dir, 'secret')]
  return ['partner', '--port', '0', ...secret, '--seed', String(seed), '--fail-rate', '0.1', '--timeout-rate', '0.05']
}

interface Place {
  readonly dir: string
  readonly application: string
  readonly prefix: string
  readonly brokers: string
  readonly session: string
}

function workerFlags({ dir, application, prefix, brokers, session }: Place, n: number): string[] {
  const place = ['worker', '--brokers', brokers, '--prefix', prefix, '--application', application]
  const own = ['--rules', join(dir, 'rules'), '--state', stateFolder(dir, `worker-${n}`), '--log-level', 'info']
  // Small batches, so that faults find many commits to hit.
  const pace = ['--session-timeout', session, '--dedupe-window', DEDUPE_WINDOW, '--batch-bytes', '16384']
  return [...place, ...own, ...pace, ...HEALTH]
}

function sinkFlags({
  dir,
  application,
  prefix,
  brokers,
  session,
  db,
  wallet,
}: Place & { db: string; wallet: string }): string[] {
  const place = ['sink', '--brokers', brokers, '--prefix', prefix, '--application', application]
  const own = [
    '--db',
    db,
    '--allow-non-durable-db',
    '--wallet',
    wallet,
    '--allow-hosts',
    new URL(wallet).hostname,
    '--secret-file',
    join(dir, 'secret'),
    '--log-level',
    'info',
  ]
  return [...place, ...own, '--session-timeout', session, '--wallet-timeout', WALLET_TIMEOUT, ...HEALTH]
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1)
}
