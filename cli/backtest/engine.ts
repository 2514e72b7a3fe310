import { assert } from '../../core/assert.ts'
import type { LogRecord } from '../../core/ports/log.ts'
import { EVER } from '../../operators/event-time.ts'
import type { BatchOutput } from '../../operators/operator.ts'
import { BATCH_LIMITS, runBatch } from '../../pipeline/batch.ts'
import { tickRecord } from '../../pipeline/ticker.ts'
import type { Topology } from '../../pipeline/topology.ts'
import type { RuleSet } from '../../rules/compiled.ts'
import { memoryKv } from '../../state/memory-kv.ts'
import { hourOf } from '../../state/seen-ids.ts'
import { StagedState } from '../../state/staged-state.ts'
import { HELD, parseHeldKey, SEEN_CHUNK_PREFIX } from '../../state/stores.ts'

export interface EngineOptions {
  readonly topology: Topology
  readonly rules: RuleSet
  readonly reorderWindowMs: number
  readonly dedupeWindowMs: number
  /** Takes what each batch brings forth, in order. */
  readonly onOutput: (output: BatchOutput) => void
}

const WRITTEN = new Set([HELD.prefix, SEEN_CHUNK_PREFIX].map((prefix) => prefix.charCodeAt(0)))

/**
 * One partition of a worker without its log and its disk: the same batches over the same state (pipeline/task.ts), kept in
 * memory for as long as the process lives. What a batch did is final at once, so there is nothing to commit.
 */
export class PartitionEngine {
  readonly #options: EngineOptions
  readonly #kv = memoryKv()
  readonly #state: StagedState
  #offset = 0
  #watermark: number | undefined
  #heldSince: number | undefined
  #expiredHour = Number.NEGATIVE_INFINITY

  constructor(options: EngineOptions) {
    this.#options = options
    this.#state = new StagedState(this.#kv, { dedupeWindowMs: options.dedupeWindowMs, resident: true })
  }

  /** Greatest event time so far, ms. */
  get watermark(): number | undefined {
    return this.#watermark
  }

  /** Processes the next records of the partition, and whatever waited for them. */
  async process(records: readonly LogRecord[]): Promise<void> {
    for (let from = 0; from < records.length; from += BATCH_LIMITS.records) {
      let overdue = await this.#batch(records.slice(from, from + BATCH_LIMITS.records))
      while (overdue) overdue = await this.#batch([])
    }
  }

  /** Moves event time to `ts`, as a tick does: what waited for it is released. */
  async advance(ts: number): Promise<void> {
    const { topic, partition, timestamp, headers } = tickRecord('', 0, { ts, ingestTs: ts })
    assert(headers !== undefined, 'a tick is told by its header')
    await this.process([{ topic, partition, timestamp, headers, offset: this.#offset, key: null, value: null }])
  }

  async #batch(records: readonly LogRecord[]): Promise<boolean> {
    const { topology, rules, reorderWindowMs, onOutput } = this.#options
    const watermark = this.#watermark
    this.#offset += records.length
    const result = await runBatch(topology, this.#state, {
      records,
      nextOffset: this.#offset,
      rules,
      reorderWindowMs,
      watermark,
      // What came before the first event is not known, and a live worker may know it: it would score what comes late.
      keptFrom: EVER,
      heldSince: this.#heldSince,
      // Without the gates nothing waits for time alone.
      nextTimer: undefined,
      expireSeen: watermark !== undefined && hourOf(watermark) > this.#expiredHour,
      // Nothing is written, so no transaction has to stay small.
      limits: { held: BATCH_LIMITS.held, outputs: Number.POSITIVE_INFINITY },
    })
    const ops = this.#state.indexOps()
    for (const { key, value } of this.#state.changes(this.#offset)) {
      if (!WRITTEN.has(key[0] ?? 0)) continue
      ops.push(value === null ? { type: 'del', key } : { type: 'put', key, value })
    }
    await this.#kv.write(ops)
    this.#state.settled()
    if (!result.expiryPending && watermark !== undefined) this.#expiredHour = hourOf(watermark)
    this.#watermark = result.watermark
    if (result.heldChanged) await this.#readHeldSince()
    onOutput(result.output)
    return result.overdue
  }

  async #readHeldSince(): Promise<void> {
    const key = await this.#state.firstHeld()
    this.#heldSince = key === undefined ? undefined : parseHeldKey(key).ts
  }
}
