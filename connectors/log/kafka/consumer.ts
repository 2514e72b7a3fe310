import { hasCode, OncewardError } from '../../../core/errors.ts'
import type { GroupConsumer, GroupConsumerOptions, GroupHandler, TopicPartition } from '../../../core/ports/log.ts'
import { bounds, committedOffsets } from './admin.ts'
import { STANDBY_COPIES_MAX } from '../standbys.ts'
import type { Assignment } from './assignment.ts'
import { GROUP, type KafkaClient } from './client.ts'
import { Delivery } from './delivery.ts'
import { Membership } from './membership.ts'
import { byTopic, keyOf } from './requests.ts'

const SESSION_MS = 30_000
const BATCH_BYTES = 1024 * 1024

interface Change {
  readonly gained: readonly TopicPartition[]
  readonly lost: readonly TopicPartition[]
}

type Positions = Parameters<GroupConsumer['commit']>[0]

/** A member of a consumer group. `parent` is the log's own client; the member opens connections of its own. */
export function createConsumer(
  parent: KafkaClient,
  options: GroupConsumerOptions,
  unavailableMsMax: number,
): GroupConsumer {
  let member: Member | undefined
  let stopped = false
  return {
    run: async (handler) => {
      if (member) throw new OncewardError('ONCEWARD_E_INTERNAL', 'A consumer runs once; open another to join again')
      if (stopped) return
      parent.checkOpen(`join group ${options.group}`)
      member = new Member(parent, options, { handler, unavailableMsMax })
      await member.run()
    },
    stop: async () => {
      stopped = true
      await member?.stop()
    },
    commit: async (offsets) => {
      if (!member) throw notAMember(options.group)
      await member.commit(offsets)
    },
  }
}

function notAMember(group: string): OncewardError {
  return new OncewardError(
    'ONCEWARD_E_LOG_FENCED',
    `This consumer is no member of group ${group} that holds these partitions, so its offsets are refused; others go on from what was committed`,
  )
}

/**
 * One life in the group. Assignments come from `Membership` at any time; they are carried out one after the other
 * (`#changes`), so that the handler sees one `rebalanced` at a time:
 * 1. partitions to lose are stopped, and their batches under way awaited;
 * 2. the handler's `rebalanced` resolves;
 * 3. partitions gained start where the handler says;
 * 4. what was lost is let go: the group is joined again without it, and only then can another member get it.
 */
class Member {
  readonly #options: GroupConsumerOptions
  readonly #handler: GroupHandler
  readonly #client: KafkaClient
  readonly #membership: Membership
  readonly #membershipClient: KafkaClient
  readonly #delivery: Delivery
  /** What the handler will hold once all changes so far are carried out. */
  readonly #live = new Map<string, TopicPartition>()
  /** What this member claims to hold: `#live`, and what it is still to let go. */
  readonly #owned = new Map<string, TopicPartition>()
  #changes: Promise<void> = Promise.resolve()
  #ending: Promise<void> | undefined
  #stopped = false
  readonly #failed: Promise<never>
  #fail: (error: unknown) => void = () => undefined

  constructor(
    parent: KafkaClient,
    options: GroupConsumerOptions,
    rest: { readonly handler: GroupHandler; readonly unavailableMsMax: number },
  ) {
    const { handler, unavailableMsMax } = rest
    this.#options = options
    this.#handler = handler
    this.#client = parent.fork()
    this.#membershipClient = parent.fork()
    this.#failed = new Promise((_, reject) => {
      this.#fail = reject
    })
    this.#failed.catch(() => undefined)
    this.#client.closing.addEventListener('abort', () => {
      this.#fail(new OncewardError('ONCEWARD_E_LOG_CLOSED', `The log of group ${options.group} was closed`))
    })
    this.#delivery = new Delivery({
      client: this.#client,
      handler,
      batchBytesMax: options.batchBytesMax ?? BATCH_BYTES,
      unavailableMsMax,
      failed: (error) => this.#fail(error),
    })
    const sessionTimeoutMs = options.sessionTimeoutMs ?? SESSION_MS
    this.#membership = new Membership({
      client: this.#membershipClient,
      sideClient: this.#client,
      group: options.group,
      topics: options.topics,
      sessionTimeoutMs,
      unavailableMsMax,
      owned: () => [...this.#owned.values()],
      stored: () => options.holdsState?.() ?? [],
      memory: options.memory,
      copies: Math.min(STANDBY_COPIES_MAX, options.standbyCopies ?? 0),
      alive: () => this.#delivery.silentMs() < sessionTimeoutMs / 2,
      assigned: (assignment) => this.#assigned(assignment),
      ending: () => this.#ending !== undefined,
      thrownOut: () => {
        this.#assigned({ owned: [], standby: [] })
        this.#owned.clear()
      },
    })
  }

  async run(): Promise<void> {
    const { group, topics } = this.#options
    try {
      await this.#client.retrying(`look up the topics of group ${group}`, async () => {
        for (const topic of topics) await this.#client.partitions(topic)
      })
      await Promise.race([this.#membership.run(), this.#failed])
      await this.#ending
    } catch (error) {
      await this.#end(false)
      // stopped before it had got anything: its connections were closed under whatever it was still waiting for
      if (this.#stopped && hasCode(error, 'ONCEWARD_E_LOG_CLOSED')) return
      throw error
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#end(true)
  }

  async commit(offsets: Positions): Promise<void> {
    const { group } = this.#options
    if (offsets.some((p) => !this.#owned.has(keyOf(p)))) throw notAMember(group)
    const topics = byTopic(offsets).map(([topic, own]) => ({
      topic,
      partitions: own.map(({ partition, offset }) => ({ partition, offset: String(offset), metadata: null })),
    }))
    let used = this.#membership.identity
    await this.#client.retrying(
      `commit offsets of group ${group}`,
      async () => {
        used = this.#membership.identity
        const coordinator = await this.#client.coordinator(group, GROUP)
        const { memberId, generation } = used
        await coordinator.offsetCommit({ groupId: group, memberId, groupGenerationId: generation, topics })
      },
      {
        decide: (kind) => {
          if (kind === 'rebalancing') return true
          // a new round may have begun between reading the generation and the broker's answer
          const moved =
            this.#membership.identity.generation !== used.generation && this.#membership.identity.memberId !== ''
          return kind === 'member-out' && moved ? true : undefined
        },
      },
    )
  }

  #assigned({ owned, standby }: Assignment): void {
    if (this.#ending) return
    this.#share(owned)
    // behind the change that may have just taken one of them away
    if (this.#handler.standby !== undefined) this.#enqueue(async () => this.#handler.standby?.(standby))
  }

  #share(owned: readonly TopicPartition[]): void {
    const wanted = new Map(owned.map((partition) => [keyOf(partition), partition]))
    const lost = [...this.#live].filter(([key]) => !wanted.has(key)).map(([, partition]) => partition)
    const gained = [...wanted].filter(([key]) => !this.#live.has(key)).map(([, partition]) => partition)
    if (lost.length === 0 && gained.length === 0) return
    for (const partition of lost) this.#live.delete(keyOf(partition))
    for (const partition of gained) {
      this.#live.set(keyOf(partition), partition)
      this.#owned.set(keyOf(partition), partition)
    }
    this.#enqueue(() => this.#carryOut({ gained, lost }))
  }

  #enqueue(change: () => Promise<void>): void {
    this.#changes = this.#changes.then(change)
    this.#changes.catch((error: unknown) => this.#fail(error))
  }

  async #carryOut({ gained, lost }: Change): Promise<void> {
    await this.#delivery.stop(lost)
    await this.#handler.rebalanced({ gained, lost })
    const released = lost.map(keyOf).filter((key) => !this.#live.has(key) && this.#owned.delete(key))
    if (released.length > 0 && !this.#ending) this.#membership.rejoin()
    // a gained partition may be lost again by now, in a change that waits behind this one
    const begin = gained.filter((partition) => this.#live.has(keyOf(partition)))
    if (begin.length > 0 && !this.#ending) this.#delivery.start(await this.#startPositions(begin))
  }

  async #startPositions(
    partitions: readonly TopicPartition[],
  ): Promise<readonly (TopicPartition & { readonly offset: number })[]> {
    const asked = partitions.map((partition) => ({ partition, offset: this.#handler.startOffset(partition) }))
    const open = asked.filter(({ offset }) => offset === undefined).map(({ partition }) => partition)
    const committed = await committedOffsets(this.#client, this.#options.group, open)
    const fresh = open.filter((_, i) => committed[i] === undefined)
    const earliest = await bounds(this.#client, fresh)
    const known = new Map<string, number>()
    for (const [i, partition] of fresh.entries()) known.set(keyOf(partition), earliest[i]?.earliest ?? 0)
    for (const [i, partition] of open.entries()) {
      const offset = committed[i]
      if (offset !== undefined) known.set(keyOf(partition), offset)
    }
    return asked.map(({ partition, offset }) => ({ ...partition, offset: offset ?? known.get(keyOf(partition)) ?? 0 }))
  }

  /** `handOver`: the handler still gets its `rebalanced`, with everything lost. Never rejects. */
  #end(handOver: boolean): Promise<void> {
    if (!this.#ending) {
      const lost = [...this.#live.values()]
      this.#live.clear()
      if (handOver && lost.length > 0) this.#enqueue(() => this.#carryOut({ gained: [], lost }))
      this.#ending = this.#finish(handOver)
    }
    return this.#ending
  }

  async #finish(handOver: boolean): Promise<void> {
    // what fails here has been reported to `run` by `#enqueue`
    if (handOver) await this.#changes.catch(() => undefined)
    await this.#delivery.close()
    await this.#membership.leave()
    await Promise.all([this.#client.close(), this.#membershipClient.close()])
  }
}
