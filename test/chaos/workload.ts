import { seededRandom } from '../../core/random.ts'
import { RULE_FILES } from '../support/generated-bets.ts'
import type { ReferenceRule } from '../support/reference.ts'
import { SHARED_RULES } from '../support/shared-rules.ts'

/** Rule files by name: those of the generated bets, one of the strict lane, one with a pool and periods of its own. */
export const CHAOS_RULE_FILES: Readonly<Record<string, string>> = {
  ...RULE_FILES,
  'wins.yaml': `
rule_id: r_wins_strict
when: { event_name: bet, filters: [payload.win > 0] }
ordering: strict
score: { formula: "floor(payload.win)", caps: { per_bet: 15, per_minute: 40, per_hour: 90 }, time_zone: America/Sao_Paulo }
reward_trigger:
  on_progress: { threshold: [30, 120], reward: [{ type: bonus_cash, value: 1.25 }, { type: cash, value: 3 }], reset: daily }
guardrails: { budget_pool: daily_sprint }
meta: { version: "1.0" }
`,
  'deposits.yaml': `
rule_id: r_deposits
when: { event_name: deposit }
score: { formula: "payload.amount / 10", caps: { per_day: 60 } }
reward_trigger:
  on_progress: { threshold: [10, 40], reward: [{ type: bonus_cash, value: 0.5 }, { type: fs, value: 20, cost: 2 }], reset: daily }
guardrails: { budget_pool: vip_weekend }
meta: { version: "1.0" }
`,
}

const WINS: ReferenceRule = {
  ruleId: 'r_wins_strict',
  eventName: 'bet',
  matches: ({ payload }) => Number(payload.win) > 0,
  formula: ({ payload }) => Number(payload.win),
  caps: { perBet: 15, perMinute: 40, perHour: 90 },
  timeZone: 'America/Sao_Paulo',
  thresholds: [30, 120],
  reset: 'daily',
}

const DEPOSITS: ReferenceRule = {
  ruleId: 'r_deposits',
  eventName: 'deposit',
  formula: ({ payload }) => Number(payload.amount) / 10,
  caps: { perDay: 60 },
  thresholds: [10, 40],
  reset: 'daily',
}

/** The same rules by hand: of the lane that scores at once, and of the strict one. */
export const CHAOS_REFERENCE = { atOnce: [...SHARED_RULES, DEPOSITS], strict: [WINS] } as const

/** What a reward takes from its pool, in cents, by hand; rewards that are not here cost nothing. */
export const REWARD_COSTS: Readonly<Record<string, { readonly pool: string; readonly cents: number }>> = {
  'r_points_winmult_v2|300': { pool: 'nov_season', cents: 200 },
  'r_wins_strict|30': { pool: 'daily_sprint', cents: 125 },
  'r_wins_strict|120': { pool: 'daily_sprint', cents: 300 },
  'r_deposits|10': { pool: 'vip_weekend', cents: 50 },
  'r_deposits|40': { pool: 'vip_weekend', cents: 200 },
}

/** Event time from one event to the next: at 200 events a second, event time runs 50 times as fast as the clock. */
const STEP_MS = 250
const START = Date.parse('2025-11-03T19:00:00Z')

export interface FedEvent {
  /** null where nobody can tell whose it is. */
  readonly userId: string | null
  readonly line: string
}

/**
 * An endless feed, the same for one seed: bets and deposits of players who come and go, up to 50 seconds out of order,
 * some repeated, some late, some from the future, some broken. Most are verified as they come, some long after their first
 * rewards, some never; some exclude themselves, for a while or until they lift it.
 */
export function* feedOf(seed: number): Generator<FedEvent> {
  const random = seededRandom(seed)
  const recent: FedEvent[] = []
  const remember = (event: FedEvent): FedEvent => {
    recent.push(event)
    if (recent.length > 60) recent.shift()
    return event
  }
  const met = new Set<string>()
  const toVerify: { readonly userId: string; readonly from: number }[] = []
  for (let index = 0; ; index++) {
    const next = toVerify[0]
    if (next !== undefined && next.from <= index) {
      toVerify.shift()
      yield remember(protection({ seed, index, userId: next.userId, said: VERIFIED }))
    }
    const draw = random()
    if (draw < 0.03 && recent.length > 0) {
      yield recent[Math.floor(random() * recent.length)] ?? brokenEvent(index)
    } else if (draw < 0.04) {
      yield brokenEvent(index)
    } else {
      const late = draw < 0.045
      const future = draw >= 0.045 && draw < 0.046
      const event = playerEvent({ seed, index, random, shiftMs: late ? -600_000 : future ? 40 * 365 * 86_400_000 : 0 })
      const { userId } = event
      if (userId !== null && !met.has(userId)) {
        met.add(userId)
        const number = Number(userId.slice(2))
        if (number % 10 === 9) toVerify.push({ userId, from: index + VERIFIED_AFTER })
        else if (number % 40 !== 7) yield remember(protection({ seed, index, userId, said: VERIFIED }))
      }
      if (userId !== null && random() < 0.006) {
        const said = restrictionAt(START + index * STEP_MS, random)
        yield remember(protection({ seed, index, userId, said, shiftMs: random() < 0.2 ? -300_000 : 0 }))
      }
      yield remember(event)
    }
  }
}

/** An event that no rule looks at for each user, so far ahead that every event of the strict lane gets its turn. */
export function closingEvents(parts: {
  readonly seed: number
  readonly fed: number
  readonly round: number
  readonly users: readonly string[]
}): FedEvent[] {
  const { seed, fed, round, users } = parts
  const ts = START + fed * STEP_MS + round * 600_000
  return users.map((id) => ({
    userId: id,
    line: envelope(`closing-${seed}-${round}-${id}`, { name: 'login', ts, user: { id }, payload: {} }),
  }))
}

interface SaidOfPlayer {
  readonly name: 'kyc_status_changed' | 'rg_event'
  readonly payload: object
}

const VERIFIED: SaidOfPlayer = { name: 'kyc_status_changed', payload: { status: 'verified', kyc_level: 2 } }
/** Events until the slow ones are verified, in order. */
const VERIFIED_AFTER = 600

function restrictionAt(ts: number, random: () => number): SaidOfPlayer {
  const draw = random()
  const until = draw < 0.4 ? { until: new Date(ts + Math.floor(random() * 1_200_000)).toISOString() } : {}
  return { name: 'rg_event', payload: { type: 'self_exclusion', action: draw < 0.8 ? 'set' : 'lifted', ...until } }
}

function protection(of: {
  readonly seed: number
  readonly index: number
  readonly userId: string
  readonly said: SaidOfPlayer
  readonly shiftMs?: number
}): FedEvent {
  const { seed, index, userId, said, shiftMs = 0 } = of
  const event = { ...said, ts: START + index * STEP_MS + shiftMs, user: { id: userId } }
  return { userId, line: envelope(`${said.name}-${seed}-${index}`, event) }
}

function brokenEvent(index: number): FedEvent {
  return { userId: null, line: `{"event_id":"broken-${index}","event_name":"bet","ts":` }
}

function playerEvent(parts: { seed: number; index: number; random: () => number; shiftMs: number }): FedEvent {
  const { seed, index, random, shiftMs } = parts
  // Players come and go: the window of those who play moves on, so that rewards are earned from first to last.
  const user = Math.floor(index / 40) + Math.floor(random() ** 2 * 300)
  const jitterMs = random() < 0.2 ? Math.floor(random() * 50_000) : 0
  const ts = START + index * STEP_MS - jitterMs + shiftMs
  const id = `u_${user}`
  const geo = ['TR', 'BR', 'PE', 'DE'][user % 4]
  const bet = [0.1, 0.2, 0.5, 1, 2, 5][Math.floor(random() * 6)] ?? 1
  const win = random() < 0.4 ? Math.round(bet * random() * 900) / 100 : 0
  const deposit = random() < 0.08
  const amount = Math.round(random() * 20_000) / 100
  const payload = deposit
    ? { amount, currency: 'EUR', method: 'card' }
    : { game_id: 'slot_wolf', bet, win, currency: 'EUR', provider: 'GameCo' }
  const name = deposit ? 'deposit' : 'bet'
  return { userId: id, line: envelope(`e-${seed}-${index}`, { name, ts, user: { id, geo }, payload }) }
}

function envelope(eventId: string, event: { name: string; ts: number; user: object; payload: object }): string {
  return JSON.stringify({
    event_id: eventId,
    event_name: event.name,
    version: '1.2.0',
    ts: new Date(event.ts).toISOString(),
    user: { platform: 'web', payer_flag: false, risk_flags: [], ...event.user },
    context: { session_id: 's', device_fp: 'f', ip: '203.0.113.24' },
    payload: event.payload,
  })
}
