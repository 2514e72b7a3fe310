import type { Log } from '../../core/ports/log.ts'
import { changeRule } from '../../pipeline/publish-rules.ts'
import type { ChangeKind } from '../../rules/control-change.ts'
import type { SwitchRecord } from '../../rules/control-switch.ts'
import type { Context } from '../command.ts'
import { instantOf } from '../settings/rules-control.ts'
import { controlOf, publisherOf, type PublisherSettings } from './publisher.ts'

export interface ChangeSettings extends PublisherSettings {
  readonly id: string
  readonly at: string | undefined
}

/** Says something of one rule, and prints what. */
export async function change(log: Log, context: Context<ChangeSettings>, kind: ChangeKind): Promise<void> {
  const { settings, terminal } = context
  const plan = await changeRule(controlOf(log, context), {
    ruleId: settings.id,
    change: kind,
    at: instantOf(settings.at),
    ...publisherOf(settings),
  })
  if (plan.kind === 'unchanged') return terminal.print(`nothing to do: ${plan.state}\n`)
  const { record, was } = plan
  await terminal.print(`${changeText(record)}\n`)
  if (record.type === 'rule.ramped' && was !== undefined && was > record.rollout) {
    terminal.note(
      `note: that is less than ${was} %: the players between ${record.rollout} and ${was} % go back to the version before, or to none`,
    )
  }
}

/** One line for a person. */
export function changeText(record: SwitchRecord): string {
  const { rule_id, effective_from } = record
  if (record.type === 'rule.ramped') {
    return `${rule_id} ${record.version} is for ${record.rollout} % of the players from ${effective_from} on`
  }
  const what = { 'rule.paused': 'is paused', 'rule.resumed': 'goes on', 'rule.retired': 'is retired' }[record.type]
  return `${rule_id} ${what} from ${effective_from} on`
}
