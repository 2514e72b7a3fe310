import { StandbyCopy, type StandbyOptions } from './standby.ts'

/**
 * The copies that a worker keeps for others. The group says which; the worker takes one away when the partition becomes its
 * own.
 */
export class Standbys {
  readonly #options: Omit<StandbyOptions, 'partition'>
  readonly #copies = new Map<number, StandbyCopy>()
  /** Copies that are being stopped: their stores are still open. */
  readonly #ending = new Map<number, Promise<void>>()
  #wanted = new Set<number>()
  #closed = false

  constructor(options: Omit<StandbyOptions, 'partition'>) {
    this.#options = options
  }

  /** What the group wants copies of from now on: the others end, those that are new begin. */
  want(partitions: readonly number[]): void {
    if (this.#closed) return
    this.#wanted = new Set(partitions)
    for (const partition of this.#copies.keys()) if (!this.#wanted.has(partition)) void this.#end(partition)
    for (const partition of this.#wanted) void this.#begin(partition)
  }

  /** Ends the copy of a partition, if there is one; on return its store is closed. Never rejects. */
  async release(partition: number): Promise<void> {
    this.#wanted.delete(partition)
    await this.#end(partition)
  }

  has(partition: number): boolean {
    return this.#copies.has(partition) || this.#ending.has(partition)
  }

  /** The copies, and how far each goes. */
  copies(): readonly { readonly partition: number; readonly reached: number | undefined; readonly level: boolean }[] {
    return [...this.#copies.values()].map(({ partition, reached, level }) => ({ partition, reached, level }))
  }

  /** Ends all copies, and begins no more. Never rejects. */
  async close(): Promise<void> {
    this.#closed = true
    this.#wanted.clear()
    await Promise.all([...this.#copies.keys(), ...this.#ending.keys()].map((partition) => this.#end(partition)))
  }

  /** One that is wanted again while it ends begins once its store is closed. */
  async #begin(partition: number): Promise<void> {
    await this.#ending.get(partition)
    if (!this.#wanted.has(partition) || this.has(partition)) return
    this.#copies.set(partition, new StandbyCopy({ ...this.#options, partition }))
  }

  async #end(partition: number): Promise<void> {
    const copy = this.#copies.get(partition)
    if (copy !== undefined) {
      this.#copies.delete(partition)
      const ending = copy.stop().then(() => void this.#ending.delete(partition))
      this.#ending.set(partition, ending)
    }
    await this.#ending.get(partition)
  }
}
