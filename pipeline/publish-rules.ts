import type { Clock } from '../core/clock.ts'
import { SECOND_MS } from '../core/durations.ts'
import { hasCode } from '../core/errors.ts'
import type { Log, TransactionalProducer } from '../core/ports/log.ts'
import type { Logger } from '../core/ports/logger.ts'
import { type ChangePlan, type ChangeRequest, planChange } from '../rules/control-change.ts'
import { EFFECTIVE_MARGIN_MS } from '../rules/control-instant.ts'
import { encodeSwitchRecord, switchKey } from '../rules/control-switch.ts'
import { type ControlState, type PublicationPlan, planPublication, recordsOf } from '../rules/control.ts'
import { encodePolicyRecord, planPolicies, policyKey, type PolicyPlan } from '../rules/policy-control.ts'
import type { PolicySource } from '../rules/policy-file.ts'
import type { RuleSource } from '../rules/rule-file.ts'
import { RuleFeed } from './rule-feed.ts'

export interface ControlOptions {
  readonly log: Log
  readonly clock: Clock
  readonly logger: Logger
  /** The control topic. */
  readonly topic: string
}

export interface PublishOptions extends ControlOptions {
  readonly rules: readonly RuleSource[]
  readonly publishedBy?: string
  readonly reason?: string | undefined
}

/**
 * Publishes the versions that the control topic does not have yet, in one transaction. Nothing is published where anything
 * is refused: a rule set is taken whole or not at all. Of several that publish at once each sees what those before it
 * have published.
 */
export function publishRules(options: PublishOptions): Promise<PublicationPlan> {
  const { rules, publishedBy, reason } = options
  return write(options, (known, nowMs) => {
    const plan = planPublication(known, rules, { nowMs, publishedBy, reason })
    return { plan, records: plan.refused.length > 0 ? [] : recordsOf(plan) }
  })
}

export interface PublishPoliciesOptions extends ControlOptions {
  readonly policies: readonly PolicySource[]
  readonly publishedBy?: string
  readonly reason?: string | undefined
}

/** Publishes versions of the payout policy alone, under the same terms as rules: whole or not at all. */
export function publishPolicies(options: PublishPoliciesOptions): Promise<PolicyPlan> {
  const { policies, publishedBy, reason } = options
  return write(options, ({ policies: known, published }, nowMs) => {
    const plan = planPolicies(known, policies, { nowMs, begun: published.size > 0, publishedBy, reason })
    const records = plan.publish.map((record) => ({ key: policyKey(record), value: encodePolicyRecord(record) }))
    return { plan, records: plan.refused.length > 0 ? [] : records }
  })
}

/** Says something of a published rule. Throws what planChange throws. */
export function changeRule(options: ControlOptions, request: Omit<ChangeRequest, 'nowMs'>): Promise<ChangePlan> {
  return write(options, (known, nowMs) => {
    const plan = planChange(known, { ...request, nowMs })
    const records =
      plan.kind === 'publish' ? [{ key: switchKey(plan.record), value: encodeSwitchRecord(plan.record) }] : []
    return { plan, records }
  })
}

/** What the control topic says. */
export async function readControl(options: ControlOptions): Promise<ControlState> {
  const feed = new RuleFeed(options)
  try {
    await feed.catchUp()
    return feed.state
  } finally {
    await feed.close()
  }
}

interface Written<Plan> {
  readonly plan: Plan
  readonly records: readonly { readonly key: string; readonly value: string }[]
}

type Decide<Plan> = (known: ControlState, nowMs: number) => Written<Plan>

/** How often it is begun anew because somebody else published at the same time. */
const ATTEMPTS_MAX = 10
/** Far longer than a publication takes: whoever came in between is done by then. */
const RETRY_DELAY_MS = SECOND_MS

async function write<Plan>(options: ControlOptions, decide: Decide<Plan>): Promise<Plan> {
  const feed = new RuleFeed(options)
  try {
    for (let attempt = 1; ; attempt++) {
      // A look first: whoever has nothing to write must not get in the way of one who has.
      await feed.catchUp()
      const { plan, records } = decide(feed.state, options.clock.now())
      if (records.length === 0) return plan
      const written = await writeAlone(options, feed, decide).catch((error: unknown) => {
        if (attempt === ATTEMPTS_MAX || !isRaced(error)) throw error
        return undefined
      })
      if (written !== undefined) return written.plan
      await options.clock.sleep(RETRY_DELAY_MS)
    }
  } finally {
    await feed.close()
  }
}

/** Not committed because of somebody else, or nobody knows: then the next look tells. */
function isRaced(error: unknown): boolean {
  return hasCode(error, 'ONCEWARD_E_LOG_FENCED', 'ONCEWARD_E_LOG_COMMIT_UNKNOWN')
}

/**
 * 1. All who publish share one transactional id. Opening it fences whoever was about to commit under it.
 * 2. So what is read now is all that was ever published, and it stays so until
 * 3. the commit: it fails where somebody else has opened the id since.
 */
async function writeAlone<Plan>(
  { log, clock, logger, topic }: ControlOptions,
  feed: RuleFeed,
  decide: Decide<Plan>,
): Promise<Written<Plan>> {
  const producer: TransactionalProducer = await log.transactional(`${topic}.publisher`)
  try {
    await feed.catchUp()
    const [nowMs, startedMs] = [clock.now(), clock.monotonic()]
    const written = decide(feed.state, nowMs)
    if (written.records.length === 0) return written
    const records = written.records.map((record) => ({ ...record, topic, partition: 0, timestamp: nowMs }))
    await producer.commit({ records })
    const tookMs = clock.monotonic() - startedMs
    if (tookMs > EFFECTIVE_MARGIN_MS / 2) {
      logger.warn(
        { topic, tookMs: Math.round(tookMs) },
        'publishing took so long that workers may have judged events ahead of their ingest time without it; compare with a replay',
      )
    }
    return written
  } finally {
    await producer.close()
  }
}
