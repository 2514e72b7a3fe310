import type { Clock } from '../../core/clock.ts'
import type { GroupHandler, Log } from '../../core/ports/log.ts'

export interface RawReaderOptions {
  readonly log: Log
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly topic: string
  readonly partitions: number
}

/** What one process can do that only reads and parses. */
export interface RawFigures {
  readonly events: number
  readonly seconds: number
  readonly cpuSeconds: number
}

/** Bytes of one partition in one batch: what a worker takes. */
const BATCH_BYTES_MAX = 524_288

/**
 * The limit that no worker on this log can pass: consumes every partition of the topic to its end, as a worker does, parses
 * each value as JSON, and does nothing else.
 */
export async function readRaw(options: RawReaderOptions): Promise<RawFigures> {
  const { log, clock, signal, topic, partitions } = options
  const ids = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
  const ends = (await log.bounds(ids)).map(({ end }) => end)
  const consumer = log.consumer({ group: `${topic}.raw`, topics: [topic], batchBytesMax: BATCH_BYTES_MAX })
  const open = new Set(ids.map(({ partition }) => partition).filter((partition) => (ends[partition] ?? 0) > 0))
  let [events, parsed, startedMs, endedMs] = [0, 0, 0, 0]
  let cpu: NodeJS.CpuUsage | undefined
  const handler: GroupHandler = {
    async rebalanced() {
      startedMs ||= clock.monotonic()
      cpu ??= process.cpuUsage()
    },
    startOffset: () => 0,
    async batch({ partition, records, nextOffset }) {
      for (const { value } of records) {
        // looked at, so that nobody finds the parsing to be of no use
        if (value !== null && typeof JSON.parse(value.toString()) === 'object') parsed++
      }
      events += records.length
      if (nextOffset >= (ends[partition] ?? 0)) open.delete(partition)
      if (open.size === 0 && endedMs === 0) {
        endedMs = clock.monotonic()
        // It waits for the batch under way, which is this one.
        void stop()
      }
      return nextOffset
    },
  }
  const stop = (): Promise<void> => consumer.stop()
  const abort = (): void => void stop()
  signal.addEventListener('abort', abort, { once: true })
  try {
    if (open.size > 0) await consumer.run(handler)
  } finally {
    signal.removeEventListener('abort', abort)
    await stop()
  }
  signal.throwIfAborted()
  const { user, system } = process.cpuUsage(cpu)
  return { events: Math.min(events, parsed), seconds: (endedMs - startedMs) / 1000, cpuSeconds: (user + system) / 1e6 }
}
