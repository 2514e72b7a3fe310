import type { PolicyVersion } from '../../core/model/policy.ts'
import { rfc3339 } from '../../rules/control-instant.ts'
import type { Context } from '../command.ts'
import { instantOf } from '../settings/rules-control.ts'
import { policyAsJson, policyText } from './description.ts'
import type { KnownPolicies } from './sources.ts'

export interface ShowPolicySettings {
  readonly at: string | undefined
  readonly json: boolean
}

/** The policy in effect at an event time, as it is understood. */
export async function showPolicy(known: KnownPolicies, context: Context<ShowPolicySettings>): Promise<void> {
  const { settings, clock, terminal } = context
  const at = instantOf(settings.at) ?? clock.now()
  const version = known.timeline.at(at)
  if (settings.json) {
    const { published_at, published_by, reason, content } = known.records.get(version.policy.version) ?? {}
    const published = { published_at, published_by, reason, content }
    return terminal.print(
      `${JSON.stringify({ at: rfc3339(at), effective_from: from(version), ...policyAsJson(version.policy), ...published })}\n`,
    )
  }
  if (version.policy.version === '') return terminal.print(`no policy is in effect at ${rfc3339(at)}\n${NONE}`)
  await terminal.print(`${headOf(known, version)}\n${policyText(version.policy)}`)
}

const NONE = 'no pool is bounded, and the gates by player are those that every installation has\n'

function headOf({ records }: KnownPolicies, version: PolicyVersion): string {
  const record = records.get(version.policy.version)
  const since = from(version)
  const effect = since === null ? 'in effect since ever' : `in effect from ${since} on`
  const head = `policy ${version.policy.version}: ${effect}\n`
  if (record === undefined) return head
  const who = record.published_by === undefined ? '' : ` by ${record.published_by}`
  return `${head}published ${record.published_at}${who}${record.reason === undefined ? '' : `: ${record.reason}`}\n`
}

function from({ effectiveFrom }: PolicyVersion): string | null {
  return effectiveFrom === undefined ? null : rfc3339(effectiveFrom)
}
