import { assert } from '../../core/assert.ts'
import type { Clock } from '../../core/clock.ts'
import type { LogRecord } from '../../core/ports/log.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { partitionOf } from '../../core/partitioner.ts'
import { TICK_HEADER } from '../../core/topics.ts'
import { readLines } from '../../connectors/files/lines.ts'
import type { Normalized } from '../../operators/normalize.ts'
import { committedRecords } from '../../pipeline/replay/records.ts'
import { createTopology } from '../../pipeline/topology.ts'
import { withKafka } from '../runtime.ts'
import { type EventReading, withEvents } from '../schemas/event-reading.ts'
import { PartitionEngine } from './engine.ts'
import type { EventsToRead, Job, Outcome, RulesToTry, ShareProgress } from './job.ts'
import { userIdBytes } from './routing.ts'
import { compile } from './rules-to-try.ts'
import { addOutput, createTallyEmit, emptyTally, finished, type Tally } from './tally.ts'

export interface ShareParts {
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly onProgress: (progress: ShareProgress) => void
}

/** Records of one partition that are judged at once. */
const BATCH_RECORDS = 2_000
/** Records between two reports of progress. */
const REPORT_RECORDS = 5_000

/** Runs the partitions of one process through the operators, under one set of rules or two. */
export async function runShare(job: Job, parts: ShareParts): Promise<Outcome> {
  const { clock } = parts
  return withEvents({ settings: job.reading, clock, logger: silentLogger }, async (reading) => {
    const share = new Share(job, reading.normalize, parts)
    const { events } = job
    if (events.kind === 'file') await readFile(events, share, parts)
    else await readTopic(events, share, { ...parts, over: reading.over })
    return share.finish()
  })
}

async function readFile(events: EventsToRead & { kind: 'file' }, share: Share, { signal }: ShareParts): Promise<void> {
  const lines = await readLines(events.path, { signal })
  for await (const chunk of lines) {
    for (const line of chunk) share.addLine(line, events)
    await share.processFull(lines.bytesTotal === undefined ? undefined : lines.bytesRead / lines.bytesTotal)
  }
}

async function readTopic(
  events: EventsToRead & { kind: 'kafka' },
  share: Share,
  parts: ShareParts & Pick<EventReading, 'over'>,
): Promise<void> {
  const { clock, signal, over } = parts
  const mine = events.spans.filter(({ partition }) => share.owns(partition))
  const total = mine.reduce((sum, { start, end }) => sum + end - start, 0)
  let before = 0
  await withKafka({ clock, signal, logger: silentLogger, settings: events.settings }, async (log) => {
    for (const { partition, start, end } of mine) {
      const id = { topic: events.topic, partition }
      for await (const records of committedRecords(over(log, events.topic), id, { from: start, end })) {
        if (signal.aborted) return
        for (const record of records) share.addRecord(record)
        await share.processFull((before + (records.at(-1)?.offset ?? start) - start) / total)
      }
      before += end - start
    }
  })
}

interface PartitionShare {
  readonly engines: readonly PartitionEngine[]
  records: LogRecord[]
  /** What normalize makes of each record but the ticks, in order. */
  parsed: Normalized[]
}

class Share {
  readonly #job: Job
  readonly #parts: ShareParts
  readonly #partitions: ReadonlyMap<number, PartitionShare>
  readonly #candidate = emptyTally()
  readonly #baseline: Tally | undefined
  readonly #normalize: (raw: Buffer | null) => Normalized
  /** The parsed events of the batch under way, and how many were taken: each is parsed once for two engines. */
  #batch: readonly Normalized[] = []
  #taken = 0
  #outside = 0
  #first = Number.POSITIVE_INFINITY
  #last = Number.NEGATIVE_INFINITY
  #events = 0
  #reported = 0

  constructor(job: Job, normalize: (raw: Buffer | null) => Normalized, parts: ShareParts) {
    this.#job = job
    this.#parts = parts
    this.#baseline = job.baseline === undefined ? undefined : emptyTally()
    this.#normalize = normalize
    const makers = [this.#maker(job.candidate, this.#candidate)]
    if (job.baseline !== undefined && this.#baseline !== undefined) {
      makers.push(this.#maker(job.baseline, this.#baseline))
    }
    const mine = Array.from({ length: job.partitions }, (_, partition) => partition).filter((p) => this.owns(p))
    this.#partitions = new Map(mine.map((p) => [p, { engines: makers.map((make) => make()), records: [], parsed: [] }]))
  }

  owns(partition: number): boolean {
    return partition % this.#job.processes === this.#job.index
  }

  /** A line of a file, if it is of one of the partitions of this process. Its ingest time is its own time, as in `run`. */
  addLine(line: Buffer, { fromMs, toMs }: EventsToRead & { kind: 'file' }): void {
    const { partitions, processes } = this.#job
    const id = processes === 1 ? undefined : userIdBytes(line)
    if (id !== undefined && !this.owns(partitionOf(id, partitions))) return
    const parsed = this.#normalize(line)
    const userId = parsed.kind === 'event' ? parsed.event.userId : parsed.userId
    const partition = partitionOf(id ?? userId ?? line, partitions)
    if (!this.owns(partition)) return
    const ts = parsed.kind === 'event' ? parsed.event.ts : 0
    if (parsed.kind === 'event' && (ts < (fromMs ?? ts) || ts >= (toMs ?? ts + 1))) this.#outside++
    else this.#add({ topic: '', partition, offset: 0, timestamp: ts, key: null, value: line }, parsed)
  }

  /** A record of the log, which has an ingest time of its own and may be a tick. */
  addRecord(record: LogRecord): void {
    this.#add(record, record.headers?.[TICK_HEADER] === undefined ? this.#normalize(record.value) : undefined)
  }

  #add(record: LogRecord, parsed: Normalized | undefined): void {
    const partition = this.#partitions.get(record.partition)
    assert(partition !== undefined, `partition ${record.partition} belongs to this process`)
    partition.records.push(record)
    this.#events++
    if (parsed === undefined) return
    partition.parsed.push(parsed)
    if (parsed.kind !== 'event') return
    this.#first = Math.min(this.#first, parsed.event.ts)
    this.#last = Math.max(this.#last, parsed.event.ts)
  }

  /** Processes the partitions that have enough for a batch. */
  async processFull(share: number | undefined): Promise<void> {
    for (const partition of this.#partitions.values()) {
      if (partition.records.length >= BATCH_RECORDS) await this.#process(partition)
    }
    if (this.#events - this.#reported < REPORT_RECORDS) return
    this.#reported = this.#events
    this.#parts.onProgress({ events: this.#events, share })
  }

  /** Processes what is left, and moves event time past all that waits. */
  async finish(): Promise<Outcome> {
    for (const partition of this.#partitions.values()) await this.#process(partition)
    for (const { engines } of this.#partitions.values()) {
      for (const engine of engines) {
        if (engine.watermark !== undefined) await engine.advance(engine.watermark + this.#job.reorderWindowMs + 1)
      }
    }
    this.#parts.onProgress({ events: this.#events, share: 1 })
    return {
      candidate: finished(this.#candidate),
      baseline: this.#baseline && finished(this.#baseline),
      outside: this.#outside,
      firstTs: Number.isFinite(this.#first) ? this.#first : undefined,
      lastTs: Number.isFinite(this.#last) ? this.#last : undefined,
    }
  }

  async #process(partition: PartitionShare): Promise<void> {
    const { records, parsed, engines } = partition
    partition.records = []
    partition.parsed = []
    this.#batch = parsed
    for (const engine of engines) {
      this.#taken = 0
      await engine.process(records)
      assert(this.#taken === parsed.length, 'every record is read once, in order')
    }
  }

  #next(): Normalized {
    const parsed = this.#batch[this.#taken++]
    assert(parsed !== undefined, 'no record is read that was not parsed')
    return parsed
  }

  #maker(wanted: RulesToTry, tally: Tally): () => PartitionEngine {
    const { set: rules, segments } = compile(wanted)
    const { reorderWindowMs, dedupeWindowMs } = this.#job
    const topology = createTopology({ normalize: () => this.#next(), emit: createTallyEmit(tally, segments) })
    return () =>
      new PartitionEngine({
        topology,
        rules,
        reorderWindowMs,
        dedupeWindowMs,
        onOutput: (output) => addOutput(tally, output),
      })
  }
}
