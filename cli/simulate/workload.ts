import type { Chance } from './chance.ts'
import type { FaultName } from './faults.ts'

/** Event time runs so many times as fast as the virtual clock, far behind it: a season's evening in two minutes. */
const SPEED = 80
/** A quarter of an hour before midnight in Istanbul, less the first half hour. */
const FIRST_EVENT_MS = Date.parse('2025-11-03T20:05:00Z')
/** The virtual clock starts hours later, so that no event is from the future by itself. */
export const START_MS = Date.parse('2025-11-04T06:00:00Z')
const USERS = 20
export const REFUSED_USER = 'u_19'

/** Event time at a moment of the run. */
export function eventTimeAt(elapsedMs: number): number {
  return FIRST_EVENT_MS + Math.floor(elapsedMs * SPEED)
}

/** Makes events as players, networks and broken clients send them. */
export class Workload {
  readonly #chance: Chance
  readonly #faults: ReadonlySet<FaultName>
  readonly #sent: { readonly user: string; readonly text: string }[] = []
  #made = 0
  #user = 'u_0'

  constructor(chance: Chance, faults: ReadonlySet<FaultName>) {
    this.#chance = chance
    this.#faults = faults
  }

  /** The next record for the events topic: whose partition it belongs on, and its text. */
  next(elapsedMs: number): { readonly user: string; readonly text: string } {
    const chance = this.#chance
    if (this.#faults.has('repeated-events') && chance.is(0.08)) {
      const again = this.#sent[this.#sent.length - 1 - chance.between(0, chance.is(0.8) ? 30 : 300)]
      if (again !== undefined) return again
    }
    // Players come in bursts, so that caps of a minute are reached.
    if (chance.is(0.3)) this.#user = `u_${Math.floor(chance.random() ** 1.5 * USERS)}`
    const user = this.#user
    const text = this.#text(user, elapsedMs)
    this.#sent.push({ user, text })
    return { user, text }
  }

  /** The end of it: every player is verified, and free again. */
  lastWords(elapsedMs: number): readonly { readonly user: string; readonly text: string }[] {
    const ts = new Date(eventTimeAt(elapsedMs)).toISOString()
    return Array.from({ length: USERS }, (_, n) => `u_${n}`).flatMap((user) =>
      [
        { event_name: 'kyc_status_changed', payload: { kyc_level: 2 } },
        { event_name: 'rg_event', payload: { type: 'all', action: 'lifted' } },
      ].map((said) => {
        const base = { event_id: `e-${++this.#made}`, version: '1.2.0', user: { id: user, geo: 'TR' }, ts }
        return { user, text: JSON.stringify({ ...base, ...said }) }
      }),
    )
  }

  #text(user: string, elapsedMs: number): string {
    const chance = this.#chance
    const event = { ...this.#event(user), ts: new Date(this.#time(elapsedMs)).toISOString() }
    if (!this.#faults.has('malformed-events') || !chance.is(0.04)) return JSON.stringify(event)
    return chance.pick<(of: typeof event) => string>([
      (of) => JSON.stringify(of).slice(0, chance.between(1, 60)),
      () => 'ERROR 500 upstream timed out',
      (of) => JSON.stringify({ ...of, user: {} }),
      (of) => JSON.stringify({ ...of, event_id: 12 }),
      (of) => JSON.stringify({ ...of, ts: 'yesterday' }),
      (of) => JSON.stringify({ ...of, event_name: 'betted' }),
      (of) => JSON.stringify({ ...of, event_name: 'bet', payload: { bet: '0.5' } }),
    ])(event)
  }

  #time(elapsedMs: number): number {
    const chance = this.#chance
    const now = eventTimeAt(elapsedMs)
    if (this.#faults.has('future-events') && chance.is(0.02))
      return START_MS + elapsedMs + chance.between(6, 90) * 60_000
    if (this.#faults.has('late-events') && chance.is(0.04)) return now - chance.between(61, 1_200) * 1_000
    if (this.#faults.has('disordered-events') && chance.is(0.4)) return now - chance.between(0, 50_000)
    return now
  }

  #event(user: string): object {
    const chance = this.#chance
    const base = { event_id: `e-${++this.#made}`, version: '1.2.0', user: { id: user, geo: 'TR' } }
    const draw = chance.random()
    if (draw < 0.15) return { ...base, event_name: 'login', payload: {} }
    if (draw < 0.35)
      return { ...base, event_name: 'deposit', payload: { amount: chance.between(5, 60), currency: 'EUR' } }
    if (draw < 0.39)
      return { ...base, event_name: 'kyc_status_changed', payload: { kyc_level: chance.pick([0, 1, 2, 2]) } }
    if (draw < 0.41) {
      const payload = { type: 'self_exclusion', action: chance.is(0.5) ? 'set' : 'lifted' }
      return { ...base, event_name: 'rg_event', payload }
    }
    const bet = chance.pick([0, 0.1, 0.2, 0.5, 1, 2])
    const win = chance.is(0.5) ? Math.round(bet * chance.between(0, 900)) / 100 : 0
    return { ...base, event_name: 'bet', payload: { bet, win, currency: 'EUR' } }
  }
}
