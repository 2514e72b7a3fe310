import { OncewardError } from '../../core/errors.ts'
import type { KvOp, KvRange, OrderedKv } from '../../core/ports/ordered-kv.ts'
import { memoryKv } from '../../state/memory-kv.ts'

/** The state directory of one worker: a store for each partition, which outlives the process that opened it. */
export class Disk {
  readonly #stores = new Map<number, OrderedKv>()
  readonly #open = new Map<number, Handle>()
  /** How often a store was opened. */
  openedStores = 0
  /** Before each write of a store; what it throws fails the write. */
  beforeWrite: ((partition: number, ops: readonly KvOp[]) => void) | undefined

  async open(partition: number): Promise<OrderedKv> {
    if (this.#open.has(partition)) {
      throw new OncewardError('ONCEWARD_E_STATE_LOCKED', `the state of partition ${partition} is open already`)
    }
    const handle = new Handle(this.store(partition), {
      write: (ops) => this.beforeWrite?.(partition, ops),
      closed: () => this.#open.get(partition) === handle && this.#open.delete(partition),
    })
    this.#open.set(partition, handle)
    this.openedStores++
    return handle
  }

  /** The process that held the stores is gone: its handles do nothing more, its locks are free. */
  crash(): void {
    for (const handle of this.#open.values()) handle.dead = true
    this.#open.clear()
  }

  get openStores(): number {
    return this.#open.size
  }

  /** What lies on disk, for tests to look at and to spoil. */
  store(partition: number): OrderedKv {
    const known = this.#stores.get(partition) ?? memoryKv()
    this.#stores.set(partition, known)
    return known
  }
}

class Handle implements OrderedKv {
  readonly #kv: OrderedKv
  readonly #hooks: { readonly write: (ops: readonly KvOp[]) => void; readonly closed: () => void }
  dead = false

  constructor(kv: OrderedKv, hooks: { write: (ops: readonly KvOp[]) => void; closed: () => void }) {
    this.#kv = kv
    this.#hooks = hooks
  }

  async get(key: Buffer): Promise<Buffer | undefined> {
    return this.#alive().get(key)
  }

  async getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    return this.#alive().getMany(keys)
  }

  range(range: KvRange): AsyncIterable<readonly [Buffer, Buffer]> {
    return this.#alive().range(range)
  }

  async write(ops: readonly KvOp[]): Promise<void> {
    this.#alive()
    this.#hooks.write(ops)
    await this.#alive().write(ops)
  }

  async clear(range: { readonly gte: Buffer; readonly lt: Buffer }): Promise<void> {
    await this.#alive().clear(range)
  }

  async close(): Promise<void> {
    this.dead = true
    this.#hooks.closed()
  }

  #alive(): OrderedKv {
    if (this.dead) throw new OncewardError('ONCEWARD_E_STATE_UNUSABLE', 'the store is closed')
    return this.#kv
  }
}
