/**
 * From the topic into the ledger. For each batch, in this order:
 * 1  what is no task → DLQ, acknowledged
 * 2  the tasks → ledger and outbox, one transaction
 * 3  the offset is committed
 * A crash before 3 brings the batch again: the DLQ record may then stand twice, a task cannot (it is known).
 */
import { hasCode } from '../../core/errors.ts'
import type { DlqRecord } from '../../core/model/dlq.ts'
import type { Ledger, LedgerTask } from '../../core/ports/ledger.ts'
import type { GroupConsumer, GroupHandler, LogRecord, RecordBatch } from '../../core/ports/log.ts'
import type { Logger } from '../../core/ports/logger.ts'
import { deadLetter, inputOf } from '../../operators/dead-letter.ts'
import type { DeadLetters } from './dead-letters.ts'
import type { Patience } from './patience.ts'
import type { Counters, SinkMetrics } from './stats.ts'
import { parseTask } from './task.ts'

export interface Intake extends GroupHandler {
  lagRecords(): number
}

export interface IntakeParts {
  readonly consumer: Pick<GroupConsumer, 'commit'>
  readonly ledger: Ledger
  readonly deadLetters: DeadLetters
  readonly patience: Patience
  readonly logger: Logger
  readonly counters: Counters
  readonly metrics: SinkMetrics
  /** Called after tasks were queued. */
  readonly queued: () => void
}

export function createIntake(parts: IntakeParts): Intake {
  const { consumer, counters, metrics, logger } = parts
  const lag = new Map<string, number>()
  return {
    rebalanced({ lost }) {
      for (const { topic, partition } of lost) lag.delete(`${topic}/${partition}`)
      return Promise.resolve()
    },
    startOffset: () => undefined,
    async batch(batch, control) {
      const { tasks, letters } = sort(batch)
      await parts.deadLetters.send(letters)
      const beat = (): Promise<void> => control.heartbeat()
      const refused = await record(parts, tasks, beat)
      await parts.deadLetters.send(refused.letters)
      const malformed = letters.length + refused.letters.length
      counters.malformed += malformed
      if (malformed > 0) metrics.malformed?.(malformed)
      await consumer
        .commit([{ topic: batch.topic, partition: batch.partition, offset: batch.nextOffset }])
        .catch((error: unknown) => {
          // The partition is another member's now, who will find these tasks known.
          if (!hasCode(error, 'ONCEWARD_E_LOG_FENCED')) throw error
          logger.info({ partition: batch.partition }, 'lost the partition before its offset was committed')
        })
      lag.set(`${batch.topic}/${batch.partition}`, Math.max(0, batch.end - batch.nextOffset))
      return batch.nextOffset
    },
    lagRecords: () => [...lag.values()].reduce((sum, records) => sum + records, 0),
  }
}

function sort(batch: RecordBatch): { tasks: LedgerTask[]; letters: DlqRecord[] } {
  const tasks: LedgerTask[] = []
  const letters: DlqRecord[] = []
  for (const record of batch.records) {
    const parsed = parseTask(record)
    if (parsed.ok) tasks.push(parsed.task)
    else letters.push(letterOf(record, parsed))
  }
  return { tasks, letters }
}

function letterOf(record: LogRecord, problem: { detail: string; userId?: string; eventId?: string }): DlqRecord {
  return deadLetter({ reason: 'schema', ...problem }, inputOf(record)).value
}

/**
 * Where the ledger cannot hold one task of a batch, each is tried alone, so that the others are paid. Any other refusal
 * is no matter of the tasks and ends the sink.
 */
async function record(
  parts: IntakeParts,
  tasks: readonly LedgerTask[],
  beat: () => Promise<void>,
): Promise<{ letters: DlqRecord[] }> {
  if (tasks.length === 0) return { letters: [] }
  const book = async (some: readonly LedgerTask[]): Promise<void> => {
    const { recorded, known } = await parts.patience.insist('book tasks', () => parts.ledger.record(some), beat)
    parts.counters.recorded += recorded
    parts.counters.known += known
    parts.metrics.recorded?.(recorded, known)
    if (recorded > 0) parts.queued()
  }
  try {
    await book(tasks)
    return { letters: [] }
  } catch (error) {
    if (!hasCode(error, 'ONCEWARD_E_TASK_MALFORMED')) throw error
    if (tasks.length === 1) return { letters: tasks.map((task) => refusedLetter(task, error.message)) }
  }
  const letters: DlqRecord[] = []
  for (const task of tasks) letters.push(...(await record(parts, [task], beat)).letters)
  return { letters }
}

function refusedLetter(task: LedgerTask, detail: string): DlqRecord {
  return {
    type: 'dlq',
    reason: 'schema',
    detail,
    ...(task.eventId === null ? {} : { event_id: task.eventId }),
    user_id: task.userId,
    source: task.source,
    raw: task.raw,
  }
}
