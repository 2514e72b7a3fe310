import { OncewardError } from '../core/errors.ts'
import type { KvOp, KvRange, OrderedKv } from '../core/ports/ordered-kv.ts'

/** The same store in memory, for tests, the simulation and backtests. Every value is copied in, as a disk would. */
export function memoryKv(): OrderedKv {
  return new MemoryKv()
}

/** The keys that begin with one byte: in a partition's store, one kind of state. */
interface Space {
  /** Texts in latin1, which orders as bytes do: millions of small buffers would be most of the collector's work. */
  readonly values: Map<string, string>
  /** Rebuilt at the first range read after a key came or went. */
  sorted: string[] | undefined
}

class MemoryKv implements OrderedKv {
  /** By the first byte: what is read in ranges must not be sorted together with what never is. */
  readonly #spaces = new Map<number, Space>()
  #closed = false

  async get(key: Buffer): Promise<Buffer | undefined> {
    this.#check()
    return this.#value(key)
  }

  async getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    this.#check()
    return keys.map((key) => this.#value(key))
  }

  async *range(range: KvRange): AsyncIterable<readonly [Buffer, Buffer]> {
    this.#check()
    const found = this.#keys(range)
    if (range.reverse) found.reverse()
    for (const name of found.slice(0, range.limit ?? found.length)) {
      const key = Buffer.from(name, 'latin1')
      const value = this.#value(key)
      if (value !== undefined) yield [key, value]
    }
  }

  async write(ops: readonly KvOp[]): Promise<void> {
    this.#check()
    for (const op of ops) {
      const name = op.key.toString('latin1')
      const space = this.#spaceOf(op.key)
      if (op.type === 'del') {
        if (space.values.delete(name)) space.sorted = undefined
      } else {
        if (!space.values.has(name)) space.sorted = undefined
        space.values.set(name, op.value.toString('latin1'))
      }
    }
  }

  async clear(range: { readonly gte: Buffer; readonly lt: Buffer }): Promise<void> {
    this.#check()
    for (const name of this.#keys(range)) {
      const space = this.#spaceOf(Buffer.from(name, 'latin1'))
      space.values.delete(name)
      space.sorted = undefined
    }
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #value(key: Buffer): Buffer | undefined {
    const value = this.#spaces.get(firstByte(key))?.values.get(key.toString('latin1'))
    return value === undefined ? undefined : Buffer.from(value, 'latin1')
  }

  #spaceOf(key: Buffer): Space {
    const first = firstByte(key)
    let space = this.#spaces.get(first)
    if (space === undefined) {
      space = { values: new Map(), sorted: undefined }
      this.#spaces.set(first, space)
    }
    return space
  }

  #keys(range: { readonly gte: Buffer; readonly lt: Buffer }): string[] {
    const from = range.gte.toString('latin1')
    const to = range.lt.toString('latin1')
    const firsts = [...this.#spaces.keys()].filter(
      (first) => first >= firstByte(range.gte) && first <= firstByte(range.lt),
    )
    return firsts
      .sort((a, b) => a - b)
      .flatMap((first) => {
        const space = this.#spaces.get(first)
        if (space === undefined) return []
        space.sorted ??= [...space.values.keys()].sort()
        return space.sorted.slice(lowerBound(space.sorted, from), lowerBound(space.sorted, to))
      })
  }

  #check(): void {
    if (this.#closed) throw new OncewardError('ONCEWARD_E_STATE_UNUSABLE', 'the store in memory is closed')
  }
}

/** The empty key comes before all others. */
function firstByte(key: Buffer): number {
  return key[0] ?? -1
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
