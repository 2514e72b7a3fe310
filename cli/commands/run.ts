import { OncewardError } from '../../core/errors.ts'
import { command } from '../command.ts'
import { setting } from '../settings/setting.ts'
import { dedupeWindow, partitions, reorderWindow, rules, schemas } from '../settings/shared.ts'

const events = setting('events', {
  type: 'path',
  required: true,
  placeholder: 'FILE',
  help: 'events, one JSON object a line; gzip is unpacked, - reads the standard input',
})

const out = setting('out', {
  type: 'path',
  required: true,
  placeholder: 'DIR',
  help: 'folder for the results; it is made where it is missing, and results of a former run are replaced',
})

export const run = command({
  name: 'run',
  group: 'Start here',
  summary: 'send a file of events through the whole pipeline and write what comes out',
  description: `
    Needs nothing but Node: the events pass through the same log, state and operators as in production, here in one
    process. An event's ingest time is its own time, so the result depends on the file and the rules alone.

    Writes to the folder: scores.ndjson (every rule that matched an event: points before and after caps, progress, which cap
    cut), rewards.ndjson (what was earned: pending, or frozen by KYC or a restriction and why), dlq.ndjson (what was rejected, with the reason) and summary.json, which is
    printed as well. events = unique + duplicates + dlq, by exact count.`,
  examples: [
    {
      line: 'onceward run --events examples/events/november.ndjson --rules examples/rules --out out',
      says: 'the example that comes with Onceward',
    },
    {
      line: 'zcat bets-*.gz | onceward run --events - --rules rules --out out --partitions 8',
      says: 'many files at once; the result does not depend on the number of partitions',
    },
  ],
  settings: [events, rules, out, partitions, reorderWindow, dedupeWindow, schemas],
  async run(context) {
    const { settings, signal, clock, logger, terminal } = context
    const { loadRulesFrom } = await import('../load-rules.ts')
    const { readLines } = await import('../../connectors/files/lines.ts')
    const { loadNormalizer } = await import('../runtime.ts')
    const { runFile } = await import('../run/file-run.ts')
    const { createProgress, formatCount } = await import('../progress.ts')
    const { frozenText } = await import('../run/frozen-text.ts')
    const rulesLoaded = await loadRulesFrom(settings.rules)
    const normalize = await loadNormalizer(settings.schemas)
    const lines = await readLines(settings.events, { signal })
    const progress = createProgress({ terminal, clock, label: 'running', unit: 'events' })
    const done = await runFile({
      lines,
      rules: rulesLoaded,
      normalize,
      out: settings.out,
      partitions: settings.partitions,
      reorderWindowMs: settings.reorderWindow,
      dedupeWindowMs: settings.dedupeWindow,
      clock,
      logger,
      signal,
      onProgress: (events) =>
        progress.update({
          done: events,
          share: lines.bytesTotal === undefined ? undefined : lines.bytesRead / lines.bytesTotal,
        }),
    })
    if (done === undefined) {
      progress.finish(`stopped before the end; nothing was written to ${settings.out}`)
      return 1
    }
    const { summary, frozenBy } = done
    const { events: count, scores, rewards, seconds } = summary
    progress.finish(
      `${formatCount(count)} events, ${formatCount(scores)} scores, ${formatCount(rewards)} rewards in ${seconds} s; see ${settings.out}`,
    )
    const waiting = frozenText(summary, frozenBy)
    if (waiting !== undefined) terminal.note(waiting)
    await terminal.print(`${JSON.stringify(summary)}\n`)
    const { unique, duplicates, dlq } = summary
    const accounted = unique + duplicates + dlq.schema + dlq.future + dlq.late
    if (accounted === count) return 0
    throw new OncewardError('ONCEWARD_E_INTERNAL', `${count} events came in, but ${accounted} are accounted for`)
  },
})
