import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ndjsonWriter } from '../../connectors/files/ndjson-writer.ts'
import { readStatement, STATEMENT_FIELDS, type StatementOptions } from '../../connectors/files/statement.ts'
import { openLedgerReader } from '../../connectors/ledger/reconciliation/ledger-reader.ts'
import { OncewardError } from '../../core/errors.ts'
import type { Log } from '../../core/ports/log.ts'
import { STATEMENT_STATES } from '../../core/ports/reconciliation.ts'
import { topicNames } from '../../core/topics.ts'
import type { Difference } from '../../pipeline/reconcile/difference.ts'
import type { Context } from '../command.ts'
import { createProgress, formatCount } from '../progress.ts'
import { EXIT } from '../report.ts'
import { closing } from '../runtime.ts'
import { periodOf } from './period.ts'
import { type Phase, reconcile, type Reconciled, type ReconciliationOptions } from './reconciliation.ts'
import { Kept, report, summaryOf } from './report.ts'

export interface ReconcileSettings {
  readonly db: string
  readonly prefix: string | undefined
  readonly application: string | undefined
  readonly group: string | undefined
  readonly statement: readonly string[] | undefined
  readonly columns: readonly string[] | undefined
  readonly states: readonly string[] | undefined
  readonly delimiter: string | undefined
  readonly decimalComma: boolean
  readonly period: string | undefined
  readonly from: string | undefined
  readonly until: string | undefined
  readonly ofPartners: readonly string[] | undefined
  readonly stuckAfter: number
  readonly show: number
  readonly json: boolean
  readonly out: string | undefined
  readonly fix: boolean
  readonly dir: string | undefined
}

/** Everything that a user may have written wrongly, before anything is connected to. Throws ONCEWARD_E_SETTING_INVALID. */
export function planOf(settings: ReconcileSettings) {
  const { statement = [], ofPartners: partners = [], stuckAfter: stuckAfterMs } = settings
  const columns = new Map(
    pairs('--columns', settings.columns, STATEMENT_FIELDS).map(({ left, right }) => [left, right]),
  )
  const states = pairs('--states', settings.states?.map(reversed), STATEMENT_STATES)
  const delimiter = settings.delimiter?.replace(/^(tab|\\t)$/, '\t')
  if (delimiter !== undefined && delimiter.length !== 1) {
    throw invalid(`--delimiter: "${delimiter}" is more than one character; write one such as ";", or tab`)
  }
  const options: StatementOptions = {
    columns,
    decimalComma: settings.decimalComma,
    states: new Map(states.map(({ left, right }) => [right.toLowerCase(), left])),
    ...(delimiter === undefined ? {} : { delimiter }),
  }
  return { terms: { partners, period: periodOf(settings), stuckAfterMs }, statements: statement, options }
}

/** Reconciles and prints; answers the exit code. `log` undefined: the topic is not compared. */
export async function runReconciliation(log: Log | undefined, context: Context<ReconcileSettings>): Promise<number> {
  const { settings, signal, logger } = context
  const { terms, statements, options } = planOf(settings)
  const dir = await mkdtemp(join(settings.dir ?? tmpdir(), 'onceward-reconcile-'))
  const kept = new Kept(settings.show)
  const out = await openOutput(context, kept)
  const reader = openLedgerReader({ url: settings.db, logger })
  const progress = progressOf(context)
  const topics = topicNames(settings.prefix)
  const application = settings.application ?? `${settings.prefix ?? ''}onceward`
  try {
    const reconciled = await closing(reader, () =>
      reconcile({
        reader,
        log: log && { log, topic: topics.rewards, group: settings.group ?? `${application}.sink` },
        statements: statements.map((path) => () => readStatement(path, { ...options, signal })),
        terms,
        dir,
        found: (differences) => out.take(differences),
        progress: progress.update,
        signal,
      }),
    )
    progress.end()
    await out.end(reconciled, [
      ...(log === undefined ? [] : [topics.rewards]),
      'the ledger, its budgets',
      ...statements,
    ])
    return reconciled.differences === 0 ? EXIT.fine : EXIT.failed
  } catch (error) {
    await out.abort()
    throw error
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

interface Output {
  take(differences: readonly Difference[]): Promise<void>
  end(reconciled: Reconciled, sides: readonly string[]): Promise<void>
  abort(): Promise<void>
}

async function openOutput({ settings, terminal }: Context<ReconcileSettings>, kept: Kept): Promise<Output> {
  const { json, fix } = settings
  const file = settings.out === undefined ? undefined : await ndjsonWriter(settings.out)
  return {
    async take(differences) {
      kept.add(differences)
      await file?.write(differences)
      if (json) await terminal.print(differences.map((difference) => `${JSON.stringify(difference)}\n`).join(''))
    },
    async end(reconciled, sides) {
      const summary = summaryOf(reconciled, kept)
      await file?.close()
      if (json) await terminal.print(`${JSON.stringify(summary)}\n`)
      else await terminal.print(report(reconciled, kept, { sides: sides.join(', '), fix }))
    },
    abort: async () => file?.abort(),
  }
}

const PHASES: Readonly<Record<Phase, { readonly label: string; readonly unit: string }>> = {
  topic: { label: 'reading the topic', unit: 'records' },
  ledger: { label: 'reading the ledger', unit: 'rewards' },
  statement: { label: 'reading the statement', unit: 'lines' },
  comparison: { label: 'comparing', unit: 'rewards' },
}

/** One bar for each phase; a phase that is over leaves a line. */
function progressOf({ terminal, clock }: Context<ReconcileSettings>): {
  readonly update: ReconciliationOptions['progress']
  end(): void
} {
  let open: { phase: Phase; bar: ReturnType<typeof createProgress>; done: number } | undefined
  const end = (): void => {
    if (open === undefined) return
    const { label, unit } = PHASES[open.phase]
    open.bar.finish(`${label}: ${formatCount(open.done)} ${unit}`)
    open = undefined
  }
  return {
    update(phase, done, share) {
      if (open?.phase !== phase) {
        end()
        open = { phase, bar: createProgress({ terminal, clock, ...PHASES[phase] }), done }
      }
      open.done = done
      open.bar.update({ done, share })
    },
    end,
  }
}

/** `LEFT=RIGHT`, where LEFT is one of `allowed`. */
function pairs<Left extends string>(
  flag: string,
  texts: readonly string[] | undefined,
  allowed: readonly Left[],
): { readonly left: Left; readonly right: string }[] {
  return (texts ?? []).map((text) => {
    const cut = text.indexOf('=')
    const left = allowed.find((one) => one === text.slice(0, cut))
    const right = text.slice(cut + 1).trim()
    if (cut > 0 && left !== undefined && right !== '') return { left, right }
    const form =
      flag === '--columns'
        ? `FIELD=NAME with a field of ${allowed.join(', ')}`
        : `WORD=STATE with a state of ${allowed.join(', ')}`
    throw invalid(`${flag}: "${flag === '--columns' ? text : reversed(text)}" cannot be read; write ${form}`)
  })
}

function reversed(text: string): string {
  const cut = text.lastIndexOf('=')
  return cut === -1 ? text : `${text.slice(cut + 1)}=${text.slice(0, cut)}`
}

function invalid(message: string): OncewardError {
  return new OncewardError('ONCEWARD_E_SETTING_INVALID', message)
}
