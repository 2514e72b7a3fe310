import { formatMoney, parseMoney } from '../../core/money.ts'
import type { DlqRecord } from '../../core/model/dlq.ts'
import { type FreezeReason, freezeText } from '../../core/gates.ts'
import type { PlayerChanged } from '../../core/model/player.ts'
import type { RewardRecord, RewardTask } from '../../core/model/reward.ts'
import type { CapName, ScoreRecord, WithheldReward } from '../../core/model/score.ts'
import { periodOf } from '../../rules/calendar.ts'
import type { Caps, CompiledRule, RuleVersion } from '../../rules/compiled.ts'
import { type RewardLine, rewardLines } from '../run/reward-line.ts'

/** What is on record of one player: everything that scored, was issued or was set aside. */
export interface PlayerRecords {
  readonly scores: readonly ScoreRecord[]
  /** Of the topic, or of rewards.ndjson, in order. */
  readonly rewards: readonly (RewardRecord | RewardLine | PlayerChanged)[]
  readonly deadLetters: readonly DlqRecord[]
}

/** Which part of it is asked for. */
export interface Question {
  readonly userId: string
  readonly ruleId: string | undefined
  /** Event time, ms: from inclusive, to exclusive. */
  readonly fromMs: number | undefined
  readonly toMs: number | undefined
}

/** Why a player has what they have; `--json` prints it. Times are RFC 3339. */
export interface Explanation {
  readonly user_id: string
  readonly rules: readonly RuleExplanation[]
  /** Events that never reached a rule. */
  readonly set_aside: readonly { readonly event_id: string | null; readonly reason: string; readonly detail: string }[]
}

export interface RuleExplanation {
  readonly rule_id: string
  readonly versions: readonly string[]
  readonly arm: string | null
  /** Events that the rule matched, in order of time. */
  readonly events: readonly CountedEvent[]
  readonly points: number
  readonly cut: readonly CutPoints[]
  readonly progress: Progress | null
  readonly rewards: readonly ExplainedReward[]
  readonly withheld: readonly (WithheldReward & { readonly event_id: string; readonly event_ts: string })[]
}

/** A reward as it stands; of one that is frozen, what it waits for by the last that is known of the player. */
export type ExplainedReward = RewardLine & { readonly waits_for?: readonly string[] }

export type CountedEvent = Pick<
  ScoreRecord,
  'event_id' | 'event_ts' | 'raw_points' | 'points' | 'progress' | 'cut_by' | 'reason' | 'detail' | 'rule_version'
>

export interface CutPoints {
  readonly cap: CapName
  readonly events: number
  readonly points: number
  /** What the cap allows in the newest version; null where the rule is not known. */
  readonly limit: number | null
}

export interface Progress {
  readonly points: number
  /** As of the last event that counted. */
  readonly event_ts: string
  /** The next threshold; null where all are reached, or the rule is not known or gives no rewards. */
  readonly next: { readonly threshold: number; readonly missing: number; readonly reward: string } | null
  /** When progress begins again; null where the rule is not known. */
  readonly reset: string | null
}

/** `versions`: the rules as far as they are known, in the order of publication. */
export function explain(records: PlayerRecords, versions: readonly RuleVersion[], question: Question): Explanation {
  const scores = records.scores.filter((score) => isAsked(score, question))
  const known = records.rewards.findLast(
    (record) => record.type === 'player.changed' && record.user_id === question.userId,
  )
  const player = known?.type === 'player.changed' ? known : undefined
  const rewards = rewardLines(records.rewards).filter((task) =>
    isAsked({ ...task, rule_id: task.origin.rule_id, event_ts: task.created_at }, question),
  )
  const ids = new Set([...scores.map((score) => score.rule_id), ...rewards.map((task) => task.origin.rule_id)])
  return {
    user_id: question.userId,
    rules: [...ids].sort().map((id) =>
      explainRule(
        id,
        scores.filter((score) => score.rule_id === id).sort(byTime),
        rewards.filter((task) => task.origin.rule_id === id).map((task) => explainReward(task, player)),
        versions.findLast(({ rule }) => rule.ruleId === id)?.rule,
      ),
    ),
    set_aside: setAside(records, question),
  }
}

/** What became of an event last counts: one that was sent again may have been scored, or set aside once more. */
function setAside({ scores, deadLetters }: PlayerRecords, question: Question): Explanation['set_aside'] {
  const mine = deadLetters.filter((letter) => letter.user_id === question.userId && isInRange(letter, question))
  const scored = new Set(scores.flatMap(({ user_id: id, event_id }) => (id === question.userId ? [event_id] : [])))
  const last = new Map(mine.map((letter) => [letter.event_id, letter]))
  return mine
    .filter(
      (letter) =>
        letter.event_id === undefined || (!scored.has(letter.event_id) && last.get(letter.event_id) === letter),
    )
    .map(({ event_id: id, reason, detail }) => ({ event_id: id ?? null, reason, detail }))
}

function isAsked(
  record: { readonly user_id: string; readonly rule_id: string; readonly event_ts: string },
  { userId, ruleId, fromMs, toMs }: Question,
): boolean {
  const ts = Date.parse(record.event_ts)
  if (record.user_id !== userId || (ruleId !== undefined && record.rule_id !== ruleId)) return false
  return ts >= (fromMs ?? ts) && ts < (toMs ?? ts + 1)
}

/** A dead letter has the event as it came: its own time counts, where it can be read; otherwise it is shown. */
function isInRange(letter: DlqRecord, { fromMs, toMs }: Question): boolean {
  const time = /"ts"\s*:\s*"([^"]*)"/.exec(letter.raw)?.[1]
  const ts = time === undefined ? Number.NaN : Date.parse(time)
  return Number.isNaN(ts) || (ts >= (fromMs ?? ts) && ts < (toMs ?? ts + 1))
}

/** By event time; of the same instant the one with less progress was first. */
function byTime(a: ScoreRecord, b: ScoreRecord): number {
  return Date.parse(a.event_ts) - Date.parse(b.event_ts) || a.progress - b.progress
}

function explainRule(
  ruleId: string,
  scores: readonly ScoreRecord[],
  rewards: readonly ExplainedReward[],
  newest: CompiledRule | undefined,
): RuleExplanation {
  const arm = scores.findLast((score) => score.arm !== undefined)?.arm ?? null
  const rule = newest?.arms?.variants.find((variant) => variant.rule.arm === arm)?.rule ?? newest
  return {
    rule_id: ruleId,
    versions: [
      ...new Set([...scores.map((score) => score.rule_version), ...rewards.map((task) => task.origin.rule_version)]),
    ],
    arm,
    events: scores.map(counted),
    points: scores.reduce((sum, { points }) => sum + points, 0),
    cut: cutsOf(scores, rule),
    progress: progressOf(scores, rule),
    rewards: rewards.toSorted((a, b) => Date.parse(a.created_at) - Date.parse(b.created_at)),
    withheld: scores.flatMap(({ withheld, event_id, event_ts }) =>
      (withheld ?? []).map((each) => ({ ...each, event_id, event_ts })),
    ),
  }
}

function explainReward(task: RewardLine, player: PlayerChanged | undefined): ExplainedReward {
  return task.status === 'frozen' ? { ...task, waits_for: waitsFor(task, player).map(freezeText) } : task
}

/** What stood against it when it was stopped, or, where the player is known, what does now. */
function waitsFor({ reasons = [], kyc }: RewardLine, player: PlayerChanged | undefined): readonly FreezeReason[] {
  if (player === undefined) return reasons
  const { kyc_level: level, restrictions } = player
  const required = kyc?.required ?? 0
  const unproven = level === null ? reasons.some(({ gate }) => gate === 'kyc') : level < required
  return [
    ...restrictions.map(({ kind, until }) => ({ gate: 'rg' as const, restriction: kind, until })),
    ...(unproven ? [{ gate: 'kyc' as const, required, level }] : []),
  ]
}

function counted(score: ScoreRecord): CountedEvent {
  const { event_id, event_ts, raw_points, points, progress, cut_by, reason, detail, rule_version } = score
  return {
    event_id,
    event_ts,
    rule_version,
    raw_points,
    points,
    progress,
    cut_by,
    ...(reason === undefined ? {} : { reason }),
    ...(detail === undefined ? {} : { detail }),
  }
}

const CAPS: Readonly<Record<CapName, keyof Caps>> = {
  per_bet: 'perBet',
  per_minute: 'perMinute',
  per_hour: 'perHour',
  per_day: 'perDay',
}

function cutsOf(scores: readonly ScoreRecord[], rule: CompiledRule | undefined): CutPoints[] {
  return (Object.keys(CAPS) as CapName[]).flatMap((cap) => {
    const cut = scores.filter((score) => score.cut_by === cap)
    if (cut.length === 0) return []
    const points = cut.reduce((sum, score) => sum + score.raw_points - score.points, 0)
    return [{ cap, events: cut.length, points, limit: rule?.caps[CAPS[cap]] ?? null }]
  })
}

function progressOf(scores: readonly ScoreRecord[], rule: CompiledRule | undefined): Progress | null {
  const last = scores.at(-1)
  if (last === undefined) return null
  const { thresholds = [], rewards = [], reset = null } = rule?.trigger ?? {}
  const points = progressAt(last, scores, rule)
  const index = thresholds.findIndex((threshold) => threshold > points)
  const [threshold, reward] = [thresholds[index], rewards[index]]
  return {
    points,
    event_ts: last.event_ts,
    next:
      threshold === undefined || reward === undefined
        ? null
        : { threshold, missing: threshold - points, reward: rewardText(reward) },
    reset,
  }
}

/**
 * Of the period of `last`. What came late counts for its period as well, and was judged after younger events: the greatest
 * progress is the newest.
 */
function progressAt(last: ScoreRecord, scores: readonly ScoreRecord[], rule: CompiledRule | undefined): number {
  if (rule === undefined) return last.progress
  const periodOfScore = ({ event_ts: time }: ScoreRecord): string =>
    periodOf(rule.trigger?.reset ?? 'never', rule.timeZone, Date.parse(time))
  const period = periodOfScore(last)
  const same = scores.filter((score) => periodOfScore(score) === period)
  return same.reduce((most, { progress }) => Math.max(most, progress), 0)
}

/** `10 fs`, `2.50 EUR bonus_cash`, `loot`. */
export function rewardText({
  type,
  amount,
  currency,
}: Pick<RewardTask['reward'], 'type' | 'amount' | 'currency'>): string {
  const shown = amount === undefined || currency === undefined ? amount : formatMoney(parseMoney(amount))
  return [shown, currency, type].filter((part) => part !== undefined).join(' ')
}
