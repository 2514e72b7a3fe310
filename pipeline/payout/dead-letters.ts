import type { Clock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'
import type { DlqRecord } from '../../core/model/dlq.ts'
import { partitionOf } from '../../core/partitioner.ts'
import type { Log, OutRecord } from '../../core/ports/log.ts'

export interface DeadLetters {
  /** Resolves once all of them are acknowledged. */
  send(letters: readonly DlqRecord[]): Promise<void>
  close(): Promise<void>
}

/** Keyed by user, so that one player's letters stay in order; without one, by where they came from. */
export async function openDeadLetters(log: Log, topic: string, clock: Clock): Promise<DeadLetters> {
  const info = await log.topic(topic)
  if (info === undefined) {
    throw new OncewardError(
      'ONCEWARD_E_LOG_TOPIC_MISSING',
      `there is no topic "${topic}" for what cannot be paid; create it with: onceward topics create`,
    )
  }
  const producer = await log.producer()
  const toRecord = (letter: DlqRecord): OutRecord => {
    const key = letter.user_id ?? null
    const partition =
      key === null ? (letter.source?.partition ?? 0) % info.partitions : partitionOf(key, info.partitions)
    return { topic, partition, key, value: JSON.stringify(letter), timestamp: clock.now() }
  }
  return {
    async send(letters) {
      if (letters.length > 0) await producer.send(letters.map(toRecord))
    },
    close: () => producer.close(),
  }
}
