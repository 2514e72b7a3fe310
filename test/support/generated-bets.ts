import { seededRandom } from '../../core/random.ts'

/** The rule files that test/support/shared-rules.ts SHARED_RULES says by hand. */
export const RULE_FILES: Readonly<Record<string, string>> = {
  'points.yaml': `
rule_id: r_points_winmult_v2
when:
  event_name: bet
  filters:
    - payload.bet >= 0.2
    - user.geo in ["TR","BR","PE"]
    - now between "2025-11-01" and "2025-11-30"
score:
  formula: "floor((payload.win / payload.bet) * 3)"
  caps: { per_bet: 50, per_minute: 200, per_day: 1500 }
reward_trigger:
  on_progress:
    threshold: [100, 300, 800]
    reward: [{type: fs, value: 10}, {type: bonus_cash, value: 2}, {type: loot, rarity: rare}]
guardrails: { kyc_min_level: 2, rg_limits_ok: true, budget_pool: nov_season, budget_soft_cap: 80000 }
meta: { version: "2.0" }
`,
  'rounds.yaml': `
rule_id: r_rounds
when: { event_name: bet }
score: { formula: "1", caps: { per_hour: 60, per_day: 300 }, time_zone: Europe/Istanbul }
reward_trigger: { on_progress: { threshold: [50, 500], reward: [{ type: fs, value: 5 }, { type: coupon, code: R }] } }
meta: { version: "1.0" }
`,
}

/** Bets of a few hundred players over some hours of November 2025, up to 50 seconds out of order; the same for one seed. */
export function generatedBets(count: number, seed: number): string[] {
  const random = seededRandom(seed)
  const start = Date.parse('2025-11-03T19:00:00Z')
  return Array.from({ length: count }, (_, index) => {
    const user = Math.floor(random() ** 2 * 300)
    const bet = [0.1, 0.2, 0.5, 1, 2, 5][Math.floor(random() * 6)] ?? 1
    const win = random() < 0.4 ? Math.round(bet * random() * 900) / 100 : 0
    const ts = start + index * 500 - (random() < 0.2 ? Math.floor(random() * 50_000) : 0)
    return JSON.stringify({
      event_id: `e-${seed}-${index}`,
      event_name: 'bet',
      version: '1.2.0',
      ts: new Date(ts).toISOString(),
      user: {
        id: `u_${user}`,
        geo: ['TR', 'BR', 'PE', 'DE'][user % 4],
        platform: 'web',
        payer_flag: false,
        risk_flags: [],
      },
      context: { session_id: 's', device_fp: 'f', ip: '203.0.113.24' },
      payload: { game_id: 'slot_wolf', bet, win, currency: 'EUR', provider: 'GameCo' },
    })
  })
}
