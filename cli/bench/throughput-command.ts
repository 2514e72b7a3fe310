import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readLines } from '../../connectors/files/lines.ts'
import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/ports/log.ts'
import { syntheticPlayers } from '../../pipeline/synthetic-players.ts'
import type { Context } from '../command.ts'
import { createProgress, type Progress } from '../progress.ts'
import { EXIT } from '../report.ts'
import { type KafkaSettings, loadNormalizer, withKafka } from '../runtime.ts'
import { connectionFlags } from './connection-flags.ts'
import { LATENCY_RULES } from './latency-events.ts'
import { type BenchPlace, leftOnKafka, withBenchPlace } from './place.ts'
import { ThroughputBench, type ThroughputFigures } from './throughput.ts'
import { throughputFindings, throughputJson, throughputReport } from './throughput-report.ts'

type ThroughputSettings = KafkaSettings & {
  readonly events: string | undefined
  readonly count: number
  readonly rules: string | undefined
  readonly schemas: string | undefined
  readonly partitions: number
  readonly workers: number
  readonly runs: number
  readonly dir: string | undefined
  readonly json: boolean
}

const LINES_AT_ONCE = 1_000
/** Events of each player on average: they sign in, play a while and leave. */
const EVENTS_PER_PLAYER = 20

/** Answers 1 where counts do not add up. */
export async function runThroughputBench(context: Context<ThroughputSettings>): Promise<number> {
  const { settings, terminal } = context
  return withBenchPlace(context, async (place) => {
    try {
      const figures = await withKafka(context, (log) => measureOn(log, context, place))
      await terminal.print(settings.json ? throughputJson(figures, settings) : throughputReport(figures, settings))
      return throughputFindings(figures).length > 0 ? EXIT.failed : EXIT.fine
    } finally {
      terminal.note(leftOnKafka(place))
    }
  })
}

async function measureOn(
  log: Log,
  { clock, signal, terminal, settings }: Context<ThroughputSettings>,
  place: BenchPlace,
): Promise<ThroughputFigures> {
  const { events, count, partitions, workers, runs } = settings
  let progress: Progress | undefined
  const say = (line: string): void => {
    if (progress === undefined) terminal.note(line)
    else progress.finish(line)
    progress = undefined
  }
  const bench = new ThroughputBench({
    log,
    clock,
    signal,
    normalize: await loadNormalizer(settings.schemas),
    lines: events === undefined ? syntheticLines(place.name, count, clock) : await readLines(events, { signal }),
    rules: settings.rules ?? (await writeRules(place)),
    partitions,
    workers,
    runs,
    name: place.name,
    stateFolder: (application, worker) => join(place.folder, `${application}-${worker}`),
    connection: connectionFlags(settings),
    onPhase: (phase) => say(`${phase} ...`),
    onProgress(done, share) {
      progress ??= createProgress({ terminal, clock, label: 'bench', unit: 'events' })
      progress.update({ done, share })
    },
  })
  const figures = await bench.run()
  say('done')
  return figures
}

async function* syntheticLines(seed: string, count: number, clock: Clock): AsyncGenerator<readonly Buffer[]> {
  const next = syntheticPlayers({ seed, players: count / EVENTS_PER_PLAYER })
  for (let made = 0; made < count; made += LINES_AT_ONCE) {
    const size = Math.min(LINES_AT_ONCE, count - made)
    yield Array.from({ length: size }, () => Buffer.from(JSON.stringify(next(clock.now()))))
  }
}

async function writeRules({ folder }: BenchPlace): Promise<string> {
  const rules = join(folder, 'rules')
  await mkdir(rules)
  for (const [file, text] of Object.entries(LATENCY_RULES)) await writeFile(join(rules, file), text)
  return rules
}
