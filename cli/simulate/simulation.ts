import { setImmediate as nextTurn } from 'node:timers/promises'
import { type EmbeddedLog, openEmbeddedLog } from '../../connectors/log/embedded/log.ts'
import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import { partitionOf } from '../../core/partitioner.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import type { OutRecord } from '../../core/ports/log.ts'
import { seededRandom } from '../../core/random.ts'
import { changelogTopic, topicNames } from '../../core/topics.ts'
import type { Normalized } from '../../operators/normalize.ts'
import { publishPolicies, publishRules } from '../../pipeline/publish-rules.ts'
import { tickRecord } from '../../pipeline/ticker.ts'
import { loadRules } from '../../rules/load.ts'
import { memoryKv } from '../../state/memory-kv.ts'
import { META, TASK_META_KEY } from '../../state/stores.ts'
import { Audit } from './audit.ts'
import { Chance } from './chance.ts'
import type { FaultName } from './faults.ts'
import { MemoryLedger } from './ledger.ts'
import { APPLICATION, Machine, type Plant, REMEMBER_MS, SINK_GROUP, WINDOW_MS } from './machines.ts'
import { Mischief } from './mischief.ts'
import { POLICY } from './policy.ts'
import type { ReferenceRule } from './reference.ts'
import { Reviewer } from './reviewer.ts'
import { FIRST_RULES, type RulePair } from './rules.ts'
import { Trace } from './trace.ts'
import { checkFold, checkOutcome, isLevel } from './verdict.ts'
import { Violation } from './violation.ts'
import { VirtualClock } from './virtual-clock.ts'
import { WalletPartner } from './wallet.ts'
import { eventTimeAt, REFUSED_USER, START_MS, Workload } from './workload.ts'

export interface SimulationOptions {
  readonly seed: number
  /** Events to send. */
  readonly steps: number
  readonly faults: ReadonlySet<FaultName>
  readonly normalize: (raw: Buffer | null) => Normalized
}

export interface SimulationResult {
  readonly seed: number
  /** What was wrong first; undefined where nothing was. */
  readonly violation: string | undefined
  readonly trace: string
  readonly events: number
  readonly rewards: number
  /** How often a rule gave nothing for a late event that was sent again, by reason. */
  readonly late: Readonly<Record<string, number>>
  /** What the gates did with them; stopped: at the moment of their call. */
  readonly gates: {
    readonly frozen: number
    readonly released: number
    readonly expired: number
    readonly stopped: number
  }
  /** How often each fault struck. */
  readonly faults: Readonly<Record<string, number>>
}

/** Turns of the event loop without anyone asleep after which nothing can wake anything any more. */
const IDLE_TURNS_MAX = 1_000
const CONVERGE_MS_MAX = 600_000
const TICK_BEYOND_MS = 10 * 60_000
/** How long the changelog keeps tombstones: short, so that a run sees stores that are too old to be caught up. */
const TOMBSTONES_MS = 20_000

/** One run; the same options always give the same result. */
export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const simulation = await Simulation.open(options)
  return simulation.run()
}

class Simulation {
  readonly #options: SimulationOptions
  readonly #plant: Plant
  readonly #ledger: MemoryLedger
  readonly #rules: ReferenceRule[]
  readonly #machines: readonly Machine[]
  readonly #audit: Audit
  readonly #mischief: Mischief
  readonly #reviewer: Reviewer
  readonly #partitions: number
  readonly #workload: Workload
  #violation: unknown
  #sent = 0
  #phase: 'feeding' | 'converging' | 'over' = 'feeding'

  private constructor(options: SimulationOptions, parts: { plant: Plant; ledger: MemoryLedger; partitions: number }) {
    const { plant, ledger, partitions } = parts
    const { chance, topics, partner, log } = plant
    this.#options = options
    this.#plant = { ...plant, violated: (violation) => void (this.#violation ??= violation) }
    this.#ledger = ledger
    this.#partitions = partitions
    this.#workload = new Workload(chance, options.faults)
    this.#rules = FIRST_RULES.map(({ plain }) => plain)
    this.#reviewer = new Reviewer(this.#plant)
    const workers = chance.between(2, 4)
    this.#machines = [
      ...Array.from({ length: workers }, (_, i) => new Machine(`w${i + 1}`, 'worker', this.#plant)),
      ...['s1', 's2'].map((name) => new Machine(name, 'sink', this.#plant)),
    ]
    const changelog = changelogTopic(APPLICATION)
    const limits = { windowMs: WINDOW_MS, rememberMs: REMEMBER_MS }
    this.#audit = new Audit({ log, topics, changelog, ledger, partner, rules: this.#rules, ...limits })
    this.#mischief = new Mischief({
      plant: this.#plant,
      faults: options.faults,
      machines: this.#machines,
      partitions,
      publish: (pair) => this.#publish([pair]),
      beforeCompaction: () => this.#audit.check(),
    })
  }

  static async open(options: SimulationOptions): Promise<Simulation> {
    const chance = new Chance(seededRandom(options.seed))
    const clock = new VirtualClock(START_MS, chance.random)
    const log = await openEmbeddedLog({ kv: memoryKv(), clock, maintenanceIntervalMs: 0 })
    const ledger = new MemoryLedger(clock)
    const partitions = chance.between(1, 4)
    const plant: Plant = {
      clock,
      chance,
      trace: new Trace(clock),
      log,
      topics: topicNames(),
      ledger,
      ledgerDown: { until: 0 },
      partner: new WalletPartner(REFUSED_USER),
      normalize: options.normalize,
      standby: chance.between(0, 2),
      violated: () => undefined,
    }
    return new Simulation(options, { plant, ledger, partitions })
  }

  async run(): Promise<SimulationResult> {
    const { clock, log, trace } = this.#plant
    void this.#guard(this.#script())
    for (let idleTurns = 0; !this.#isOver(); idleTurns++) {
      // Everything that can run runs before time moves.
      await nextTurn()
      if (clock.advance()) idleTurns = 0
      if (idleTurns > IDLE_TURNS_MAX) this.#plant.violated(new Violation('nothing can happen any more: a deadlock'))
    }
    await log.close()
    const violation = this.#violation === undefined ? undefined : describe(this.#violation)
    if (violation !== undefined) trace.note(`VIOLATION ${violation}`)
    const { seed } = this.#options
    const rewards = this.#audit.told.rewards.size
    const gates = this.#gates()
    const { late } = this.#audit
    return { seed, violation, trace: trace.text(), events: this.#sent, rewards, late, gates, faults: trace.faults }
  }

  #gates(): SimulationResult['gates'] {
    const fates = [...this.#audit.told.fates.values()]
    const count = (word: string): number => fates.filter((fate) => fate.includes(word)).length
    const stopped = this.#ledger.stopped.size
    return { frozen: count('frozen'), released: count('released'), expired: count('expired'), stopped }
  }

  async #script(): Promise<void> {
    await this.#prepare()
    for (const machine of this.#machines) machine.start()
    const works = [() => this.#mischief.next(), () => this.#reviewer.next(), () => this.#watch()]
    const alongside = works.map((work) => this.#guard(this.#meanwhile(work)))
    await this.#feed()
    this.#phase = 'converging'
    await Promise.all(alongside)
    await this.#converge()
    await this.#judge()
    this.#phase = 'over'
  }

  /** Again and again while events flow. */
  async #meanwhile(work: () => Promise<void>): Promise<void> {
    while (this.#phase === 'feeding' && this.#violation === undefined) await work()
  }

  #isOver(): boolean {
    return this.#phase === 'over' || this.#violation !== undefined
  }

  /** Whatever fails in the simulation itself is a violation, too. */
  async #guard(work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (error) {
      this.#plant.violated(error)
    }
  }

  async #prepare(): Promise<void> {
    const { log, topics, chance } = this.#plant
    const partitions = this.#partitions
    const outputs = chance.is(0.3) ? chance.between(1, partitions) : partitions
    await log.createTopics([
      { topic: topics.events, partitions, cleanup: 'delete' },
      { topic: topics.control, partitions: 1, cleanup: 'compact' },
      ...[topics.scores, topics.rewards, topics.dlq].map((topic) => ({
        topic,
        partitions: outputs,
        cleanup: 'delete' as const,
      })),
      {
        topic: changelogTopic(APPLICATION),
        partitions,
        cleanup: 'compact',
        deleteRetentionMs: TOMBSTONES_MS,
        maxRecordBytes: 8 << 20,
      },
    ])
    const publishing = { log, clock: this.#eventClock(), logger: silentLogger, topic: topics.control }
    const { refused } = await publishPolicies({ ...publishing, policies: [POLICY] })
    if (refused.length > 0) throw new Violation(JSON.stringify(refused))
    await this.#publish(FIRST_RULES)
  }

  async #publish(pairs: readonly RulePair[]): Promise<void> {
    const { log, topics } = this.#plant
    const loaded = loadRules(pairs.map(({ file, text }) => ({ file, text })))
    if (!loaded.ok) throw new Violation(JSON.stringify(loaded.problems))
    for (const { plain } of pairs) if (!this.#rules.includes(plain)) this.#rules.push(plain)
    const publishing = { log, clock: this.#eventClock(), logger: silentLogger, topic: topics.control }
    await publishRules({ ...publishing, rules: loaded.rules })
  }

  /** Events run behind the clock, and the instants of versions go by them. */
  #eventClock(): Clock {
    const { clock } = this.#plant
    return {
      now: () => eventTimeAt(clock.monotonic()),
      monotonic: () => clock.monotonic(),
      sleep: (ms, signal) => clock.sleep(ms, signal),
    }
  }

  async #feed(): Promise<void> {
    const { log, clock, chance } = this.#plant
    const workload = this.#workload
    const producer = await log.producer()
    while (this.#sent < this.#options.steps && this.#violation === undefined) {
      const count = Math.min(chance.between(1, 8), this.#options.steps - this.#sent)
      const records = Array.from({ length: count }, () => this.#eventRecord(workload.next(clock.monotonic())))
      await producer.send(records)
      this.#sent += count
      await clock.sleep(chance.is(0.03) ? chance.between(4_000, 9_000) : chance.between(10, 1_500))
    }
  }

  #eventRecord({ user, text }: { readonly user: string; readonly text: string }): OutRecord {
    const { clock, topics } = this.#plant
    const partition = partitionOf(user, this.#partitions)
    return { topic: topics.events, partition, key: user, value: text, timestamp: clock.now() }
  }

  async #watch(): Promise<void> {
    await this.#plant.clock.sleep(2_000)
    await this.#audit.check()
  }

  /** Nothing fails any more: everything must be processed and paid within a bound, whatever has happened. */
  async #converge(): Promise<void> {
    const { clock, trace, log, topics } = this.#plant
    trace.note('the faults are over')
    this.#mischief.heal()
    const players = await log.producer()
    await players.send(this.#workload.lastWords(clock.monotonic()).map((said) => this.#eventRecord(said)))
    await this.#until('every event is processed', () => this.#behind())
    const ts = eventTimeAt(clock.monotonic()) + TICK_BEYOND_MS
    const producer = await log.producer()
    await producer.send(this.#numbers().map((p) => tickRecord(topics.events, p, { ts, ingestTs: clock.now() })))
    await this.#until('every held event is released', async () => (await this.#behind()) ?? (await this.#overdue()))
    await this.#until('every reward is booked', () => this.#unbooked())
    await this.#until('every reward is paid or refused', async () => {
      const left = await this.#ledger.outstanding()
      if (left > 0) return `${left} are in the outbox`
      const thaw = this.#ledger.toThaw()
      return thaw === 0 ? undefined : `${thaw} are frozen although nothing stands against them`
    })
    await this.#audit.check()
    for (const machine of this.#machines) machine.wanted = false
    await Promise.all(this.#machines.map((machine) => machine.stop()))
  }

  async #judge(): Promise<void> {
    const { log, topics, partner, trace } = this.#plant
    await this.#audit.check()
    const totals = await this.#ledger.totals()
    trace.note(`the ledger: ${totals.map(({ status, count }) => `${count} ${status}`).join(', ')}`)
    const { frozen, released, expired, stopped } = this.#gates()
    trace.note(`the gates: ${frozen} frozen, ${released} of them released, ${expired} expired`)
    trace.note(`frozen at the moment of the call: ${stopped}`)
    checkOutcome(this.#audit, this.#ledger, partner)
    const inputs = this.#numbers().map((partition) => ({ topic: topics.events, partition }))
    const committed = await log.committed(APPLICATION, inputs)
    const level = new Set<number>()
    for (const { name, disk } of this.#machines) {
      for (const partition of disk.partitions) {
        const what = `the store of partition ${partition} on ${name}`
        const kv = disk.store(partition)
        if (!(await isLevel(what, { kv, partition }, committed[partition]))) continue
        level.add(partition)
        await checkFold(what, kv, this.#audit.changelog[partition] ?? [])
      }
    }
    for (const partition of this.#numbers()) {
      if (committed[partition] !== undefined && !level.has(partition)) {
        throw new Violation(`no store stands where partition ${partition} was committed, at ${committed[partition]}`)
      }
    }
  }

  async #until(what: string, missing: () => Promise<string | undefined>): Promise<void> {
    const { clock } = this.#plant
    const bound = clock.monotonic() + CONVERGE_MS_MAX
    for (let left = await missing(); left !== undefined; left = await missing()) {
      if (clock.monotonic() > bound) throw new Violation(`waited in vain until ${what}: ${left}`)
      await clock.sleep(500)
    }
  }

  async #behind(): Promise<string | undefined> {
    const { log, topics } = this.#plant
    const inputs = this.#numbers().map((partition) => ({ topic: topics.events, partition }))
    const bounds = await log.bounds(inputs)
    const committed = await settled(log, inputs)
    if (committed === undefined) return 'a transaction is open'
    const behind = this.#numbers().find((p) => (committed[p] ?? 0) < (bounds[p]?.end ?? 0))
    return behind === undefined
      ? undefined
      : `partition ${behind} is at ${committed[behind] ?? 0} of ${bounds[behind]?.end}`
  }

  /** Held events may be released by commits that come after the last record's. */
  async #overdue(): Promise<string | undefined> {
    await this.#audit.check()
    const key = META.prefix + TASK_META_KEY
    const overdue = this.#numbers().find((partition) => {
      const last = this.#audit.changelog[partition]?.findLast((record) => record.key?.toString() === key)
      return last?.value ? META.decode(last.value).overdue : false
    })
    return overdue === undefined ? undefined : `partition ${overdue} has left some behind`
  }

  async #unbooked(): Promise<string | undefined> {
    const { log, topics } = this.#plant
    const partitions = (await log.topic(topics.rewards))?.partitions ?? 0
    for (let partition = 0; partition < partitions; partition++) {
      const at = { topic: topics.rewards, partition }
      const [position] = await log.committed(SINK_GROUP, [at])
      const reader = await log.reader(at)
      const { records } = await reader.read(position ?? 0)
      if (records.length > 0) return `${records.length} of reward partition ${partition} are not booked`
    }
    return undefined
  }

  #numbers(): number[] {
    return Array.from({ length: this.#partitions }, (_, partition) => partition)
  }
}

/** The committed offsets, or undefined while an open transaction may still move them. */
async function settled(
  log: EmbeddedLog,
  inputs: readonly { topic: string; partition: number }[],
): Promise<readonly (number | undefined)[] | undefined> {
  const open = nextTurn().then(() => undefined)
  return Promise.race([log.committed(APPLICATION, inputs), open])
}

function describe(violation: unknown): string {
  if (violation instanceof Violation) return violation.message
  return violation instanceof Error ? (violation.stack ?? violation.message) : messageOf(violation)
}
