import { ALSO, habit, LATELY } from './lately.ts'
import type { ReferenceRule } from './reference.ts'

/** A rule as the product reads it and as the reference has it: written twice, on purpose. */
export interface RulePair {
  readonly file: string
  readonly text: string
  readonly plain: ReferenceRule
}

const UTC = 0
/** Istanbul has been three hours ahead of UTC all year since 2016. */
const ISTANBUL = 3 * 3_600_000

type Numbers = Readonly<Record<string, number>>

const ratio = ({ win = Number.NaN, bet = Number.NaN }: Numbers): number => Math.floor((win / bet) * 3 + 1e-9)

/** A point for everything that passes: its scores count the unique events. */
const EVERYTHING: RulePair = {
  file: 'everything.yaml',
  text: `
rule_id: r_everything
when: { event_name: [bet, login, deposit, kyc_status_changed, rg_event] }
score: { formula: "1" }
reward_trigger: { on_progress: { threshold: [5, 20, 60], reward: { type: fs, value: 5, cost: 0.5 } } }
guardrails: { budget_pool: { DE: season_de, default: season }, frozen_expiry: 20m }
meta: { version: "1.0" }
`,
  plain: {
    ruleId: 'r_everything',
    version: '1.0',
    names: ['bet', 'login', 'deposit', 'kyc_status_changed', 'rg_event'],
    formula: () => 1,
    caps: {},
    zoneMs: UTC,
    thresholds: [5, 20, 60],
    costs: [50, 50, 50],
    pool: 'season',
    poolByGeo: { DE: 'season_de' },
    // Free spins; what costs so much is a large prize for the pool of Germany.
    needs: { season: [1, 1, 1], season_de: [2, 2, 2] },
    expiryMs: 20 * 60_000,
  },
}

const LUCK: RulePair = {
  file: 'luck.yaml',
  text: `
rule_id: r_luck
when: { event_name: bet, filters: [payload.bet >= 0.2] }
score:
  formula: "floor((payload.win / payload.bet) * 3)"
  caps: { per_bet: 20, per_minute: 30, per_hour: 90, per_day: 150 }
reward_trigger:
  on_progress:
    threshold: [15, 50, 120]
    reward:
      - { type: fs, value: 10, cost: 1 }
      - { type: bonus_cash, value: 2, wagering: 15 }
      - { type: loot, rarity: rare, cost: 1.5 }
guardrails:
  kyc_min_level: 2
  budget_pool: season
  frozen_expiry: 45m
  sharp_rise: { share: 0.9, within: minute }
meta: { version: "1.0" }
`,
  plain: {
    ruleId: 'r_luck',
    version: '1.0',
    names: ['bet'],
    filter: ({ bet = 0 }) => bet >= 0.2,
    formula: ratio,
    caps: { event: 20, minute: 30, hour: 90, day: 150 },
    zoneMs: UTC,
    thresholds: [15, 50, 120],
    costs: [100, 200, 150],
    pool: 'season',
    needs: [2, 2, 2],
    expiryMs: 45 * 60_000,
    sharp: { share: 0.9, within: 'm' },
  },
}

const DEPOSITS: RulePair = {
  file: 'deposits.yaml',
  text: `
rule_id: r_deposits
when: { event_name: deposit, filters: [payload.amount >= 10] }
score: { formula: "floor(payload.amount / 2)", caps: { per_event: 25, per_day: 60 }, time_zone: Europe/Istanbul }
reward_trigger:
  on_progress: { threshold: [20, 45], reward: { type: bonus_cash, value: 1.5, wagering: 20 }, reset: daily }
guardrails: { budget_pool: daily, sharp_rise: { share: 1, within: hour } }
meta: { version: "1.0" }
`,
  plain: {
    ruleId: 'r_deposits',
    version: '1.0',
    names: ['deposit'],
    filter: ({ amount = 0 }) => amount >= 10,
    formula: ({ amount = 0 }) => Math.floor(amount / 2),
    caps: { event: 25, day: 60 },
    zoneMs: ISTANBUL,
    thresholds: [20, 45],
    costs: [150, 150],
    pool: 'daily',
    needs: [2, 2],
    sharp: { share: 1, within: 'h' },
    daily: true,
  },
}

const STREAK: RulePair = {
  file: 'streak.yaml',
  text: `
rule_id: r_streak
when: { event_name: [bet, login] }
score: { formula: "if(exists(payload.bet), 2, 1)", caps: { per_minute: 3, per_hour: 12 } }
ordering: strict
reward_trigger: { on_progress: { threshold: [4, 15], reward: { type: coupon, code: STREAK, cost: 2 } } }
guardrails: { budget_pool: streaks }
meta: { version: "1.0" }
`,
  plain: {
    ruleId: 'r_streak',
    version: '1.0',
    names: ['bet', 'login'],
    formula: ({ bet }) => (bet === undefined ? 1 : 2),
    caps: { minute: 3, hour: 12 },
    zoneMs: UTC,
    thresholds: [4, 15],
    costs: [200, 200],
    pool: 'streaks',
    needs: [0, 0],
    // Of the pool.
    countries: ['TR', 'DE'],
    strict: true,
  },
}

/** Looks at what the player did lately: a filter, a formula, and every kind of state that such a rule has. */
const HABIT: RulePair = {
  file: 'habit.yaml',
  text: `
rule_id: r_habit
when:
  event_name: [bet, login]
  filters: ["count(deposit where payload.amount >= 20, 20m) >= 1"]
score:
  formula: "${LATELY}"
  caps: { per_hour: 900 }
  time_zone: Europe/Istanbul
reward_trigger: { on_progress: { threshold: [60, 400], reward: { type: coupon, code: HABIT, cost: 1 } } }
guardrails: { geo: [TR], kyc_min_level: 1 }
meta: { version: "1.0" }
`,
  plain: {
    ruleId: 'r_habit',
    version: '1.0',
    names: ['bet', 'login'],
    ...habit(ISTANBUL),
    caps: { hour: 900 },
    zoneMs: ISTANBUL,
    thresholds: [60, 400],
    costs: [100, 100],
    pool: null,
    needs: [1, 1],
    countries: ['TR'],
    strict: true,
  },
}

export const FIRST_RULES: readonly RulePair[] = [EVERYTHING, LUCK, DEPOSITS, STREAK, HABIT]

/** A second version of a rule, in effect from an event time on. */
export function nextVersion(which: number, from: number): RulePair {
  const pair = [LUCK, STREAK, HABIT][which % 3] ?? LUCK
  const effective = `version: "2.0", effective_from: "${new Date(from).toISOString()}"`
  const text = pair.text.replace('version: "1.0"', effective)
  const plain = { ...pair.plain, version: '2.0', from }
  if (pair === LUCK) {
    return {
      file: 'luck-2.yaml',
      text: text.replace('* 3)', '* 3) * 2').replace('per_minute: 30', 'per_minute: 41'),
      plain: { ...plain, formula: (numbers) => ratio(numbers) * 2, caps: { ...plain.caps, minute: 41 } },
    }
  }
  if (pair === HABIT) {
    return {
      file: 'habit-2.yaml',
      text: text.replace(LATELY, `${LATELY} + ${ALSO}`),
      plain: { ...plain, ...habit(ISTANBUL, true) },
    }
  }
  return {
    file: 'streak-2.yaml',
    text: text.replace('payload.bet), 2, 1', 'payload.bet), 3, 1').replace('per_hour: 12', 'per_hour: 15'),
    plain: { ...plain, formula: ({ bet }) => (bet === undefined ? 1 : 3), caps: { ...plain.caps, hour: 15 } },
  }
}
