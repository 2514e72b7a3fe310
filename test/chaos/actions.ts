import { join } from 'node:path'
import { systemClock as clock } from '../../core/clock.ts'
import type { TestKafka } from '../support/kafka.ts'
import type { FaultKind, PlannedFault } from './faults.ts'
import { type Installation, SESSION_MS } from './installation.ts'
import type { Service } from './service.ts'
import { spoilStore } from './spoiled-store.ts'

/** SPEC of the hand-over: SIGTERM to exit, at most. */
export const TERMINATE_MS_MAX = 5_000
/** Beyond this a process is killed, so that the run goes on. */
const TERMINATE_PATIENCE_MS = 20_000
const FREEZE_MS = SESSION_MS + 2_500
const OUTAGE_MS = 1_500
const KAFKA_FREEZE_MS = 4_000
/** The sizes that scaling goes through, one step a fault: 1 -> 3 -> 2 and round again. */
const SIZES = [3, 2, 1]

export interface Termination {
  readonly service: string
  readonly ms: number
  readonly problem: string | undefined
}

/** Carries faults out; what takes long goes on by itself (`settled`), so that faults overlap. */
export class Actions {
  readonly #installation: Installation
  readonly #underWay = new Set<Promise<void>>()
  readonly #note: (text: string) => void
  #sizeIndex = 0
  #size = 2
  #kafkaBusy = false
  #postgresBusy = false
  readonly terminations: Termination[] = []
  readonly counts = new Map<FaultKind, number>()
  readonly failures: string[] = []

  constructor(installation: Installation, note: (text: string) => void) {
    this.#installation = installation
    this.#note = note
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
    const { ms, code, signal } = await service.terminate(TERMINATE_PATIENCE_MS)
    const took = `${Math.round(ms)} ms after SIGTERM`
    const problem =
      code !== 0
        ? `${service.name} ended with ${signal ?? `exit code ${code}`} ${took}`
        : ms > TERMINATE_MS_MAX
          ? `${service.name} ended only ${took}`
          : undefined
    this.terminations.push({ service: service.name, ms, problem })
  }

  #start(kind: FaultKind, target: number): Promise<void> | undefined {
    const { workers, sinks } = this.#installation
    switch (kind) {
      case 'kill-worker':
        return this.#onOne(kind, { of: workers, target }, killAndStart)
      case 'kill-sink':
        return this.#onOne(kind, { of: sinks, target }, killAndStart)
      case 'freeze-worker':
        return this.#onOne(kind, { of: workers, target }, freezeAndThaw)
      case 'freeze-sink':
        return this.#onOne(kind, { of: sinks, target }, freezeAndThaw)
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
    await clock.sleep(OUTAGE_MS)
    service.start()
  }

  async #corruptAndStart(service: Service, target: number): Promise<void> {
    await service.kill()
    const spoiled = spoilStore(join(this.#installation.stateOf(service), this.#installation.application), target)
    if (spoiled !== undefined) this.#note(`corrupted ${service.name}: ${spoiled}`)
    service.start()
  }

  #breakKafka(kind: FaultKind): Promise<void> | undefined {
    const { kafka } = this.#installation
    if (this.#kafkaBusy || kafka.pid === undefined) return undefined
    this.#note(kind)
    this.#kafkaBusy = true
    const work = kind === 'kafka-freeze' ? freezeKafka(kafka) : kafka.restart({ kill: kind === 'kafka-kill' })
    return work.finally(() => {
      this.#kafkaBusy = false
    })
  }

  #restartPostgres(kind: FaultKind): Promise<void> | undefined {
    if (this.#postgresBusy) return undefined
    this.#note(kind)
    this.#postgresBusy = true
    const pause = (): Promise<void> => clock.sleep(OUTAGE_MS)
    return this.#installation.postgres.restart({ crash: kind === 'postgres-kill', pause }).finally(() => {
      this.#postgresBusy = false
    })
  }

  /** One step: to 1, to 3 or to 2 workers. One that another fault is busy with is left to it. */
  #scale(): Promise<void> {
    this.#size = SIZES[this.#sizeIndex++ % SIZES.length] ?? 2
    const { workers } = this.#installation
    const on = workers.filter(({ running, busy }) => running || busy)
    this.#note(`scale ${on.length} -> ${this.#size} workers`)
    const leaving = on.filter(({ busy, frozen }) => !busy && !frozen).slice(0, Math.max(0, on.length - this.#size))
    const joining = workers.filter((worker) => !on.includes(worker)).slice(0, Math.max(0, this.#size - on.length))
    for (const worker of joining) worker.start()
    return Promise.all(leaving.map((worker) => worker.occupied(() => this.terminate(worker)))).then(() => undefined)
  }
}

async function killAndStart(service: Service): Promise<void> {
  await service.kill()
  service.start()
}

async function freezeAndThaw(service: Service): Promise<void> {
  service.freeze()
  await clock.sleep(FREEZE_MS)
  service.thaw()
}

async function freezeKafka(kafka: TestKafka): Promise<void> {
  kafka.pause()
  await clock.sleep(KAFKA_FREEZE_MS)
  kafka.resume()
}
