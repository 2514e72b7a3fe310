import { messageOf } from '../../core/errors.ts'
import type { PartitionSpan } from './span.ts'

/**
 * What one replay is: written once, together with its rules, and never changed, so that a replay that is continued gives
 * what it would have given in one go.
 */
export interface ReplayPlan {
  readonly type: 'replay.planned'
  readonly application: string
  readonly events: string
  /** As they were asked for. */
  readonly from: string
  readonly to: string
  readonly spans: readonly PartitionSpan[]
  /** True where every partition is replayed from its first event. */
  readonly whole: boolean
  /** `control`, or the fingerprint of the rules that were given. */
  readonly rules: string
  readonly reorder_window_ms: number
  readonly dedupe_window_ms: number
  /** RFC 3339. */
  readonly planned_at: string
}

/** What somebody asks for; must be the same each time under one application. */
export type Asked = Pick<ReplayPlan, 'events' | 'from' | 'to' | 'rules' | 'reorder_window_ms' | 'dedupe_window_ms'>

export type PlanReading =
  | { readonly ok: true; readonly plan: ReplayPlan }
  | { readonly ok: false; readonly problem: string }

export function readPlan(value: Buffer | null): PlanReading {
  try {
    const plan = JSON.parse(value?.toString() ?? 'null') as Partial<ReplayPlan> | null
    if (plan?.type !== 'replay.planned' || !Array.isArray(plan.spans)) {
      return { ok: false, problem: 'its first record is no plan of a replay' }
    }
    return { ok: true, plan: plan as ReplayPlan }
  } catch (error) {
    return { ok: false, problem: `its first record is no JSON: ${messageOf(error)}` }
  }
}

export interface AdmissionFacts {
  readonly application: string
  readonly asked: Asked
  /** What the plan's topic holds; undefined where there is none. */
  readonly plan: PlanReading | undefined
  /** Members of the consumer group of this name. */
  readonly members: number
  /** The group has processed events. */
  readonly processed: boolean
  /** Topics that a replay of this name would create, and that are there. */
  readonly taken: readonly string[]
  /** The real topics are those that a replay of this name would write. */
  readonly isPrefix: boolean
}

export type Admission =
  | { readonly kind: 'begin' }
  | { readonly kind: 'continue'; readonly plan: ReplayPlan }
  | { readonly kind: 'refuse'; readonly reason: string }

const OTHER_NAME = 'give a new --application to replay'

/** Whether a replay may run under this name. Pure: a wrong yes would write to topics or move offsets that live workers use. */
export function admit(facts: AdmissionFacts): Admission {
  const { application, plan, members, taken } = facts
  const refuse = (reason: string): Admission => ({ kind: 'refuse', reason: `${reason}; ${OTHER_NAME}` })
  if (facts.isPrefix) {
    return refuse(`"${application}." is what the names of an installation's real topics begin with (--prefix)`)
  }
  if (members > 0) {
    return refuse(`the group "${application}" has ${members === 1 ? 'a member' : `${members} members`} at work`)
  }
  if (plan === undefined) {
    if (facts.processed) return refuse(`"${application}" is an application that has processed events, and no replay`)
    if (taken.length > 0)
      return refuse(`${taken.join(', ')} ${taken.length === 1 ? 'is' : 'are'} there, but of no replay`)
    return { kind: 'begin' }
  }
  if (!plan.ok) return refuse(`the plan of "${application}" cannot be read: ${plan.problem}`)
  const other = differences(facts.asked, plan.plan)
  return other.length === 0
    ? { kind: 'continue', plan: plan.plan }
    : refuse(
        `"${application}" is another replay: ${other.join(', ')}; give the same settings to continue it, or`.replace(
          /, or$/,
          '',
        ),
      )
}

function differences(asked: Asked, plan: ReplayPlan): string[] {
  const rules = (text: string): string =>
    text === 'control' ? 'the published rules' : `the rules ${text.slice(0, 12)}`
  const all: [string, string | number, string | number][] = [
    ['events', asked.events, plan.events],
    ['--from', asked.from, plan.from],
    ['--to', asked.to, plan.to],
    ['--rules', rules(asked.rules), rules(plan.rules)],
    ['--reorder-window', `${asked.reorder_window_ms}ms`, `${plan.reorder_window_ms}ms`],
    ['--dedupe-window', `${asked.dedupe_window_ms}ms`, `${plan.dedupe_window_ms}ms`],
  ]
  return all.flatMap(([name, now, then]) => (now === then ? [] : [`${name} was ${then}, not ${now}`]))
}
