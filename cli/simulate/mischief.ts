import { tickRecord } from '../../pipeline/ticker.ts'
import { Violation } from './violation.ts'
import type { FaultName } from './faults.ts'
import type { Machine, Plant } from './machines.ts'
import type { Armed } from './process.ts'
import { nextVersion, type RulePair } from './rules.ts'
import { eventTimeAt } from './workload.ts'

export interface MischiefOptions {
  readonly plant: Plant
  readonly faults: ReadonlySet<FaultName>
  readonly machines: readonly Machine[]
  readonly partitions: number
  readonly publish: (pair: RulePair) => Promise<void>
  /** Compaction takes records away: whoever wants them reads them before. */
  readonly beforeCompaction: () => Promise<void>
}

/** Faults of the events themselves are the workload's. */
type Inflicted = Exclude<FaultName, `${string}-events`>

/** Draws what goes wrong next, and sees to it. */
export class Mischief {
  readonly #options: MischiefOptions
  readonly #kinds: readonly Inflicted[]
  #versions = 0

  constructor(options: MischiefOptions) {
    this.#options = options
    this.#kinds = [...options.faults].filter((fault): fault is Inflicted => !fault.endsWith('-events'))
  }

  async next(): Promise<void> {
    const { chance, clock } = this.#options.plant
    await clock.sleep(chance.between(50, 2_500))
    const kind = chance.pick(this.#kinds)
    if (kind === undefined) return
    await this.#inflict(kind)
  }

  /** Everything that lies in wait is taken away; what is down comes up. */
  heal(): void {
    this.#options.plant.ledgerDown.until = 0
    for (const machine of this.#options.machines) {
      machine.disk.fullUntil = 0
      machine.process?.heal()
      machine.start()
    }
  }

  async #inflict(kind: Inflicted): Promise<void> {
    const { chance, clock } = this.#options.plant
    switch (kind) {
      case 'crash':
      case 'zombie':
        return this.#ambush(kind)
      case 'commit-lost':
      case 'end-delayed':
      case 'end-repeated':
        return this.#arm(this.#worker(), { kind })
      case 'offset-out-of-range':
      case 'log-down':
        return this.#arm(this.#any(), { kind })
      case 'wallet-timeout':
        return this.#arm(this.#sink(), { kind })
      case 'ledger-down':
        return this.#ledgerDown()
      case 'rebalance':
        return this.#rebalance()
      case 'stale-store':
      case 'missing-store':
      case 'torn-store':
      case 'foreign-store':
        return this.#spoilStore(kind)
      case 'full-disk':
        return this.#fillDisk(clock.monotonic() + chance.between(100, 3_000))
      case 'rule-version':
        return this.#newVersion()
      case 'tick-storm':
        return this.#tickStorm()
      case 'compaction':
        return this.#compact()
      default:
        throw new Violation(`there is no way to inflict ${String(kind satisfies never)}`)
    }
  }

  #arm(machine: Machine | undefined, fault: Armed): void {
    machine?.process?.arm(fault)
  }

  /** Anywhere, or where it hurts most: around the writes to the store, the steps of a commit, the bookings. */
  #ambush(kind: 'crash' | 'zombie'): void {
    const { chance } = this.#options.plant
    const near = chance.is(0.4) ? '' : chance.pick(['write', 'write', 'commit', 'ledger'])
    const steps = near === '' ? chance.between(0, 60) : chance.between(0, 6)
    this.#arm(this.#any(), { kind, near, steps, freezeMs: chance.between(300, 25_000) })
  }

  async #ledgerDown(): Promise<void> {
    const { chance, clock, trace, ledgerDown } = this.#options.plant
    if (chance.is(0.6)) return this.#arm(this.#sink(), { kind: 'ledger-down' })
    const ms = chance.between(100, 6_000)
    trace.struck('ledger-down')
    trace.note(`ledger-down: it is gone for ${ms} ms`)
    ledgerDown.until = clock.monotonic() + ms
  }

  async #rebalance(): Promise<void> {
    const machine = this.#any()
    if (machine === undefined) return
    this.#options.plant.trace.struck('rebalance')
    // Not awaited: other things happen while it leaves.
    void machine.stop().catch((error: unknown) => this.#options.plant.violated(error))
  }

  async #spoilStore(kind: 'stale-store' | 'missing-store' | 'torn-store' | 'foreign-store'): Promise<void> {
    const { chance, trace } = this.#options.plant
    const machine = this.#worker()
    if (machine === undefined) return
    if (kind === 'stale-store' && (!machine.disk.hasSnapshot || chance.is(0.3))) {
      await machine.disk.snapshot()
      return
    }
    machine.process?.die(`to come back with a ${kind}`)
    trace.note(`${machine.name}: ${kind}`)
    trace.struck(kind)
    if (kind === 'stale-store') await machine.disk.restore()
    else if (kind === 'missing-store') machine.disk.lose()
    else if (kind === 'torn-store') await machine.disk.tear(chance)
    else await machine.disk.confuse(chance)
  }

  #fillDisk(until: number): void {
    const machine = this.#worker()
    if (machine === undefined) return
    this.#options.plant.trace.struck('full-disk')
    this.#options.plant.trace.note(`${machine.name}: full-disk until ${until / 1000} s`)
    machine.disk.fullUntil = until
  }

  async #newVersion(): Promise<void> {
    if (this.#versions === 3) return
    const { chance, clock, trace } = this.#options.plant
    const from = eventTimeAt(clock.monotonic() + chance.between(11_000, 25_000))
    const pair = nextVersion(this.#versions++, from)
    trace.struck('rule-version')
    trace.note(`rule-version: ${pair.plain.ruleId} 2.0 from ${new Date(from).toISOString()}`)
    await this.#options.publish(pair)
  }

  async #tickStorm(): Promise<void> {
    const { chance, clock, trace, log, topics } = this.#options.plant
    const count = chance.between(10, 150)
    trace.struck('tick-storm')
    trace.note(`tick-storm: ${count} ticks`)
    const producer = await log.producer()
    const now = eventTimeAt(clock.monotonic())
    const ticks = Array.from({ length: count }, () =>
      tickRecord(topics.events, chance.between(0, this.#options.partitions - 1), {
        ts: now - chance.between(0, 120_000),
        ingestTs: clock.now(),
      }),
    )
    await producer.send(ticks)
  }

  async #compact(): Promise<void> {
    const { trace, log } = this.#options.plant
    await this.#options.beforeCompaction()
    trace.struck('compaction')
    trace.note('compaction')
    await log.maintain()
  }

  /** A machine with a process, more often a worker than a sink. */
  #any(): Machine | undefined {
    return this.#options.plant.chance.is(0.75) ? this.#worker() : this.#sink()
  }

  #worker(): Machine | undefined {
    return this.#running('worker')
  }

  #sink(): Machine | undefined {
    return this.#running('sink')
  }

  #running(kind: Machine['kind']): Machine | undefined {
    const { machines, plant } = this.#options
    return plant.chance.pick(machines.filter((machine) => machine.kind === kind && machine.process !== undefined))
  }
}
