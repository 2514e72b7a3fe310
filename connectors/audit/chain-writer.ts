import { join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import { messageOf, OncewardError } from '../../core/errors.ts'
import { type HeaderFacts, segmentName, writeFooter, writeHeader, writeRecord } from '../../core/audit/lines.ts'
import type { AuditEntry, AuditHead, AuditLog } from '../../core/ports/audit.ts'
import type { Logger } from '../../core/ports/logger.ts'
import { anchored, type Anchoring, type AnchoringState } from './anchoring.ts'
import type { AuditDisk } from './disk.ts'
import { unwritable } from './failures.ts'
import type { Lock } from './lock.ts'
import { Tape } from './tape.ts'
import { encodeEntries, type EncodedEntry } from './entries.ts'

/** An audit log with what its owner may want to show. */
export interface AuditStream extends AuditLog {
  state(): AuditState
}

export interface AuditState {
  /** The last record; 0: there is none. */
  readonly seq: number
  /** Calls that were rejected because the disk would not take them. */
  readonly refused: number
  readonly anchors: readonly AnchoringState[]
}

export interface WriterOptions {
  readonly folder: string
  readonly stream: string
  readonly clock: Clock
  readonly logger: Logger
  readonly disk: AuditDisk
  readonly lock: Lock
  readonly anchoring: readonly Anchoring[]
  readonly syncMs: number
  readonly anchorMs: number
  readonly segmentBytesMax: number
  readonly segmentMsMax: number
  readonly readOnly: boolean
}

/** Where a stream goes on. */
export interface ChainEnd {
  /** The last record. */
  readonly seq: number
  /** Hash of the last line. */
  readonly hash: string
  /** The segment that is still open. */
  readonly segment: OpenSegment | undefined
}

export interface OpenSegment {
  readonly first: number
  readonly tape: Tape
  readonly openedAt: number
}

interface Waiting {
  readonly entries: readonly EncodedEntry[]
  readonly bytes: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** What goes out in one write, about: more waits for the next. */
const GROUP_BYTES_MAX = 4 * 1_048_576
const LAST_ANCHOR_MS_MAX = 5_000

/**
 * The one writer of a stream. What overlaps goes out in one write. `#end` moves only once a write has succeeded, so what
 * failed has never been: the next record is chained to the last one that was acknowledged.
 */
export class ChainWriter implements AuditStream {
  readonly #options: WriterOptions
  #end: ChainEnd
  #waiting: Waiting[] = []
  /** Writes, rotations and the end go one after the other. */
  #turn: Promise<void> = Promise.resolve()
  #flushing = false
  /** The newest head that is on the disk. */
  #durable: AuditHead | undefined
  #anchoredMs = Number.NEGATIVE_INFINITY
  #refused = 0
  #syncFailing = false
  readonly #stop = new AbortController()
  readonly #ticking: Promise<void>
  #closing: Promise<void> | undefined

  constructor(options: WriterOptions, end: ChainEnd) {
    this.#options = options
    this.#end = end
    this.#ticking = this.#tick()
  }

  state(): AuditState {
    const anchors = this.#options.anchoring.map((one) => one.state())
    return { seq: this.#end.seq, refused: this.#refused, anchors }
  }

  append(entries: readonly AuditEntry[]): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(this.#closed())
    if (entries.length === 0) return Promise.resolve()
    return new Promise((resolve, reject) => {
      // Now, and not when its turn comes: the caller may change what it has handed over.
      const encoded = encodeEntries(entries)
      const bytes = encoded.reduce((sum, { body }) => sum + body.length, 0)
      this.#waiting.push({ entries: encoded, bytes, resolve, reject })
      if (this.#flushing) return
      this.#flushing = true
      void this.#exclusively(() => this.#flush())
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  #closed(): OncewardError {
    return new OncewardError('ONCEWARD_E_AUDIT_UNWRITABLE', `the audit stream ${this.#options.stream} is closed`)
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.then(
      () => undefined,
      () => undefined,
    )
    return result
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#takeGroup()
      try {
        await this.#write(group.flatMap(({ entries }) => entries))
        for (const { resolve } of group) resolve()
      } catch (error) {
        this.#refused += group.length
        for (const { reject } of group) reject(error)
      }
    }
    this.#flushing = false
  }

  #takeGroup(): Waiting[] {
    let bytes = 0
    let count = 0
    for (const waiting of this.#waiting) {
      bytes += waiting.bytes
      if (count > 0 && bytes > GROUP_BYTES_MAX) break
      count += 1
    }
    return this.#waiting.splice(0, count)
  }

  async #write(entries: readonly EncodedEntry[]): Promise<void> {
    if (!this.#options.lock.held()) throw this.#ousted()
    if (this.#isFull()) await this.#endSegment()
    const segment = this.#end.segment ?? (await this.#beginSegment())
    let { seq, hash } = this.#end
    const lines: string[] = []
    if (segment.tape.bytes === 0) {
      const header = writeHeader(this.#headerOf(segment), hash)
      lines.push(header.line)
      hash = header.hash
    }
    for (const entry of entries) {
      seq += 1
      const record = writeRecord({ seq, ...entry }, hash)
      lines.push(record.line)
      hash = record.hash
    }
    lines.push('')
    await segment.tape.write(Buffer.from(lines.join('\n')), this.#options.syncMs === 0)
    this.#end = { seq, hash, segment }
    if (segment.tape.isSynced) this.#noteDurable(false)
  }

  #headerOf({ first, openedAt: at }: OpenSegment): HeaderFacts {
    return { stream: this.#options.stream, first, at, ...anchored(this.#options.anchoring) }
  }

  #ousted(): OncewardError {
    const { folder, stream } = this.#options
    return new OncewardError(
      'ONCEWARD_E_STATE_LOCKED',
      `the lock of the audit stream ${stream} in ${folder} was taken away from this process; it writes nothing more`,
    )
  }

  /** A segment without a record is never ended, so no two have the same first one. */
  #isFull(): boolean {
    const { segment, seq } = this.#end
    if (segment === undefined || seq < segment.first) return false
    const { segmentBytesMax, segmentMsMax, clock } = this.#options
    return segment.tape.bytes >= segmentBytesMax || clock.now() - segment.openedAt >= segmentMsMax
  }

  async #beginSegment(): Promise<OpenSegment> {
    const { folder, disk, clock } = this.#options
    const first = this.#end.seq + 1
    const path = join(folder, segmentName(first))
    try {
      const tape = new Tape(path, await disk.create(path), 0)
      const segment = { first, tape, openedAt: clock.now() }
      this.#end = { ...this.#end, segment }
      await disk.syncFolder(folder)
      return segment
    } catch (error) {
      throw unwritable(path, error)
    }
  }

  /** Footer, sync, anchor. Where it fails the segment is as it was, and its end is tried again. */
  async #endSegment(): Promise<void> {
    const { seq, hash, segment } = this.#end
    if (segment === undefined || seq < segment.first) return
    const { disk, clock, logger, readOnly } = this.#options
    const footer = writeFooter({ last: seq, count: seq - segment.first + 1, at: clock.now() }, hash)
    await segment.tape.write(Buffer.from(`${footer.line}\n`), true)
    this.#end = { seq, hash: footer.hash, segment: undefined }
    this.#noteDurable(true)
    this.#anchor()
    try {
      await segment.tape.close()
      if (readOnly) await disk.makeReadOnly(segment.tape.path)
    } catch (error) {
      const told = { path: segment.tape.path, error: messageOf(error) }
      logger.warn(told, 'the closed segment cannot be made read-only')
    }
  }

  #noteDurable(closed: boolean): void {
    if (this.#end.seq === 0) return
    this.#durable = { stream: this.#options.stream, seq: this.#end.seq, head: this.#end.hash, closed }
  }

  /** Only what is on the disk: no loss of power may leave an anchor without its record. */
  #anchor(): void {
    this.#anchoredMs = this.#options.clock.monotonic()
    for (const one of this.#options.anchoring) if (this.#durable !== undefined) one.offer(this.#durable)
  }

  async #tick(): Promise<void> {
    const { clock, syncMs, anchorMs } = this.#options
    const pauseMs = syncMs === 0 ? anchorMs : Math.min(syncMs, anchorMs)
    while (!this.#stop.signal.aborted) {
      await clock.sleep(pauseMs, this.#stop.signal)
      if (this.#stop.signal.aborted) return
      await this.#sync()
      if (clock.monotonic() - this.#anchoredMs >= anchorMs) this.#anchor()
    }
  }

  /** Beside the writes, so that a slow disk delays no answer. */
  async #sync(): Promise<void> {
    const { seq, hash: head, segment } = this.#end
    try {
      if (segment !== undefined && seq >= segment.first && !segment.tape.isSynced) {
        await segment.tape.sync()
        // Meanwhile the segment may have ended, with a head that is newer.
        const isNewer = seq > (this.#durable?.seq ?? 0)
        if (isNewer) this.#durable = { stream: this.#options.stream, seq, head, closed: false }
      }
      if (this.#isFull()) await this.#exclusively(async () => (this.#isFull() ? this.#endSegment() : undefined))
      this.#syncFailing = false
    } catch (error) {
      if (!this.#syncFailing) {
        const told = { stream: this.#options.stream, error: messageOf(error) }
        this.#options.logger.error(
          told,
          'the audit log cannot be brought to the disk; nothing more is taken until it can',
        )
      }
      this.#syncFailing = true
    }
  }

  async #close(): Promise<void> {
    const { anchoring, lock } = this.#options
    try {
      await this.#exclusively(async () => {
        if (lock.held()) await this.#endSegment()
      })
    } finally {
      this.#stop.abort()
      await this.#ticking
      if (this.#end.segment !== undefined) await this.#leave(this.#end.segment.tape)
      for (const one of anchoring) {
        await one.settle(LAST_ANCHOR_MS_MAX)
        await one.close().catch(() => undefined)
      }
      await lock.release()
    }
  }

  /** A segment that was begun and got no byte says nothing, and is taken away. */
  async #leave(tape: Tape): Promise<void> {
    await tape.close().catch(() => undefined)
    if (tape.bytes === 0) await this.#options.disk.remove(tape.path).catch(() => undefined)
  }
}
