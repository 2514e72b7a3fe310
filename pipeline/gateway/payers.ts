import type { Log, LogRecord } from '../../core/ports/log.ts'
import type { Clock } from '../../core/clock.ts'
import type { Logger } from '../../core/ports/logger.ts'
import { ID_BYTES, writeIdHash } from './content.ts'
import { HashTable, type TableSeed } from './hash-table.ts'
import { TopicFollower } from './topic-follower.ts'

const FIRST_TABLE = 16_384

/** The players who are known to have paid, as 16-byte hashes; at most `max` of them, 20 bytes each. */
export class PayerSet {
  readonly #max: number
  readonly #seed: TableSeed
  /** Each twice as large as the one before: growing moves nothing. */
  readonly #tables: HashTable[] = []
  readonly #hash = Buffer.alloc(ID_BYTES)
  #size = 0

  constructor(max: number, seed: TableSeed) {
    this.#max = max
    this.#seed = seed
  }

  get size(): number {
    return this.#size
  }

  has(userId: string): boolean {
    writeIdHash(userId, this.#hash, 0)
    return this.#holds()
  }

  /** One more than there is room for is not remembered. */
  add(userId: string): void {
    if (this.#size >= this.#max || this.has(userId)) return
    let last = this.#tables.at(-1)
    if (last === undefined || last.full) {
      last = new HashTable({ entries: FIRST_TABLE * 2 ** this.#tables.length, valueWords: 0, seed: this.#seed })
      this.#tables.push(last)
    }
    last.add(this.#hash, 0)
    this.#size++
  }

  #holds(): boolean {
    for (let i = this.#tables.length - 1; i >= 0; i--) {
      if ((this.#tables[i]?.find(this.#hash, 0) ?? -1) !== -1) return true
    }
    return false
  }
}

/** Reads the topic of payers whole, then follows it: other gateways see deposits too. */
export function followPayers(parts: {
  readonly log: Log
  readonly clock: Clock
  readonly logger: Logger
  readonly topic: string
  readonly payers: PayerSet
}): Promise<TopicFollower> {
  const { log, clock, logger, topic, payers } = parts
  return TopicFollower.open({
    log,
    clock,
    logger,
    partition: { topic, partition: 0 },
    from: ({ earliest }) => earliest,
    take: ({ key, value }: LogRecord) => {
      if (key !== null && value !== null) payers.add(key.toString())
    },
  })
}
