import type { EmbeddedLog } from '../../connectors/log/embedded/log.ts'
import type {
  GroupConsumer,
  GroupConsumerOptions,
  GroupControl,
  GroupHandler,
  RecordBatch,
  TopicPartition,
} from '../../core/ports/log.ts'
import { outOfRange } from './failures.ts'
import type { SimulatedProcess } from './process.ts'

/**
 * A group member of a process that can die or freeze. The group gives up on it after its session, whatever it was doing,
 * and it hears of that only once it runs again: what it does until then, it does as a zombie.
 */
export class SimulatedConsumer implements GroupConsumer {
  readonly #log: EmbeddedLog
  readonly #options: GroupConsumerOptions
  readonly #process: SimulatedProcess
  #membership: Membership | undefined
  #stopped = false

  constructor(log: EmbeddedLog, options: GroupConsumerOptions, process: SimulatedProcess) {
    this.#log = log
    this.#options = options
    this.#process = process
  }

  async run(handler: GroupHandler): Promise<void> {
    while (!this.#stopped) {
      await this.#process.io(`join ${this.#options.group}`, () => Promise.resolve())
      if (this.#stopped) return
      const membership = new Membership(this.#log.consumer(this.#options), handler, this.#process)
      this.#membership = membership
      const expel = (): void => membership.expel()
      this.#process.onExpelled.add(expel)
      try {
        await membership.run()
      } finally {
        this.#process.onExpelled.delete(expel)
      }
      await this.#process.awake()
      if (!membership.expelled) return
      await membership.settle()
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#process.io(`leave ${this.#options.group}`, async () => this.#membership?.stop())
  }

  commit(offsets: readonly (TopicPartition & { readonly offset: number })[]): Promise<void> {
    return this.#process.io(`commit offsets of ${this.#options.group}`, async () => {
      await this.#membership?.consumer.commit(offsets)
    })
  }
}

/** From joining the group to leaving it, or to being thrown out. */
class Membership {
  readonly consumer: GroupConsumer
  readonly #handler: GroupHandler
  readonly #process: SimulatedProcess
  readonly #held = new Map<string, TopicPartition>()
  readonly #underWay = new Set<Promise<unknown>>()
  readonly #over = new AbortController()
  readonly #thrownOut: Promise<void>

  constructor(consumer: GroupConsumer, handler: GroupHandler, process: SimulatedProcess) {
    this.consumer = consumer
    this.#handler = handler
    this.#process = process
    this.#thrownOut = new Promise((resolve) => {
      this.#over.signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  get expelled(): boolean {
    return this.#over.signal.aborted
  }

  run(): Promise<void> {
    return this.consumer.run({
      rebalanced: (change) => this.#rebalanced(change),
      startOffset: (partition) => (this.expelled ? undefined : this.#handler.startOffset(partition)),
      batch: (batch, control) => this.#batch(batch, control),
      standby: (partitions) => {
        if (!this.expelled && !this.#process.isDead) this.#handler.standby?.(partitions)
      },
    })
  }

  stop(): Promise<void> {
    return this.consumer.stop()
  }

  expel(): void {
    if (this.expelled) return
    this.#process.note('the group gives up on it')
    this.#over.abort()
    void this.consumer.stop()
  }

  /** What the process does when it learns that it is out: it ends what it was doing and lets go of everything. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#underWay)
    const lost = [...this.#held.values()]
    this.#held.clear()
    this.#handler.standby?.([])
    if (lost.length > 0) await this.#handler.rebalanced({ gained: [], lost })
  }

  async #rebalanced(change: { gained: readonly TopicPartition[]; lost: readonly TopicPartition[] }): Promise<void> {
    if (this.expelled) return
    for (const partition of change.gained) this.#held.set(nameOf(partition), partition)
    for (const partition of change.lost) this.#held.delete(nameOf(partition))
    await this.#orThrownOut(this.#handler.rebalanced(change), undefined)
  }

  async #batch(batch: RecordBatch, control: GroupControl): Promise<number> {
    if (this.expelled) return batch.fetchOffset
    const place = nameOf(batch)
    if (this.#process.strikes('offset-out-of-range', `fetch ${place} at ${batch.fetchOffset}`)) {
      throw outOfRange(place, batch.fetchOffset)
    }
    const heartbeat = async (): Promise<void> => {
      await this.#process.awake()
      await control.heartbeat()
    }
    const work = this.#process
      .io(`fetch ${place} at ${batch.fetchOffset}`, () => Promise.resolve())
      .then(() => this.#handler.batch(batch, { heartbeat }))
    return this.#orThrownOut(work, batch.fetchOffset)
  }

  async #orThrownOut<T>(work: Promise<T>, otherwise: T): Promise<T> {
    this.#underWay.add(work)
    try {
      return await Promise.race([work, this.#thrownOut.then(() => otherwise)])
    } finally {
      // What the group no longer waits for, the process still ends before it joins again.
      if (!this.expelled) this.#underWay.delete(work)
    }
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}
