import type { Clock } from '../../core/clock.ts'
import type { Chance } from './chance.ts'
import type { FaultName } from './faults.ts'
import type { Trace } from './trace.ts'
import type { VirtualClock } from './virtual-clock.ts'

/** What the simulated world gives to everything in it. */
export interface Surroundings {
  readonly clock: VirtualClock
  readonly chance: Chance
  readonly trace: Trace
}

/** A fault that lies in wait in a process until a step that it fits. */
export type Armed =
  /** After so many steps at places whose name contains `near`. */
  | { readonly kind: 'crash' | 'zombie'; readonly near: string; steps: number; readonly freezeMs: number }
  | { readonly kind: Exclude<FaultName, 'crash' | 'zombie'> }

const never = new Promise<never>(() => undefined)

/**
 * One process of the simulation. Everything it does to the outside goes through `io`, where time passes and where it can
 * die or freeze. What a dead process still does in memory reaches nothing: its calls never come back.
 */
export class SimulatedProcess {
  readonly name: string
  readonly clock: Clock
  readonly #world: Surroundings
  readonly #sessionMs: number
  #armed: Armed[] = []
  #dead = false
  #frozenUntil = 0
  /** Called when the group gives up on this process: dead, or frozen for longer than its session. */
  readonly onExpelled = new Set<() => void>()
  onDeath: () => void = () => undefined

  constructor(name: string, world: Surroundings, sessionMs: number) {
    this.name = name
    this.#world = world
    this.#sessionMs = sessionMs
    const { clock } = world
    this.clock = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      sleep: async (ms, signal) => {
        await clock.sleep(ms, signal)
        await this.awake()
      },
    }
  }

  get isDead(): boolean {
    return this.#dead
  }

  get isFrozen(): boolean {
    return this.#frozenUntil > this.#world.clock.monotonic()
  }

  get world(): Surroundings {
    return this.#world
  }

  arm(fault: Armed): void {
    this.#armed.push(fault)
  }

  /** Nothing more goes wrong from here on. */
  heal(): void {
    this.#armed = []
    this.#frozenUntil = 0
  }

  /** True once for each armed fault of this kind; it is then used up, and stands in the trace. */
  strikes(kind: Armed['kind'], place: string): boolean {
    const index = this.#armed.findIndex((fault) => fault.kind === kind)
    if (index < 0) return false
    this.#armed.splice(index, 1)
    this.#world.trace.struck(kind)
    this.note(`${kind} at ${place}`)
    return true
  }

  note(line: string): void {
    this.#world.trace.note(`${this.name}: ${line}`)
  }

  /** One I/O: time passes before and after it, and the process may die or freeze on either side. */
  async io<T>(place: string, run: () => Promise<T>): Promise<T> {
    await this.#pass(`before ${place}`)
    const result = await run()
    await this.#pass(`after ${place}`)
    return result
  }

  /** Resolves while the process runs; not before it has thawed, and never once it is dead. */
  async awake(): Promise<void> {
    const { clock } = this.#world
    while (!this.#dead && this.#frozenUntil > clock.monotonic())
      await clock.sleep(this.#frozenUntil - clock.monotonic())
    if (this.#dead) await never
  }

  die(place: string): void {
    if (this.#dead) return
    this.#dead = true
    this.note(`crash ${place}`)
    void this.#expelAfterSession(() => true)
    this.onDeath()
  }

  async #pass(place: string): Promise<void> {
    const { clock, trace } = this.#world
    if (this.#dead) return never
    trace.step(`${this.name} ${place}`)
    this.#countDown(place)
    const latencyMs = this.#latencyMs()
    if (latencyMs > 0) await clock.sleep(latencyMs)
    await this.awake()
  }

  #countDown(place: string): void {
    for (const fault of this.#armed) {
      if (fault.kind !== 'crash' && fault.kind !== 'zombie') continue
      if (!place.includes(fault.near) || fault.steps-- > 0) continue
      this.#armed.splice(this.#armed.indexOf(fault), 1)
      this.#world.trace.struck(fault.kind)
      if (fault.kind === 'crash') this.die(place)
      else this.#freeze(fault.freezeMs, place)
      return
    }
  }

  #freeze(ms: number, place: string): void {
    const { clock } = this.#world
    this.note(`zombie: freezes for ${ms} ms ${place}`)
    this.#frozenUntil = clock.monotonic() + ms
    void this.#expelAfterSession(() => this.isFrozen)
  }

  /** Half of the calls take no time, most of the others some milliseconds, a few very long. */
  #latencyMs(): number {
    const { chance } = this.#world
    const draw = chance.random()
    if (draw < 0.5) return 0
    return draw < 0.985 ? chance.between(1, 6) : chance.between(20, 400)
  }

  async #expelAfterSession(still: () => boolean): Promise<void> {
    await this.#world.clock.sleep(this.#sessionMs)
    if (still()) for (const expel of this.onExpelled) expel()
  }
}
