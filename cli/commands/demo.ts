import { OncewardError } from '../../core/errors.ts'
import { command } from '../command.ts'
import { setting } from '../settings/setting.ts'

const duration = setting('for', {
  type: 'duration',
  min: 1_000,
  max: 30 * 86_400_000,
  help: 'how long the players play; until Ctrl-C where it is left out',
})

const data = setting('data', {
  type: 'path',
  placeholder: 'DIR',
  help: 'folder for log, state and ledger, kept: the next demo on it goes on where this one ends; without it, a temporary folder that is removed',
})

const port = setting('port', {
  type: 'integer',
  min: 0,
  max: 65_535,
  placeholder: 'PORT',
  help: 'port that serves /metrics, /healthz and /readyz on 127.0.0.1; 9464, or any free one, where it is left out',
})

const rate = setting('rate', {
  type: 'number',
  default: '500',
  min: 1,
  max: 100_000,
  placeholder: 'EVENTS',
  help: 'events a second, of all players together; as many as the machine can take where that is less',
})

const players = setting('players', {
  type: 'integer',
  default: '300',
  min: 1,
  max: 1_000_000,
  help: 'how many players there are',
})

const seed = setting('seed', {
  type: 'integer',
  min: 0,
  max: 4_294_967_295,
  help: 'the same seed plays the same game; chosen by chance where it is left out',
})

const rules = setting('rules', {
  type: 'path',
  placeholder: 'DIR',
  help: 'folder with rule files (*.yaml) to play by, in place of the three that come with the demo',
})

const json = setting('json', { type: 'flag', help: 'print the summary as one line of JSON' })

export const demo = command({
  name: 'demo',
  group: 'Start here',
  summary: 'watch players earn rewards, and a wallet pay each once',
  description: `
    Needs nothing but Node. All roles run in this process, as they do elsewhere: players send events to a log (embedded, on
    RocksDB), two workers score them by the rules and create reward tasks, the sink books each in the ledger (an embedded
    Postgres) and has a wallet pay it. The wallet fails and times out now and then, on purpose. Most players are verified;
    what the others earn is frozen, as is what somebody earns who has excluded himself for a while.

    In a terminal it shows what happens, live; elsewhere it writes a line every two seconds to stderr. Ctrl-C, or the end of
    --for, stops the players, lets what is under way come to its end, and prints what was earned and paid.

    At the end everything is counted where it is kept, and compared: events in = unique + duplicates + dead letters; rewards
    earned = paid + pending + failed + held + frozen; the paid rewards of each pool = what is booked as spent; what the wallet paid = what the
    ledger says. Exit code 0 where all of it adds up.`,
  examples: [
    { line: 'onceward demo', says: 'until Ctrl-C' },
    {
      line: 'onceward demo --for 20s --data demo-data',
      says: 'twenty seconds; run it again and it goes on from there',
    },
    { line: 'onceward demo --rate 5000 --seed 7', says: 'ten times as much play, the same each time' },
  ],
  service: true,
  settings: [duration, data, port, rate, players, seed, rules, json],
  async run(context) {
    const { settings, signal, clock, random, terminal } = context
    const { fileURLToPath } = await import('node:url')
    const { loadRulesFrom } = await import('../load-rules.ts')
    const { loadNormalizer } = await import('../runtime.ts')
    const { createDisplay } = await import('../demo/display.ts')
    const { drawingOf } = await import('../demo/terminal-kind.ts')
    const { runDemo } = await import('../demo/demo.ts')
    const { summaryText } = await import('../demo/summary.ts')
    // Beside the sources as in dist/, where the build copies it.
    const ownRules = fileURLToPath(new URL('../../examples/demo/rules/', import.meta.url))
    const display = createDisplay({ terminal, clock, ...drawingOf(process, terminal.progress.isTty) })
    const { summary, findings, data } = await runDemo({
      dir: settings.data,
      port: settings.port,
      rate: settings.rate,
      players: settings.players,
      forMs: settings.for,
      seed: settings.seed ?? Math.floor(random() * 2 ** 32),
      runId: `e${clock.now().toString(36)}${Math.floor(random() * 36 ** 4).toString(36)}`,
      rules: await loadRulesFrom(settings.rules ?? ownRules),
      normalize: await loadNormalizer(),
      clock,
      random,
      logger: display.logger(context.logger),
      display,
      signal,
    })
    await terminal.print(settings.json ? `${JSON.stringify(summary)}\n` : `\n${summaryText(summary, data)}`)
    if (findings.length === 0) return 0
    throw new OncewardError('ONCEWARD_E_INTERNAL', `the counts do not add up: ${findings.join('; ')}`)
  },
})
