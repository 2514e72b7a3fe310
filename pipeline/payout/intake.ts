/**
 * From the topic into the ledger. For each batch, in this order:
 * 1  what cannot be read → DLQ, acknowledged
 * 2  what is known of players from here on → ledger
 * 3  the rewards, in the order of the log → ledger, budget and outbox, one transaction
 * 4  what its pool refused → DLQ, acknowledged
 * 5  the offset is committed
 * A crash before 5 brings the batch again: a DLQ record may then stand twice, a reward cannot (it is known), and an older
 * change of a player changes nothing. Step 2 takes all changes of the batch before its rewards, because they are looked
 * at when a reward is called, never when it is booked: so none that stands before a reward can come too late for it.
 */
import { BUDGET_CLOSED } from '../../core/model/reward.ts'
import { hasCode } from '../../core/errors.ts'
import type { DlqRecord } from '../../core/model/dlq.ts'
import type { Arrival, Ledger, PlayerChange } from '../../core/ports/ledger.ts'
import type { GroupConsumer, GroupHandler, LogRecord, RecordBatch } from '../../core/ports/log.ts'
import type { Logger } from '../../core/ports/logger.ts'
import { deadLetter, inputOf } from '../../operators/dead-letter.ts'
import { admit } from './admission.ts'
import type { DeadLetters } from './dead-letters.ts'
import type { Patience } from './patience.ts'
import type { Counters, SinkMetrics } from './stats.ts'
import { parseRecord, type TaskView } from './task.ts'

export interface Intake extends GroupHandler {
  lagRecords(): number
}

export interface IntakeParts {
  readonly consumer: Pick<GroupConsumer, 'commit'>
  readonly ledger: Pick<Ledger, 'book' | 'players'>
  readonly view: TaskView
  readonly deadLetters: DeadLetters
  readonly patience: Patience
  readonly logger: Logger
  readonly counters: Counters
  readonly metrics: SinkMetrics
  /** Called after rewards were booked: there may be something to pay. */
  readonly queued: () => void
  /** Called after players changed: something that was stopped may go on. */
  readonly playersChanged: () => void
}

interface Sorted {
  readonly arrivals: Arrival[]
  readonly changes: { readonly change: PlayerChange; readonly record: LogRecord }[]
  readonly letters: DlqRecord[]
}

type Beat = () => Promise<void>

export function createIntake(parts: IntakeParts): Intake {
  const { consumer, logger } = parts
  const lag = new Map<string, number>()
  return {
    rebalanced({ lost }) {
      for (const { topic, partition } of lost) lag.delete(`${topic}/${partition}`)
      return Promise.resolve()
    },
    startOffset: () => undefined,
    async batch(batch, control) {
      const beat = (): Promise<void> => control.heartbeat()
      const { arrivals, changes, letters } = sort(batch, parts.view)
      await setAside(parts, letters)
      await bookPlayers(parts, changes, beat)
      await bookRewards(parts, arrivals, beat)
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

function sort(batch: RecordBatch, view: TaskView): Sorted {
  const sorted: Sorted = { arrivals: [], changes: [], letters: [] }
  for (const record of batch.records) {
    const parsed = parseRecord(record, view)
    if (!parsed.ok) sorted.letters.push(letterOf(record, parsed))
    else if (parsed.kind === 'reward') sorted.arrivals.push(parsed.arrival)
    else sorted.changes.push({ change: parsed.change, record })
  }
  return sorted
}

function letterOf(record: LogRecord, problem: { detail: string; userId?: string; eventId?: string }): DlqRecord {
  return deadLetter({ reason: 'schema', ...problem }, inputOf(record)).value
}

async function setAside({ deadLetters, counters, metrics }: IntakeParts, letters: readonly DlqRecord[]): Promise<void> {
  if (letters.length === 0) return
  await deadLetters.send(letters)
  counters.malformed += letters.length
  metrics.malformed?.(letters.length)
}

async function bookPlayers(parts: IntakeParts, changes: Sorted['changes'], beat: Beat): Promise<void> {
  if (changes.length === 0) return
  const malformed = await oneByOneIfNeeded(changes, async (some) => {
    const work = (): Promise<void> => parts.ledger.players(some.map(({ change }) => change))
    await parts.patience.insist('book changes of players', work, beat)
    parts.counters.players += some.length
  })
  await setAside(
    parts,
    malformed.map(({ item: { change, record }, detail }) => letterOf(record, { detail, userId: change.userId })),
  )
  parts.playersChanged()
}

async function bookRewards(parts: IntakeParts, arrivals: readonly Arrival[], beat: Beat): Promise<void> {
  if (arrivals.length === 0) return
  const malformed = await oneByOneIfNeeded(arrivals, (some) => book(parts, some, beat))
  await setAside(
    parts,
    malformed.map(({ item, detail }) => rewardLetter(item, 'schema', detail)),
  )
}

async function book(parts: IntakeParts, arrivals: readonly Arrival[], beat: Beat): Promise<void> {
  const { counters, metrics } = parts
  const booked = await parts.patience.insist('book rewards', () => parts.ledger.book(arrivals, admit), beat)
  const { recorded, known, held, frozen, refused } = booked
  counters.recorded += recorded
  counters.known += known
  counters.held += held
  counters.frozen += frozen
  metrics.recorded?.(recorded, known)
  if (held > 0) metrics.held?.(held)
  if (frozen > 0) metrics.frozen?.(frozen, 'stream')
  parts.queued()
  if (refused.length === 0) return
  const details = new Map(refused.map(({ taskId, detail }) => [taskId, detail]))
  const letters = new Map<string, DlqRecord>()
  for (const arrival of arrivals) {
    const detail = details.get(arrival.task.taskId)
    if (detail !== undefined) letters.set(arrival.task.taskId, rewardLetter(arrival, BUDGET_CLOSED, detail))
  }
  parts.logger.warn({ rewards: letters.size }, 'rewards that their pools do not cover go to the DLQ')
  await parts.deadLetters.send([...letters.values()])
  counters.refused += letters.size
  metrics.refused?.(letters.size)
}

/**
 * Where the ledger cannot hold one item of many, each is tried alone, so that the others are booked; answers those that
 * it cannot hold. Any other refusal is no matter of the items and ends the sink.
 */
async function oneByOneIfNeeded<T>(
  items: readonly T[],
  work: (some: readonly T[]) => Promise<void>,
): Promise<readonly { readonly item: T; readonly detail: string }[]> {
  try {
    await work(items)
    return []
  } catch (error) {
    if (!hasCode(error, 'ONCEWARD_E_TASK_MALFORMED')) throw error
    if (items.length === 1) return items.map((item) => ({ item, detail: error.message }))
  }
  const malformed: { readonly item: T; readonly detail: string }[] = []
  for (const item of items) malformed.push(...(await oneByOneIfNeeded([item], work)))
  return malformed
}

function rewardLetter({ task }: Arrival, reason: DlqRecord['reason'], detail: string): DlqRecord {
  return {
    type: 'dlq',
    reason,
    detail,
    ...(task.eventId === null ? {} : { event_id: task.eventId }),
    user_id: task.userId,
    source: task.source,
    raw: task.raw,
  }
}
