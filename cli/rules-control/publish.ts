import { OncewardError } from '../../core/errors.ts'
import type { Log } from '../../core/ports/log.ts'
import { topicNames } from '../../core/topics.ts'
import { publishRules } from '../../pipeline/publish-rules.ts'
import type { ControlRecord, EditedFile, PublicationPlan } from '../../rules/control.ts'
import type { PolicyPlan } from '../../rules/policy-control.ts'
import type { Context } from '../command.ts'
import { loadRulesFrom, problemsError } from '../load-rules.ts'
import { createControlTopic } from '../log-tools/topics.ts'
import { controlOf, publisherOf, type PublisherSettings } from './publisher.ts'
import { coloured, unifiedDiff } from './unified-diff.ts'

export interface PublishSettings extends PublisherSettings {
  readonly dir: string
  readonly json: boolean
}

/** Publishes a folder, whole or not at all. */
export async function publishFolder(log: Log, context: Context<PublishSettings>): Promise<void> {
  const { settings, terminal } = context
  const rules = await loadRulesFrom(settings.dir)
  await createControlTopic(log, topicNames(settings.prefix))
  const plan = await publishRules({ ...controlOf(log, context), ...publisherOf(settings), rules })
  if (plan.refused.length > 0) throw refusal(plan, terminal.progress.isTty)
  await terminal.print(settings.json ? `${JSON.stringify(jsonOf(plan))}\n` : textOf(plan))
}

/** All that is wrong, and what was changed in each version that was published already. */
export function refusal(
  { refused, edited }: Pick<PublicationPlan, 'refused' | 'edited'>,
  colours: boolean,
): OncewardError {
  const error = problemsError(refused)
  const diffs = edited.map((each) => diffOf(each, colours))
  const unpublished = 'nothing was published'
  return new OncewardError(error.code, [`${unpublished}; ${error.message}`, ...diffs].join('\n'))
}

function diffOf({ source, before, name }: EditedFile, colours: boolean): string {
  const published = { name: `published ${name}`, text: before.content }
  const diff = unifiedDiff(published, { name: source.file, text: source.text })
  return colours ? coloured(diff) : diff
}

function textOf({ segments, policies, publish, unchanged }: PublicationPlan): string {
  const lines = publish.map((record) => `published  ${nameOf(record)}, in effect ${sinceOf(record)}\n`)
  const same = unchanged.map(({ rule }) => `unchanged  ${rule.ruleId} ${rule.version}\n`)
  const lists = segments.flat().flatMap((record) => {
    if (record.type === 'segment.part') return []
    return [`published  segment ${record.segment_id}, in effect ${sinceOf(record)}\n`]
  })
  return [...lists, ...policyLines(policies), ...lines, ...same].join('')
}

/** One line for each policy. */
export function policyLines({ publish, unchanged }: PolicyPlan): string[] {
  return [
    ...publish.map((record) => `published  policy ${record.version}, in effect ${sinceOf(record)}\n`),
    ...unchanged.map(({ policy }) => `unchanged  policy ${policy.version}\n`),
  ]
}

/** The same for programs. */
export function policyJson({ publish, unchanged }: PolicyPlan): object {
  return {
    published: publish.map(({ version, effective_from, published_at, published_by, reason }) => ({
      version,
      effective_from,
      published_at,
      published_by,
      reason,
    })),
    unchanged: unchanged.map(({ policy }) => ({ version: policy.version })),
  }
}

function nameOf({ rule_id, version }: ControlRecord): string {
  return `${rule_id} ${version}`
}

function sinceOf({ effective_from }: Pick<ControlRecord, 'effective_from'>): string {
  return effective_from === null ? 'since ever' : `from ${effective_from} on`
}

function jsonOf({ policies, publish, unchanged }: PublicationPlan): object {
  return {
    published: publish.map(({ rule_id, version, effective_from, published_at, published_by, reason }) => ({
      rule_id,
      version,
      effective_from,
      published_at,
      published_by,
      reason,
    })),
    unchanged: unchanged.map(({ rule }) => ({ rule_id: rule.ruleId, version: rule.version })),
    policies: policyJson(policies),
  }
}
