import { existsSync, readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log, MemberMemory } from '../core/ports/log.ts'
import type { Topics } from '../core/topics.ts'
import { publishRules } from '../pipeline/publish-rules.ts'
import { Worker } from '../pipeline/worker.ts'
import { openRocksDb, type RocksDbOptions } from '../state/rocksdb.ts'
import type { Context } from './command.ts'
import { loadRulesFrom } from './load-rules.ts'
import { createControlTopic } from './log-tools/topics.ts'
import { openMemberMemory } from './member-memory.ts'
import { refusal } from './rules-control/publish.ts'
import { type EventReading, type EventSettings, withEvents } from './schemas/event-reading.ts'
import { closing, type Observation, type ObservationSettings, openObservation, runService } from './runtime.ts'

export interface WorkerSettings extends ObservationSettings, EventSettings {
  readonly application: string
  readonly rules: string | undefined
  readonly state: string
  readonly reorderWindow: number
  readonly dedupeWindow: number
  readonly tickAfter: number
  readonly sessionTimeout: number
  readonly batchBytes: number | undefined
  readonly standby: number
  readonly storeRetention: number
}

/** The worker as a process: rules published, state on disk, metrics and health, until the context's signal aborts. */
export async function runWorker(log: Log, context: Context<WorkerSettings>, topics: Topics): Promise<void> {
  const { settings, signal, clock, logger } = context
  const folder = join(settings.state, settings.application)
  const memory = await openMemberMemory({ folder, clock, logger, signal })
  await closing(memory, async () => {
    await createControlTopic(log, topics)
    if (settings.rules !== undefined) await publish(log, context, topics.control)
    const observation = await openObservation('worker', context)
    await closing(observation, () =>
      withEvents(context, (events) => work(log, context, { topics, observation, memory, events })),
    )
  })
}

interface Surroundings {
  readonly topics: Topics
  readonly observation: Observation
  readonly memory: MemberMemory
  readonly events: EventReading
}

async function work(
  log: Log,
  context: Context<WorkerSettings>,
  { topics, observation, memory, events }: Surroundings,
): Promise<void> {
  const { settings, signal, clock, logger } = context
  const { application } = settings
  const partitions = (await log.topic(topics.events))?.partitions ?? 1
  const budget = storeBudget(partitions)
  const worker = new Worker({
    log,
    clock,
    logger: logger.child({ application }),
    metrics: observation.metrics,
    application,
    topics,
    normalize: events.normalize,
    schemas: events.avro?.loader,
    openStore: (partition) =>
      openRocksDb(storeFolder(settings.state, application, partition), {
        ...budget,
        setAside: (moved) =>
          logger.error({ partition, ...moved }, 'the state on disk was corrupt; it was moved aside and is rebuilt'),
      }),
    storedPartitions: () => storedPartitions(settings.state, application),
    removeStore: (partition) => rm(storeFolder(settings.state, application, partition), { recursive: true }),
    storeRetentionMs: settings.storeRetention,
    standby: settings.standby,
    reorderWindowMs: settings.reorderWindow,
    dedupeWindowMs: settings.dedupeWindow,
    tickAfterMs: settings.tickAfter,
    sessionTimeoutMs: settings.sessionTimeout,
    memory,
    batchBytesMax: settings.batchBytes ?? batchBytesFor(partitions),
  })
  observation.metrics.beforePage(() => {
    if (Number.isFinite(worker.rulesAgeMs)) observation.metrics.rulesAgeSeconds.set(worker.rulesAgeMs / 1000, {})
  })
  await observation.serve(() => worker.health())
  await runService(worker, signal)
}

/** What all partitions together have in work, as it comes from the log; decoded it is several times as much. */
const BATCHES_BYTES_MAX = 4 << 20
/** Larger ones gain nothing; below the smallest, a transaction costs more than its events. */
const BATCH_BYTES = { most: 512 << 10, least: 64 << 10 }

/** The bytes of a batch where no setting names them, and a worker may be given every partition of the topic. */
export function batchBytesFor(partitions: number): number {
  return Math.max(BATCH_BYTES.least, Math.min(BATCH_BYTES.most, Math.floor(BATCHES_BYTES_MAX / partitions)))
}

/** Block cache of all stores of a worker together, and the same again for memtables, of which RocksDB fills up to two. */
const STORES_BYTES_MAX = 32 << 20
/** A larger share gains nothing; below the smallest, each commit would be a file. */
const STORE_BYTES = { most: 8 << 20, least: 1 << 20 }

/** The share of one store, where a worker may be given every partition of the topic. */
export function storeBudget(partitions: number): Pick<RocksDbOptions, 'cacheBytes' | 'writeBufferBytes'> {
  const share = Math.floor(STORES_BYTES_MAX / partitions)
  const bytes = Math.max(STORE_BYTES.least, Math.min(STORE_BYTES.most, share))
  return { cacheBytes: bytes, writeBufferBytes: bytes }
}

/** Where the state of a partition lies. */
export function storeFolder(state: string, application: string, partition: number): string {
  return join(state, application, `partition-${String(partition).padStart(4, '0')}`)
}

/** The partitions that have a folder. */
export function storedPartitions(state: string, application: string): number[] {
  const folder = join(state, application)
  if (!existsSync(folder)) return []
  return readdirSync(folder).flatMap((name) => {
    const number = /^partition-(\d+)$/.exec(name)?.[1]
    return number === undefined ? [] : [Number(number)]
  })
}

async function publish(log: Log, context: Context<WorkerSettings>, topic: string): Promise<void> {
  const { settings, clock, logger } = context
  const rules = settings.rules === undefined ? [] : await loadRulesFrom(settings.rules)
  const publishedBy = `worker ${settings.application}`
  const plan = await publishRules({ log, clock, logger, topic, rules, publishedBy })
  if (plan.refused.length > 0) throw refusal(plan, false)
  for (const { rule_id, version, effective_from } of plan.publish) {
    logger.info({ rule_id, version, effective_from }, 'rule version published')
  }
}
