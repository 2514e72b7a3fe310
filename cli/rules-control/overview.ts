import type { SwitchRecord } from '../../rules/control-switch.ts'
import type { ControlRecord, ControlState } from '../../rules/control.ts'
import { BUCKETS } from '../../rules/hash.ts'
import type { RuleTimeline } from '../../rules/rule-timeline.ts'

/** `scheduled`: not yet in effect; `replaced`: a newer version is in effect for all. */
export type VersionStatus = 'active' | 'scheduled' | 'replaced' | 'paused' | 'retired'

/** A published version as it stands at some event time. */
export interface VersionView {
  readonly version: string
  readonly status: VersionStatus
  /** RFC 3339; null: since ever. */
  readonly effective_from: string | null
  /** Percent of the players whom it judges. */
  readonly players: number
  readonly published_at: string
  readonly published_by: string | null
  readonly reason: string | null
}

export interface RuleView {
  readonly rule_id: string
  /** In the order in which they take effect. */
  readonly versions: readonly VersionView[]
  /** What was said of it, in the order of publication. */
  readonly changes: readonly SwitchRecord[]
}

export function viewOf(known: ControlState, ruleId: string, at: number): RuleView {
  const timeline = known.timelines.get(ruleId)
  const records = [...known.published.values()].map(({ record }) => record).filter(({ rule_id }) => rule_id === ruleId)
  const versions = (timeline?.versions ?? []).flatMap(({ rule }) => {
    const record = records.find(({ version }) => version === rule.version)
    return timeline === undefined || record === undefined ? [] : [versionView(timeline, record, at)]
  })
  return { rule_id: ruleId, versions, changes: known.switches.filter(({ rule_id }) => rule_id === ruleId) }
}

function versionView(timeline: RuleTimeline, record: ControlRecord, at: number): VersionView {
  const share = timeline.sharesAt(at).find(({ version }) => version.rule.version === record.version)
  const status = timeline.statusAt(at)
  const judges = status === 'active' && share !== undefined
  return {
    version: record.version,
    status: status === 'active' || share === undefined ? standing(record, share !== undefined, at) : status,
    effective_from: record.effective_from,
    players: judges ? ((share.below - share.from) * 100) / BUCKETS : 0,
    published_at: record.published_at,
    published_by: record.published_by ?? null,
    reason: record.reason ?? null,
  }
}

function standing({ effective_from }: ControlRecord, inEffect: boolean, at: number): VersionStatus {
  if (inEffect) return 'active'
  return effective_from !== null && Date.parse(effective_from) > at ? 'scheduled' : 'replaced'
}
