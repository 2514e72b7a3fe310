import { join } from 'node:path'
import type { Log } from '../../core/ports/log.ts'
import type { Context } from '../command.ts'
import { createProgress, type Progress } from '../progress.ts'
import { closing, type KafkaSettings, loadNormalizer, withKafka } from '../runtime.ts'
import { type BenchPlace, leftOnKafka, withBenchPlace } from './place.ts'
import { RecoveryBench, type RecoveryFigures } from './recovery.ts'
import { recoveryReport } from './recovery-report.ts'

type RecoverySettings = Omit<KafkaSettings, 'brokers'> & {
  readonly brokers: readonly string[] | undefined
  readonly keys: number
  readonly dir: string | undefined
}

export async function runRecoveryBench(context: Context<RecoverySettings>): Promise<void> {
  await withBenchPlace(context, (place) => runAt(place, context))
}

async function runAt(place: BenchPlace, context: Context<RecoverySettings>): Promise<void> {
  const { settings, terminal } = context
  const { keys, brokers } = settings
  const measure = (log: Log): Promise<RecoveryFigures> => measureOn(log, context, place)
  try {
    const figures =
      brokers === undefined
        ? await withEmbedded(context, join(place.folder, 'log'), measure)
        : await withKafka({ ...context, settings: { ...settings, brokers } }, measure)
    const where = brokers === undefined ? 'the embedded log' : `Kafka at ${brokers.join(', ')}`
    await terminal.print(recoveryReport(figures, { keys, where }))
  } finally {
    if (brokers !== undefined) terminal.note(leftOnKafka(place))
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
  place: BenchPlace,
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
