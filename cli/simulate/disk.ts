import { OncewardError } from '../../core/errors.ts'
import type { KvOp, OrderedKv } from '../../core/ports/ordered-kv.ts'
import { memoryKv } from '../../state/memory-kv.ts'
import { encodeStamp, STORE_FORMAT } from '../../state/stamp.ts'
import { STAMP_KEY } from '../../state/stores.ts'
import type { Chance } from './chance.ts'
import type { SimulatedProcess } from './process.ts'

export const EVERYTHING = { gte: Buffer.from([0]), lt: Buffer.from([255]) } as const

type Entries = readonly (readonly [Buffer, Buffer])[]

/** The disk of one machine: a store for each partition, which outlives the processes that open it. */
export class Disk {
  readonly #stores = new Map<number, OrderedKv>()
  readonly #locks = new Map<number, SimulatedProcess>()
  readonly #snapshots = new Map<number, Entries>()
  /** Virtual ms until which no write succeeds. */
  fullUntil = 0

  async open(partition: number, process: SimulatedProcess): Promise<OrderedKv> {
    return process.io(`store ${partition} open`, async () => {
      const holder = this.#locks.get(partition)
      if (holder !== undefined && !holder.isDead) {
        throw new OncewardError('ONCEWARD_E_STATE_LOCKED', `the store of partition ${partition} is open already`)
      }
      this.#locks.set(partition, process)
      const unlock = (): void => {
        if (this.#locks.get(partition) === process) this.#locks.delete(partition)
      }
      return new OpenStore(this.store(partition), process, { partition, disk: this, unlock })
    })
  }

  get partitions(): readonly number[] {
    return [...this.#stores.keys()].sort((a, b) => a - b)
  }

  /** What lies on the disk, whoever has it open. */
  store(partition: number): OrderedKv {
    const known = this.#stores.get(partition) ?? memoryKv()
    this.#stores.set(partition, known)
    return known
  }

  /** Keeps a copy of every store, to come back to. */
  async snapshot(): Promise<void> {
    for (const partition of this.partitions) this.#snapshots.set(partition, await entriesOf(this.store(partition)))
  }

  get hasSnapshot(): boolean {
    return this.#snapshots.size > 0
  }

  /** Puts the copies in the place of the stores. */
  async restore(): Promise<void> {
    for (const [partition, entries] of this.#snapshots) await this.#replace(partition, entries)
  }

  /** Deletes the store of a partition, which is closed. */
  async remove(partition: number, process: SimulatedProcess): Promise<void> {
    await process.io(`store ${partition} remove`, async () => void this.#stores.delete(partition))
  }

  /** All stores are gone, with whatever had them open. */
  lose(): void {
    this.#stores.clear()
    this.#locks.clear()
  }

  /**
   * Half of the keys are gone, and the stamp with them. A torn store with its stamp intact cannot be: the stamp is
   * written in one atomic batch with what it describes, and taken away before a store is emptied.
   */
  async tear(chance: Chance): Promise<void> {
    for (const partition of this.partitions) {
      const entries = await entriesOf(this.store(partition))
      await this.#replace(
        partition,
        entries.filter(([key]) => !key.equals(STAMP_KEY) && chance.is(0.5)),
      )
    }
  }

  /** Stores of another application, or those of two partitions exchanged. */
  async confuse(chance: Chance): Promise<void> {
    const swap = chance.is(0.5)
    const numbers = this.partitions
    const all = await Promise.all(numbers.map((partition) => entriesOf(this.store(partition))))
    for (const [i, partition] of numbers.entries()) {
      const stamp = {
        format: STORE_FORMAT,
        application: 'another',
        partition,
        inputOffset: 1,
        changelogOffset: 1,
        writtenAt: 0,
      }
      const foreign = [
        [STAMP_KEY, encodeStamp(stamp)],
        [Buffer.from('mtask'), Buffer.from('{"inputOffset":1,"watermark":1}')],
      ] as const
      await this.#replace(partition, swap ? (all[(i + 1) % all.length] ?? foreign) : foreign)
    }
  }

  async #replace(partition: number, entries: Entries): Promise<void> {
    const fresh = memoryKv()
    await fresh.write(entries.map(([key, value]) => ({ type: 'put', key, value })))
    this.#stores.set(partition, fresh)
  }
}

export async function entriesOf(kv: OrderedKv): Promise<Entries> {
  const entries: (readonly [Buffer, Buffer])[] = []
  for await (const [key, value] of kv.range(EVERYTHING)) entries.push([key, Buffer.from(value)])
  return entries
}

interface Place {
  readonly partition: number
  readonly disk: Disk
  readonly unlock: () => void
}

/** A store as the process that opened it sees it. */
class OpenStore implements OrderedKv {
  readonly #kv: OrderedKv
  readonly #process: SimulatedProcess
  readonly #place: Place
  #closed = false

  constructor(kv: OrderedKv, process: SimulatedProcess, place: Place) {
    this.#kv = kv
    this.#process = process
    this.#place = place
  }

  get(key: Buffer): Promise<Buffer | undefined> {
    return this.#io('get', () => this.#kv.get(key))
  }

  getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    return this.#io('getMany', () => this.#kv.getMany(keys))
  }

  async *range(range: Parameters<OrderedKv['range']>[0]): AsyncIterable<readonly [Buffer, Buffer]> {
    const found = await this.#io('range', async () => {
      const entries: (readonly [Buffer, Buffer])[] = []
      for await (const entry of this.#kv.range(range)) entries.push(entry)
      return entries
    })
    yield* found
  }

  write(ops: readonly KvOp[]): Promise<void> {
    return this.#io('write', async () => {
      const { disk, partition } = this.#place
      if (disk.fullUntil > this.#process.clock.monotonic()) {
        this.#process.note(`full-disk: a write to store ${partition} fails`)
        throw new OncewardError('ONCEWARD_E_STATE_UNUSABLE', `the store of partition ${partition} failed: disk full`)
      }
      await this.#kv.write(ops)
    })
  }

  clear(range: { readonly gte: Buffer; readonly lt: Buffer }): Promise<void> {
    return this.#io('clear', () => this.#kv.clear(range))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    await this.#io('close', async () => {
      this.#closed = true
      this.#place.unlock()
    })
  }

  #io<T>(name: string, run: () => Promise<T>): Promise<T> {
    return this.#process.io(`store ${this.#place.partition} ${name}`, async () => {
      if (this.#closed) throw new OncewardError('ONCEWARD_E_STATE_UNUSABLE', 'the store is closed')
      return run()
    })
  }
}
