import { createHash } from 'node:crypto'
import { unreachable } from '../core/assert.ts'
import { messageOf } from '../core/errors.ts'
import type { RuleSwitch } from './compiled.ts'
import { ignoredRecord, type RuleProblem } from './problem.ts'

/**
 * What is said of published rules on the control topic beside their versions: that one is paused, goes on, is retired, or
 * that a version is for another part of the players. Each has an instant of its own, as versions have, and none is ever
 * taken back: what counts at an event time is what was said last from an instant up to then.
 */
export type SwitchRecord = SwitchDetails & {
  readonly rule_id: string
  /** RFC 3339, event time. */
  readonly effective_from: string
  /** RFC 3339. */
  readonly published_at: string
  readonly published_by?: string
  readonly reason?: string
}

export type SwitchDetails =
  | { readonly type: 'rule.paused' | 'rule.resumed' | 'rule.retired' }
  /** `rollout`: percent of the players. */
  | { readonly type: 'rule.ramped'; readonly version: string; readonly rollout: number }

const TYPES: readonly string[] = ['rule.paused', 'rule.resumed', 'rule.retired', 'rule.ramped']

/** As with versions (I2): keys differ wherever records do, so compaction never removes one that decides anything. */
export function switchKey(record: SwitchRecord): string {
  const digest = createHash('sha256').update(encodeSwitchRecord(record)).digest('hex').slice(0, 12)
  return `${record.rule_id}!${record.type}@${record.published_at}#${digest}`
}

export function encodeSwitchRecord(record: SwitchRecord): string {
  return JSON.stringify(record)
}

/** True where a value is, by how it begins, one of these records. */
export function isSwitchValue(value: string | Buffer): boolean {
  const beginning = (typeof value === 'string' ? value : value.subarray(0, 32).toString()).slice(0, 32)
  return TYPES.some((type) => beginning.startsWith(`{"type":"${type}"`))
}

export type SwitchDecoding =
  | { readonly ok: true; readonly record: SwitchRecord }
  | { readonly ok: false; readonly message: string }

export function decodeSwitchRecord(value: string): SwitchDecoding {
  let parsed: unknown
  try {
    parsed = JSON.parse(value)
  } catch (error) {
    return { ok: false, message: `the value is no JSON: ${messageOf(error)}` }
  }
  const record = parsed as Record<string, unknown>
  const ramped = record['type'] === 'rule.ramped'
  for (const name of ['rule_id', 'published_at', ...(ramped ? ['version'] : [])]) {
    if (typeof record[name] !== 'string') return { ok: false, message: `${name} is no text` }
  }
  const from = record['effective_from']
  if (typeof from !== 'string' || Number.isNaN(Date.parse(from))) {
    return { ok: false, message: 'effective_from is no time' }
  }
  const rollout = record['rollout']
  if (ramped && !(typeof rollout === 'number' && rollout >= 0 && rollout <= 100)) {
    return { ok: false, message: 'rollout is no number from 0 to 100' }
  }
  return { ok: true, record: parsed as SwitchRecord }
}

export interface SwitchFold {
  /** In the order of the log. */
  readonly records: readonly SwitchRecord[]
  readonly switches: readonly RuleSwitch[]
  readonly problems: readonly RuleProblem[]
}

/** `knows`: whether a rule, or one version of it, is published. What is said of others is reported and ignored. */
export function foldSwitches(
  entries: readonly { readonly value: string | Buffer; readonly place: string }[],
  knows: (ruleId: string, version?: string) => boolean,
): SwitchFold {
  const records: SwitchRecord[] = []
  const problems: RuleProblem[] = []
  for (const { value, place } of entries) {
    const decoded = decodeSwitchRecord(value.toString())
    if (!decoded.ok) {
      problems.push(ignoredRecord(place, decoded.message))
      continue
    }
    const { record } = decoded
    const version = record.type === 'rule.ramped' ? record.version : undefined
    if (knows(record.rule_id, version)) records.push(record)
    else
      problems.push(
        ignoredRecord(place, `it is about rule ${[record.rule_id, version].join(' ').trim()}, which is not published`),
      )
  }
  return { records, switches: records.map(switchOf), problems }
}

function switchOf(record: SwitchRecord): RuleSwitch {
  const common = { ruleId: record.rule_id, from: Date.parse(record.effective_from) }
  switch (record.type) {
    case 'rule.ramped':
      return { ...common, kind: 'ramped', version: record.version, rollout: record.rollout }
    case 'rule.paused':
      return { ...common, kind: 'paused' }
    case 'rule.resumed':
      return { ...common, kind: 'resumed' }
    case 'rule.retired':
      return { ...common, kind: 'retired' }
    default:
      return unreachable(record)
  }
}
