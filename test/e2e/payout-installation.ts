/** Kafka, Postgres, a partner and sinks as processes, for the acceptance test of payout. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { topicSpecs } from '../../cli/log-tools/topics.ts'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import { openKafkaLog } from '../../connectors/log/kafka/kafka-log.ts'
import { systemClock as clock } from '../../core/clock.ts'
import type { Ledger } from '../../core/ports/ledger.ts'
import type { Log } from '../../core/ports/log.ts'
import { type Topics, topicNames } from '../../core/topics.ts'
import { runCli } from '../cli/process.ts'
import { type ChaosPostgres, startChaosPostgres } from '../chaos/postgres.ts'
import { Service } from '../chaos/service.ts'
import { startKafka } from '../support/kafka.ts'
import { PARTITIONS } from './payout-tasks.ts'

const SINKS = 4
const PREFIX = 'payout.'
/** Short, so that an answer can come too late without a long wait. */
const CALL_MS_MAX = 1_000

export interface PayoutInstallation {
  readonly brokers: string
  readonly prefix: string
  readonly topics: Topics
  readonly log: Log
  readonly postgres: ChaosPostgres
  readonly ledger: Ledger
  readonly sinks: readonly Service[]
  /** Ends that nobody asked for. */
  readonly deaths: readonly string[]
  /** How the partner behaves from now on. */
  behave(change: object): Promise<void>
  statement(): Promise<string>
  /** What the partner has counted. */
  counted(): Promise<PartnerCounts>
  stop(): Promise<void>
}

export interface PartnerCounts {
  readonly distinct: number
  readonly repeats: number
  readonly differing_repeats: number
  readonly bad_signatures: number
  readonly malformed: number
  readonly faults: Readonly<Record<string, number>>
}

export async function install(dir: string, policy: string): Promise<PayoutInstallation> {
  const stops: (() => Promise<unknown>)[] = []
  const stop = async (): Promise<void> => {
    for (const each of stops.splice(0).reverse()) await each().catch(() => undefined)
  }
  try {
    mkdirSync(join(dir, 'logs'), { recursive: true })
    writeFileSync(join(dir, 'secret'), 'sesame\n')
    writeFileSync(join(dir, 'payout.policy.yaml'), policy)
    const kafka = await startKafka()
    stops.push(() => kafka.stop())
    const { brokers } = kafka
    const postgres = await startChaosPostgres(join(dir, 'postgres'))
    stops.push(() => postgres.stop())
    const log = await openKafkaLog({ brokers: [brokers], clock })
    stops.push(() => log.close())
    const topics = topicNames(PREFIX)
    await log.createTopics(topicSpecs({ topics, partitions: PARTITIONS, retentionMs: 0 }))
    await publish(join(dir, 'payout.policy.yaml'), brokers)
    const ledger = openPostgresLedger({ url: postgres.url })
    stops.push(() => ledger.close())
    const deaths: string[] = []
    const service = (name: string, args: readonly string[]): Service => {
      const died: ConstructorParameters<typeof Service>[0]['died'] = (_, { code, signal }) =>
        void deaths.push(`${name} ended by itself with ${signal ?? `exit code ${code}`}`)
      const made = new Service({ name, logFile: join(dir, 'logs', `${name}.log`), args, died })
      stops.push(() => made.retire())
      return made
    }
    const url = await startPartner(service, dir)
    const sinks = Array.from({ length: SINKS }, (_, n) =>
      service(`sink-${n}`, sinkFlags({ brokers, url, db: postgres.url, secret: join(dir, 'secret') })),
    )
    const behave = (change: object): Promise<void> => control(url, change)
    const statement = async (): Promise<string> => (await fetch(`${url}/statement?format=csv`)).text()
    const counted = async (): Promise<PartnerCounts> => (await (await fetch(`${url}/stats`)).json()) as PartnerCounts
    return { brokers, prefix: PREFIX, topics, log, postgres, ledger, sinks, deaths, behave, statement, counted, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function publish(policy: string, brokers: string): Promise<void> {
  const why = ['--by', 'a test', '--reason', 'a test']
  const { code, stdout, stderr } = await runCli([
    'policy',
    'publish',
    policy,
    '--brokers',
    brokers,
    '--prefix',
    PREFIX,
    ...why,
  ])
  if (code !== 0) throw new Error(`the policy was not published:\n${stdout}\n${stderr}`)
}

async function startPartner(service: (name: string, args: readonly string[]) => Service, dir: string): Promise<string> {
  const partner = service('partner', ['partner', '--port', '0', '--secret-file', join(dir, 'secret'), '--seed', '7'])
  partner.start()
  const said = await partner.until((text) => /http:\/\/\S+:\d+/.test(text))
  return /http:\/\/[^\s"]+:\d+/.exec(said)?.[0] ?? ''
}

async function control(url: string, change: object): Promise<void> {
  const answer = await fetch(`${url}/control`, { method: 'POST', body: JSON.stringify(change) })
  if (!answer.ok) throw new Error(`the partner does not want to: ${await answer.text()}`)
}

function sinkFlags(place: Readonly<Record<'brokers' | 'url' | 'db' | 'secret', string>>): string[] {
  const { brokers, url, db, secret } = place
  const where = [
    'sink',
    '--brokers',
    brokers,
    '--prefix',
    PREFIX,
    '--db',
    db,
    '--wallet',
    url,
    '--allow-hosts',
    '127.0.0.1',
  ]
  const how = [
    '--secret-file',
    secret,
    '--wallet-timeout',
    `${CALL_MS_MAX}ms`,
    '--concurrency',
    '32',
    '--session-timeout',
    '6s',
  ]
  return [...where, ...how, '--metrics-port', '0', '--metrics-host', '127.0.0.1', '--log-level', 'info']
}
