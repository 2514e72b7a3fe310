import type { Clock } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import type { Log, OutRecord, Producer } from '../core/ports/log.ts'
import type { Logger } from '../core/ports/logger.ts'
import { TICK_HEADER, type Topics } from '../core/topics.ts'
import type { PartitionTask } from './task.ts'

/** What the ticker looks at of a partition. */
export interface TickedPartition {
  readonly partition: number
  readonly task: Pick<PartitionTask, 'watermark' | 'heldSince' | 'nextTimer'> | undefined
  /** Monotonic ms of the last batch. */
  readonly lastBatchAt: number
}

export interface TickerOptions {
  readonly log: Log
  readonly clock: Clock
  readonly logger: Logger
  readonly topics: Topics
  readonly tickAfterMs: number
  readonly slots: () => Iterable<TickedPartition>
  readonly signal: AbortSignal
}

const LOOK_EVERY_MS = 500

/**
 * Moves the time of partitions that have fallen silent while events wait in the strict lane, or restrictions and the wait
 * of frozen rewards are to end: a tick record in the
 * partition's own input topic, so that a replay takes the very same decisions.
 */
export async function runTicker(options: TickerOptions): Promise<void> {
  const { clock, signal, log, logger } = options
  const stopped = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
  let producer: Producer | undefined
  const send = async (ticks: readonly OutRecord[]): Promise<void> => {
    producer ??= await log.producer()
    await producer.send(ticks)
  }
  while (!signal.aborted) {
    await clock.sleep(Math.min(LOOK_EVERY_MS, options.tickAfterMs), signal)
    const ticks = signal.aborted ? [] : dueTicks(options)
    if (ticks.length === 0) continue
    try {
      // A stop does not wait for a broker: whether such a tick is written makes no difference.
      await Promise.race([send(ticks), stopped])
    } catch (error) {
      logger.warn({ error: messageOf(error) }, 'cannot write a tick; held events wait for the next try')
    }
  }
  await producer?.close()
}

function dueTicks({ clock, topics, tickAfterMs, slots }: TickerOptions): OutRecord[] {
  const ticks: OutRecord[] = []
  for (const { partition, task, lastBatchAt } of slots()) {
    const tick = decideTick({
      watermark: task?.watermark,
      heldSince: task?.heldSince,
      nextTimer: task?.nextTimer,
      silentMs: clock.monotonic() - lastBatchAt,
      now: clock.now(),
      tickAfterMs,
    })
    if (tick !== undefined) ticks.push(tickRecord(topics.events, partition, { ts: tick, ingestTs: clock.now() }))
  }
  return ticks
}

/** A tick that moves the partition's event time to `ts`. */
export function tickRecord(topic: string, partition: number, tick: { ts: number; ingestTs: number }): OutRecord {
  const headers = { [TICK_HEADER]: Buffer.from(String(tick.ts)) }
  return { topic, partition, key: null, value: '', timestamp: tick.ingestTs, headers }
}

/**
 * The event time to tick to, or undefined where no tick is due. Event time goes on at the pace of the wall clock from the
 * last event seen and never beyond now: a replay of old events that pauses must not find its events late. Where players'
 * timers alone wait, which may be for months, nothing is written until event time would have come to the first of them.
 */
export function decideTick(facts: {
  watermark: number | undefined
  heldSince: number | undefined
  nextTimer: number | undefined
  silentMs: number
  now: number
  tickAfterMs: number
}): number | undefined {
  const { watermark, heldSince, nextTimer, silentMs, now, tickAfterMs } = facts
  if (watermark === undefined || silentMs < tickAfterMs) return undefined
  const ts = Math.min(now, Math.floor(watermark + silentMs))
  if (ts <= watermark) return undefined
  const timerIsDue = nextTimer !== undefined && nextTimer <= ts
  return heldSince !== undefined || timerIsDue ? ts : undefined
}
