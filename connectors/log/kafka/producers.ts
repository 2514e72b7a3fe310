import { OncewardError } from '../../../core/errors.ts'
import type {
  AppendEnd,
  Commit,
  OutRecord,
  Producer,
  TopicPartition,
  TransactionalProducer,
} from '../../../core/ports/log.ts'
import { Appender } from './appender.ts'
import { GROUP, type KafkaClient, TRANSACTION } from './client.ts'
import { decideEndTransaction, kindOf, toOncewardError } from './failures.ts'
import type { ProducerIdentity } from './internals.ts'
import { byTopic, keyOf } from './requests.ts'

/** Milliseconds after which the broker aborts a transaction that its producer left open. */
const TRANSACTION_MS_MAX = 60_000
/** How long an abort may take before it is left to the next producer or to the broker. */
const ABORT_MS_MAX = 1_000

/** Opens a producer that appends each record once. */
export async function openProducer(client: KafkaClient): Promise<Producer> {
  let appender: Appender | undefined = await open()
  let queue: Promise<unknown> = Promise.resolve()
  async function open(): Promise<Appender> {
    const identity = await client.retrying('open a producer', async () => {
      const broker = await client.anyBroker()
      return broker.initProducerId({ transactionTimeout: TRANSACTION_MS_MAX })
    })
    return new Appender(client, identity, null)
  }
  async function send(records: readonly OutRecord[]): Promise<readonly AppendEnd[]> {
    const current = (appender ??= await open())
    try {
      return await current.append(records)
    } catch (error) {
      // what failed may have been appended; other records under its sequence numbers would be taken for repeats
      appender = undefined
      throw error
    }
  }
  return {
    send: (records) => {
      const sent = queue.then(() => send(records))
      queue = sent.catch(() => undefined)
      return sent
    },
    close: () => client.close(),
  }
}

/**
 * Opens a transactional id. InitProducerId raises its epoch, which fences every earlier producer, and answers
 * CONCURRENT_TRANSACTIONS until the transaction that one of them left has been settled.
 */
export async function openTransactionalProducer(
  client: KafkaClient,
  transactionalId: string,
): Promise<TransactionalProducer> {
  const identity = await client.retrying(`open the transactional id ${transactionalId}`, async () => {
    const coordinator = await client.coordinator(transactionalId, TRANSACTION)
    return coordinator.initProducerId({ transactionalId, transactionTimeout: TRANSACTION_MS_MAX })
  })
  return new KafkaTransactionalProducer(client, transactionalId, identity)
}

class KafkaTransactionalProducer implements TransactionalProducer {
  readonly #client: KafkaClient
  readonly #id: string
  readonly #identity: ProducerIdentity
  readonly #appender: Appender
  #state: 'ready' | 'committing' | 'unusable' = 'ready'

  constructor(client: KafkaClient, id: string, identity: ProducerIdentity) {
    this.#client = client
    this.#id = id
    this.#identity = identity
    this.#appender = new Appender(client, identity, id)
  }

  /**
   * 1. AddPartitionsToTxn and, right behind it on the same connection, AddOffsetsToTxn: the coordinator must know what to
   *    settle before it is written.
   * 2. Produce as soon as the former is answered, TxnOffsetCommit as soon as the latter is.
   * 3. EndTxn(commit), once both are through: the only step whose outcome can be unknown.
   * A failure of 1 or 2 is followed by EndTxn(abort), as far as the broker can be reached; where it can't, nothing will
   * ever commit the transaction either.
   */
  async commit(commit: Commit): Promise<readonly AppendEnd[]> {
    if (this.#state !== 'ready') {
      throw new OncewardError(
        'ONCEWARD_E_LOG_CLOSED',
        `Transactional producer ${this.#id} is ${this.#state}; one commit at a time, and after an error close it and open another`,
      )
    }
    const { records, offsets } = commit
    if (records.length === 0 && !offsets?.positions.length) return []
    this.#state = 'committing'
    try {
      const ends = await this.#write(commit)
      await this.#end()
      this.#state = 'ready'
      return ends
    } catch (error) {
      this.#state = 'unusable'
      throw toOncewardError(error, this.#action('commit'))
    }
  }

  async close(): Promise<void> {
    this.#state = 'unusable'
    await this.#client.close()
  }

  async #write({ records, offsets }: Commit): Promise<readonly AppendEnd[]> {
    try {
      const [appended, offset] = await Promise.allSettled([
        records.length > 0 ? this.#append(records) : [],
        offsets && offsets.positions.length > 0 ? this.#sendOffsets(offsets) : undefined,
      ])
      if (appended.status === 'rejected') throw appended.reason
      if (offset.status === 'rejected') throw offset.reason
      return appended.value
    } catch (error) {
      await this.#abort()
      throw error
    }
  }

  async #append(records: readonly OutRecord[]): Promise<readonly AppendEnd[]> {
    await this.#addPartitions(records)
    return this.#appender.append(records)
  }

  async #addPartitions(records: readonly OutRecord[]): Promise<void> {
    const touched = new Map<string, TopicPartition>()
    for (const record of records) touched.set(keyOf(record), record)
    const topics = byTopic([...touched.values()]).map(([topic, own]) => ({
      topic,
      partitions: own.map((p) => p.partition),
    }))
    await this.#client.retrying(this.#action('begin'), async () => {
      const coordinator = await this.#client.coordinator(this.#id, TRANSACTION)
      await coordinator.addPartitionsToTxn({ ...this.#identity, transactionalId: this.#id, topics })
    })
  }

  async #sendOffsets({ group, positions }: NonNullable<Commit['offsets']>): Promise<void> {
    const transactionalId = this.#id
    const topics = byTopic(positions).map(([topic, own]) => ({
      topic,
      partitions: own.map(({ partition, offset }) => ({ partition, offset: String(offset), metadata: null })),
    }))
    await this.#client.retrying(this.#action('add offsets to'), async () => {
      const coordinator = await this.#client.coordinator(transactionalId, TRANSACTION)
      await coordinator.addOffsetsToTxn({ ...this.#identity, transactionalId, groupId: group })
    })
    await this.#client.retrying(this.#action('write offsets of'), async () => {
      const coordinator = await this.#client.coordinator(group, GROUP)
      await coordinator.txnOffsetCommit({ ...this.#identity, transactionalId, groupId: group, topics })
    })
  }

  async #end(): Promise<void> {
    let uncertain = false
    try {
      await this.#client.retrying(this.#action('commit'), () => this.#endTransaction(true), {
        decide: (kind) => {
          const decision = decideEndTransaction({ kind, uncertain, outOfTime: false })
          uncertain = decision.uncertain
          return decision.step === 'retry'
        },
      })
    } catch (error) {
      const kind = kindOf(causeOf(error))
      const { step } = decideEndTransaction({ kind, uncertain, outOfTime: true })
      if (step !== 'unknown') throw error
      throw new OncewardError(
        'ONCEWARD_E_LOG_COMMIT_UNKNOWN',
        `Whether the transaction of ${this.#id} was committed is not known; open the transactional id again, read the committed offset and recover`,
        { cause: error },
      )
    }
  }

  async #endTransaction(transactionResult: boolean): Promise<void> {
    const coordinator = await this.#client.coordinator(this.#id, TRANSACTION)
    await coordinator.endTxn({ ...this.#identity, transactionalId: this.#id, transactionResult })
  }

  async #abort(): Promise<void> {
    try {
      await this.#client.retrying(this.#action('abort'), () => this.#endTransaction(false), { msMax: ABORT_MS_MAX })
    } catch (error) {
      this.#client.logger.debug(
        { transactionalId: this.#id, error: String(error) },
        'the transaction could not be aborted at once; opening its id again, or its time-out, settles it',
      )
    }
  }

  #action(verb: string): string {
    return `${verb} the transaction of ${this.#id}`
  }
}

/** What Kafka said, below our own wrapping. */
function causeOf(error: unknown): unknown {
  return error instanceof OncewardError && error.cause !== undefined ? error.cause : error
}
