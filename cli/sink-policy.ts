import { NO_POLICIES, type PolicyVersion } from '../core/model/policy.ts'
import type { Log } from '../core/ports/log.ts'
import { RuleFeed } from '../pipeline/rule-feed.ts'
import type { Context } from './command.ts'

/** The sink's own view of the policy, as the control topic tells it. */
export interface SinkPolicy {
  readonly policyAt: (ts: number) => PolicyVersion
  /** The control topic has been read once, or there is none: rewards may be booked. */
  readonly ready: () => boolean
  /** Resolves once `ready`, or when the signal of the context aborts. */
  firstRead(): Promise<void>
  close(): Promise<void>
}

const AGAIN_MS = 250

export function openSinkPolicy(
  log: Log,
  topic: string,
  { clock, logger, signal }: Pick<Context<unknown>, 'clock' | 'logger' | 'signal'>,
): SinkPolicy {
  const feed = new RuleFeed({ log, topic, logger, clock })
  let missing = false
  const ready = (): boolean => missing || Number.isFinite(feed.ageMs)
  return {
    policyAt: (ts) => (missing ? NO_POLICIES.at(ts) : feed.rules.policy.at(ts)),
    ready,
    async firstRead() {
      missing = (await log.topic(topic)) === undefined
      if (missing) {
        logger.warn(
          { topic },
          'there is no control topic, so there is no policy: no pool is bounded, and nothing is held; start the sink again once a policy is published',
        )
        return
      }
      while (!ready() && !signal.aborted) {
        await feed.catchUp()
        if (!ready()) await clock.sleep(AGAIN_MS, signal)
      }
      feed.follow()
      const { version } = feed.rules.policy.at(clock.now()).policy
      if (version === '') logger.warn({ topic }, 'no policy is published: no pool is bounded, and nothing is held')
      else logger.info({ version }, 'the payout policy is known')
    },
    close: () => feed.close(),
  }
}
