import type { KvOp, KvRange, OrderedKv } from '../../core/ports/ordered-kv.ts'
import { memoryKv } from '../../state/memory-kv.ts'

/** How the next write goes wrong: `lose` writes nothing, `land` writes and says it failed; `blind`: reads fail after it. */
export type Fault = 'lose' | 'land' | 'lose-blind' | 'land-blind'

/** A store in memory that remembers every write, and fails as it is told. */
export class FaultyKv implements OrderedKv {
  readonly #kv: OrderedKv = memoryKv()
  readonly writes: (readonly KvOp[])[] = []
  /** The fault of the next write; it then clears itself. */
  fault: Fault | undefined
  blind = false

  get(key: Buffer): Promise<Buffer | undefined> {
    return this.blind ? Promise.reject(new Error('input/output error')) : this.#kv.get(key)
  }

  getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    return this.#kv.getMany(keys)
  }

  range(range: KvRange): AsyncIterable<readonly [Buffer, Buffer]> {
    return this.#kv.range(range)
  }

  async write(ops: readonly KvOp[]): Promise<void> {
    const fault = this.fault
    this.fault = undefined
    if (fault !== 'lose' && fault !== 'lose-blind') {
      this.writes.push(ops)
      await this.#kv.write(ops)
    }
    this.blind = fault?.endsWith('blind') ?? false
    if (fault) throw new Error('no space left on device')
  }

  clear(range: { readonly gte: Buffer; readonly lt: Buffer }): Promise<void> {
    return this.#kv.clear(range)
  }

  close(): Promise<void> {
    return this.#kv.close()
  }

  /** A store that holds the first `count` writes: what a crash after them leaves. */
  async crashedAfter(count: number): Promise<OrderedKv> {
    const kv = memoryKv()
    for (const ops of this.writes.slice(0, count)) await kv.write(ops)
    return kv
  }
}
