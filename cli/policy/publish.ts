import type { Log } from '../../core/ports/log.ts'
import { topicNames } from '../../core/topics.ts'
import { publishPolicies } from '../../pipeline/publish-rules.ts'
import type { Context } from '../command.ts'
import { createControlTopic } from '../log-tools/topics.ts'
import { policyJson, policyLines, refusal } from '../rules-control/publish.ts'
import { controlOf, publisherOf, type PublisherSettings } from '../rules-control/publisher.ts'
import { loadPoliciesFrom } from './check.ts'

export interface PublishPolicySettings extends PublisherSettings {
  readonly path: string
  readonly json: boolean
}

/** Publishes the versions of the policy in a file or folder, whole or not at all. */
export async function publishPolicyFiles(log: Log, context: Context<PublishPolicySettings>): Promise<void> {
  const { settings, terminal } = context
  const policies = await loadPoliciesFrom(settings.path)
  await createControlTopic(log, topicNames(settings.prefix))
  const plan = await publishPolicies({ ...controlOf(log, context), ...publisherOf(settings), policies })
  if (plan.refused.length > 0) throw refusal(plan, terminal.progress.isTty)
  await terminal.print(settings.json ? `${JSON.stringify(policyJson(plan))}\n` : policyLines(plan).join(''))
}
