import { rfc3339 } from '../../rules/control-instant.ts'
import type { Context } from '../command.ts'
import { instantOf } from '../settings/rules-control.ts'
import { textTable } from '../text-table.ts'
import type { ShowPolicySettings } from './show.ts'
import type { KnownPolicies } from './sources.ts'

/** Every published version, as it stands at an event time. */
export async function listPolicies(known: KnownPolicies, context: Context<ShowPolicySettings>): Promise<void> {
  const { settings, clock, terminal } = context
  const at = instantOf(settings.at) ?? clock.now()
  const inEffect = known.timeline.at(at).policy.version
  const policies = [...known.records.values()].map((record) => ({
    version: record.version,
    policy: record.policy,
    status: statusOf(record, { inEffect, at }),
    effective_from: record.effective_from,
    published_at: record.published_at,
    published_by: record.published_by ?? null,
    reason: record.reason ?? null,
  }))
  if (settings.json) return terminal.print(`${JSON.stringify({ at: rfc3339(at), policies })}\n`)
  if (policies.length === 0) return terminal.print('no policy is published\n')
  const rows = policies.map((each) => [
    each.policy,
    each.version,
    each.status,
    each.effective_from ?? 'ever',
    each.published_at,
    each.published_by ?? '-',
    each.reason ?? '',
  ])
  await terminal.print(textTable([HEADS, ...rows], 'texts'))
}

const HEADS = ['POLICY', 'VERSION', 'STATUS', 'IN EFFECT FROM', 'PUBLISHED', 'BY', 'REASON']

function statusOf(
  { version, effective_from }: { readonly version: string; readonly effective_from: string | null },
  { inEffect, at }: { readonly inEffect: string; readonly at: number },
): 'active' | 'scheduled' | 'replaced' {
  if (version === inEffect) return 'active'
  return effective_from !== null && Date.parse(effective_from) > at ? 'scheduled' : 'replaced'
}
