import type { SteppedTransaction } from '../../connectors/log/embedded/producers.ts'
import { InvariantError } from '../../core/assert.ts'
import { hasCode, OncewardError } from '../../core/errors.ts'
import type { AppendEnd, Commit, TransactionalProducer } from '../../core/ports/log.ts'
import { unavailable } from './failures.ts'
import type { SimulatedProcess } from './process.ts'

/**
 * A transactional producer whose transactions go to the log step by step, as Kafka's do, so that everything can go wrong
 * between two steps. After an error it is unusable, as the port says: whoever uses it again is found out.
 */
export class SimulatedTransactions implements TransactionalProducer {
  readonly #transaction: SteppedTransaction
  readonly #id: string
  readonly #process: SimulatedProcess
  /** Opening an id begins its first transaction. */
  #begun = true
  #usable = true

  constructor(transaction: SteppedTransaction, id: string, process: SimulatedProcess) {
    this.#transaction = transaction
    this.#id = id
    this.#process = process
  }

  async commit(commit: Commit): Promise<readonly AppendEnd[]> {
    if (!this.#usable) {
      throw new OncewardError('ONCEWARD_E_LOG_CLOSED', `the producer of ${this.#id} failed before: open another`)
    }
    this.#usable = false
    const { offsets, records } = commit
    const transaction = this.#transaction
    if (!this.#begun) await this.#step('begin', () => transaction.begin())
    this.#begun = false
    const ends = await this.#step('append', async () => {
      if (this.#process.strikes('log-down', `append to ${this.#id}`)) await this.#abort('append')
      return transaction.append(records)
    })
    if (offsets !== undefined) await this.#step('offsets', () => transaction.addOffsets(offsets))
    await this.#step('end', () => this.#end())
    this.#usable = true
    return ends
  }

  close(): Promise<void> {
    this.#usable = false
    return this.#process.io(`close ${this.#id}`, () => Promise.resolve())
  }

  #step<T>(name: string, run: () => Promise<T>): Promise<T> {
    return this.#process.io(`commit ${this.#id} ${name}`, run)
  }

  async #abort(place: string): Promise<never> {
    await this.#transaction.end('abort')
    throw unavailable(`${place} to ${this.#id}`)
  }

  async #end(): Promise<void> {
    const { chance } = this.#process.world
    const place = `commit ${this.#id}`
    if (this.#process.strikes('commit-lost', place)) {
      const applied = chance.is(0.5)
      this.#process.note(`${place} was ${applied ? '' : 'not '}applied`)
      if (applied) await this.#transaction.end('commit')
      throw this.#unknown()
    }
    if (this.#process.strikes('end-delayed', place)) {
      this.#late(chance.between(5, 8_000))
      throw this.#unknown()
    }
    await this.#transaction.end('commit')
    if (!this.#process.strikes('end-repeated', place)) return
    await this.#repeat()
    if (chance.is(0.5)) return
    this.#late(chance.between(5, 8_000))
    throw this.#unknown()
  }

  /** The same request again: the log answers as it did, or says that the producer is a zombie; nothing changes. */
  async #repeat(): Promise<string> {
    try {
      await this.#transaction.end('commit')
      return 'applied'
    } catch (error) {
      if (hasCode(error, 'ONCEWARD_E_LOG_FENCED')) return 'fenced'
      if (error instanceof InvariantError) return 'nothing was open'
      if (hasCode(error, 'ONCEWARD_E_LOG_CLOSED')) return 'the run is over'
      throw error
    }
  }

  /** The request is still on its way while its sender has given up on it. */
  #late(ms: number): void {
    const { clock, trace } = this.#process.world
    const arrive = async (): Promise<void> => {
      await clock.sleep(ms)
      trace.note(
        `network: the end of ${this.#id} from ${this.#process.name} arrives ${ms} ms late: ${await this.#repeat()}`,
      )
    }
    void arrive()
  }

  #unknown(): OncewardError {
    return new OncewardError(
      'ONCEWARD_E_LOG_COMMIT_UNKNOWN',
      `nobody knows whether ${this.#id} committed (a simulated fault)`,
    )
  }
}
