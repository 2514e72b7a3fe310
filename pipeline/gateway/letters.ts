import type { DlqReason } from '../../core/model/dlq.ts'
import { partitionOf } from '../../core/partitioner.ts'
import { deadLetter } from '../../operators/dead-letter.ts'
import type { Draft } from './bus.ts'

export interface Letter {
  readonly reason: DlqReason
  readonly detail: string
  readonly from: string
  readonly raw: Buffer
  readonly eventId?: string | undefined
  readonly userId?: string | undefined
}

/** Makes the records that set aside what came to the gateway: of a user where one could be read, by turns otherwise. */
export function letterWriter(topic: string, partitions: number): (letter: Letter, now: number) => Draft {
  let turn = 0
  return ({ reason, detail, from, raw, eventId, userId }, now) => {
    const { key, value } = deadLetter({ reason, detail, eventId, userId }, { raw, source: null, ingestTs: now })
    turn = (turn + 1) % partitions
    return {
      topic,
      partition: key === null ? turn : partitionOf(key, partitions),
      key: key === null ? null : Buffer.from(key),
      value: Buffer.from(JSON.stringify({ ...value, from })),
      timestamp: now,
    }
  }
}
