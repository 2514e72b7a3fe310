import type { Chance } from './chance.ts'
import type { FaultName } from './faults.ts'

/** Event time runs so many times as fast as the virtual clock, far behind it: a season's evening in two minutes. */
const SPEED = 80
/** A quarter of an hour before midnight in Istanbul, less the first half hour. */
const FIRST_EVENT_MS = Date.parse('2025-11-03T20:05:00Z')
/** The virtual clock starts hours later, so that no event is from the future by itself. */
export const START_MS = Date.parse('2025-11-04T06:00:00Z')
const USERS = 20
/** Most play at home; who is of no country says none. */
const COUNTRIES = ['TR', 'TR', 'DE', 'TR', 'BR', undefined] as const
export const REFUSED_USER = 'u_19'

/** Event time at a moment of the run. */
export function eventTimeAt(elapsedMs: number): number {
  return FIRST_EVENT_MS + Math.floor(elapsedMs * SPEED)
}

export interface Sent {
  readonly user: string
  readonly text: string
}

/** Makes events as players, networks and broken clients send them. */
export class Workload {
  readonly #chance: Chance
  readonly #faults: ReadonlySet<FaultName>
  readonly #sent: Sent[] = []
  #made = 0
  #user = 'u_0'

  constructor(chance: Chance, faults: ReadonlySet<FaultName>) {
    this.#chance = chance
    this.#faults = faults
  }

  /** The next record for the events topic: whose partition it belongs on, and its text. */
  next(elapsedMs: number): Sent {
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

  /** The end of it: most players are verified, and free again. What is frozen of the others stays so, or expires. */
  lastWords(elapsedMs: number): readonly Sent[] {
    const ts = new Date(eventTimeAt(elapsedMs)).toISOString()
    return Array.from({ length: USERS }, (_, n) => `u_${n}`)
      .filter(() => this.#chance.is(0.8))
      .flatMap((user) =>
        [
          { event_name: 'kyc_status_changed', payload: { kyc_level: 2 } },
          { event_name: 'rg_event', payload: { type: 'all', action: 'lifted' } },
        ].map((said) => ({ user, text: JSON.stringify({ ...this.#base(user), ...said, ts }) })),
      )
  }

  #text(user: string, elapsedMs: number): string {
    const chance = this.#chance
    const made = this.#protects(user, elapsedMs) ?? this.#plays(user)
    const event = { ...made, ts: new Date(this.#time(elapsedMs, made.event_name)).toISOString() }
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

  #time(elapsedMs: number, name: string): number {
    const chance = this.#chance
    const now = eventTimeAt(elapsedMs)
    if (this.#faults.has('future-events') && chance.is(0.02))
      return START_MS + elapsedMs + chance.between(6, 90) * 60_000
    // Those who protect players are the slowest, and must be heard all the same.
    const isLate = chance.is(name === 'rg_event' || name === 'kyc_status_changed' ? 0.2 : 0.08)
    if (this.#faults.has('late-events') && isLate) return now - chance.between(61, chance.is(0.5) ? 300 : 1_200) * 1_000
    if (this.#faults.has('disordered-events') && chance.is(0.4)) return now - chance.between(0, 50_000)
    return now
  }

  #base(user: string): { readonly event_id: string; readonly version: string; readonly user: object } {
    const number = Number(user.slice(2))
    const geo = this.#chance.is(0.05) ? 'PE' : COUNTRIES[number % COUNTRIES.length]
    return {
      event_id: `e-${++this.#made}`,
      version: '1.2.0',
      user: { id: user, ...(geo === undefined ? {} : { geo }) },
    }
  }

  #plays(user: string): Made {
    const chance = this.#chance
    const base = this.#base(user)
    const draw = chance.random()
    if (draw < 0.17) return { ...base, event_name: 'login', payload: {} }
    if (draw < 0.37)
      return { ...base, event_name: 'deposit', payload: { amount: chance.between(5, 60), currency: 'EUR' } }
    const bet = chance.pick([0, 0.1, 0.2, 0.5, 1, 2])
    const win = chance.is(0.5) ? Math.round(bet * chance.between(0, 900)) / 100 : 0
    return { ...base, event_name: 'bet', payload: { bet, win, currency: 'EUR' } }
  }

  /** What is said of verification and of restrictions; undefined: nothing now. */
  #protects(user: string, elapsedMs: number): Made | undefined {
    const chance = this.#chance
    const draw = chance.random()
    if (draw > 0.16) return undefined
    const base = this.#base(user)
    if (draw < 0.06) {
      const payload = chance.is(0.1) ? { status: 'pending' } : { kyc_level: chance.pick([0, 1, 2, 2, 2]) }
      return { ...base, event_name: 'kyc_status_changed', payload }
    }
    const type = chance.pick(['self_exclusion', 'self_exclusion', 'cool_off', 'deposit_limit', 'limit', 'all'])
    const isLifted = type === 'limit' || type === 'all' || chance.is(0.3)
    // A limit that is set protects nobody yet.
    const sets = type === 'deposit_limit' ? chance.pick(['reached', 'reached', 'set']) : 'set'
    const until = this.#end(elapsedMs)
    const ends = isLifted || until === undefined ? {} : { until: new Date(until).toISOString() }
    return { ...base, event_name: 'rg_event', payload: { type, action: isLifted ? 'lifted' : sets, ...ends } }
  }

  /** Soon by the time of events, or soon by the clock of the sinks, or not before somebody lifts it. */
  #end(elapsedMs: number): number | undefined {
    const chance = this.#chance
    const draw = chance.random()
    if (draw < 0.45) return eventTimeAt(elapsedMs) + chance.between(-2, 25) * 60_000
    return draw < 0.8 ? START_MS + elapsedMs + chance.between(500, 20_000) : undefined
  }
}

interface Made {
  readonly event_name: string
  readonly payload: object
}
