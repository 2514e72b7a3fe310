import type { Log } from '../../core/ports/log.ts'
import { readControl } from '../../pipeline/publish-rules.ts'
import { rfc3339 } from '../../rules/control-instant.ts'
import type { Context } from '../command.ts'
import { instantOf } from '../settings/rules-control.ts'
import { textTable } from '../text-table.ts'
import { changeText } from './change.ts'
import { type RuleView, viewOf } from './overview.ts'
import { controlOf, type ControlSettings } from './publisher.ts'

export interface ListSettings extends ControlSettings {
  readonly at: string | undefined
  readonly json: boolean
}

/** Every published version, as it stands at an event time. */
export async function listRules(log: Log, context: Context<ListSettings>): Promise<void> {
  const { settings, clock, terminal } = context
  const known = await readControl(controlOf(log, context))
  const at = instantOf(settings.at) ?? clock.now()
  const rules = [...known.timelines.keys()].map((ruleId) => viewOf(known, ruleId, at))
  await terminal.print(settings.json ? `${JSON.stringify({ at: rfc3339(at), rules })}\n` : listText(rules))
}

const HEADS = ['RULE', 'VERSION', 'STATUS', 'PLAYERS', 'IN EFFECT FROM', 'PUBLISHED', 'BY', 'REASON']

export function listText(rules: readonly RuleView[]): string {
  if (rules.length === 0) return 'no rule is published\n'
  const rows = rules.flatMap(({ rule_id, versions }) =>
    versions.map((view) => [
      rule_id,
      view.version,
      view.status,
      view.players === 0 ? '-' : `${view.players} %`,
      view.effective_from ?? 'ever',
      view.published_at,
      view.published_by ?? '-',
      view.reason ?? '',
    ]),
  )
  const changes = rules.flatMap((rule) => rule.changes)
  const said = changes.map((record) => {
    const who = record.published_by === undefined ? '' : `, says ${record.published_by}`
    return `${changeText(record)}${who}${record.reason === undefined ? '' : `: ${record.reason}`}\n`
  })
  return [textTable([HEADS, ...rows], 'texts'), ...(said.length === 0 ? [] : ['\n', ...said])].join('')
}
