import { assert } from '../../../core/assert.ts'
import { OncewardError } from '../../../core/errors.ts'
import type { GroupConsumer, GroupHandler, MemberMemory, TopicPartition } from '../../../core/ports/log.ts'
import type { Group, Joining, Seat } from './group.ts'
import type { Journal } from './journal.ts'
import { type MemberContext, MemberSession, type MemberSettings } from './member-session.ts'
import { checkPositions } from './transactions.ts'

/** A member of a group. One that was thrown out loses its partitions and joins anew, as a Kafka consumer does. */
export class EmbeddedConsumer implements GroupConsumer {
  readonly #group: Group
  readonly #joining: Joining
  readonly #memory: MemberMemory | undefined
  readonly #journal: Journal
  readonly #settings: MemberSettings
  readonly #context: MemberContext
  #running: Promise<void> | undefined
  #stopped = false
  #seat: Seat | undefined
  #session: MemberSession | undefined

  constructor(options: {
    group: Group
    joining: Joining
    memory: MemberMemory | undefined
    journal: Journal
    settings: MemberSettings
    context: MemberContext
  }) {
    this.#group = options.group
    this.#joining = options.joining
    this.#memory = options.memory
    this.#journal = options.journal
    this.#settings = options.settings
    this.#context = options.context
  }

  async run(handler: GroupHandler): Promise<void> {
    assert(!this.#running, 'a consumer runs once; make another')
    this.#running = this.#run(handler)
    await this.#running
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#session?.stop()
    // How the run ended is for the caller of `run`; here only that it has.
    await this.#running?.catch(() => undefined)
  }

  commit(offsets: readonly (TopicPartition & { readonly offset: number })[]): Promise<void> {
    return this.#journal.submit((draft) => {
      const positions = { group: this.#group.name, positions: offsets }
      checkPositions(draft.state, positions)
      for (const position of offsets) this.#checkOwned(draft.state.partition(position))
      for (const position of offsets) draft.putOffset({ ...position, group: this.#group.name })
    })
  }

  async #run(handler: GroupHandler): Promise<void> {
    for (const topic of this.#joining.topics) this.#context.state.partition({ topic, partition: 0 })
    const former = this.#memory?.former
    if (former !== undefined) this.#group.leaveAs(former)
    while (!this.#stopped) {
      if (this.#context.closing.aborted) throw new OncewardError('ONCEWARD_E_LOG_CLOSED', 'the embedded log is closed')
      this.#seat = this.#group.join(this.#joining)
      this.#memory?.remember(this.#seat.id)
      const member = { handler, settings: this.#settings, context: this.#context }
      this.#session = new MemberSession(this.#group, this.#seat, member)
      if ((await this.#session.run()) === 'stopped') return
    }
  }

  #checkOwned(partition: Parameters<Group['owns']>[1]): void {
    if (this.#seat && this.#group.owns(this.#seat, partition)) return
    throw new OncewardError(
      'ONCEWARD_E_LOG_FENCED',
      `this member of group "${this.#group.name}" does not own ${partition.topic}/${partition.partition} (any more); nothing was committed: let the new owner go on`,
    )
  }
}
