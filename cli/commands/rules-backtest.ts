import { command } from '../command.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { setting } from '../settings/setting.ts'
import { REGISTRY } from '../settings/registry.ts'
import { BROKER_ADDRESS, dedupeWindow, partitions, prefix, reorderWindow, schemas } from '../settings/shared.ts'

const rules = setting('rules', {
  type: 'path',
  required: true,
  positional: true,
  placeholder: 'DIR|ID',
  help: 'the rules to try: a folder (or one file) of rules, or the id of a published rule',
})

const events = setting('events', {
  type: 'path',
  placeholder: 'FILE',
  help: 'recorded events, one JSON object a line; gzip is unpacked, - reads the standard input; instead of a topic',
})

const brokers = setting('brokers', {
  type: 'list',
  placeholder: 'HOST:PORT,...',
  help: 'Kafka brokers: for the events where no file is given, and for published rules',
  pattern: BROKER_ADDRESS,
})

const from = setting('from', {
  type: 'text',
  placeholder: 'WHEN',
  help: 'where to begin: with --events a day or time of the events, otherwise as in replay (default: the beginning)',
})

const to = setting('to', {
  type: 'text',
  placeholder: 'WHEN',
  help: 'where to end, exclusive; as --from (default: the end)',
})

const against = setting('against', {
  type: 'text',
  placeholder: 'current|DIR',
  help: 'what to compare with: the published versions of the same rules (needs --brokers), or another folder',
})

const effective = setting('effective', {
  type: 'choice',
  choices: ['written', 'always'],
  default: 'written',
  help: 'written: each version counts from its effective_from on; always: the newest of each rule judges every event',
})

const budget = setting('budget', {
  type: 'list',
  placeholder: 'POOL=AMOUNT,...',
  help: 'budgets of pools, to see when they run dry; for other pools the soft caps of the rules are taken',
})

const top = setting('top', { type: 'integer', default: '10', min: 1, max: 10_000, help: 'how many players are listed' })

const processes = setting('processes', {
  type: 'integer',
  min: 1,
  max: 64,
  help: 'processes that share the partitions; as many as the machine has cores where it is left out',
})

const json = setting('json', { type: 'flag', help: 'print one JSON object instead of tables' })

const html = setting('html', {
  type: 'path',
  placeholder: 'FILE',
  help: 'write the report as one HTML page with charts, too; it needs nothing from anywhere else',
})

export const rulesBacktest = command({
  name: 'rules backtest',
  group: 'Rules',
  summary: 'run rules over recorded events before they go live: who would get what, and what it costs',
  description: `
    Sends the events through the very operators of a worker, without Kafka, disk or wallet, and counts: points, rewards and
    cost by rule, threshold, segment (country, platform, payer) and day, what the caps cut, what each pool pays and when it
    runs dry, and the players with the most points. The result equals that of onceward run on the same file, to the last
    point and cent. Nothing is written but the report.

    With --against it runs both sets of rules over the same events and shows what changes: points, rewards and cost by
    rule and pool, and who gains and who loses.

    Events of a file count as received at their own time. Malformed lines, repeats and late events are counted as a worker
    would. Days are UTC. A segment is what the last event of a player that scored said.`,
  examples: [
    {
      line: 'onceward rules backtest examples/rules --events examples/events/november.ndjson',
      says: 'what the example rules would have given on an evening of play',
    },
    {
      line: 'onceward rules backtest draft --events bets.ndjson.gz --against rules --budget nov_season=5000 --html report.html',
      says: 'a draft compared with the rules of today, as a page to pass on',
    },
    {
      line: 'onceward rules backtest r_points_winmult_v2 --brokers localhost:9092 --from 2025-11-01T00:00:00Z --effective always',
      says: 'the newest published version of one rule over what is on Kafka',
    },
    {
      line: 'onceward rules backtest draft --brokers localhost:9092 --against current --json',
      says: 'what a draft changes against what is published, for a program',
    },
  ],
  settings: [
    rules,
    events,
    brokers,
    prefix,
    from,
    to,
    against,
    effective,
    budget,
    top,
    json,
    html,
    partitions,
    processes,
    schemas,
    ...REGISTRY,
    reorderWindow,
    dedupeWindow,
    ...KAFKA_SECURITY,
  ],
  async run(context) {
    const { settings, terminal } = context
    const { backtest } = await import('../backtest/session.ts')
    const { reportTables } = await import('../backtest/tables.ts')
    const report = await backtest(context)
    if (settings.html !== undefined) {
      const { reportPage } = await import('../backtest/page.ts')
      const { writeTextFile } = await import('../../connectors/files/ndjson-writer.ts')
      await writeTextFile(settings.html, reportPage(report, settings.rules))
      terminal.note(`the page is ${settings.html}`)
    }
    await terminal.print(settings.json ? `${JSON.stringify(report)}\n` : reportTables(report))
  },
})
