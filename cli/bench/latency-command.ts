import type { Log } from '../../core/ports/log.ts'
import type { Context } from '../command.ts'
import { createProgress, formatCount, type Progress } from '../progress.ts'
import { EXIT } from '../report.ts'
import { type KafkaSettings, withKafka } from '../runtime.ts'
import { connectionFlags } from './connection-flags.ts'
import { LatencyBench, type LatencyFigures } from './latency.ts'
import { latencyFindings, latencyJson, latencyReport } from './latency-report.ts'
import { type BenchPlace, leftOnKafka, withBenchPlace } from './place.ts'

type LatencySettings = KafkaSettings & {
  readonly rates: readonly string[]
  readonly seconds: number
  readonly partitions: number
  readonly workers: number
  readonly dir: string | undefined
  readonly json: boolean
}

/** Answers 1 where the figures of some rate are not what they say. */
export async function runLatencyBench(context: Context<LatencySettings>): Promise<number> {
  const { settings, terminal } = context
  return withBenchPlace(context, async (place) => {
    const runs = await withKafka(context, (log) => measureOn(log, context, place))
    await terminal.print(settings.json ? latencyJson(runs, settings) : latencyReport(runs, settings))
    return runs.some((figures) => latencyFindings(figures).length > 0) ? EXIT.failed : EXIT.fine
  })
}

async function measureOn(
  log: Log,
  { clock, signal, terminal, settings }: Context<LatencySettings>,
  place: BenchPlace,
): Promise<readonly LatencyFigures[]> {
  let progress: Progress | undefined
  const say = (line: string): void => {
    if (progress === undefined) terminal.note(line)
    else progress.finish(line)
    progress = undefined
  }
  const bench = new LatencyBench({
    ...place,
    log,
    clock,
    signal,
    rates: settings.rates.map(Number),
    seconds: settings.seconds,
    partitions: settings.partitions,
    workers: settings.workers,
    connection: connectionFlags(settings),
    onPhase: (phase) => say(`${phase} ...`),
    onSent(rate, done) {
      progress ??= createProgress({ terminal, clock, label: `${formatCount(rate)} a second`, unit: 'events' })
      progress.update({ done })
    },
  })
  try {
    return await bench.run()
  } finally {
    say(leftOnKafka(place))
  }
}
