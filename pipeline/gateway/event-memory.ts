import { FINGERPRINT_BYTES, ID_BYTES } from './content.ts'
import { HashTable, type TableSeed } from './hash-table.ts'

/** What is known of an event's id: nothing, that it was accepted with this very content, or with another. */
export type Known = 'unknown' | 'same' | 'other'

/** Of so many, one is dropped whole when there is no room: at least three quarters of what fits are remembered always. */
const GENERATIONS = 4
const CONTENT_WORDS = (FINGERPRINT_BYTES - ID_BYTES) / 4

/** The ids of accepted events, the newest ones, in bounded memory: about 30 bytes for each that it has room for. */
export class EventMemory {
  readonly #idsOfGeneration: number
  readonly #seed: TableSeed
  /** The newest first. */
  #generations: readonly HashTable[] = []

  constructor(options: { readonly idsMax: number; readonly seed: TableSeed }) {
    this.#idsOfGeneration = Math.ceil(options.idsMax / GENERATIONS)
    this.#seed = options.seed
  }

  get size(): number {
    return this.#generations.reduce((sum, generation) => sum + generation.size, 0)
  }

  get bytes(): number {
    return this.#generations.reduce((sum, generation) => sum + generation.bytes, 0)
  }

  look(fingerprints: Buffer, at: number): Known {
    for (const generation of this.#generations) {
      const values = generation.find(fingerprints, at)
      if (values === -1) continue
      const same =
        generation.value(values) === fingerprints.readUInt32LE(at + ID_BYTES) &&
        generation.value(values + 1) === fingerprints.readUInt32LE(at + ID_BYTES + 4)
      return same ? 'same' : 'other'
    }
    return 'unknown'
  }

  remember(fingerprints: Buffer, at: number): void {
    let newest = this.#generations[0]
    if (newest === undefined || newest.full) {
      newest = new HashTable({ entries: this.#idsOfGeneration, valueWords: CONTENT_WORDS, seed: this.#seed })
      this.#generations = [newest, ...this.#generations.slice(0, GENERATIONS - 1)]
    }
    newest.add(fingerprints, at)
  }
}
