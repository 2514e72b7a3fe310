/**
 * A map that remembers what was asked for lately, in bounded memory: at least `entriesMax` / 2 of the newest entries, at most
 * `entriesMax`. What is found in the older half moves to the newer one; the older half is dropped whole.
 */
export class RecentMap<Value> {
  readonly #halfMax: number
  #newer = new Map<string, Value>()
  #older = new Map<string, Value>()

  constructor(entriesMax: number) {
    this.#halfMax = Math.max(1, Math.floor(entriesMax / 2))
  }

  get size(): number {
    return this.#newer.size + this.#older.size
  }

  get(key: string): Value | undefined {
    const found = this.#newer.get(key)
    if (found !== undefined) return found
    const old = this.#older.get(key)
    if (old !== undefined) {
      this.#older.delete(key)
      this.set(key, old)
    }
    return old
  }

  set(key: string, value: Value): void {
    if (this.#newer.size >= this.#halfMax && !this.#newer.has(key)) {
      this.#older = this.#newer
      this.#newer = new Map()
    }
    this.#older.delete(key)
    this.#newer.set(key, value)
  }
}
