import { mkdtemp, rm, stat } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from '../../core/assert.ts'
import { OncewardError } from '../../core/errors.ts'
import type { Log } from '../../core/ports/log.ts'
import { topicNames } from '../../core/topics.ts'
import { chooseSpans } from '../../pipeline/replay/preparation.ts'
import { committedRecords, missingTopic } from '../../pipeline/replay/records.ts'
import { type ControlEntry, foldControl } from '../../rules/control.ts'
import { nearest } from '../../rules/problem.ts'
import type { Context } from '../command.ts'
import { loadRulesFrom } from '../load-rules.ts'
import { createProgress, formatCount } from '../progress.ts'
import { type KafkaSettings, LOOK_PATIENCE_MS, withKafka } from '../runtime.ts'
import type { EventSettings } from '../schemas/event-reading.ts'
import { dayOrTime } from '../settings/day-or-time.ts'
import { readBudgets, withSoftCaps } from './budgets.ts'
import type { EventsToRead, RulesToTry } from './job.ts'
import { mergeOutcomes, type WholeOutcome } from './merge.ts'
import { runProcesses } from './processes.ts'
import { type Report, reportOf } from './report.ts'
import { compile, entriesAbout, entriesOf } from './rules-to-try.ts'
import { spool } from './spool.ts'

export type BacktestSettings = Omit<KafkaSettings, 'brokers'> &
  EventSettings & {
    readonly brokers: KafkaSettings['brokers'] | undefined
    readonly rules: string
    readonly events: string | undefined
    readonly prefix: string | undefined
    readonly from: string | undefined
    readonly to: string | undefined
    readonly against: string | undefined
    readonly effective: 'written' | 'always'
    readonly budget: readonly string[] | undefined
    readonly top: number
    readonly partitions: number
    readonly processes: number | undefined
    readonly reorderWindow: number
    readonly dedupeWindow: number
  }

/** Runs the backtest that the settings ask for. Throws where anything of it cannot be had, before the first event is read. */
export async function backtest(context: Context<BacktestSettings>): Promise<Report> {
  const { settings, clock } = context
  if (settings.events === undefined && settings.brokers === undefined) {
    throw new OncewardError('ONCEWARD_E_USAGE', 'name where the events are: --events FILE, or --brokers HOST:PORT')
  }
  const budgets = readBudgets(settings.budget ?? [])
  const published = await publishedEntries(context)
  const candidate = await rulesToTry(settings, published, clock.now())
  const baseline = await rulesAgainst(settings, published, { candidate, nowMs: clock.now() })
  const rules = compile(candidate).set
  const startedMs = clock.monotonic()
  const outcome = await run(context, candidate, baseline)
  return reportOf(outcome, {
    budgets: withSoftCaps(budgets, rules),
    top: settings.top,
    notes: notesOf(settings, candidate, outcome),
    seconds: Math.round(clock.monotonic() - startedMs) / 1000,
  })
}

/** What the control topic says; undefined where there are no brokers to ask. */
async function publishedEntries(context: Context<BacktestSettings>): Promise<readonly ControlEntry[] | undefined> {
  const { settings } = context
  const isId = !(await exists(settings.rules))
  if (!isId && settings.against !== 'current') return undefined
  const connection = connectionOf(settings)
  if (connection === undefined) {
    const what = isId
      ? `there is no file or folder ${settings.rules}, so it would be the id of a published rule, and`
      : '--against current'
    throw new OncewardError('ONCEWARD_E_USAGE', `${what} needs --brokers HOST:PORT to read what is published`)
  }
  const topic = topicNames(settings.prefix).control
  return withKafka({ ...context, settings: connection }, (log) => readEntries(log, topic), {
    patienceMs: LOOK_PATIENCE_MS,
  })
}

async function readEntries(log: Log, topic: string): Promise<readonly ControlEntry[]> {
  if ((await log.topic(topic)) === undefined) throw missingTopic(topic)
  const entries: ControlEntry[] = []
  for await (const records of committedRecords(log, { topic, partition: 0 })) {
    for (const { value, offset } of records) entries.push({ value, place: `${topic}[0]@${offset}` })
  }
  return entries
}

async function rulesToTry(
  settings: BacktestSettings,
  published: readonly ControlEntry[] | undefined,
  nowMs: number,
): Promise<RulesToTry> {
  const always = settings.effective === 'always'
  if (await exists(settings.rules)) {
    return { entries: entriesOf(await loadRulesFrom(settings.rules), nowMs), always }
  }
  const ids = foldControl(published ?? []).set.versions.map(({ rule }) => rule.ruleId)
  if (ids.includes(settings.rules)) return { entries: entriesAbout(published ?? [], [settings.rules]), always }
  const meant = nearest(settings.rules, ids)
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`
  throw new OncewardError(
    'ONCEWARD_E_USAGE',
    `${settings.rules} is neither a file or folder of rules nor the id of a published rule${hint}`,
  )
}

/** The rules compared with: of what is published, only the rules that are tried; a folder as it stands. */
async function rulesAgainst(
  settings: BacktestSettings,
  published: readonly ControlEntry[] | undefined,
  { candidate, nowMs }: { readonly candidate: RulesToTry; readonly nowMs: number },
): Promise<RulesToTry | undefined> {
  if (settings.against === undefined) return undefined
  if (settings.against === 'current') {
    const ids = compile(candidate).set.versions.map(({ rule }) => rule.ruleId)
    return { entries: entriesAbout(published ?? [], ids), always: false }
  }
  const always = settings.effective === 'always'
  return { entries: entriesOf(await loadRulesFrom(settings.against), nowMs), always }
}

async function run(
  context: Context<BacktestSettings>,
  candidate: RulesToTry,
  baseline: RulesToTry | undefined,
): Promise<WholeOutcome> {
  const { settings, signal, terminal, clock } = context
  const folder = await mkdtemp(join(tmpdir(), 'onceward-backtest-'))
  const progress = createProgress({ terminal, clock, label: 'backtest', unit: 'events' })
  try {
    const { events, partitions } = await eventsToRead(context, folder)
    const job = {
      partitions,
      events,
      candidate,
      baseline,
      reading: readingOf(settings),
      reorderWindowMs: settings.reorderWindow,
      dedupeWindowMs: settings.dedupeWindow,
    }
    const startedMs = clock.monotonic()
    const outcomes = await runProcesses({
      job,
      processes: Math.min(partitions, settings.processes ?? availableParallelism()),
      signal,
      onProgress: (advance) => progress.update({ done: advance.events, share: advance.share }),
    })
    const outcome = mergeOutcomes(outcomes)
    const { events: count } = outcome.candidate.counts
    const seconds = (clock.monotonic() - startedMs) / 1000
    progress.finish(`${formatCount(count)} events in ${seconds.toFixed(1)} s, ${formatCount(count / seconds)}/s`)
    return outcome
  } catch (error) {
    if (signal.aborted) progress.finish('stopped before the end; there is no result')
    throw error
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function eventsToRead(
  context: Context<BacktestSettings>,
  folder: string,
): Promise<{ readonly events: EventsToRead; readonly partitions: number }> {
  const { settings, signal } = context
  if (settings.events !== undefined) {
    const path = await spool(settings.events, folder, signal)
    const [fromMs, toMs] = [dayOrTime('--from', settings.from), dayOrTime('--to', settings.to)]
    return { events: { kind: 'file', path, fromMs, toMs }, partitions: settings.partitions }
  }
  const connection = connectionOf(settings)
  assert(connection !== undefined, 'events are in a file or on brokers')
  const topic = topicNames(settings.prefix).events
  return withKafka(
    { ...context, settings: connection },
    async (log) => {
      const info = await log.topic(topic)
      if (info === undefined) throw missingTopic(topic)
      const range = { from: settings.from ?? 'beginning', to: settings.to ?? 'end', prefix: settings.prefix ?? '' }
      const { spans, gaps } = await chooseSpans(log, range, info.partitions)
      for (const gap of gaps) context.terminal.note(`Note: ${gap}`)
      return { events: { kind: 'kafka', topic, settings: connection, spans }, partitions: info.partitions }
    },
    { patienceMs: LOOK_PATIENCE_MS },
  )
}

function connectionOf(settings: BacktestSettings): KafkaSettings | undefined {
  const { brokers } = settings
  if (brokers === undefined) return undefined
  const { kafkaTls, kafkaCaFile, kafkaCertFile, kafkaKeyFile, kafkaSasl, kafkaUser, kafkaPasswordFile } = settings
  return { brokers, kafkaTls, kafkaCaFile, kafkaCertFile, kafkaKeyFile, kafkaSasl, kafkaUser, kafkaPasswordFile }
}

/** What a reader would otherwise take for a mistake. */
function notesOf(
  settings: BacktestSettings,
  candidate: RulesToTry,
  { candidate: whole, lastTs }: WholeOutcome,
): string[] {
  const judged = new Set(whole.rules.map(({ ruleId, version }) => `${ruleId} ${version}`))
  return compile(candidate).set.versions.flatMap(({ rule, effectiveFrom }) => {
    const name = `${rule.ruleId} ${rule.version}`
    if (effectiveFrom !== undefined && lastTs !== undefined && effectiveFrom > lastTs) {
      const from = new Date(effectiveFrom).toISOString()
      return [`${name} takes effect at ${from}, after the last event, so it judged none; try --effective always`]
    }
    return judged.has(name) || settings.effective === 'always' ? [] : [`${name} matched none of the events`]
  })
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

/** Of the settings, those that a process of its own needs to read events. */
function readingOf(settings: BacktestSettings): EventSettings {
  const { schemas, registry, registryDir, registryUser, registryPasswordFile, registryCaFile } = settings
  return { schemas, registry, registryDir, registryUser, registryPasswordFile, registryCaFile }
}
