import { OncewardError } from '../core/errors.ts'
import { EFFECTIVE_LEAD_MS, rfc3339, tooSoon } from './control-instant.ts'
import type { ControlState, Publication } from './control.ts'
import type { SwitchDetails, SwitchRecord } from './control-switch.ts'
import { nearest } from './problem.ts'
import type { RuleTimeline } from './rule-timeline.ts'

/** What somebody asks to be said of a published rule. */
export interface ChangeRequest extends Publication {
  readonly ruleId: string
  readonly change: ChangeKind
  /** Event time in ms from which on it holds; as soon as it can where it is left out. */
  readonly at?: number | undefined
}

export type ChangeKind =
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' }
  | { readonly kind: 'retire' }
  /** Percent of the players; of the newest version where none is named. */
  | { readonly kind: 'ramp'; readonly to: number; readonly version?: string | undefined }

export type ChangePlan =
  /** `was`: the percent of the players before, of a step of a rollout. */
  | { readonly kind: 'publish'; readonly record: SwitchRecord; readonly was?: number }
  /** It is so already; `state`: a sentence without its full stop. */
  | { readonly kind: 'unchanged'; readonly state: string }

/** What is to be published. Throws ONCEWARD_E_RULE_NOT_PUBLISHED, ONCEWARD_E_RULE_TOO_SOON and ONCEWARD_E_RULE_RETIRED. */
export function planChange(known: ControlState, request: ChangeRequest): ChangePlan {
  const { ruleId, nowMs, publishedBy, reason } = request
  const timeline = timelineOf(known, ruleId)
  const at = request.at ?? nowMs + EFFECTIVE_LEAD_MS
  const fault = tooSoon(at, nowMs)
  if (fault !== undefined) throw new OncewardError('ONCEWARD_E_RULE_TOO_SOON', `${fault.message}; ${fault.hint}`)
  const details = detailsOf(timeline, request, at)
  if (typeof details === 'string') return { kind: 'unchanged', state: details }
  const record: SwitchRecord = {
    ...details,
    rule_id: ruleId,
    effective_from: rfc3339(at),
    published_at: rfc3339(nowMs),
    ...(publishedBy === undefined ? {} : { published_by: publishedBy }),
    ...(reason === undefined ? {} : { reason }),
  }
  if (record.type !== 'rule.ramped') return { kind: 'publish', record }
  const version = versionOf(timeline, ruleId, record.version)
  return { kind: 'publish', record, was: timeline.rolloutAt(version, at) }
}

/** The rule through event time. Throws ONCEWARD_E_RULE_NOT_PUBLISHED. */
export function timelineOf({ timelines }: ControlState, ruleId: string): RuleTimeline {
  const timeline = timelines.get(ruleId)
  if (timeline !== undefined) return timeline
  const like = nearest(ruleId, timelines.keys())
  const names = timelines.size === 0 ? 'no rule is' : `published are ${[...timelines.keys()].join(', ')}`
  const hint = like === undefined ? names : `did you mean ${like}?`
  throw new OncewardError('ONCEWARD_E_RULE_NOT_PUBLISHED', `rule ${ruleId} is not published; ${hint}`)
}

/** What to publish, or how it is so already. */
function detailsOf(timeline: RuleTimeline, { ruleId, change }: ChangeRequest, at: number): SwitchDetails | string {
  const status = timeline.statusAt(at)
  if (change.kind === 'retire') return status === 'retired' ? `${ruleId} is retired` : { type: 'rule.retired' }
  if (status === 'retired') {
    throw new OncewardError('ONCEWARD_E_RULE_RETIRED', `rule ${ruleId} is retired, and stays so`)
  }
  if (change.kind === 'pause') return status === 'paused' ? `${ruleId} is paused` : { type: 'rule.paused' }
  if (change.kind === 'resume') return status === 'active' ? `${ruleId} is not paused` : { type: 'rule.resumed' }
  const { to } = change
  const version = versionOf(timeline, ruleId, change.version)
  if (timeline.rolloutAt(version, at) === to) return `${ruleId} ${version.rule.version} is for ${to} % of the players`
  return { type: 'rule.ramped', version: version.rule.version, rollout: to }
}

function versionOf({ versions }: RuleTimeline, ruleId: string, name: string | undefined) {
  const found = name === undefined ? versions.at(-1) : versions.find(({ rule }) => rule.version === name)
  if (found !== undefined) return found
  const names = versions.map(({ rule }) => rule.version).join(', ')
  throw new OncewardError(
    'ONCEWARD_E_RULE_NOT_PUBLISHED',
    `rule ${ruleId} has no version ${name}; published are ${names}`,
  )
}
