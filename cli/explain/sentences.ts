import type { CapName, LateReason } from '../../core/model/score.ts'
import { freezeText } from '../../core/gates.ts'
import { formatCount } from '../progress.ts'
import {
  type CountedEvent,
  type ExplainedReward,
  type Explanation,
  rewardText,
  type RuleExplanation,
} from './explanation.ts'

/** The explanation in sentences that can be read out. `eventsShown`: how many events of a rule, the latest. */
export function sentences(explanation: Explanation, eventsShown: number): string {
  const { user_id: userId, rules, set_aside: setAside } = explanation
  const lines = [`Player ${userId}`, '']
  if (rules.length === 0) {
    lines.push(
      'No rule has matched an event of this player in what was looked at: so there are no points and no rewards.',
      '',
    )
  }
  for (const rule of rules) lines.push(...ruleSentences(rule, eventsShown), '')
  if (setAside.length > 0) {
    lines.push(`${events(setAside.length)} never reached a rule:`)
    for (const { event_id: id, reason, detail } of setAside) {
      lines.push(`  - ${id ?? 'an event without an id'} (${reason}): ${detail}.`)
    }
    lines.push('')
  }
  return `${lines.join('\n').trimEnd()}\n`
}

function ruleSentences(rule: RuleExplanation, eventsShown: number): string[] {
  const version = rule.versions.length === 1 ? 'version' : 'versions'
  const arm = rule.arm === null ? '' : `, arm ${rule.arm}`
  const scored = rule.events.filter(({ points }) => points > 0).length
  const [first, last] = [rule.events[0], rule.events.at(-1)]
  const between =
    first === undefined || last === undefined ? '' : ` between ${when(first.event_ts)} and ${when(last.event_ts)}`
  return [
    `Rule ${rule.rule_id} (${version} ${rule.versions.join(', ')}${arm})`,
    `  ${events(rule.events.length)} counted${between}. ${formatCount(scored)} of them gave points, ${formatCount(rule.points)} in all.`,
    ...rule.cut.map(
      ({ cap, events: count, points, limit }) =>
        `  The cap ${CAP_WORDS[cap]}${limit === null ? '' : ` (at most ${formatCount(limit)} points)`} took ${pointsOf(points)} from ${events(count)}.`,
    ),
    ...notFinite(rule.events),
    ...tooLate(rule.events),
    ...progressSentence(rule),
    ...rule.rewards.map((task) => `  ${rewardSentence(task)}`),
    ...rule.withheld.map(
      ({ threshold, reason, detail, event_id: id, event_ts: ts }) =>
        `  The reward for ${pointsOf(threshold)} was not given when event ${id} reached them on ${when(ts)}, ${WITHHELD_WORDS[reason]}: ${detail}.`,
    ),
    ...eventLines(rule.events, eventsShown),
  ]
}

const CAP_WORDS: Readonly<Record<CapName, string>> = {
  per_bet: 'for one event',
  per_minute: 'for a minute',
  per_hour: 'for an hour',
  per_day: 'for a day',
}

const WITHHELD_WORDS = {
  geo: 'because it is not given in the country of the player',
  amount: 'because its formula gave no amount',
  cool_down: 'because the last one was too short ago',
  most_rewards: 'because the player had as many as the rule gives',
} as const

function notFinite(all: readonly CountedEvent[]): string[] {
  const none = all.filter(({ reason }) => reason === 'not_finite')
  const [example] = none
  if (example === undefined) return []
  return [
    `  ${events(none.length)} gave nothing because the formula came to no number, such as ${example.event_id}: ${example.detail ?? ''}.`,
  ]
}

function tooLate(all: readonly CountedEvent[]): string[] {
  return [...LATE_REASONS].flatMap((reason) => {
    const late = all.filter((event) => event.reason === reason)
    const [example] = late
    if (example === undefined) return []
    const which = late.length === 1 ? example.event_id : `such as ${example.event_id}`
    return [`  ${events(late.length)} came late, and gave nothing when sent again (${which}): ${example.detail ?? ''}.`]
  })
}

const LATE_REASONS: ReadonlySet<LateReason> = new Set(['late_strict', 'late_window_forgotten'])

const RESETS: Readonly<Record<string, string>> = {
  daily: 'It begins again every day.',
  weekly: 'It begins again every week.',
  monthly: 'It begins again every month.',
}

function progressSentence({ progress, rewards }: RuleExplanation): string[] {
  if (progress === null) return []
  const { points, next, reset } = progress
  const again = RESETS[reset ?? ''] ?? ''
  const ahead =
    next === null
      ? reset === null
        ? rewards.length > 0
          ? ''
          : 'What the next reward needs is not known without the rules (--rules).'
        : 'No further reward is ahead.'
      : `The next reward, ${next.reward}, comes at ${formatCount(next.threshold)}: ${pointsOf(next.missing)} ${next.missing === 1 ? 'is' : 'are'} missing, so it was not issued yet.`
  const said = [`Progress is ${formatCount(points)} as of ${when(progress.event_ts)}.`, ahead, again]
  return [`  ${said.filter((text) => text !== '').join(' ')}`]
}

function rewardSentence(task: ExplainedReward): string {
  const { origin, reward, guardrails, pool_id: pool, holds = [] } = task
  const period = origin.period === 'all' ? '' : ` in ${origin.period}`
  const asks = [
    ...(guardrails.kyc_min_level === undefined ? [] : [`KYC level ${guardrails.kyc_min_level}`]),
    ...(guardrails.rg_limits_ok === true ? ['responsible-gaming limits kept'] : []),
  ]
  const gates = asks.length === 0 ? '' : ` Paying it asks for ${asks.join(' and ')}.`
  const looks = holds.map(({ by, detail }) => ` Somebody looks at it before it is paid (${by}): ${detail}.`).join('')
  const from = pool === null ? '' : `, from the pool ${pool}`
  const said = `${rewardText(reward)} for ${pointsOf(origin.threshold)}${period}, earned by event ${origin.event_id} on ${when(task.created_at)}${from} (${task.reward_task_id}).`
  return `${STATUS_WORDS[task.status]}: ${said}${waitSentence(task)}${task.status === 'pending' ? `${looks}${gates}` : ''}`
}

const STATUS_WORDS = { pending: 'Issued', frozen: 'Frozen', expired: 'Expired' } as const

/** Why it was frozen, since when, and what lifts or has lifted it; nothing where it never was. */
function waitSentence(task: ExplainedReward): string {
  const { status, frozen_at: since, reasons = [], expires_at: until } = task
  if (since === undefined) return ''
  const why = reasons.map(freezeText).join(' and ')
  if (status === 'pending') {
    const released = task.released_at === undefined ? '' : ` and released on ${when(task.released_at)}`
    return ` It was frozen on ${when(since)} (${why})${released}.`
  }
  if (status === 'expired') {
    const at = task.expired_at === undefined ? '' : ` on ${when(task.expired_at)}`
    return ` It was frozen on ${when(since)} (${why}), and its time was up${at} before that was lifted.`
  }
  const now = (task.waits_for ?? []).join(' and ')
  const before = until === undefined ? '' : `, unless that takes longer than until ${when(until)}, when it expires`
  return ` It is frozen since ${when(since)} (${why}). It is released once this is lifted: ${now}${before}.`
}

function eventLines(all: readonly CountedEvent[], shown: number): string[] {
  if (all.length === 0 || shown === 0) return []
  const latest = all.slice(-shown)
  const title =
    latest.length === all.length
      ? '  The events:'
      : `  The latest ${latest.length} of ${formatCount(all.length)} events:`
  return [title, ...latest.map((event) => `    ${when(event.event_ts)}  ${event.event_id}: ${eventSentence(event)}`)]
}

function eventSentence({ raw_points: raw, points, cut_by: cap, progress, reason }: CountedEvent): string {
  const total = `progress ${formatCount(progress)}`
  if (reason === 'not_finite') return `no points, the formula came to no number; ${total}`
  if (reason !== undefined) return `no points, it came late (${reason}); ${total}`
  if (cap === null) return `${pointsOf(points)}; ${total}`
  return `${pointsOf(raw)}, cut to ${formatCount(points)} by ${cap}; ${total}`
}

function pointsOf(points: number): string {
  return `${formatCount(points)} ${points === 1 ? 'point' : 'points'}`
}

function events(count: number): string {
  return count === 1 ? '1 event' : `${formatCount(count)} events`
}

function when(time: string): string {
  return `${time.slice(0, 19).replace('T', ' ')} UTC`
}
