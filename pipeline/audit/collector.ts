import type { Clock } from '../../core/clock.ts'
import { HOUR_MS } from '../../core/durations.ts'
import { hasCode, OncewardError } from '../../core/errors.ts'
import type { AuditEntry, AuditLog } from '../../core/ports/audit.ts'
import { type LedgerTrail, TRAIL_TABLES, type TrailTable } from '../../core/ports/ledger-trail.ts'
import type { Log, PartitionReader } from '../../core/ports/log.ts'
import type { Logger } from '../../core/ports/logger.ts'
import type { Metrics } from '../../core/ports/metrics.ts'
import { beginEntry, type CollectedKind, gapEntry, recordEntry, rowEntry } from './entries.ts'
import { foldRecord, partitionSource, POSITIONS, type Positions, positionsBody } from './positions.ts'

export interface CollectorOptions {
  readonly log: Log
  readonly audit: AuditLog
  /** Topics, and what their records are. One that does not exist yet is read from when it does. */
  readonly topics: readonly { readonly topic: string; readonly kind: CollectedKind }[]
  /** undefined: without the ledger's tables. */
  readonly trail: LedgerTrail | undefined
  /** What the chain says of how far it is. Changed. */
  readonly positions: Positions
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

export interface Collector {
  /** Resolves after `stop`; rejects where it cannot go on. */
  run(): Promise<void>
  stop(): Promise<void>
  /** Sentences: what it waits for now. */
  troubles(): readonly string[]
  positions(): ReadonlyMap<string, number>
}

const WAIT_MS = 500
const READ_BYTES_MAX = 1_048_576
const ROWS_MAX = 500
const ROWS_WAIT_MS = 500
/** How soon a topic or a partition that is new is found. */
const LOOK_MS = 10_000
const RETRY_MS = 1_000
/** After so many records one says how far all sources are, */
const POSITIONS_EVERY = 1_000
/** and so soon after the last record: what is kept of the chain must say it, once the segments before are retired. */
const POSITIONS_EVERY_MS = HOUR_MS

const KIND_OF_TABLE: Readonly<Record<TrailTable, CollectedKind>> = { audit_log: 'command', reward_history: 'decision' }

/**
 * Brings decisions and commands into one chain, each exactly once:
 * 1. a batch of one source is read behind the position that the chain says;
 * 2. it is appended as a whole; where that fails nothing of it counts, and the same batch is appended again;
 * 3. only then does the position move.
 * Batches go one after the other, whatever their source, so what the chain says of positions is true at each of its records,
 * and a collector that was killed goes on behind the last of them.
 */
export function createCollector(options: CollectorOptions): Collector {
  return new ChainCollector(options)
}

class ChainCollector implements Collector {
  readonly #options: CollectorOptions
  readonly #stop = new AbortController()
  readonly #running = new Map<string, Promise<void>>()
  readonly #troubles = new Map<string, string>()
  #turn: Promise<void> = Promise.resolve()
  /** Records since one said how far all are; the first batch of a life is preceded by one. */
  #untold = POSITIONS_EVERY
  /** Monotonic ms; undefined: not yet in this life. */
  #toldAt: number | undefined
  #failed: (error: unknown) => void = () => undefined

  constructor(options: CollectorOptions) {
    this.#options = options
  }

  troubles(): readonly string[] {
    return [...this.#troubles.values()]
  }

  positions(): ReadonlyMap<string, number> {
    return this.#options.positions
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await Promise.allSettled(this.#running.values())
  }

  async run(): Promise<void> {
    const failure = new Promise<never>((_, reject) => {
      this.#failed = reject
    })
    try {
      await Promise.race([failure, this.#look()])
    } finally {
      await this.stop()
    }
  }

  /** Starts what is not being read yet, again and again: topics and partitions may come later. */
  async #look(): Promise<void> {
    const { topics, log, trail, clock } = this.#options
    const { signal } = this.#stop
    if (trail !== undefined) for (const table of TRAIL_TABLES) this.#start(table, () => this.#readTable(trail, table))
    while (!signal.aborted) {
      for (const { topic, kind } of topics) {
        const info = await this.#reaching(topic, () => log.topic(topic))
        if (info === undefined || signal.aborted) continue
        for (let partition = 0; partition < info.partitions; partition += 1) {
          const source = { topic, partition, kind }
          this.#start(partitionSource(topic, partition), () => this.#readPartition(source))
        }
      }
      if (this.#isTellingLate()) await this.#inTurn([])
      await clock.sleep(LOOK_MS, signal)
    }
  }

  #start(name: string, read: () => Promise<void>): void {
    if (this.#running.has(name)) return
    this.#running.set(
      name,
      read().catch((error: unknown) => this.#failed(error)),
    )
  }

  async #readPartition(source: { topic: string; partition: number; kind: CollectedKind }): Promise<void> {
    const { log, metrics } = this.#options
    const name = partitionSource(source.topic, source.partition)
    const { signal } = this.#stop
    let reader: PartitionReader | undefined
    while (!signal.aborted) {
      try {
        const position = reader === undefined ? await this.#beginning(source) : (this.#options.positions.get(name) ?? 0)
        if (signal.aborted) break
        reader ??= await log.reader(source)
        const batch = await reader.read(position, { waitMs: WAIT_MS, bytesMax: READ_BYTES_MAX })
        this.#troubles.delete(name)
        const { topic, partition } = source
        metrics.lagRecords.set(Math.max(0, batch.end - batch.nextOffset), { topic, partition })
        await this.#append(batch.records.map((record) => recordEntry(source.kind, record)))
        if (signal.aborted) break
        // Markers and aborted records behind the last one: no record will ever say so, and reading them again costs little.
        if (batch.nextOffset > position) this.#options.positions.set(name, batch.nextOffset)
      } catch (error) {
        await reader?.close().catch(() => undefined)
        reader = undefined
        if (!hasCode(error, 'ONCEWARD_E_LOG_UNAVAILABLE', 'ONCEWARD_E_LOG_OFFSET_OUT_OF_RANGE')) throw error
        await this.#pause(name, error)
      }
    }
    await reader?.close().catch(() => undefined)
  }

  /** Where to read on. What retention has deleted before it was read stands in the chain as a gap. */
  async #beginning(source: { readonly topic: string; readonly partition: number }): Promise<number> {
    const { log, positions, clock } = this.#options
    const { topic, partition } = source
    const name = partitionSource(topic, partition)
    const known = positions.get(name)
    const [bounds] = await log.bounds([source])
    const { earliest, end } = bounds ?? { earliest: 0, end: 0 }
    if (known === undefined) {
      await this.#append([beginEntry(clock.now(), { topic, partition, earliest })])
      return earliest
    }
    if (known > end) {
      throw new OncewardError(
        'ONCEWARD_E_STATE_INPUT_RESET',
        `partition ${partition} of ${topic} ends at offset ${end}, but records up to ${known - 1} were collected: the topic was made anew or has lost records; begin a stream of another name (--stream)`,
      )
    }
    if (known >= earliest) return known
    const gap = { topic, partition, from: known, to: earliest - 1 }
    this.#options.logger.error(gap, 'retention has deleted records before they were collected')
    await this.#append([gapEntry(clock.now(), gap)])
    return earliest
  }

  async #readTable(trail: LedgerTrail, table: TrailTable): Promise<void> {
    const { positions, clock } = this.#options
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        const rows = await trail.rows(table, (positions.get(table) ?? 1) - 1, ROWS_MAX)
        this.#troubles.delete(table)
        await this.#append(rows.map((row) => rowEntry(KIND_OF_TABLE[table], table, row)))
        if (rows.length < ROWS_MAX) await clock.sleep(ROWS_WAIT_MS, signal)
      } catch (error) {
        if (!hasCode(error, 'ONCEWARD_E_LEDGER_UNAVAILABLE')) throw error
        await this.#pause(table, error)
      }
    }
  }

  /** Resolves once the entries stand in the chain, or when it was stopped before. */
  #append(entries: readonly AuditEntry[]): Promise<void> {
    return entries.length === 0 ? Promise.resolve() : this.#inTurn(entries)
  }

  #inTurn(entries: readonly AuditEntry[]): Promise<void> {
    const appended = this.#turn.then(() => this.#appendNow(entries))
    this.#turn = appended.catch(() => undefined)
    return appended
  }

  #isTellingLate(): boolean {
    if (this.#toldAt === undefined || this.#untold === 0) return false
    return this.#options.clock.monotonic() - this.#toldAt >= POSITIONS_EVERY_MS
  }

  async #appendNow(entries: readonly AuditEntry[]): Promise<void> {
    const { audit, positions, clock } = this.#options
    while (!this.#stop.signal.aborted) {
      const told = this.#untold >= POSITIONS_EVERY || this.#isTellingLate()
      if (!told && entries.length === 0) return
      const before = told ? [{ at: clock.now(), kind: POSITIONS, body: positionsBody(positions) }] : []
      try {
        await audit.append([...before, ...entries.map((entry) => this.#timed(entry))])
        this.#troubles.delete(POSITIONS)
        for (const entry of entries) foldRecord(positions, entry)
        this.#untold = (told ? 0 : this.#untold) + entries.length
        if (told) this.#toldAt = clock.monotonic()
        return
      } catch (error) {
        if (!hasCode(error, 'ONCEWARD_E_AUDIT_UNWRITABLE')) throw error
        await this.#pause(POSITIONS, error)
      }
    }
  }

  /** A producer may write any 64 bits as its time. */
  #timed(entry: AuditEntry): AuditEntry {
    return Number.isSafeInteger(entry.at) ? entry : { ...entry, at: this.#options.clock.now() }
  }

  async #reaching<T>(name: string, ask: () => Promise<T>): Promise<T | undefined> {
    try {
      const answer = await ask()
      this.#troubles.delete(name)
      return answer
    } catch (error) {
      if (!hasCode(error, 'ONCEWARD_E_LOG_UNAVAILABLE')) throw error
      await this.#pause(name, error)
      return undefined
    }
  }

  async #pause(name: string, error: OncewardError): Promise<void> {
    const { logger, clock } = this.#options
    if (!this.#troubles.has(name)) logger.warn({ source: name, error: error.message }, 'waiting; it is tried again')
    this.#troubles.set(name, error.message)
    await clock.sleep(RETRY_MS, this.#stop.signal)
  }
}
