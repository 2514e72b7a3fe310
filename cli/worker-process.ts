import { existsSync, readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '../core/ports/log.ts'
import type { Topics } from '../core/topics.ts'
import { publishRules } from '../pipeline/publish-rules.ts'
import { Worker } from '../pipeline/worker.ts'
import { openRocksDb } from '../state/rocksdb.ts'
import type { Context } from './command.ts'
import { loadRulesFrom } from './load-rules.ts'
import { createControlTopic } from './log-tools/topics.ts'
import { refusal } from './rules-control/publish.ts'
import { closing, loadNormalizer, type ObservationSettings, openObservation, runService } from './runtime.ts'

export interface WorkerSettings extends ObservationSettings {
  readonly application: string
  readonly rules: string | undefined
  readonly state: string
  readonly schemas: string | undefined
  readonly reorderWindow: number
  readonly dedupeWindow: number
  readonly tickAfter: number
  readonly sessionTimeout: number
  readonly batchBytes: number
  readonly standby: number
  readonly storeRetention: number
}

/** The worker as a process: rules published, state on disk, metrics and health, until the context's signal aborts. */
export async function runWorker(log: Log, context: Context<WorkerSettings>, topics: Topics): Promise<void> {
  const { settings, signal, clock, logger } = context
  const { application } = settings
  await createControlTopic(log, topics)
  if (settings.rules !== undefined) await publish(log, context, topics.control)
  const observation = await openObservation('worker', context)
  await closing(observation, async () => {
    const worker = new Worker({
      log,
      clock,
      logger: logger.child({ application }),
      metrics: observation.metrics,
      application,
      topics,
      normalize: await loadNormalizer(settings.schemas),
      openStore: (partition) =>
        openRocksDb(storeFolder(settings.state, application, partition), {
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
      batchBytesMax: settings.batchBytes,
    })
    await observation.serve(() => worker.health())
    await runService(worker, signal)
  })
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
