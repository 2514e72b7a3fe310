import { OncewardError } from '../../../core/errors.ts'
import type { AppendEnd, Commit, OutRecord, Producer, TransactionalProducer } from '../../../core/ports/log.ts'
import type { Journal } from './journal.ts'
import {
  addOffsets,
  append,
  appendPlain,
  begin,
  commitAll,
  end,
  openProducer,
  type Positions,
  type ProducerHandle,
} from './transactions.ts'

export class EmbeddedProducer implements Producer {
  readonly #journal: Journal
  #closed = false

  constructor(journal: Journal) {
    this.#journal = journal
  }

  async send(records: readonly OutRecord[]): Promise<readonly AppendEnd[]> {
    if (this.#closed) throw closed('producer')
    return this.#journal.submit((draft) => appendPlain(draft, records))
  }

  close(): Promise<void> {
    this.#closed = true
    return Promise.resolve()
  }
}

/** Begins, appends and ends in one write: a crash leaves the whole transaction or nothing of it. */
export class EmbeddedTransactionalProducer implements TransactionalProducer {
  readonly #journal: Journal
  readonly #handle: ProducerHandle
  #unusable: string | undefined

  constructor(journal: Journal, handle: ProducerHandle) {
    this.#journal = journal
    this.#handle = handle
  }

  async commit(commit: Commit): Promise<readonly AppendEnd[]> {
    if (this.#unusable !== undefined) throw closed(this.#unusable)
    try {
      return await this.#journal.submit((draft) => commitAll(draft, this.#handle, commit))
    } catch (error) {
      this.#unusable ??= 'transactional producer whose commit failed'
      throw error
    }
  }

  close(): Promise<void> {
    this.#unusable = 'transactional producer'
    return Promise.resolve()
  }
}

/**
 * A transaction taken step by step, each step a write of its own, as Kafka does it: what a simulation injects faults
 * between, and how tests make transactions that are left open. The product itself commits whole.
 */
export class SteppedTransaction {
  readonly #journal: Journal
  readonly #handle: ProducerHandle

  private constructor(journal: Journal, handle: ProducerHandle) {
    this.#journal = journal
    this.#handle = handle
  }

  /** Opens the transactional id (fencing its former producer) and begins. */
  static async open(journal: Journal, transactionalId: string): Promise<SteppedTransaction> {
    const handle = await journal.submit((draft) => openProducer(draft, transactionalId))
    await journal.submit((draft) => begin(draft, handle))
    return new SteppedTransaction(journal, handle)
  }

  /** Begins the next transaction, after the one before has ended. */
  begin(): Promise<void> {
    return this.#journal.submit((draft) => begin(draft, this.#handle))
  }

  append(records: readonly OutRecord[]): Promise<readonly AppendEnd[]> {
    return this.#journal.submit((draft) => append(draft, this.#handle, records))
  }

  addOffsets(offsets: Positions): Promise<void> {
    return this.#journal.submit((draft) => addOffsets(draft, this.#handle, offsets))
  }

  end(outcome: 'commit' | 'abort'): Promise<void> {
    return this.#journal.submit((draft) => end(draft, this.#handle, outcome))
  }
}

function closed(what: string): OncewardError {
  return new OncewardError('ONCEWARD_E_LOG_CLOSED', `this ${what} cannot be used any more: close it and open another`)
}
