import type { Log } from '../../core/ports/log.ts'
import { readControl } from '../../pipeline/publish-rules.ts'
import type { ControlState, PublishedRule } from '../../rules/control.ts'
import { versionKey } from '../../rules/load.ts'
import type { PolicySource } from '../../rules/policy-file.ts'
import type { RuleSource } from '../../rules/rule-file.ts'
import type { Context } from '../command.ts'
import { loadRulesFrom } from '../load-rules.ts'
import { EXIT } from '../report.ts'
import { controlOf, type ControlSettings } from './publisher.ts'
import { coloured, unifiedDiff } from './unified-diff.ts'

export interface DiffSettings extends ControlSettings {
  readonly dir: string
  readonly failOnDifference: boolean
}

/** What a folder says that was not published. Answers the exit code. */
export async function diffFolder(log: Log, context: Context<DiffSettings>): Promise<number> {
  const { settings, terminal } = context
  const rules = await loadRulesFrom(settings.dir)
  const known = await readControl(controlOf(log, context))
  const beside = rules[0]?.policies ?? []
  const diffs = [
    ...beside.map((source) => policyDiff(known, source)),
    ...rules.map((source) => diffOf(known, source)),
  ].filter((diff) => diff !== '')
  const text = diffs.join('')
  await terminal.print(terminal.colours === true ? coloured(text) : text)
  const inFolder = new Set(rules.map(({ rule }) => rule.ruleId))
  const absent = [...known.timelines.keys()].filter((id) => !inFolder.has(id))
  if (absent.length > 0) terminal.note(`note: published, but not in ${settings.dir}: ${absent.join(', ')}`)
  return diffs.length > 0 && settings.failOnDifference ? EXIT.failed : EXIT.fine
}

/** Against the same version where it is published, otherwise against the newest one of the rule. */
function diffOf(known: ControlState, source: RuleSource): string {
  const { ruleId, version } = source.rule
  const same = known.published.get(versionKey(ruleId, version))
  if (same?.source.contentHash === source.contentHash) return ''
  const newest = known.timelines.get(ruleId)?.versions.at(-1)?.rule.version ?? ''
  const before = same ?? known.published.get(versionKey(ruleId, newest))
  return unifiedDiff(publishedText(before), { name: source.file, text: source.text })
}

function publishedText(before: PublishedRule | undefined): { name: string; text: string } {
  if (before === undefined) return { name: 'nothing published', text: '' }
  const { rule_id, version, content } = before.record
  return { name: `published ${rule_id} ${version}`, text: content }
}

/** Against the same version of the policy where it is published, otherwise against the one published last. */
function policyDiff({ policies }: ControlState, source: PolicySource): string {
  const same = policies.published.get(source.policy.version)
  if (same?.source.contentHash === source.contentHash) return ''
  const before = (same ?? [...policies.published.values()].at(-1))?.record
  const published =
    before === undefined
      ? { name: 'nothing published', text: '' }
      : { name: `published policy ${before.version}`, text: before.content }
  return unifiedDiff(published, { name: source.file, text: source.text })
}
