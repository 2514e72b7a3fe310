import type { JsonObject } from '../../core/model/event.ts'
import { syntheticPlayers } from '../../pipeline/synthetic-players.ts'

const THRESHOLD_STEP = 5
const THRESHOLDS = 60
const thresholds = Array.from({ length: THRESHOLDS }, (_, i) => (i + 1) * THRESHOLD_STEP)

/**
 * Rules of three shapes, as live ones are: a formula with a cap, progress with rewards, money. None of them filters, so
 * that the number of scores and rewards can be known by counting events.
 */
export const LATENCY_RULES: Readonly<Record<string, string>> = {
  'stakes.yaml': `
rule_id: bench_stakes
when: { event_name: bet }
score: { formula: "floor((payload.win / payload.bet) * 3)", caps: { per_bet: 50, per_minute: 200, per_day: 1500 } }
meta: { version: "1.0" }
`,
  'rounds.yaml': `
rule_id: bench_rounds
when: { event_name: [bet, spin] }
score: { formula: 1 }
reward_trigger: { on_progress: { threshold: [${thresholds.join(', ')}], reward: { type: fs, value: 1 } } }
guardrails: { kyc_min_level: 2, rg_limits_ok: true, budget_pool: bench }
meta: { version: "1.0" }
`,
  'deposits.yaml': `
rule_id: bench_deposits
when: { event_name: deposit }
score: { formula: "floor(payload.amount / 10) * if(user.payer_flag, 2, 1)", caps: { per_event: 100 } }
meta: { version: "1.0" }
`,
}

/** Most players are in the middle of play when the bench begins, and were verified long before: nobody is unknown to it. */
export const LATENCY_POLICY = `
policy: payout
currency: EUR
pools: { bench: { budget: 1000000 } }
kyc: { unknown: 2 }
meta: { version: "1.0" }
`

/** Score records for one event of each name under these rules; none for any other. */
const SCORES: ReadonlyMap<string, number> = new Map([
  ['bet', 2],
  ['spin', 1],
  ['deposit', 1],
])

const PLAYERS = 10_000
/** What they have played before anyone looked: at the beginning all they do is sign in. */
const PLAYED = 100_000

export interface ExpectedEvent {
  /** undefined for a broken event that names nobody. */
  readonly userId: string | undefined
  readonly line: string
  /** What the worker must make of it: records on `scores`, and rewards earned, whether they are frozen at first or not. */
  readonly scores: number
  readonly rewards: number
}

/**
 * What synthetic players send, repeats and broken events included, with what must come of it. That is counted here from
 * the events alone, by no code of the engine.
 */
export class LatencyEvents {
  readonly #seed: string
  readonly #next: (nowMs: number) => JsonObject
  readonly #rounds = new Map<string, number>()
  /** Greatest number of an event so far, and of those that nobody was sent. */
  #newest = -1
  readonly #unsent: number

  constructor(seed: string) {
    this.#seed = seed
    this.#next = syntheticPlayers({ seed, players: PLAYERS })
    for (let i = 0; i < PLAYED; i++) this.#newest = Math.max(this.#newest, this.#numberOf(this.#next(0)) ?? -1)
    this.#unsent = this.#newest
  }

  /** The event that is sent at this moment, ms since the epoch. */
  next(nowMs: number): ExpectedEvent {
    let event = this.#next(nowMs)
    let number = this.#numberOf(event)
    // a repeat of what was never sent is none
    while (number !== undefined && number <= this.#unsent) {
      event = this.#next(nowMs)
      number = this.#numberOf(event)
    }
    const isNew = number !== undefined && number > this.#newest
    if (isNew) this.#newest = number ?? this.#newest
    return { ...this.#expected(event, isNew), line: JSON.stringify(event) }
  }

  #expected(event: JsonObject, isNew: boolean): Omit<ExpectedEvent, 'line'> {
    const userId = userIdOf(event)
    const { event_name: name } = event
    const scores = typeof name === 'string' ? (SCORES.get(name) ?? 0) : 0
    if (userId === undefined || scores === 0 || !isNew || !isWhole(event)) return { userId, scores: 0, rewards: 0 }
    return { userId, scores, rewards: name === 'deposit' ? 0 : this.#rewards(userId) }
  }

  /** Ids are numbered in the order in which they are made up: a number that is not above all before is a repeat. */
  #numberOf({ event_id: id }: JsonObject): number | undefined {
    return typeof id === 'string' ? Number(id.slice(this.#seed.length + 1)) : undefined
  }

  /** One at each fifth round of a player, as long as there are thresholds. */
  #rewards(userId: string): number {
    const rounds = (this.#rounds.get(userId) ?? 0) + 1
    this.#rounds.set(userId, rounds)
    return rounds % THRESHOLD_STEP === 0 && rounds <= THRESHOLDS * THRESHOLD_STEP ? 1 : 0
  }
}

function userIdOf({ user }: JsonObject): string | undefined {
  if (typeof user !== 'object' || user === null || !('id' in user)) return undefined
  return typeof user['id'] === 'string' ? user['id'] : undefined
}

/** False for what faulty clients send. */
function isWhole({ ts, payload }: JsonObject): boolean {
  return typeof payload === 'object' && payload !== null && typeof ts === 'string' && !Number.isNaN(Date.parse(ts))
}
