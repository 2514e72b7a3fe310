import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/ports/log.ts'
import type { Logger } from '../core/ports/logger.ts'
import { type PublicationPlan, planPublication, recordsOf } from '../rules/control.ts'
import type { RuleSource } from '../rules/rule-file.ts'
import { RuleFeed } from './rule-feed.ts'

export interface PublishOptions {
  readonly log: Log
  readonly clock: Clock
  readonly logger: Logger
  /** The control topic. */
  readonly topic: string
  readonly rules: readonly RuleSource[]
  readonly publishedBy?: string
}

/**
 * Publishes the versions that the control topic does not have yet. Nothing is published where anything is refused: a
 * rule set is taken whole or not at all. Two workers that publish the same at once do no harm: the first record counts.
 */
export async function publishRules(options: PublishOptions): Promise<PublicationPlan> {
  const { log, clock, topic, rules, publishedBy } = options
  const feed = new RuleFeed(options)
  try {
    await feed.catchUp()
    const nowMs = clock.now()
    const plan = planPublication(feed.state, rules, { nowMs, ...(publishedBy === undefined ? {} : { publishedBy }) })
    const records = recordsOf(plan)
    if (plan.refused.length > 0 || records.length === 0) return plan
    const producer = await log.producer()
    try {
      await producer.send(records.map((record) => ({ topic, partition: 0, ...record, timestamp: nowMs })))
    } finally {
      await producer.close()
    }
    return plan
  } finally {
    await feed.close()
  }
}
