import { systemClock as clock } from '../../core/clock.ts'
import type { TestKafka } from '../support/kafka.ts'
import type { FaultKind, PlannedFault } from './faults.ts'
import { type Installation, SESSION_MS } from './installation.ts'
import type { Service, Termination } from './service.ts'
import { spoilStore } from './spoiled-store.ts'
import type { Waits } from './waits.ts'

/** The promise of the hand-over: SIGTERM to exit, at most. */
export const TERMINATE_MS_MAX = 5_000
/** Beyond this a process is killed, so that the run goes on. */
const TERMINATE_PATIENCE_MS = 60_000
const OUTAGE_MS = 1_500
const KAFKA_FREEZE_MS = 4_000
/** The sizes that one `scale` goes through. */
const SIZES = [1, 3, 2]

export interface ServiceTermination extends Termination {
  readonly service: string
}

/** Carries faults out; what takes long goes on by itself (`settled`), so that faults overlap. */
export class Actions {
  readonly #installation: Installation
  readonly #underWay = new Set<Promise<void>>()
  readonly #note: (text: string) => void
  readonly #waits: Waits
  readonly #signal: AbortSignal
  #scaling = false
  #kafkaBusy = false
  #postgresBusy = false
  readonly terminations: ServiceTermination[] = []
  readonly counts = new Map<FaultKind, number>()
  readonly failures: string[] = []

  constructor(
    installation: Installation,
    surroundings: { readonly waits: Waits; readonly signal: AbortSignal; readonly note: (text: string) => void },
  ) {
    this.#installation = installation
    this.#waits = surroundings.waits
    this.#signal = surroundings.signal
    this.#note = surroundings.note
  }

  /** False where it cannot be done now: nobody to hit, or that part is under way already. */
  apply({ kind, target }: PlannedFault): boolean {
    const work = this.#start(kind, target)
    if (work === undefined) return false
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1)
    const watched = work
      .catch((error: unknown) => void this.failures.push(`${kind}: ${String(error)}`))
      .finally(() => this.#underWay.delete(watched))
    this.#underWay.add(watched)
    return true
  }

  /** Resolves once everything under way is over: frozen ones thawed, killed ones started, servers up. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  async terminate(service: Service): Promise<void> {
    const end = await service.terminate(TERMINATE_PATIENCE_MS)
    this.terminations.push({ service: service.name, ...end })
    const took = `${Math.round(end.ms)} ms after SIGTERM`
    if (end.code !== 0) {
      this.failures.push(`${service.name} ended with ${end.signal ?? `exit code ${end.code}`} ${took}`)
    } else if (end.ownMs > TERMINATE_MS_MAX) {
      this.failures.push(`${service.name} ended only ${took}, ${Math.round(end.ownMs)} ms of them its own`)
    }
  }

  #start(kind: FaultKind, target: number): Promise<void> | undefined {
    const { workers, sinks, workerGroup, sinkGroup } = this.#installation
    switch (kind) {
      case 'kill-worker':
        return this.#onOne(kind, { of: workers, target }, killAndStart)
      case 'kill-sink':
        return this.#onOne(kind, { of: sinks, target }, killAndStart)
      case 'freeze-worker':
        return this.#onOne(kind, { of: workers, target }, (service) =>
          this.#freezeAndThaw(service, { group: workerGroup, members: workers }),
        )
      case 'freeze-sink':
        return this.#onOne(kind, { of: sinks, target }, (service) =>
          this.#freezeAndThaw(service, { group: sinkGroup, members: sinks }),
        )
      case 'term-worker':
        return this.#onOne(kind, { of: workers, target }, (service) => this.#terminateAndStart(service))
      case 'term-sink':
        return this.#onOne(kind, { of: sinks, target }, (service) => this.#terminateAndStart(service))
      case 'corrupt-worker':
        return this.#onOne(kind, { of: workers, target }, (service) => this.#corruptAndStart(service, target))
      case 'kafka-kill':
      case 'kafka-restart':
      case 'kafka-freeze':
        return this.#breakKafka(kind)
      case 'postgres-kill':
      case 'postgres-restart':
        return this.#restartPostgres(kind)
      case 'scale':
        return this.#scale()
      default:
        return kind satisfies never
    }
  }

  #onOne(
    kind: FaultKind,
    choice: { of: readonly Service[]; target: number },
    act: (service: Service) => Promise<void>,
  ): Promise<void> | undefined {
    const able = choice.of.filter(({ running, frozen, busy }) => running && !frozen && !busy)
    const service = able[Math.floor(choice.target * able.length)]
    if (service === undefined) return undefined
    this.#note(`${kind} ${service.name}`)
    return service.occupied(() => act(service))
  }

  async #terminateAndStart(service: Service): Promise<void> {
    await this.terminate(service)
    await clock.sleep(OUTAGE_MS, this.#signal)
    service.start()
  }

  async #corruptAndStart(service: Service, target: number): Promise<void> {
    await service.kill()
    const spoiled = spoilStore(this.#installation.storesOf(service), target)
    if (spoiled !== undefined) this.#note(`corrupted ${service.name}: ${spoiled}`)
    service.start()
  }

  #breakKafka(kind: FaultKind): Promise<void> | undefined {
    const { kafka } = this.#installation
    if (this.#kafkaBusy || kafka.pid === undefined) return undefined
    this.#note(kind)
    this.#kafkaBusy = true
    const work = kind === 'kafka-freeze' ? this.#freezeKafka(kafka) : kafka.restart({ kill: kind === 'kafka-kill' })
    return work.finally(() => {
      this.#kafkaBusy = false
    })
  }

  #restartPostgres(kind: FaultKind): Promise<void> | undefined {
    if (this.#postgresBusy) return undefined
    this.#note(kind)
    this.#postgresBusy = true
    const pause = (): Promise<void> => clock.sleep(OUTAGE_MS, this.#signal)
    return this.#installation.postgres.restart({ crash: kind === 'postgres-kill', pause }).finally(() => {
      this.#postgresBusy = false
    })
  }

  /** Past its session, and until its group has gone on without it: what wakes up is a zombie. */
  async #freezeAndThaw(
    service: Service,
    { group, members }: { group: string; members: readonly Service[] },
  ): Promise<void> {
    service.freeze()
    await clock.sleep(SESSION_MS, this.#signal)
    await this.#waits.until(`${group} to go on without ${service.name}`, async () => {
      const now = await this.#waits.members(group)
      return now !== undefined && now < members.filter(({ running }) => running).length
    })
    service.thaw()
  }

  async #freezeKafka(kafka: TestKafka): Promise<void> {
    kafka.pause()
    await clock.sleep(KAFKA_FREEZE_MS, this.#signal)
    kafka.resume()
  }

  #scale(): Promise<void> | undefined {
    if (this.#scaling) return undefined
    this.#scaling = true
    return this.#scaleThrough(SIZES).finally(() => {
      this.#scaling = false
    })
  }

  /** Each size is reached before the next one: all workers have joined, and recovered what they were given. */
  async #scaleThrough(sizes: readonly number[]): Promise<void> {
    const { workers, workerGroup, topics } = this.#installation
    for (const size of sizes) {
      if (this.#signal.aborted) return
      await this.#resize(size)
      await this.#waits.atWork(workerGroup, workers)
      await this.#waits.processed(workerGroup, topics.events)
    }
  }

  /** A worker that another fault is busy with is left to it. */
  async #resize(size: number): Promise<void> {
    const { workers } = this.#installation
    const on = workers.filter(({ running, busy }) => running || busy)
    this.#note(`scale ${on.length} -> ${size} workers`)
    const leaving = on.filter(({ busy, frozen }) => !busy && !frozen).slice(0, Math.max(0, on.length - size))
    const joining = workers.filter((worker) => !on.includes(worker)).slice(0, Math.max(0, size - on.length))
    for (const worker of joining) worker.start()
    await Promise.all(leaving.map((worker) => worker.occupied(() => this.terminate(worker))))
  }
}

async function killAndStart(service: Service): Promise<void> {
  await service.kill()
  service.start()
}
