import { OncewardError } from '../../core/errors.ts'
import type { PolicyTimeline } from '../../core/model/policy.ts'
import type { Log } from '../../core/ports/log.ts'
import { readControl } from '../../pipeline/publish-rules.ts'
import { policiesOf, type PolicyRecord } from '../../rules/policy-control.ts'
import type { Context } from '../command.ts'
import { controlOf, type ControlSettings } from '../rules-control/publisher.ts'
import type { KafkaSettings } from '../runtime.ts'
import { loadPoliciesFrom } from './check.ts'

/** The policies to look at, and how each was published; files were not. */
export interface KnownPolicies {
  readonly timeline: PolicyTimeline
  /** By version. */
  readonly records: ReadonlyMap<string, PolicyRecord>
}

export type SourceSettings = ControlSettings &
  Omit<KafkaSettings, 'brokers'> & {
    readonly brokers: KafkaSettings['brokers'] | undefined
    readonly policy: string | undefined
  }

/** What was published. */
export async function publishedPolicies(log: Log, context: Context<ControlSettings>): Promise<KnownPolicies> {
  const { policies } = await readControl(controlOf(log, context))
  const records = new Map([...policies.published].map(([version, { record }]) => [version, record]))
  return { timeline: policies.timeline, records }
}

/** Out of a file or folder where one is named, otherwise from the brokers. Throws ONCEWARD_E_USAGE where neither is. */
export async function policiesToLookAt(context: Context<SourceSettings>): Promise<KnownPolicies> {
  const { settings } = context
  if (settings.policy !== undefined) {
    return { timeline: policiesOf(await loadPoliciesFrom(settings.policy)), records: new Map() }
  }
  const { brokers } = settings
  if (brokers === undefined) {
    throw new OncewardError('ONCEWARD_E_USAGE', 'name where the policy is: --policy FILE, or --brokers HOST:PORT')
  }
  const { LOOK_PATIENCE_MS, withKafka } = await import('../runtime.ts')
  const connected = { ...context, settings: { ...settings, brokers } }
  return withKafka(connected, (log) => publishedPolicies(log, connected), { patienceMs: LOOK_PATIENCE_MS })
}
