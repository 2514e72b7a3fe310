import { OncewardError } from '../../core/errors.ts'
import type {
  AppendEnd,
  Commit,
  GroupConsumer,
  GroupConsumerOptions,
  Log,
  OffsetBounds,
  PartitionReader,
  Producer,
  RecordBatch,
  TopicInfo,
  TopicPartition,
  TopicSpec,
  TransactionalProducer,
} from '../../core/ports/log.ts'

/** What goes wrong between a worker and its log. A fault left out lets the call through. */
export interface LogFaults {
  /** In the place of a commit; `apply` is the real one. */
  commit?: (id: string, commit: Commit, apply: () => Promise<readonly AppendEnd[]>) => Promise<readonly AppendEnd[]>
  /** Before a transactional id is opened. */
  opening?: (id: string) => Promise<void>
  /** Before a reader reads. */
  reading?: (partition: TopicPartition, offset: number) => Promise<void>
  /** What a reader answers in the place of what it read. */
  answering?: (batch: RecordBatch) => RecordBatch
  /** Before a producer without transactions sends. */
  sending?: () => Promise<void>
  committed?: (offset: number | undefined, partition: TopicPartition) => number | undefined
  bounds?: (bounds: OffsetBounds, partition: TopicPartition) => OffsetBounds
  /** The group that the consumer joins in truth. */
  group?: (group: string) => string
  /** In the place of the group's consumer. */
  consumer?: () => GroupConsumer
}

/** The log as one worker process sees it: calls can be made to fail, and the process can be killed. */
export class FaultyLog implements Log {
  readonly #log: Log
  readonly #faults: LogFaults
  readonly #killed = new AbortController()
  /** How often each transactional id was opened. */
  readonly opened = new Map<string, number>()

  constructor(log: Log, faults: LogFaults) {
    this.#log = log
    this.#faults = faults
  }

  /** From now on the process does nothing more: every call is refused, and its seat in the group is given up. */
  kill(): void {
    this.#killed.abort()
  }

  get isKilled(): boolean {
    return this.#killed.signal.aborted
  }

  async createTopics(specs: readonly TopicSpec[]): Promise<readonly string[]> {
    return this.#alive().createTopics(specs)
  }

  async topic(topic: string): Promise<TopicInfo | undefined> {
    return this.#alive().topic(topic)
  }

  async listTopics(): Promise<readonly string[]> {
    return this.#alive().listTopics()
  }

  async bounds(partitions: readonly TopicPartition[]): Promise<readonly OffsetBounds[]> {
    const found = await this.#alive().bounds(partitions)
    return found.map((bounds, i) => this.#faults.bounds?.(bounds, at(partitions, i)) ?? bounds)
  }

  async offsetAt(partition: TopicPartition, timestamp: number): Promise<number> {
    return this.#alive().offsetAt(partition, timestamp)
  }

  async committed(group: string, partitions: readonly TopicPartition[]): Promise<readonly (number | undefined)[]> {
    const found = await this.#alive().committed(group, partitions)
    const { committed } = this.#faults
    return committed === undefined ? found : found.map((offset, i) => committed(offset, at(partitions, i)))
  }

  async members(group: string): Promise<number> {
    return this.#alive().members(group)
  }

  async producer(): Promise<Producer> {
    const producer = await this.#alive().producer()
    return {
      send: async (records) => {
        await this.#faults.sending?.()
        this.#alive()
        return producer.send(records)
      },
      close: () => producer.close(),
    }
  }

  async transactional(id: string): Promise<TransactionalProducer> {
    await this.#faults.opening?.(id)
    const producer = await this.#alive().transactional(id)
    this.opened.set(id, (this.opened.get(id) ?? 0) + 1)
    return {
      commit: async (commit) => {
        this.#alive()
        const apply = (): Promise<readonly AppendEnd[]> => producer.commit(commit)
        const ends = await (this.#faults.commit?.(id, commit, apply) ?? apply())
        this.#alive()
        return ends
      },
      close: () => producer.close(),
    }
  }

  async reader(partition: TopicPartition): Promise<PartitionReader> {
    const reader = await this.#alive().reader(partition)
    return {
      read: async (offset, options) => {
        await this.#faults.reading?.(partition, offset)
        this.#alive()
        const batch = await reader.read(offset, options)
        return this.#faults.answering?.(batch) ?? batch
      },
      close: () => reader.close(),
    }
  }

  consumer(options: GroupConsumerOptions): GroupConsumer {
    const scripted = this.#faults.consumer?.()
    if (scripted !== undefined) return scripted
    const group = this.#faults.group?.(options.group) ?? options.group
    const consumer = this.#alive().consumer({ ...options, group })
    const { signal } = this.#killed
    return {
      run: (handler) => {
        const running = consumer.run({
          rebalanced: (change) => (signal.aborted ? Promise.resolve() : handler.rebalanced(change)),
          startOffset: (partition) => handler.startOffset(partition),
          standby: (partitions) => handler.standby?.(partitions),
          batch: (batch, control) =>
            signal.aborted ? Promise.resolve(batch.fetchOffset) : handler.batch(batch, control),
        })
        return new Promise((resolve, reject) => {
          running.then(resolve, reject)
          signal.addEventListener(
            'abort',
            () => {
              reject(killed())
              void consumer.stop()
            },
            { once: true },
          )
        })
      },
      stop: () => consumer.stop(),
      commit: (offsets) => consumer.commit(offsets),
    }
  }

  /** The log belongs to the test. */
  close(): Promise<void> {
    return Promise.resolve()
  }

  #alive(): Log {
    if (this.#killed.signal.aborted) throw killed()
    return this.#log
  }
}

export function killed(): OncewardError {
  return new OncewardError('ONCEWARD_E_LOG_CLOSED', 'this process was killed')
}

export function unavailable(): OncewardError {
  return new OncewardError('ONCEWARD_E_LOG_UNAVAILABLE', 'no broker answers')
}

export function commitUnknown(): OncewardError {
  return new OncewardError('ONCEWARD_E_LOG_COMMIT_UNKNOWN', 'the answer to a commit was lost')
}

function at(partitions: readonly TopicPartition[], index: number): TopicPartition {
  const partition = partitions[index]
  if (partition === undefined) throw new Error(`no partition ${index}`)
  return partition
}
