import type { ReferenceRule } from './reference.ts'

/** The rules of the shared data and of the peer, by hand. */
const POINTS: ReferenceRule = {
  ruleId: 'r_points_winmult_v2',
  eventName: 'bet',
  matches: ({ payload, user, time }) =>
    Number(payload.bet) >= 0.2 &&
    ['TR', 'BR', 'PE'].includes(String(user.geo)) &&
    time >= Date.UTC(2025, 10, 1) &&
    time < Date.UTC(2025, 11, 1),
  formula: ({ payload }) => (Number(payload.win) / Number(payload.bet)) * 3,
  caps: { perBet: 50, perMinute: 200, perDay: 1500 },
  thresholds: [100, 300, 800],
}

const ROUNDS: ReferenceRule = {
  ruleId: 'r_rounds',
  eventName: 'bet',
  formula: () => 1,
  caps: { perHour: 60, perDay: 300 },
  timeZone: 'Europe/Istanbul',
  thresholds: [50, 500],
}

const DEPOSIT: ReferenceRule = {
  ruleId: 'r_deposit',
  eventName: 'deposit',
  formula: ({ payload }) => Number(payload.amount) / 10,
  caps: { perDay: 500 },
  thresholds: [20, 100],
}

const LOGIN: ReferenceRule = {
  ruleId: 'r_login',
  eventName: 'login',
  formula: () => 5,
  caps: { perDay: 5 },
  thresholds: [5, 25],
}

/** `data/rules` of the shared folder. */
export const SHARED_RULES: readonly ReferenceRule[] = [POINTS, ROUNDS]
/** `peer/rules` of the shared folder. */
export const PEER_RULES: readonly ReferenceRule[] = [POINTS, DEPOSIT, LOGIN]
