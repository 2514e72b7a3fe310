import { hash } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import type { FaultName } from './faults.ts'

/**
 * What happened in a run, a line each with its virtual time; and a digest of every single step, so that two traces are
 * equal only where the whole schedule was.
 */
export class Trace {
  readonly #clock: Clock
  readonly #lines: string[] = []
  #steps = 0
  #pending: string[] = []
  #digest = ''
  /** How often each fault struck. */
  readonly faults: Record<string, number> = {}

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A fault, or something that follows from one. */
  note(line: string): void {
    this.#lines.push(`${(this.#clock.monotonic() / 1000).toFixed(3).padStart(9)} s  ${line}`)
  }

  struck(fault: FaultName): void {
    this.faults[fault] = (this.faults[fault] ?? 0) + 1
  }

  /** One I/O of one process. */
  step(place: string): void {
    this.#steps++
    this.#pending.push(`${this.#clock.monotonic()} ${place}`)
    if (this.#pending.length >= 512) this.#fold()
  }

  get steps(): number {
    return this.#steps
  }

  text(): string {
    this.#fold()
    return `${this.#lines.join('\n')}\n${this.#steps} steps, digest ${this.#digest}\n`
  }

  #fold(): void {
    if (this.#pending.length === 0) return
    this.#digest = hash('sha256', `${this.#digest}\n${this.#pending.join('\n')}`, 'hex').slice(0, 16)
    this.#pending = []
  }
}
