import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import { HttpConnection } from './gateway-connection.ts'
import type { GatewayJob, GatewayPhase, PhaseFigures } from './gateway-job.ts'
import { LatencyHistogram } from './latency-histogram.ts'

/** Latencies are counted in tenths of a millisecond. */
const TENTHS = 10
/** Requests at once that a steady rate may need where answers are slow; more wait, which counts as latency. */
const CONNECTIONS_MAX = 256
const PLAYERS = 10_000
const TICK_MS = 1

interface LoadParts {
  readonly job: GatewayJob
  readonly clock: Clock
}

/** Makes one phase of load, and measures it. */
export function runPhase(parts: LoadParts, phase: GatewayPhase, made: number): Promise<PhaseFigures> {
  return new Load(parts, phase, made).run()
}

class Load {
  readonly #clock: Clock
  readonly #job: GatewayJob
  readonly #phase: GatewayPhase
  readonly #latency = new LatencyHistogram()
  readonly #errors: Record<string, number> = {}
  readonly #idle: HttpConnection[] = []
  readonly #all: HttpConnection[] = []
  /** When requests were due that wait for a connection. */
  readonly #waiting: number[] = []
  #underWay = 0
  /** Monotonic ms from which on what is due is measured. */
  #from = 0
  #made: number
  #requests = 0
  #events = 0
  #accepted = 0
  #greatest = 0
  #lastMs = 0

  constructor({ job, clock }: LoadParts, phase: GatewayPhase, made: number) {
    this.#job = job
    this.#clock = clock
    this.#phase = phase
    this.#made = made
  }

  async run(): Promise<PhaseFigures> {
    const start = this.#clock.monotonic()
    const from = start + this.#phase.warmUpSeconds * 1_000
    const until = from + this.#phase.seconds * 1_000
    this.#from = from
    if (this.#phase.kind === 'singles') await this.#atRate(this.#phase.rate, start, until)
    else await this.#asFastAsItGoes(this.#phase, until)
    while (this.#underWay > 0 || this.#waiting.length > 0) await this.#clock.sleep(TICK_MS)
    for (const connection of this.#all) connection.close()
    const quantile = (share: number): number => (this.#latency.quantile(share) ?? 0) / TENTHS
    return {
      kind: this.#phase.kind,
      requests: this.#requests,
      events: this.#events,
      seconds: Math.max(this.#lastMs, until) / 1_000 - from / 1_000,
      p50: quantile(0.5),
      p95: quantile(0.95),
      p99: quantile(0.99),
      greatest: this.#greatest,
      errors: this.#errors,
      accepted: this.#accepted,
    }
  }

  /**
   * Request n is due n/rate seconds after the start, whatever became of those before it: a slow answer does not slow the load down, and
   * what it kept waiting counts from the instant at which it was due (no coordinated omission).
   */
  async #atRate(rate: number, start: number, until: number): Promise<void> {
    const dueAt = (request: number): number => start + (request * 1_000) / rate
    for (let due = 0; dueAt(due) < until; await this.#clock.sleep(TICK_MS)) {
      const now = this.#clock.monotonic()
      for (; dueAt(due) <= now && dueAt(due) < until; due++) this.#waiting.push(dueAt(due))
      // The last ones too: nothing may be under way whose end would send them.
      this.#sendWaiting()
    }
  }

  async #asFastAsItGoes(
    { size, atOnce }: { readonly size: number; readonly atOnce: number },
    until: number,
  ): Promise<void> {
    const loop = async (): Promise<void> => {
      const connection = this.#free()
      if (connection === undefined) return
      for (let now = this.#clock.monotonic(); now < until; now = this.#clock.monotonic()) {
        await this.#send(connection, size, now)
        // It was given back; this loop goes on with it.
        this.#idle.splice(this.#idle.indexOf(connection), 1)
      }
    }
    await Promise.all(Array.from({ length: atOnce }, loop))
  }

  #free(): HttpConnection | undefined {
    const idle = this.#idle.pop()
    if (idle !== undefined || this.#all.length >= CONNECTIONS_MAX) return idle
    const { port, key } = this.#job
    const made = new HttpConnection({ port, key, path: '/v1/events' })
    this.#all.push(made)
    return made
  }

  async #send(connection: HttpConnection, size: number, dueMs: number): Promise<void> {
    this.#underWay++
    const what = await connection.post(this.#body(size)).then(
      ({ status, body }) =>
        status === 202 && body.startsWith(`{"accepted":${size},`) ? 'accepted' : `status ${status}`,
      (error: unknown) => messageOf(error),
    )
    this.#underWay--
    const now = this.#clock.monotonic()
    this.#idle.push(connection)
    if (what === 'accepted') this.#accepted += size
    else this.#errors[what] = (this.#errors[what] ?? 0) + 1
    if (dueMs >= this.#from) this.#measure(now, dueMs, what === 'accepted' ? size : 0)
    this.#sendWaiting()
  }

  #measure(now: number, dueMs: number, events: number): void {
    this.#requests++
    this.#events += events
    this.#latency.add((now - dueMs) * TENTHS)
    this.#greatest = Math.max(this.#greatest, now - dueMs)
    this.#lastMs = now
  }

  #sendWaiting(): void {
    while (this.#waiting.length > 0) {
      const connection = this.#free()
      if (connection === undefined) return
      void this.#send(connection, 1, this.#waiting.shift() ?? 0)
    }
  }

  #body(size: number): string {
    const ts = new Date(this.#clock.now()).toISOString()
    if (size === 1) return eventText(this.#job.run, this.#made++, ts)
    let text = '['
    for (let i = 0; i < size; i++) text += `${i === 0 ? '' : ','}${eventText(this.#job.run, this.#made++, ts)}`
    return `${text}]`
  }
}

/** A bet as a game's back end sends it, some 350 bytes. */
function eventText(run: string, n: number, ts: string): string {
  const player = `"user":{"id":"u_${run}_${(n * 7_919) % PLAYERS}","geo":"TR","platform":"android","payer_flag":true}`
  const context = `"context":{"session_id":"s_${n % 100_000}","device_fp":"fp_${n % 50_000}","ip":"203.0.113.24"}`
  const payload = `"payload":{"bet":${(n % 100) / 4},"win":0,"currency":"EUR","game_id":"slot_wolf","round_id":"r_${n}","provider":"GameCo"}`
  return `{"event_id":"${run}-${n}","event_name":"bet","version":"1.2.0","ts":"${ts}",${player},${context},${payload}}`
}
