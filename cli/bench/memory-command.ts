import { OncewardError } from '../../core/errors.ts'
import type { Context } from '../command.ts'
import { createProgress, formatCount, type Progress } from '../progress.ts'
import { EXIT } from '../report.ts'
import { type KafkaSettings, withKafka } from '../runtime.ts'
import { connectionFlags } from './connection-flags.ts'
import { MemoryBench } from './memory.ts'
import { memoryFindings, memoryReport } from './memory-report.ts'
import { leftOnKafka, withBenchPlace } from './place.ts'

type MemorySettings = KafkaSettings & {
  readonly users: number
  readonly ids: number
  readonly partitions: number
  readonly dir: string | undefined
}

/** Answers 1 where counts do not add up. */
export async function runMemoryBench(context: Context<MemorySettings>): Promise<number> {
  const { settings, terminal, clock, signal } = context
  const { users, ids, partitions } = settings
  if (ids % users !== 0) {
    throw new OncewardError('ONCEWARD_E_USAGE', `--ids must be a multiple of --users: ${ids} is none of ${users}`)
  }
  return withBenchPlace(context, async (place) => {
    let progress: Progress | undefined
    const onPhase = (phase: string): void => {
      progress?.finish(`${formatCount(ids)} events`)
      progress = undefined
      terminal.note(`${phase} ...`)
    }
    const onEvents = (done: number): void => {
      progress ??= createProgress({ terminal, clock, label: 'working', unit: 'events' })
      progress.update({ done, share: done / ids })
    }
    const connection = connectionFlags(settings)
    try {
      const figures = await withKafka(context, (log) =>
        new MemoryBench({ ...place, log, clock, signal, users, ids, partitions, connection, onPhase, onEvents }).run(),
      )
      await terminal.print(memoryReport(figures, settings))
      return memoryFindings(figures).length > 0 ? EXIT.failed : EXIT.fine
    } finally {
      terminal.note(leftOnKafka(place))
    }
  })
}
