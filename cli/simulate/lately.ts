import type { Lately, PlayerEvent, ReferenceRule } from './reference.ts'

const MINUTE = 60_000

/** The formula of a rule that looks at what the player did lately, as the product reads it. */
export const LATELY = [
  'count(bet, 5m)',
  'sum(deposit.payload.amount, 1h)',
  '5 * streak(login, day)',
  'if(sequence(login, deposit, bet, 10m), 20, 0)',
  'if(exists(last(login)), floor(last(login) / 1m), 7)',
  'distinct(bet.payload.bet, 2h)',
].join(' + ')

/** What the second version adds. */
export const ALSO = '100 * count(login, 15m)'

/** The same once more, from scratch. */
export function habit(zoneMs: number, also = false): Pick<ReferenceRule, 'filter' | 'formula'> {
  return {
    filter: (_payload, lately) =>
      within(lately, 20 * MINUTE, 10_000).some(
        ({ name, payload }) => name === 'deposit' && (payload['amount'] ?? 0) >= 20,
      ),
    formula: (_payload, lately, since) => {
      const bets = within(lately, 120 * MINUTE, MINUTE).filter(named('bet'))
      const deposits = within(lately, 60 * MINUTE, 10_000).filter(named('deposit'))
      const logins = within(lately, 15 * MINUTE, 10_000).filter(named('login'))
      return (
        within(lately, 5 * MINUTE, 1_000).filter(named('bet')).length +
        deposits.reduce((sum, { payload }) => sum + (payload['amount'] ?? 0), 0) +
        5 * days(lately, zoneMs) +
        (quick(lately) ? 20 : 0) +
        sinceLogin(lately) +
        new Set(bets.map(({ payload }) => payload['bet'])).size +
        (also ? 100 * logins.filter(({ time }) => time >= since).length : 0)
      )
    },
  }
}

function named(wanted: string): (event: PlayerEvent) => boolean {
  return ({ name }) => name === wanted
}

/** What happened in the judged event's slice of time and the whole slices before it that make up the window. */
function within(lately: Lately, length: number, slice: number): PlayerEvent[] {
  const now = lately.at(-1)?.time ?? 0
  return lately.filter(({ time }) => Math.floor(now / slice) - Math.floor(time / slice) < length / slice)
}

/** Days in a row with a login, up to today or yesterday. */
function days(lately: Lately, zoneMs: number): number {
  const dayOf = ({ time }: PlayerEvent): number => Math.floor((time + zoneMs) / 86_400_000)
  const found = new Set(lately.filter(named('login')).map(dayOf))
  const today = Math.max(...lately.slice(-1).map(dayOf))
  const last = found.has(today) ? today : today - 1
  let length = 0
  while (found.has(last - length)) length++
  return length
}

/** A login, a deposit after it, and this bet after both, all in less than ten minutes. */
function quick(lately: Lately): boolean {
  if (lately.at(-1)?.name !== 'bet') return false
  const deposit = lately.findLastIndex(named('deposit'))
  const login = lately.slice(0, Math.max(0, deposit)).findLast(named('login'))
  return login !== undefined && login.time > (lately.at(-1)?.time ?? 0) - 10 * MINUTE
}

/** Whole minutes since the last login before this event. */
function sinceLogin(lately: Lately): number {
  const login = lately.slice(0, -1).findLast(named('login'))
  return login === undefined ? 7 : Math.floor(((lately.at(-1)?.time ?? 0) - login.time) / MINUTE)
}
