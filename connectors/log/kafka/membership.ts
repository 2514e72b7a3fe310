/**
 * Membership in a consumer group: join, share out, keep alive, join again. It says what is assigned; handing partitions
 * over is the consumer's. Kafka's classic group protocol with our own cooperative assignment (assignment.ts).
 */
import { hasCode, messageOf, OncewardError } from '../../../core/errors.ts'
import type { HeldState, MemberMemory, TopicPartition } from '../../../core/ports/log.ts'
import {
  assign,
  type Assignment,
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  PROTOCOL,
  type Subscription,
} from './assignment.ts'
import { GROUP, type KafkaClient } from './client.ts'
import { isTransient, kindOf } from './failures.ts'
import type { JoinedGroup } from './internals.ts'

export interface MembershipOptions {
  /** Joining blocks its connection until every member has joined, so these connections serve nothing else. */
  readonly client: KafkaClient
  /** For what must not wait behind a join. */
  readonly sideClient: KafkaClient
  readonly group: string
  readonly topics: readonly string[]
  readonly sessionTimeoutMs: number
  readonly unavailableMsMax: number
  /** What this member still holds, for the leader to know. */
  readonly owned: () => readonly TopicPartition[]
  /** What this member has the state of, for the leader to know. */
  readonly stored: () => readonly HeldState[]
  readonly memory: MemberMemory | undefined
  /** Copies of each partition's state that this member asks for. */
  readonly copies: number
  /** False while the handler has fallen silent: then no heartbeats go out either, and the group takes over. */
  readonly alive: () => boolean
  /** True once this member is on its way out: thrown out now, it needn't come back. */
  readonly ending: () => boolean
  readonly assigned: (assignment: Assignment) => void
  /** The group has given the partitions to others, or is about to. */
  readonly thrownOut: () => void
}

/** How long the group waits for its members to join again. Ours do so at once, whatever their handlers are doing. */
const REBALANCE_MS_MAX = 60_000
const HEARTBEAT_MS_MAX = 300
const LEAVE_MS_MAX = 2_000
/** How often the group's leader looks for partitions that were added. */
const WATCH_PARTITIONS_MS = 60_000

export class Membership {
  readonly #options: MembershipOptions
  readonly #stopping = new AbortController()
  #memberId = ''
  #generation = -1
  #rejoin = new AbortController()
  #counts: ReadonlyMap<string, number> = new Map()
  #leads = false
  #joining: Promise<unknown> | undefined

  constructor(options: MembershipOptions) {
    this.#options = options
  }

  get identity(): { readonly memberId: string; readonly generation: number } {
    return { memberId: this.#memberId, generation: this.#generation }
  }

  /** Runs until `leave`; rejects with what cannot be waited out. */
  async run(): Promise<void> {
    await this.#leaveFormer()
    while (!this.#stopping.signal.aborted) {
      this.#rejoin = new AbortController()
      const joining = this.#joinAndSync()
      this.#joining = joining
      const assignment = await joining
      this.#joining = undefined
      if (this.#stopping.signal.aborted) return
      this.#options.assigned(assignment)
      await this.#keepAlive()
      if (this.#memberId === '' && this.#options.ending()) return
    }
  }

  /** Starts another round, after partitions that are to move have been let go. */
  rejoin(): void {
    this.#rejoin.abort()
  }

  /** Ends `run` and tells the group, so that the others needn't wait for the session to expire. Never rejects. */
  async leave(): Promise<void> {
    this.#stopping.abort()
    this.#rejoin.abort()
    const { sideClient, group } = this.#options
    // a member that the group knows and we don't yet would hold partitions until its session expires
    if (this.#memberId === '' && this.#joining) {
      await Promise.race([
        this.#joining.catch(() => undefined),
        sideClient.clock.sleep(LEAVE_MS_MAX, sideClient.closing),
      ])
    }
    const memberId = this.#memberId
    if (memberId === '') return
    this.#memberId = ''
    try {
      await sideClient.retrying(
        `leave group ${group}`,
        async () => (await sideClient.coordinator(group, GROUP)).leaveGroup({ groupId: group, memberId }),
        { msMax: LEAVE_MS_MAX },
      )
    } catch (error) {
      sideClient.logger.debug({ group, error: messageOf(error) }, 'could not leave the group; its session will expire')
    }
  }

  /** Gives up the place of a former life. What the broker does not do would keep the join from succeeding, too. */
  async #leaveFormer(): Promise<void> {
    const { client, group, memory, unavailableMsMax } = this.#options
    const memberId = memory?.former
    if (memberId === undefined) return
    try {
      await client.retrying(
        `leave group ${group} for a former life`,
        async () => (await client.coordinator(group, GROUP)).leaveGroup({ groupId: group, memberId }),
        { msMax: unavailableMsMax },
      )
      client.logger.info({ group, member: memberId }, 'gave up the place of a former life in the group')
    } catch (error) {
      // It has left, or its session has expired.
      if (!hasCode(error, 'ONCEWARD_E_LOG_FENCED')) throw error
    }
  }

  async #joinAndSync(): Promise<Assignment> {
    const { client, group, unavailableMsMax } = this.#options
    return client.retrying(
      `join group ${group}`,
      async () => {
        if (this.#stopping.signal.aborted) return { owned: [], standby: [] }
        const coordinator = await client.coordinator(group, GROUP)
        try {
          const joined = await coordinator.joinGroup({
            groupId: group,
            memberId: this.#memberId,
            sessionTimeout: this.#options.sessionTimeoutMs,
            rebalanceTimeout: REBALANCE_MS_MAX,
            groupProtocols: [{ name: PROTOCOL, metadata: encodeSubscription(this.#subscription()) }],
          })
          if (joined.memberId !== this.#memberId) this.#options.memory?.remember(joined.memberId)
          this.#memberId = joined.memberId
          this.#generation = joined.generationId
          this.#leads = joined.leaderId === joined.memberId
          const { memberAssignment } = await coordinator.syncGroup({
            groupId: group,
            memberId: joined.memberId,
            generationId: joined.generationId,
            groupAssignment: this.#leads ? await this.#shareOut(joined) : [],
          })
          return decodeAssignment(memberAssignment)
        } catch (error) {
          if (kindOf(error) === 'member-out') this.#throwOut()
          throw error
        }
      },
      {
        msMax: unavailableMsMax,
        decide: (kind) => (kind === 'member-out' || kind === 'rebalancing' ? true : undefined),
      },
    )
  }

  #subscription(): Subscription {
    const { topics, owned, stored, copies } = this.#options
    return { topics, owned: owned(), stored: stored(), copies }
  }

  async #shareOut(joined: JoinedGroup): Promise<{ memberId: string; memberAssignment: Buffer }[]> {
    const members = joined.members.map(({ memberId, memberMetadata }) => ({
      memberId,
      ...decodeSubscription(memberMetadata),
    }))
    this.#counts = await this.#countPartitions(new Set(members.flatMap((m) => m.topics)))
    return [...assign(members, this.#counts)].map(([memberId, assignment]) => ({
      memberId,
      memberAssignment: encodeAssignment(assignment),
    }))
  }

  async #countPartitions(topics: ReadonlySet<string>): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>()
    const client = this.#options.sideClient
    for (const topic of topics) counts.set(topic, (await client.partitions(topic)).length)
    return counts
  }

  /** Until it is time to join again. */
  async #keepAlive(): Promise<void> {
    const { client, group, sessionTimeoutMs, unavailableMsMax } = this.#options
    const { clock } = client
    const again = this.#rejoin.signal
    const heartbeatMs = Math.min(HEARTBEAT_MS_MAX, sessionTimeoutMs / 10)
    let answeredAt = clock.monotonic()
    let watchedAt = answeredAt
    while (!again.aborted) {
      await clock.sleep(heartbeatMs, again)
      if (again.aborted) return
      if (!this.#options.alive()) continue
      try {
        const coordinator = await client.coordinator(group, GROUP)
        await coordinator.heartbeat({ groupId: group, memberId: this.#memberId, groupGenerationId: this.#generation })
        answeredAt = clock.monotonic()
        if (this.#leads && answeredAt - watchedAt > WATCH_PARTITIONS_MS) {
          watchedAt = answeredAt
          if (await this.#partitionsAdded()) return
        }
      } catch (error) {
        if (this.#stopping.signal.aborted) return
        if (error instanceof OncewardError) throw error
        if (this.#heartbeatFailed(error, clock.monotonic() - answeredAt > unavailableMsMax)) return
        await client.forget(kindOf(error))
      }
    }
  }

  /** True where the member must join again, false where the next heartbeat may succeed. Throws what is final. */
  #heartbeatFailed(error: unknown, outOfTime: boolean): boolean {
    const kind = kindOf(error)
    if (kind === 'rebalancing') return true
    if (kind === 'member-out') {
      this.#throwOut()
      return true
    }
    if (isTransient(kind) && !outOfTime) return false
    throw new OncewardError(
      'ONCEWARD_E_LOG_UNAVAILABLE',
      `The group ${this.#options.group} could not be kept alive: ${messageOf(error)}; check that the brokers can be reached`,
      { cause: error },
    )
  }

  #throwOut(): void {
    this.#memberId = ''
    this.#options.client.logger.warn(
      { group: this.#options.group },
      'the group went on without this member; joining again',
    )
    this.#options.thrownOut()
  }

  async #partitionsAdded(): Promise<boolean> {
    await this.#options.sideClient.refreshMetadata()
    const counts = await this.#countPartitions(new Set(this.#counts.keys()))
    return [...counts].some(([topic, count]) => count !== this.#counts.get(topic))
  }
}
