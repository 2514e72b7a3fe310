import { deepStrictEqual } from 'node:assert'
import * as fc from 'fast-check'
import type { EmbeddedLog } from '../../connectors/log/embedded/log.ts'
import type { SteppedTransaction } from '../../connectors/log/embedded/producers.ts'
import type { OutRecord, TransactionalProducer } from '../../core/ports/log.ts'
import type { Fault } from './faulty-kv.ts'
import { expectCode, out, readAll } from './harness.ts'

export const TOPIC = 'model'
export const GROUP = 'model-group'
export const PARTITIONS = [0, 1] as const

interface Entry {
  /** undefined: a marker. */
  readonly value: string | undefined
  readonly transaction: number | undefined
}

export interface Found {
  readonly visible: readonly (readonly string[])[]
  readonly committed: readonly (number | undefined)[]
}

export async function foundIn(log: EmbeddedLog): Promise<Found> {
  const partitions = PARTITIONS.map((partition) => ({ topic: TOPIC, partition }))
  const visible: string[][] = []
  for (const partition of partitions) {
    const records = await readAll(log, partition)
    visible.push(records.map((record) => `${record.offset}:${record.value?.toString()}`))
  }
  return { visible, committed: await log.committed(GROUP, partitions) }
}

/** What the log should hold, as plain arrays: one entry for each offset. */
export class Model {
  readonly entries: Entry[][] = PARTITIONS.map(() => [])
  readonly outcomes = new Map<number, 'open' | 'commit' | 'abort'>()
  readonly committed = new Map<number, number>()
  readonly pending = new Map<number, Map<number, number>>()
  #transactions = 0

  begin(): number {
    this.#transactions += 1
    this.outcomes.set(this.#transactions, 'open')
    this.pending.set(this.#transactions, new Map())
    return this.#transactions
  }

  append(partition: number, values: readonly string[], transaction?: number): void {
    for (const value of values) this.entries[partition]?.push({ value, transaction })
  }

  end(transaction: number, outcome: 'commit' | 'abort'): void {
    for (const entries of this.entries) {
      if (entries.some((entry) => entry.transaction === transaction)) entries.push({ value: undefined, transaction })
    }
    this.outcomes.set(transaction, outcome)
    for (const [partition, offset] of this.pending.get(transaction) ?? []) {
      if (outcome === 'commit') this.committed.set(partition, offset)
    }
    this.pending.delete(transaction)
  }

  /** What a restart does. */
  abortOpen(): void {
    for (const [transaction, outcome] of this.outcomes) if (outcome === 'open') this.end(transaction, 'abort')
  }

  stableEnd(partition: number): number {
    const entries = this.entries[partition] ?? []
    const open = entries.findIndex((entry) => entry.transaction && this.outcomes.get(entry.transaction) === 'open')
    return open < 0 ? entries.length : open
  }

  visible(partition: number): [number, string][] {
    return (this.entries[partition] ?? []).slice(0, this.stableEnd(partition)).flatMap((entry, offset) => {
      const counts = entry.transaction === undefined || this.outcomes.get(entry.transaction) === 'commit'
      return counts && entry.value !== undefined ? [[offset, entry.value] satisfies [number, string]] : []
    })
  }

  /** What a process would find that starts on this: open transactions are aborted. */
  afterRestart(): Found {
    const visible = PARTITIONS.map((partition) =>
      (this.entries[partition] ?? []).flatMap(({ value, transaction }, offset) => {
        const counts = transaction === undefined || this.outcomes.get(transaction) === 'commit'
        return counts && value !== undefined ? [`${offset}:${value}`] : []
      }),
    )
    return { visible, committed: PARTITIONS.map((partition) => this.committed.get(partition)) }
  }

  /** Throws where the log does not read as this model. */
  async compare(log: EmbeddedLog): Promise<void> {
    for (const partition of PARTITIONS) {
      const at = { topic: TOPIC, partition }
      deepStrictEqual(await log.bounds([at]), [{ earliest: 0, end: this.stableEnd(partition) }])
      const records = await readAll(log, at)
      deepStrictEqual(
        records.map((record) => [record.offset, record.value?.toString()]),
        this.visible(partition),
      )
      if ([...this.pending.values()].some((positions) => positions.size > 0)) continue
      deepStrictEqual(await log.committed(GROUP, [at]), [this.committed.get(partition)])
    }
  }
}

export type Step =
  | { readonly do: 'send'; readonly counts: readonly [number, number] }
  | { readonly do: 'open' | 'begin'; readonly id: number }
  | {
      readonly do: 'commit' | 'zombie' | 'append'
      readonly id: number
      readonly counts: readonly [number, number]
      readonly offset: number
    }
  | { readonly do: 'end'; readonly id: number; readonly outcome: 'commit' | 'abort' }
  | { readonly do: 'reopen' }
  | { readonly do: 'fault'; readonly fault: Fault }

const counts = fc.tuple(fc.nat(3), fc.nat(3))
const id = fc.nat(1)
const named = <T extends string>(...names: readonly [T, ...T[]]): fc.Arbitrary<T> => fc.constantFrom(...names)

export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('send' as const), counts }),
    fc.record({ do: named('open', 'begin'), id }),
    fc.record({ do: named('commit', 'zombie', 'append'), id, counts, offset: fc.nat(100) }),
    fc.record({ do: fc.constant('end' as const), id, outcome: named('commit', 'abort') }),
    fc.constant({ do: 'reopen' as const }),
    fc.record({ do: fc.constant('fault' as const), fault: named<Fault>('lose', 'land') }),
  ),
  { maxLength: 40 },
)

interface Holder {
  readonly producer?: TransactionalProducer
  readonly stepped?: SteppedTransaction
  /** The model's open transaction. */
  readonly transaction?: number
}

export interface World {
  log: EmbeddedLog
  /** Opens the log anew on the same store. */
  reopen(): Promise<EmbeddedLog>
  /** Makes the next write fail. */
  fail(fault: Fault): void
}

/** Takes the steps on the log and on the model. */
export class Runner {
  readonly model = new Model()
  readonly #world: World
  #holders = new Map<number, Holder>()
  #zombies = new Map<number, TransactionalProducer>()
  #written = 0

  constructor(world: World) {
    this.#world = world
  }

  async take(step: Step): Promise<void> {
    switch (step.do) {
      case 'send':
        return this.#send(step.counts)
      case 'open':
        await this.#open(step.id)
        return undefined
      case 'begin':
        return this.#begin(step.id)
      case 'commit':
        return this.#commit(step)
      case 'zombie':
        return this.#zombie(step)
      case 'append':
        return this.#append(step)
      case 'end':
        return this.#end(step.id, step.outcome)
      case 'fault':
        return this.#failingCommit(step.fault)
      case 'reopen':
        this.#world.log = await this.#world.reopen()
        this.#holders.clear()
        this.#zombies.clear()
        this.model.abortOpen()
        return undefined
    }
  }

  async #send(of: readonly [number, number]): Promise<void> {
    const records = this.#records(of)
    await (await this.#world.log.producer()).send(records)
    this.#note(records)
  }

  async #open(id: number): Promise<TransactionalProducer> {
    const producer = await this.#world.log.transactional(`id-${id}`)
    this.#replace(id, { producer })
    return producer
  }

  async #begin(id: number): Promise<void> {
    const stepped = await this.#world.log.stepped(`id-${id}`)
    this.#replace(id, { stepped, transaction: 0 })
    this.#holders.set(id, { stepped, transaction: this.model.begin() })
  }

  async #commit({
    id,
    counts,
    offset,
  }: {
    id: number
    counts: readonly [number, number]
    offset: number
  }): Promise<void> {
    const producer = this.#holders.get(id)?.producer ?? (await this.#open(id))
    const records = this.#records(counts)
    const positions = [{ topic: TOPIC, partition: 0, offset }]
    await producer.commit({ records, offsets: { group: GROUP, positions } })
    const transaction = this.model.begin()
    this.#note(records, transaction)
    this.model.pending.get(transaction)?.set(0, offset)
    this.model.end(transaction, 'commit')
  }

  async #zombie({
    id,
    counts,
    offset,
  }: {
    id: number
    counts: readonly [number, number]
    offset: number
  }): Promise<void> {
    const zombie = this.#zombies.get(id)
    this.#zombies.delete(id)
    if (!zombie) return
    const positions = [{ topic: TOPIC, partition: 1, offset }]
    const commit = { records: this.#records(counts), offsets: { group: GROUP, positions } }
    await expectCode(zombie.commit(commit), 'ONCEWARD_E_LOG_FENCED')
  }

  async #append({
    id,
    counts,
    offset,
  }: {
    id: number
    counts: readonly [number, number]
    offset: number
  }): Promise<void> {
    const { stepped, transaction } = this.#holders.get(id) ?? {}
    if (!stepped || transaction === undefined) return
    const records = this.#records(counts)
    await stepped.append(records)
    this.#note(records, transaction)
    if (offset % 3 !== 0) return
    await stepped.addOffsets({ group: GROUP, positions: [{ topic: TOPIC, partition: 1, offset }] })
    this.model.pending.get(transaction)?.set(1, offset)
  }

  async #end(id: number, outcome: 'commit' | 'abort'): Promise<void> {
    const { stepped, transaction } = this.#holders.get(id) ?? {}
    if (!stepped || transaction === undefined) return
    await stepped.end(outcome)
    this.model.end(transaction, outcome)
    this.#holders.delete(id)
  }

  /** A commit whose write fails: not there where the store lost it, there where the store kept it all the same. */
  async #failingCommit(fault: Fault): Promise<void> {
    const producer = await this.#world.log.transactional('failing')
    const records = this.#records([1, 2])
    this.#world.fail(fault)
    const commit = producer.commit({ records })
    if (fault === 'lose') {
      await expectCode(commit, 'ONCEWARD_E_LOG_UNAVAILABLE')
      return
    }
    await commit
    const transaction = this.model.begin()
    this.#note(records, transaction)
    this.model.end(transaction, 'commit')
  }

  #replace(id: number, holder: Holder): void {
    const former = this.#holders.get(id)
    if (former?.producer) this.#zombies.set(id, former.producer)
    if (former?.transaction !== undefined) this.model.end(former.transaction, 'abort')
    this.#holders.set(id, holder)
  }

  #records(of: readonly [number, number]): OutRecord[] {
    return PARTITIONS.flatMap((partition) =>
      Array.from({ length: of[partition] }, () => out(TOPIC, `v${(this.#written += 1)}`, { partition })),
    )
  }

  #note(records: readonly OutRecord[], transaction?: number): void {
    for (const { partition, value } of records) this.model.append(partition, [String(value)], transaction)
  }
}
