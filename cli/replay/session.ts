import { OncewardError } from '../../core/errors.ts'
import type { Log } from '../../core/ports/log.ts'
import type { OrderedKv } from '../../core/ports/ordered-kv.ts'
import type { Normalized } from '../../operators/normalize.ts'
import { compareReplay } from '../../pipeline/replay/comparison.ts'
import { behindOf, decideIssue, issueMissing } from '../../pipeline/replay/issuing.ts'
import {
  establishReplay,
  type PreparedReplay,
  prepareReplay,
  type ReplayRequest,
} from '../../pipeline/replay/preparation.ts'
import type { Summary } from '../../pipeline/replay/differences.ts'
import { runReplay } from '../../pipeline/replay/replay.ts'
import type { Undecided } from '../../pipeline/replay/undecided.ts'
import { RuleFeed } from '../../pipeline/rule-feed.ts'
import type { RuleSource } from '../../rules/rule-file.ts'
import type { Context } from '../command.ts'
import { createProgress, formatCount } from '../progress.ts'
import { EXIT } from '../report.ts'
import { Findings } from './findings.ts'

export interface ReplaySettings {
  readonly application: string
  readonly prefix: string | undefined
  readonly from: string
  readonly to: string
  readonly mode: 'shadow' | 'apply'
  readonly reorderWindow: number
  readonly dedupeWindow: number
  readonly batchBytes: number
  readonly allowGap: boolean
  readonly yes: boolean
  readonly failOnDifference: boolean
  readonly json: boolean
  readonly out: string | undefined
}

export interface ReplayParts {
  readonly log: Log
  readonly context: Context<ReplaySettings>
  readonly normalize: (raw: Buffer | null) => Normalized
  /** Undefined: the published ones. */
  readonly rules: readonly RuleSource[] | undefined
  readonly openStore: (partition: number) => Promise<OrderedKv>
  /** Asks a person; undefined where there is nobody. */
  readonly confirm: ((question: string) => Promise<boolean>) | undefined
}

/** One call of `onceward replay`, from the first look to the exit code. */
export async function replaySession(parts: ReplayParts): Promise<number | undefined> {
  const { context, log } = parts
  const { signal, terminal } = context
  const request = requestOf(parts)
  const replay = await prepareReplay(request)
  tellWhatItIs(replay, context)
  tellGaps(replay, context)
  await establishReplay(request, replay)
  const undecided = await replayEvents(parts, replay)
  if (undecided === undefined) return undefined
  const findings = await Findings.open({ terminal, json: context.settings.json, out: context.settings.out })
  try {
    await warnOfUnpublished(parts)
    for (const { application, partition, position, end } of await behindOf(log, replay)) {
      terminal.note(
        `note: "${application}" stands at ${position} of partition ${partition}, before the replay's end ${end}; what it has yet to issue shows as missing`,
      )
    }
    const summary = await compare(parts, replay, { findings, undecided })
    await findings.finish(summary)
    if (context.settings.mode === 'apply') await issue(parts, replay, findings)
    return context.settings.failOnDifference && summary.differs ? EXIT.failed : EXIT.fine
  } catch (error) {
    await findings.abort()
    if (signal.aborted) tellHowToGoOn(context)
    throw error
  }
}

function requestOf({ log, context, rules }: ReplayParts): ReplayRequest {
  const { settings, clock } = context
  return {
    log,
    clock,
    application: settings.application,
    prefix: settings.prefix ?? '',
    from: settings.from,
    to: settings.to,
    rules,
    reorderWindowMs: settings.reorderWindow,
    dedupeWindowMs: settings.dedupeWindow,
  }
}

function tellWhatItIs({ plan, continued }: PreparedReplay, { terminal }: Context<ReplaySettings>): void {
  const offsets = plan.spans.reduce((sum, { start, end }) => sum + end - start, 0)
  const where = `${plan.events}, ${plan.spans.length} partition${plan.spans.length === 1 ? '' : 's'}, about ${formatCount(offsets)} records`
  terminal.note(`${continued ? `continuing the replay of ${plan.planned_at}` : 'replaying'}: ${where}`)
  if (!plan.whole) {
    terminal.note(
      'note: the state begins empty at the start of the replay: points, caps and progress of windows that began earlier are incomplete, and ids seen earlier are unknown',
    )
  }
}

function tellGaps({ gaps }: PreparedReplay, { settings, terminal }: Context<ReplaySettings>): void {
  if (gaps.length === 0) return
  if (!settings.allowGap) {
    throw new OncewardError(
      'ONCEWARD_E_REPLAY_GAP',
      `retention has deleted a part of what this replay is about:\n${gaps.map((gap) => `  - ${gap}`).join('\n')}\nBegin later with --from, or go on without it with --allow-gap`,
    )
  }
  for (const gap of gaps) terminal.note(`gap: ${gap}`)
}

/** What the replay could not decide, once all events are done; undefined where it was stopped before. */
async function replayEvents(parts: ReplayParts, replay: PreparedReplay): Promise<Undecided | undefined> {
  const { log, context, normalize, openStore } = parts
  const { clock, logger, signal, terminal, settings } = context
  const progress = createProgress({ terminal, clock, label: 'replaying', unit: 'records' })
  const begunMs = clock.monotonic()
  let records = 0
  let share = 0
  const end = await runReplay({
    log,
    clock,
    logger: logger.child({ application: settings.application }),
    replay,
    normalize,
    openStore,
    batchBytesMax: settings.batchBytes,
    signal,
    onProgress: (now) => {
      records = now.records
      share = now.share
      // Of what this process has to do, so that the time left is right after a stop as well.
      const left = 1 - now.startShare
      progress.update({ done: records, share: left <= 0 ? 1 : (now.share - now.startShare) / left })
    },
  })
  const seconds = Math.round((clock.monotonic() - begunMs) / 100) / 10
  const at = end.kind === 'complete' ? '' : `, ${Math.floor(share * 100)} % of the replay is done`
  progress.finish(`${formatCount(records)} records replayed in ${seconds} s${at}`)
  if (end.kind === 'complete') return end.undecided
  tellHowToGoOn(context)
  return undefined
}

function tellHowToGoOn({ terminal }: Context<ReplaySettings>): void {
  terminal.note('stopped; the same command goes on from here')
}

async function compare(
  parts: ReplayParts,
  replay: PreparedReplay,
  { findings, undecided }: { readonly findings: Findings; readonly undecided: Undecided },
): Promise<Summary> {
  const { log, context, normalize } = parts
  const { clock, signal, terminal } = context
  const progress = createProgress({ terminal, clock, label: 'comparing', unit: 'records' })
  let records = 0
  const summary = await compareReplay({
    log,
    replay,
    normalize,
    signal,
    undecided,
    found: (difference) => findings.add(difference),
    onProgress: (now) => {
      records = now.records
      progress.update({ done: records, share: now.share })
    },
  })
  progress.finish(`${formatCount(records)} records compared`)
  if (summary.unreadable > 0) {
    terminal.note(
      `note: ${formatCount(summary.unreadable)} records of the topics compared are no scores or tasks, and were passed over`,
    )
  }
  return summary
}

/** Rewards of rules that never were in force are issued only by somebody who was told. */
async function warnOfUnpublished({ log, context, rules }: ReplayParts): Promise<void> {
  if (rules === undefined || context.settings.mode !== 'apply') return
  const { clock, logger, terminal, settings } = context
  const feed = new RuleFeed({ log, clock, logger, topic: `${settings.prefix ?? ''}rules.control` })
  await feed.catchUp()
  await feed.close()
  const published = new Set([...feed.state.published.values()].map(({ source }) => source.contentHash))
  const names = rules.flatMap(({ rule, contentHash }) =>
    published.has(contentHash) ? [] : [`${rule.ruleId} ${rule.version}`],
  )
  if (names.length > 0) terminal.note(`warning: --rules has versions that were never published: ${names.join(', ')}`)
}

async function issue(parts: ReplayParts, replay: PreparedReplay, findings: Findings): Promise<void> {
  const { log, context, normalize, confirm } = parts
  const { terminal, settings, clock, signal } = context
  const missing = findings.missing.size
  if (missing > 0) terminal.note(`\nto be issued on ${replay.real.rewards}:\n${findings.toIssue.table()}`)
  // Asked again: who has caught up by now has issued all that is theirs, and the topic is read once more below.
  const behind = await behindOf(log, replay)
  const asked = confirm === undefined ? undefined : ('to be asked' as const)
  let decision = decideIssue({ missing, behind, consent: settings.yes ? 'given' : asked })
  if (decision.kind === 'ask') {
    const agreed = (await confirm?.(`Issue these ${formatCount(missing)} reward tasks?`)) ?? false
    decision = decideIssue({ missing, behind, consent: agreed ? 'given' : 'refused' })
  }
  if (decision.kind === 'refuse') throw new OncewardError(decision.code, decision.reason)
  if (decision.kind === 'nothing') return terminal.note('nothing is missing; nothing was issued')
  if (decision.kind !== 'issue') return terminal.note('nothing was issued')
  const { issued, frozen } = await issueMissing({ log, clock, replay, normalize, shown: findings.missing, signal })
  if (frozen > 0) {
    terminal.note(
      `${formatCount(frozen)} of these are frozen, for KYC or a restriction of the player stands against them; nothing lets them go by itself, release them with: onceward rewards release --frozen-by stream`,
    )
  }
  terminal.note(`${formatCount(issued)} reward tasks issued on ${replay.real.rewards}`)
}
