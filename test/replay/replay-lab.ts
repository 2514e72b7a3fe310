import { partitionOf } from '../../core/partitioner.ts'
import { replaySession, type ReplaySettings } from '../../cli/replay/session.ts'
import { loadRules } from '../../rules/load.ts'
import type { RuleSource } from '../../rules/rule-file.ts'
import type { Log } from '../../core/ports/log.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { Disk } from '../support/disk.ts'
import { normalize } from '../support/engine.ts'
import type { Lab } from '../support/worker-harness.ts'

export interface ReplayCall {
  readonly settings?: Partial<ReplaySettings>
  readonly rules?: Readonly<Record<string, string>>
  readonly disk?: Disk
  readonly signal?: AbortSignal
  readonly log?: Log
  readonly confirm?: (question: string) => Promise<boolean>
  /** Told of every line for people. */
  readonly noted?: (line: string) => void
}

export interface ReplayOutcome {
  readonly code: number | undefined
  readonly stdout: string
  readonly notes: readonly string[]
  /** What --json printed. */
  readonly differences: readonly Record<string, unknown>[]
  readonly summary: Record<string, unknown>
}

export function rulesOf(files: Readonly<Record<string, string>>): readonly RuleSource[] {
  const loaded = loadRules(Object.entries(files).map(([file, text]) => ({ file, text })))
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.rules
}

/** `onceward replay` as its command calls it, on a lab's log. */
export async function replay(lab: Lab, call: ReplayCall = {}): Promise<ReplayOutcome> {
  let stdout = ''
  const notes: string[] = []
  const disk = call.disk ?? new Disk()
  const settings: ReplaySettings = {
    application: 'again',
    prefix: undefined,
    from: 'beginning',
    to: 'end',
    mode: 'shadow',
    reorderWindow: 60_000,
    dedupeWindow: 86_400_000,
    batchBytes: 8_000,
    allowGap: false,
    yes: false,
    failOnDifference: false,
    json: true,
    out: undefined,
    ...call.settings,
  }
  const code = await replaySession({
    log: call.log ?? lab.log,
    context: {
      settings,
      signal: call.signal ?? new AbortController().signal,
      clock: lab.clock,
      random: () => 0,
      logger: silentLogger,
      terminal: {
        print: (text) => Promise.resolve(void (stdout += text)),
        note: (line) => {
          notes.push(line)
          call.noted?.(line)
        },
        progress: { isTty: false, columns: 80, write: () => undefined },
      },
    },
    normalize,
    rules: call.rules === undefined ? undefined : rulesOf(call.rules),
    openStore: (partition) => disk.open(partition),
    confirm: call.confirm,
  })
  const lines = settings.json
    ? stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, unknown>)
    : []
  return { code, stdout, notes, differences: lines.slice(0, -1), summary: lines.at(-1) ?? {} }
}

/** `kind user|rule|threshold` and `points user|rule issued replayed`, sorted. */
export function texts(differences: readonly Record<string, unknown>[]): string[] {
  return differences
    .map((each) => {
      const who = `${String(each['user_id'])}|${String(each['rule_id'])}`
      if (each['type'] === 'points') return `points ${who} ${String(each['issued'])} ${String(each['replayed'])}`
      const period = each['period'] === 'all' ? '' : `${String(each['period'])}|`
      return `${String(each['kind'])} ${who}|${period}${String(each['threshold'])}`
    })
    .sort()
}

export function partitionIn(lab: Lab): (user: string) => number {
  return (user) => partitionOf(user, lab.partitions)
}
