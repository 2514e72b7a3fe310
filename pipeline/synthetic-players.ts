import type { JsonObject } from '../core/model/event.ts'
import { type Random, seededRandom } from '../core/random.ts'

export interface SyntheticPlayersOptions {
  /** Begins every event id: a run with another seed can never look like a repeat of this one. */
  readonly seed: string
  /** How many players there are; at least 1. */
  readonly players: number
  /** Where chance comes from. Default: the generator seeded with `seed`, so that the same seed plays the same game. */
  readonly random?: Random
  /** The share of the players who are verified when they first sign in; default: everyone, or their rewards would be frozen. */
  readonly verified?: number
}

/** Shares of what is sent besides plain play; each of all events. */
const REPEATED = 0.01
const DELAYED = 0.05
const MALFORMED = 0.0005
/** A delayed event is up to so many milliseconds old: well inside the reordering window. */
const DELAY_MS_MAX = 5_000
const REMEMBERED = 500

const GEOS = ['TR', 'TR', 'BR', 'BR', 'PE', 'DE', 'KZ'] as const
const PLATFORMS = ['android', 'android', 'ios', 'web'] as const
const GAMES = [
  { game_id: 'slot_wolf', provider: 'GameCo' },
  { game_id: 'slot_fox', provider: 'GameCo' },
  { game_id: 'crash_x', provider: 'Liftoff' },
  { game_id: 'dice', provider: 'Liftoff' },
] as const
const STAKES = [0.1, 0.2, 0.5, 0.5, 1, 1, 2, 5] as const
/** What a bet pays as a multiple of the stake, with its share of all bets; together 95 % go back to the players. */
const MULTIPLIERS: readonly (readonly [share: number, from: number, to: number])[] = [
  [0.664, 0, 0],
  [0.17, 0.5, 1.5],
  [0.126, 1.5, 4],
  [0.036, 4, 12],
  [0.004, 12, 60],
]

interface Player {
  readonly number: number
  readonly user: JsonObject
  readonly stake: number
  sessions: number
  /** Events left in the session; 0: signed out. */
  left: number
  /** What is sent next, before anything else. */
  readonly queue: Draft[]
  balance: number
  /** Will be, at the first sign-in. */
  readonly verified: boolean
  /** Has excluded himself, and not taken it back. */
  excluded: boolean
}

interface Draft {
  readonly name: string
  readonly payload: JsonObject
}

/**
 * Players who sign in, deposit, bet, win, follow missions and tournaments, and leave. `next(nowMs)` gives the next event
 * anyone sends at that moment; most fit the schemas, a few are repeats of earlier ones, a few are seconds old, and very
 * few are broken, as in a live feed. Pure but for its own state: the time is a parameter, chance comes from `random`.
 */
export function syntheticPlayers(options: SyntheticPlayersOptions): (nowMs: number) => JsonObject {
  const { seed, verified = 1 } = options
  const random = options.random ?? seededRandom(hash(seed))
  const chance = new Chance(random)
  const players = Array.from({ length: Math.max(1, Math.floor(options.players)) }, (_, i) =>
    newPlayer(i, chance, verified),
  )
  const recent: JsonObject[] = []
  let count = 0

  return (nowMs) => {
    const repeated = random() < REPEATED && recent.length > 0 ? chance.pick(recent) : undefined
    if (repeated !== undefined) return repeated
    // Squared: a few players do most of the playing.
    const player = players[Math.floor(random() ** 2 * players.length)] ?? chance.pick(players)
    const draft = nextDraft(player, chance)
    const ts = nowMs - (random() < DELAYED ? Math.floor(random() * DELAY_MS_MAX) : 0)
    const event: JsonObject = {
      event_id: `${seed}-${count++}`,
      event_name: draft.name,
      version: '1.2.0',
      ts: new Date(ts).toISOString(),
      user: player.user,
      context: contextOf(player),
      payload: draft.payload,
    }
    if (random() < MALFORMED) return broken(event, chance)
    if (recent.length < REMEMBERED) recent.push(event)
    else recent[count % REMEMBERED] = event
    return event
  }
}

class Chance {
  readonly random: Random

  constructor(random: Random) {
    this.random = random
  }

  pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.random() * items.length)]
    if (item === undefined) throw new RangeError('cannot pick from nothing')
    return item
  }

  /** A number of [from, to), to the cent. */
  between(from: number, to: number): number {
    return cents(from + this.random() * (to - from))
  }
}

function newPlayer(number: number, chance: Chance, verified: number): Player {
  const user = {
    id: `player_${number + 1}`,
    geo: chance.pick(GEOS),
    platform: chance.pick(PLATFORMS),
    payer_flag: chance.random() < 0.4,
    risk_flags: chance.random() < 0.02 ? ['vpn_nightly'] : [],
  }
  const isVerified = verified >= 1 || chance.random() < verified
  const fresh = { sessions: 0, left: 0, queue: [], balance: 0, verified: isVerified, excluded: false }
  return { number, user, stake: chance.pick(STAKES), ...fresh }
}

function contextOf(player: Player): JsonObject {
  const { number, sessions } = player
  return {
    session_id: `s_${number + 1}_${sessions}`,
    device_fp: `fp_${(number * 2_654_435_761) >>> 8}`,
    // 203.0.113.0/24 is set aside for examples (RFC 5737).
    ip: `203.0.113.${(number % 254) + 1}`,
  }
}

function nextDraft(player: Player, chance: Chance): Draft {
  const queued = player.queue.shift()
  if (queued !== undefined) return queued
  if (player.left === 0) return signIn(player, chance)
  player.left -= 1
  if (player.left === 0)
    return { name: 'session_end', payload: { duration_s: 60 + Math.floor(chance.random() * 1_800) } }
  if (player.balance < player.stake) return deposit(player, chance)
  return play(player, chance)
}

function signIn(player: Player, chance: Chance): Draft {
  player.sessions += 1
  player.left = 20 + Math.floor(chance.random() * 100)
  player.queue.push({ name: 'session_start', payload: {} })
  if (player.excluded) {
    player.excluded = false
    player.queue.push({ name: 'rg_event', payload: { type: 'self_exclusion', action: 'lifted' } })
  }
  if (chance.random() < 0.3) {
    const mission_id = chance.pick(['daily_spins', 'weekend_quest'])
    player.queue.push(
      { name: 'mission_view', payload: { mission_id } },
      { name: 'mission_join', payload: { mission_id } },
    )
  }
  if (player.sessions === 1 && player.verified) {
    player.queue.push({ name: 'kyc_status_changed', payload: { status: 'verified', kyc_level: 2, previous_level: 0 } })
  }
  return { name: 'login', payload: { method: chance.pick(['password', 'oauth']), success: true } }
}

function deposit(player: Player, chance: Chance): Draft {
  const amount = chance.pick([5, 10, 20, 20, 50, 100])
  const first = player.balance === 0 && player.sessions === 1
  player.balance = cents(player.balance + Math.max(amount, player.stake))
  return { name: 'deposit', payload: { amount, currency: 'EUR', method: chance.pick(['card', 'wallet']), first } }
}

function play(player: Player, chance: Chance): Draft {
  const dice = chance.random()
  if (dice < 0.88) return bet(player, chance)
  const game = chance.pick(GAMES)
  if (dice < 0.93) return { name: 'spin', payload: { ...game, free_spin: true, win: 0, currency: 'EUR' } }
  if (dice < 0.95) return { name: 'win', payload: { ...game, win: chance.between(0.5, 20), currency: 'EUR' } }
  if (dice < 0.97) return { name: 'mission_progress', payload: { mission_id: 'daily_spins', progress: 1, target: 20 } }
  if (dice < 0.99) {
    return {
      name: 'tournament_score',
      payload: { tournament_id: 'november_cup', score: Math.floor(chance.random() * 50) },
    }
  }
  if (dice < 0.997) return { name: 'tournament_join', payload: { tournament_id: 'november_cup' } }
  if (dice < 0.9995) return { name: 'withdraw_request', payload: { amount: chance.between(10, 80), currency: 'EUR' } }
  if (dice < 0.9998) {
    return { name: 'rg_event', payload: { type: 'deposit_limit', action: 'set', limit: 200, currency: 'EUR' } }
  }
  // Whoever excludes himself plays on for as long as the session lasts: what that earns is frozen until he is back.
  player.excluded = true
  return { name: 'rg_event', payload: { type: 'self_exclusion', action: 'set' } }
}

function bet(player: Player, chance: Chance): Draft {
  let dice = chance.random()
  let win = 0
  for (const [share, from, to] of MULTIPLIERS) {
    if (dice < share) {
      win = cents(player.stake * (from + chance.random() * (to - from)))
      break
    }
    dice -= share
  }
  player.balance = cents(player.balance - player.stake + win)
  return { name: 'bet', payload: { ...chance.pick(GAMES), bet: player.stake, win, currency: 'EUR' } }
}

/** What a faulty client sends. */
function broken(event: JsonObject, chance: Chance): JsonObject {
  const { payload: _, ...withoutPayload } = event
  return chance.pick<JsonObject>([
    withoutPayload,
    { ...event, ts: 'yesterday' },
    { ...event, user: { geo: 'TR' } },
    { ...event, event_name: 'betted' },
    { ...event, event_id: null },
  ])
}

function cents(amount: number): number {
  return Math.round(amount * 100) / 100
}

/** FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/), 32 bits. */
function hash(text: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return h >>> 0
}
