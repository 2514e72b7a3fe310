import type { Clock } from '../../core/clock.ts'
import { hasCode, messageOf, OncewardError } from '../../core/errors.ts'
import type { PartitionReader, RecordBatch } from '../../core/ports/log.ts'
import { META, TASK_META_KEY } from '../../state/stores.ts'
import { isRecoverable, PartitionTask, type TaskOptions } from '../task.ts'
import type { PartitionSpan } from './span.ts'

export type ReplayTaskOptions = Omit<TaskOptions, 'partition' | 'openStore' | 'cancelled'>

export interface PartitionReplayOptions {
  readonly task: ReplayTaskOptions
  readonly openStore: TaskOptions['openStore']
  readonly span: PartitionSpan
  readonly batchBytesMax: number
  readonly signal: AbortSignal
  /** Called with the position reached, and the records that brought it there; first of all with where it begins. */
  readonly advanced: (position: number, records: number) => void
}

const FAILURES_MAX = 8
/** A lost session of the producer's looks the same as another process: more often than this it is one. */
const FENCED_MAX = 2
const BACKOFF_MS_MAX = 5_000
/** Empty reads before the end in a row, each after a pause, before the log counts as broken. */
const EMPTY_READS_MAX = 50
const EMPTY_READ_PAUSE_MS = 100

/**
 * Replays one partition's span, from where it was left to the end, or to the next batch boundary once `signal` aborts.
 * The task is the worker's own: what is processed, and how it is committed and recovered, is not a second time written.
 */
export async function replayPartition(options: PartitionReplayOptions): Promise<void> {
  const { signal, task: shared, span } = options
  const { clock, logger } = shared
  let failures = 0
  let fenced = 0
  const moved = (position: number, records: number): void => {
    failures = 0
    options.advanced(position, records)
  }
  while (!signal.aborted) {
    try {
      await seedPartition(shared, span)
      return await readThrough({ ...options, advanced: moved })
    } catch (error) {
      if (hasCode(error, 'ONCEWARD_E_LOG_FENCED') && ++fenced > FENCED_MAX) throw takenOver(shared.application, error)
      if (!isRecoverable(error) || ++failures > FAILURES_MAX) throw explained(error, span)
      logger.warn(
        { partition: span.partition, failures, error: messageOf(error) },
        'partition failed; it is recovered and tried again',
      )
      await clock.sleep(Math.min(BACKOFF_MS_MAX, 50 * 2 ** failures), signal)
    }
  }
}

/**
 * Makes the span's start the partition's position: the committed offset, and the state that accounts for the input up to
 * it, in one transaction. A task that is opened afterwards recovers as any other does.
 */
export async function seedPartition(
  shared: Pick<ReplayTaskOptions, 'log' | 'clock' | 'application' | 'topics' | 'changelog'>,
  { partition, start }: PartitionSpan,
): Promise<void> {
  const { log, clock, application, topics, changelog } = shared
  const input = { topic: topics.events, partition }
  const producer = await log.transactional(`${application}.${partition}`)
  try {
    const [committed] = await log.committed(application, [input])
    const [bounds] = await log.bounds([{ topic: changelog, partition }])
    if (committed !== undefined || (bounds?.end ?? 0) > 0) return
    await producer.commit({
      records: [
        {
          topic: changelog,
          partition,
          key: META.prefix + TASK_META_KEY,
          value: META.encode({ inputOffset: start }),
          timestamp: clock.now(),
        },
      ],
      offsets: { group: application, positions: [{ ...input, offset: start }] },
    })
  } finally {
    await producer.close()
  }
}

async function readThrough(options: PartitionReplayOptions): Promise<void> {
  const { task: shared, span, signal } = options
  const { log, topics } = shared
  const task = await PartitionTask.open({
    ...shared,
    partition: span.partition,
    openStore: options.openStore,
    cancelled: () => signal.aborted,
  })
  let reader: PartitionReader | undefined
  try {
    options.advanced(task.position, 0)
    if (task.overdue) await workOff(task, undefined, options)
    if (task.position >= span.end) return
    reader = await log.reader({ topic: topics.events, partition: span.partition })
    await readOn(reader, task, options)
  } finally {
    await reader?.close()
    await task.close()
  }
}

async function readOn(reader: PartitionReader, task: PartitionTask, options: PartitionReplayOptions): Promise<void> {
  const { span, signal, batchBytesMax } = options
  const { clock } = options.task
  let empty = 0
  while (task.position < span.end && !signal.aborted) {
    const batch = boundedBatch(await reader.read(task.position, { bytesMax: batchBytesMax }), span.end)
    if (batch.nextOffset <= task.position) {
      await pauseOrGiveUp(++empty, { clock, partition: span.partition, position: task.position })
      continue
    }
    empty = 0
    await workOff(task, batch, options)
  }
}

/** All of a fetched batch, one transaction after the other, and the held events whose turn it brings. */
async function workOff(
  task: PartitionTask,
  batch: RecordBatch | undefined,
  options: PartitionReplayOptions,
): Promise<void> {
  while (!options.signal.aborted) {
    const report = await task.process(batch)
    options.advanced(task.position, report?.records ?? 0)
    if (report === undefined) return
  }
}

async function pauseOrGiveUp(
  empty: number,
  { clock, partition, position }: { clock: Clock; partition: number; position: number },
): Promise<void> {
  if (empty > EMPTY_READS_MAX) {
    throw new OncewardError(
      'ONCEWARD_E_LOG_UNAVAILABLE',
      `partition ${partition} gives no records at offset ${position}, although it goes on`,
    )
  }
  await clock.sleep(EMPTY_READ_PAUSE_MS)
}

/** The batch without what lies at `end` or behind it. */
export function boundedBatch(batch: RecordBatch, end: number): RecordBatch {
  if (batch.nextOffset <= end) return batch
  return { ...batch, records: batch.records.filter(({ offset }) => offset < end), nextOffset: end }
}

function takenOver(application: string, cause: unknown): OncewardError {
  return new OncewardError(
    'ONCEWARD_E_LOG_FENCED',
    `another process works on the replay "${application}"; stop one of the two, the other goes on from there`,
    { cause },
  )
}

function explained(error: unknown, { partition }: PartitionSpan): unknown {
  if (!hasCode(error, 'ONCEWARD_E_LOG_OFFSET_OUT_OF_RANGE', 'ONCEWARD_E_STATE_INPUT_LOST')) return error
  return new OncewardError(
    'ONCEWARD_E_REPLAY_GAP',
    `partition ${partition}: retention deleted events before the replay came to them (${error.message}). Raise the retention of the topic, and start a replay under a new --application`,
    { cause: error },
  )
}
