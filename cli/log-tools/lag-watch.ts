import type { Clock } from '../../core/clock.ts'
import { formatDuration } from '../../core/durations.ts'
import { OncewardError } from '../../core/errors.ts'
import type { Log } from '../../core/ports/log.ts'
import type { Topics } from '../../core/topics.ts'
import type { Terminal } from '../command.ts'
import { createProgress, formatCount } from '../progress.ts'
import { type GroupLag, groupLag, hasCommitted } from './lag.ts'

export interface LagGroups {
  readonly topics: Topics
  readonly workers: string
  readonly sink: string
  /** True: the sink counts even before it has committed anything. */
  readonly sinkExpected: boolean
}

const POLL_MS = 250

/**
 * The lag of the workers, then that of the sink: what the workers had done when they were asked is on the topic of reward
 * tasks when the sink is. ONCEWARD_E_LOG_TOPIC_MISSING where there is no events topic.
 */
export async function observeLag(log: Log, groups: LagGroups): Promise<readonly GroupLag[]> {
  const { topics, workers, sink, sinkExpected } = groups
  const events = await groupLag(log, workers, topics.events)
  if (events === undefined) {
    throw new OncewardError(
      'ONCEWARD_E_LOG_TOPIC_MISSING',
      `there is no topic ${topics.events}; create the topics first (onceward topics create), or check --prefix`,
    )
  }
  if (!sinkExpected && !(await hasCommitted(log, sink, topics.rewards))) return [events]
  const rewards = await groupLag(log, sink, topics.rewards)
  return rewards === undefined ? [events] : [events, rewards]
}

export interface LagWait {
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly terminal: Terminal
  readonly timeoutMs: number | undefined
}

/** Answers the last look: all zero, or as it was when `signal` aborted. ONCEWARD_E_GAVE_UP after `timeoutMs`. */
export async function waitForNoLag(log: Log, groups: LagGroups, options: LagWait): Promise<readonly GroupLag[]> {
  const { clock, signal, terminal, timeoutMs = Number.POSITIVE_INFINITY } = options
  const progress = createProgress({ terminal, clock, label: 'waiting', unit: 'records' })
  const startedMs = clock.monotonic()
  let most = 0
  for (;;) {
    const lags = await observeLag(log, groups)
    const left = lags.reduce((sum, { records }) => sum + records, 0)
    const elapsedMs = clock.monotonic() - startedMs
    most = Math.max(most, left)
    if (left === 0) {
      progress.finish(`no lag, after ${formatDuration(elapsedMs)}`)
      return lags
    }
    if (signal.aborted) {
      progress.finish(`stopped with a lag of ${formatCount(left)} records`)
      return lags
    }
    if (elapsedMs >= timeoutMs) {
      progress.finish(`a lag of ${formatCount(left)} records is left`)
      throw new OncewardError(
        'ONCEWARD_E_GAVE_UP',
        `after ${formatDuration(elapsedMs)} the lag is still ${formatCount(left)} records; check that the workers of "${groups.workers}" run, or wait longer (--timeout)`,
      )
    }
    progress.update({ done: most - left, share: (most - left) / most })
    await clock.sleep(Math.min(POLL_MS, timeoutMs - elapsedMs), signal)
  }
}
