import type { EmbeddedLog } from '../../connectors/log/embedded/log.ts'
import type {
  GroupConsumer,
  GroupConsumerOptions,
  Log,
  OffsetBounds,
  PartitionReader,
  Producer,
  TopicInfo,
  TopicPartition,
  TopicSpec,
  TransactionalProducer,
} from '../../core/ports/log.ts'
import { SimulatedConsumer } from './consumer.ts'
import { outOfRange, unavailable } from './failures.ts'
import type { SimulatedProcess } from './process.ts'
import { SimulatedTransactions } from './transactions.ts'

/** The log as one process reaches it over a network that fails. */
export class SimulatedLog implements Log {
  readonly #log: EmbeddedLog
  readonly #process: SimulatedProcess

  constructor(log: EmbeddedLog, process: SimulatedProcess) {
    this.#log = log
    this.#process = process
  }

  createTopics(specs: readonly TopicSpec[]): Promise<readonly string[]> {
    return this.#call('createTopics', () => this.#log.createTopics(specs))
  }

  topic(topic: string): Promise<TopicInfo | undefined> {
    return this.#call(`topic ${topic}`, () => this.#log.topic(topic))
  }

  listTopics(): Promise<readonly string[]> {
    return this.#call('listTopics', () => this.#log.listTopics())
  }

  bounds(partitions: readonly TopicPartition[]): Promise<readonly OffsetBounds[]> {
    return this.#call('bounds', () => this.#log.bounds(partitions))
  }

  offsetAt(partition: TopicPartition, timestamp: number): Promise<number> {
    return this.#call('offsetAt', () => this.#log.offsetAt(partition, timestamp))
  }

  committed(group: string, partitions: readonly TopicPartition[]): Promise<readonly (number | undefined)[]> {
    return this.#call(`committed ${group}`, () => this.#log.committed(group, partitions))
  }

  members(group: string): Promise<number> {
    return this.#call(`members ${group}`, () => this.#log.members(group))
  }

  async producer(): Promise<Producer> {
    const producer = await this.#call('producer', () => this.#log.producer())
    return {
      send: (records) => this.#call('send', () => producer.send(records)),
      close: () => this.#process.io('close producer', () => producer.close()),
    }
  }

  async transactional(transactionalId: string): Promise<TransactionalProducer> {
    const transaction = await this.#call(`open ${transactionalId}`, () => this.#log.stepped(transactionalId))
    return new SimulatedTransactions(transaction, transactionalId, this.#process)
  }

  async reader(partition: TopicPartition): Promise<PartitionReader> {
    const place = `${partition.topic}/${partition.partition}`
    const reader = await this.#call(`reader ${place}`, () => this.#log.reader(partition))
    return {
      read: (offset, options) =>
        this.#call(`read ${place}`, async () => {
          if (this.#process.strikes('offset-out-of-range', `read ${place} at ${offset}`))
            throw outOfRange(place, offset)
          return reader.read(offset, options)
        }),
      close: () => this.#process.io(`close reader ${place}`, () => reader.close()),
    }
  }

  consumer(options: GroupConsumerOptions): GroupConsumer {
    return new SimulatedConsumer(this.#log, options, this.#process)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  /** A call that can fail before it had its effect or after: its caller cannot tell. */
  #call<T>(place: string, run: () => Promise<T>): Promise<T> {
    return this.#process.io(place, async () => {
      if (!this.#process.strikes('log-down', place)) return run()
      if (this.#process.world.chance.is(0.5)) await run()
      throw unavailable(place)
    })
  }
}
