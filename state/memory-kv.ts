import { OncewardError } from '../core/errors.ts'
import type { KvOp, KvRange, OrderedKv } from '../core/ports/ordered-kv.ts'

/** The same store in memory, for tests and the simulation. Every value is copied in, as a disk would. */
export function memoryKv(): OrderedKv {
  return new MemoryKv()
}

class MemoryKv implements OrderedKv {
  readonly #values = new Map<string, Buffer>()
  /** Sorted keys, rebuilt at the first range read after a key came or went. latin1 orders as bytes do. */
  #sorted: string[] | undefined
  #closed = false

  async get(key: Buffer): Promise<Buffer | undefined> {
    this.#check()
    return this.#values.get(key.toString('latin1'))
  }

  async getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    this.#check()
    return keys.map((key) => this.#values.get(key.toString('latin1')))
  }

  async *range(range: KvRange): AsyncIterable<readonly [Buffer, Buffer]> {
    this.#check()
    const found = this.#keys(range)
    if (range.reverse) found.reverse()
    for (const name of found.slice(0, range.limit ?? found.length)) {
      const value = this.#values.get(name)
      if (value !== undefined) yield [Buffer.from(name, 'latin1'), value]
    }
  }

  async write(ops: readonly KvOp[]): Promise<void> {
    this.#check()
    for (const op of ops) {
      const name = op.key.toString('latin1')
      if (op.type === 'del') {
        if (this.#values.delete(name)) this.#sorted = undefined
      } else {
        if (!this.#values.has(name)) this.#sorted = undefined
        this.#values.set(name, Buffer.from(op.value))
      }
    }
  }

  async clear(range: { readonly gte: Buffer; readonly lt: Buffer }): Promise<void> {
    this.#check()
    for (const name of this.#keys(range)) this.#values.delete(name)
    this.#sorted = undefined
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #keys(range: { readonly gte: Buffer; readonly lt: Buffer }): string[] {
    this.#sorted ??= [...this.#values.keys()].sort()
    const from = range.gte.toString('latin1')
    const to = range.lt.toString('latin1')
    return this.#sorted.slice(lowerBound(this.#sorted, from), lowerBound(this.#sorted, to))
  }

  #check(): void {
    if (this.#closed) throw new OncewardError('ONCEWARD_E_STATE_UNUSABLE', 'the store in memory is closed')
  }
}

function lowerBound(sorted: readonly string[], value: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? '') < value) low = middle + 1
    else high = middle
  }
  return low
}
