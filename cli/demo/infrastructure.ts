import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../../connectors/ledger/embedded-postgres.ts'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import { openEmbeddedLog } from '../../connectors/log/embedded/log.ts'
import { type Partner, startPartner } from '../../connectors/partner/partner.ts'
import { httpWallet } from '../../connectors/wallet/http-wallet.ts'
import type { Clock } from '../../core/clock.ts'
import { HOUR_MS } from '../../core/durations.ts'
import type { PartnerSpec } from '../../core/model/partner.ts'
import type { Ledger } from '../../core/ports/ledger.ts'
import type { Log, TopicSpec } from '../../core/ports/log.ts'
import type { Logger } from '../../core/ports/logger.ts'
import type { Topics } from '../../core/topics.ts'
import { openRocksDb } from '../../state/rocksdb.ts'
import { topicSpecs } from '../log-tools/topics.ts'
import type { DataFolder } from './data-folder.ts'
import type { Resources } from './resources.ts'
import { rememberingWallet, type RememberedWallet } from './wallet-memory.ts'

/** What Kafka, Postgres and the wallet are elsewhere, within this process. */
export interface Infrastructure {
  readonly log: Log
  readonly ledger: Ledger
  readonly partner: Partner
  readonly wallet: RememberedWallet
}

export interface InfrastructureOptions {
  readonly folder: DataFolder
  readonly topics: Topics
  readonly seed: number
  readonly clock: Clock
  readonly logger: Logger
  /** Says what is being started. */
  readonly say: (line: string) => void
}

export const PARTITIONS = 4
/** The wallet of the demo is unreliable on purpose: half of these calls pay and lose the answer. */
export const WALLET_FAULTS = { failRate: 0.03, timeoutRate: 0.02 } as const
/** Short, so that a call that is never answered is soon sent again; an answer takes a few milliseconds. */
export const WALLET_TIMEOUT_MS = 500
export const WALLET_CONNECTIONS = 16
export const PARTNER_NAME = 'wallet'
/** Events and scores are kept so long: at the default rate about 1 GB. */
const EVENTS_RETENTION_MS = HOUR_MS

export async function openInfrastructure(
  options: InfrastructureOptions,
  resources: Resources,
): Promise<Infrastructure> {
  const { folder, clock, logger, say, topics } = options
  say('opening the log (embedded, on RocksDB) ...')
  // First of all: its lock keeps a second demo out of the folder.
  const kv = resources.keep(await openRocksDb(join(folder.path, 'log'), { writeBufferBytes: 32 << 20 }))
  const log = resources.keep(await openEmbeddedLog({ kv, clock, logger }))
  await log.createTopics(demoTopics(topics))
  say('starting Postgres (embedded) ...')
  const postgres = await startEmbeddedPostgres({ dir: join(folder.path, 'postgres') })
  resources.defer(() => postgres.stop())
  const ledger = resources.keep(openPostgresLedger({ url: postgres.url, logger }))
  await ledger.migrate()
  return { log, ledger, ...(await openWallet(options, resources)) }
}

async function openWallet(
  options: InfrastructureOptions,
  resources: Resources,
): Promise<Omit<Infrastructure, 'log' | 'ledger'>> {
  const { folder, clock, seed } = options
  const secret = randomBytes(32).toString('hex')
  const partner = await startPartner({ secret, clock, seed, ...WALLET_FAULTS })
  resources.defer(() => partner.stop())
  const file = folder.temporary ? undefined : join(folder.path, 'wallet-paid.txt')
  const spec: PartnerSpec = {
    name: PARTNER_NAME,
    url: partner.url,
    secrets: [secret],
    types: ['*'],
    concurrency: WALLET_CONNECTIONS,
    orderedByPlayer: false,
    timeoutMs: WALLET_TIMEOUT_MS,
    allowHosts: [new URL(partner.url).hostname],
  }
  const wallet = resources.keep(rememberingWallet(httpWallet({ spec, clock }), partner, file))
  return { partner, wallet }
}

/** Reward tasks are kept for ever, so that the end of a run can compare the ledger with all of them. */
function demoTopics(topics: Topics): readonly TopicSpec[] {
  return topicSpecs({ topics, partitions: PARTITIONS, retentionMs: EVENTS_RETENTION_MS }).map((spec) => {
    const { retentionMs: _, ...kept } = spec
    return spec.topic === topics.rewards ? kept : spec
  })
}
