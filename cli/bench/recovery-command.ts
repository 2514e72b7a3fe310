import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { unwritable } from '../../connectors/files/errors.ts'
import type { Log } from '../../core/ports/log.ts'
import { topicNames } from '../../core/topics.ts'
import type { Context } from '../command.ts'
import { createProgress, type Progress } from '../progress.ts'
import { closing, type KafkaSettings, loadNormalizer, withKafka } from '../runtime.ts'
import { RecoveryBench, type RecoveryFigures } from './recovery.ts'
import { recoveryReport } from './recovery-report.ts'

type RecoverySettings = Omit<KafkaSettings, 'brokers'> & {
  readonly brokers: readonly string[] | undefined
  readonly keys: number
  readonly dir: string | undefined
}

export async function runRecoveryBench(context: Context<RecoverySettings>): Promise<void> {
  const { settings, terminal, random } = context
  const { keys, brokers } = settings
  const parent = settings.dir === undefined ? tmpdir() : resolve(settings.dir)
  const folder = await mkdtemp(join(parent, 'onceward-bench-')).catch(unwritable(parent))
  const name = `bench-${Math.floor(random() * 36 ** 6).toString(36)}`
  try {
    const measure = (log: Log): Promise<RecoveryFigures> => measureOn(log, context, { name, folder })
    const figures =
      brokers === undefined
        ? await withEmbedded(context, join(folder, 'log'), measure)
        : await withKafka({ ...context, settings: { ...settings, brokers } }, measure)
    const where = brokers === undefined ? 'the embedded log' : `Kafka at ${brokers.join(', ')}`
    await terminal.print(recoveryReport(figures, { keys, where }))
  } finally {
    await rm(folder, { recursive: true, force: true })
    const { events } = topicNames(`${name}.`)
    if (brokers !== undefined)
      terminal.note(`left on Kafka, for you to delete: topics ${name}.* (such as ${events}), group ${name}`)
  }
}

async function withEmbedded<T>(
  { clock, logger }: Pick<Context<unknown>, 'clock' | 'logger'>,
  folder: string,
  use: (log: Log) => Promise<T>,
): Promise<T> {
  const { openEmbeddedLog } = await import('../../connectors/log/embedded/log.ts')
  const { openRocksDb } = await import('../../state/rocksdb.ts')
  const kv = await openRocksDb(folder, { writeBufferBytes: 64 << 20 })
  return closing(kv, async () => {
    const log = await openEmbeddedLog({ kv, clock, logger, maintenanceIntervalMs: 0 })
    return closing(log, () => use(log))
  })
}

async function measureOn(
  log: Log,
  { clock, signal, terminal, settings }: Context<RecoverySettings>,
  place: { readonly name: string; readonly folder: string },
): Promise<RecoveryFigures> {
  const { keys } = settings
  let building: Progress | undefined
  const bench = new RecoveryBench({
    ...place,
    log,
    clock,
    signal,
    keys,
    normalize: await loadNormalizer(),
    onPhase(phase) {
      building?.finish(`built ${keys} keys`)
      building = undefined
      terminal.note(`${phase} ...`)
    },
    onBuilt(done) {
      building ??= createProgress({ terminal, clock, label: 'building', unit: 'keys' })
      building.update({ done, share: done / keys })
    },
  })
  return bench.run()
}
