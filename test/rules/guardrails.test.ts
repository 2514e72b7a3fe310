import { describe, expect, it } from 'vitest'
import { lintRules } from '../../rules/lint.ts'
import type { KnownPools } from '../../rules/guardrail-lint.ts'
import { policySource, policyText } from '../policy/policy-texts.ts'
import { problemsOf, ruleOf, ruleText } from './rule-texts.ts'

const guarded = (guardrails: string, more = ''): string => ruleText({ more: `guardrails: ${guardrails}\n${more}` })
const REWARD = 'reward_trigger: { on_progress: { threshold: 1, reward: { type: bonus_cash, value: 2 } } }\n'

describe('guardrails', () => {
  it('a pool for all', () => {
    const { guardrails, poolByGeo } = ruleOf(guarded('{ budget_pool: nov_season }'))
    expect([guardrails, poolByGeo]).toEqual([{ budget_pool: 'nov_season' }, undefined])
  })

  it('pools by country: the default is the pool of all others', () => {
    const { guardrails, poolByGeo } = ruleOf(
      guarded('{ budget_pool: { TR: nov_tr, BR: nov_br, default: nov_season } }'),
    )
    expect([...(poolByGeo ?? [])]).toEqual([
      ['TR', 'nov_tr'],
      ['BR', 'nov_br'],
    ])
    expect(guardrails).toEqual({ budget_pool: 'nov_season' })
  })

  it('pools by country without a default: the others have none', () => {
    const { guardrails, poolByGeo } = ruleOf(guarded('{ budget_pool: { TR: nov_tr } }'))
    expect([guardrails, poolByGeo?.get('TR')]).toEqual([{}, 'nov_tr'])
  })

  it('countries, expiry of what is frozen, and a sharp rise', () => {
    const { guardrails, sharpRise } = ruleOf(
      guarded('{ geo: [TR, NO, TR], frozen_expiry: 30d, sharp_rise: { share: 80%, within: hour } }'),
    )
    expect(guardrails).toEqual({ geo: ['TR', 'NO'], frozen_expiry_ms: 30 * 86_400_000 })
    expect(sharpRise).toEqual({ share: 0.8, within: 'hour' })
    expect(ruleOf(guarded('{ sharp_rise: { share: 0.8, within: day } }')).sharpRise?.share).toBe(0.8)
    expect(ruleOf(guarded('{ geo: TR }')).guardrails.geo).toEqual(['TR'])
  })

  it('each arm of an experiment has them', () => {
    const { arms } = ruleOf(
      guarded(
        '{ budget_pool: { TR: nov_tr }, geo: [TR], frozen_expiry: 1h, sharp_rise: { share: 1, within: minute } }',
      ).replace('meta: {', 'meta: { experiment: { id: e, arms: [{ name: a }, { name: b }] },'),
    )
    expect(arms?.variants).toHaveLength(2)
    for (const { rule } of arms?.variants ?? []) {
      expect(rule).toMatchObject({
        guardrails: { geo: ['TR'], frozen_expiry_ms: 3_600_000 },
        sharpRise: { share: 1, within: 'minute' },
      })
      expect(rule.poolByGeo?.get('TR')).toBe('nov_tr')
    }
  })

  it.each([
    ['{ budget_pool: {} }', 'budget_pool names no pool'],
    ['{ budget_pool: { tr: nov } }', 'did you mean TR?'],
    ['{ budget_pool: { UK: nov } }', 'did you mean GB?'],
    ['{ budget_pool: { TR: "a b" } }', "a pool's name"],
    ['{ budget_pool: { TR: nov, TR: sum } }', 'TR stands here twice'],
    ['{ geo: [] }', 'names at least one country'],
    ['{ geo: [TUR] }', 'there is no country "TUR"'],
    ['{ geo: [true] }', 'geo is a text'],
    ['{ frozen_expiry: 30 }', 'write 30m, 12h or 7d'],
    ['{ frozen_expiry: 30s }', 'from 60s'],
    ['{ sharp_rise: { share: 0.8 } }', 'within is missing'],
    ['{ sharp_rise: { share: 0, within: hour } }', 'from 0.01 to 1'],
    ['{ sharp_rise: { share: 101%, within: hour } }', 'from 1% to 100%'],
    ['{ sharp_rise: { share: 0.8, within: hours } }', 'did you mean hour?'],
    ['{ sharp_rise: 0.8 }', 'a map'],
  ])('%s is refused: %s', (text, message) => {
    const problems = problemsOf(guarded(text))
    expect(problems.map((problem) => `${problem.message} ${problem.hint}`).join()).toContain(message)
    expect(problems.every(({ line }) => line === 5)).toBe(true)
  })
})

function lint(text: string, known: KnownPools): string[] {
  return lintRules([{ file: 'r.yaml', text }], known).findings.map(
    ({ line, column, severity, code, message }) =>
      `${line}:${column} ${severity ?? 'error'} ${code.replace('ONCEWARD_E_RULE_', '')} ${message}`,
  )
}

describe('lint of guardrails', () => {
  const policies = [
    policySource(
      policyText({
        pools:
          'nov_tr: { budget: 1, geo: TR }, nov: { budget: 1, geo: [BR, PE], from: 2025-11-01, until: 2025-11-30 }, all: { budget: 1 }',
        more: 'catalogue: [{ type: fs, unit_cost: 0.1 }]\n',
      }),
    ).policy,
  ]

  it.each<[string, string, string[]]>([
    [
      'every pool of a map is looked up',
      '{ budget_pool: { TR: nov_tr, BR: nov_rb, default: novv } }',
      ['5:46 error UNKNOWN_POOL there is no pool "nov_rb"', '5:63 error UNKNOWN_POOL there is no pool "novv"'],
    ],
    [
      'responsible gaming is asked all the same',
      '{ rg_limits_ok: false }',
      [
        '5:29 warning UNUSED responsible gaming is asked of every reward all the same: no rule can pay a self-excluded player',
      ],
    ],
    [
      'a pool that pays elsewhere than the rule',
      '{ budget_pool: nov_tr, geo: [BR, PE] }',
      [
        '5:28 warning UNREACHABLE pool nov_tr pays in TR, and the rule asks it for players in BR, PE: no reward comes of it',
      ],
    ],
    [
      'a pool of the map that pays elsewhere than its country',
      '{ budget_pool: { DE: nov, default: all } }',
      [
        '5:34 warning UNREACHABLE pool nov pays in BR, PE, and the rule asks it for players in DE: no reward comes of it',
      ],
    ],
    [
      'a country of the map that the rule does not pay',
      '{ budget_pool: { TR: nov_tr, default: nov }, geo: [BR] }',
      ['5:34 warning UNREACHABLE the rule pays no player in TR, so this pool is never asked'],
    ],
    [
      'a default for whom nobody is left',
      '{ budget_pool: { BR: all, default: nov_tr }, geo: [BR] }',
      ['5:48 warning UNREACHABLE pool nov_tr pays in TR, and nobody is left for it: no reward comes of it'],
    ],
  ])('%s', (_, guardrails, expected) => {
    expect(lint(guarded(guardrails), { policies })).toEqual(expected)
  })

  it('the filters on the country count as its countries', () => {
    const text = guarded('{ budget_pool: nov_tr }').replace(
      'event_name: bet',
      `event_name: bet, filters: ['user.geo in ["BR", "PE"]']`,
    )
    expect(lint(text, { policies }).join()).toContain('the rule asks it for players in BR, PE')
    expect(lint(text.replace('"PE"', '"TR"'), { policies })).toEqual([])
    const none = guarded('{ geo: TR }').replace('event_name: bet', `event_name: bet, filters: ['user.geo == "BR"']`)
    expect(lint(none, { policies }).join()).toContain('let no player of these countries through')
  })

  it('a pool that pays at other times than the rule matches', () => {
    const text = guarded('{ budget_pool: nov }').replace(
      'event_name: bet',
      'event_name: bet, filters: [\'now >= "2025-12-01"\']',
    )
    expect(lint(text, { policies }).join()).toContain('pool nov pays from 2025-11-01T00:00:00.000Z until 2025-12-01')
    expect(lint(text.replace('2025-12-01', '2025-11-30'), { policies })).toEqual([])
  })

  it('pools that are only named are looked up, and nothing else is known of them', () => {
    expect(lint(guarded('{ budget_pool: { DE: nov } }'), { pools: ['nov'] })).toEqual([])
    expect(lint(guarded('{ budget_pool: { DE: nov } }'), { pools: ['other'] })).toHaveLength(1)
    expect(lint(guarded('{ budget_pool: { DE: nov } }'), {})).toEqual([])
  })

  it('a policy beside the rules is held against them, and the newest counts', () => {
    const files = (geo: string) => [
      { file: 'r.yaml', text: guarded('{ budget_pool: nov, geo: [BR] }') },
      { file: 'a.yaml', text: policyText({ version: '10.0', pools: `nov: { budget: 1, geo: [${geo}] }` }) },
      { file: 'b.yaml', text: policyText({ version: '9.0', pools: 'nov: { budget: 1, geo: [TR] }' }) },
    ]
    expect(lintRules(files('BR'), {})).toMatchObject({ findings: [], rules: 1, policies: 2 })
    expect(lintRules(files('PE'), {}).findings).toHaveLength(1)
  })

  it('what rewards cost is held against the newest policy, too', () => {
    const rule = { file: 'r.yaml', text: guarded('{}', REWARD.replace('bonus_cash, value: 2', 'loot')) }
    const policy = (version: string, more: string) => ({ file: `${version}.yaml`, text: policyText({ version, more }) })
    const catalogue = 'catalogue: [{ type: loot, unit_cost: 1 }]\n'
    expect(lintRules([rule, policy('1.0', ''), policy('2.0', catalogue)], {}).findings).toEqual([])
    expect(lintRules([rule, policy('1.0', catalogue), policy('2.0', '')], {}).findings).toHaveLength(1)
  })

  it.each([
    ['money without a rate', 'type: cash, value: 5, currency: TRY', 'no exchange rate from TRY to EUR'],
    ['what the catalogue does not have', 'type: loot', 'is about this loot: it costs its pool nothing'],
    ['what the catalogue has', 'type: fs, value: 5', undefined],
    ['what says its cost itself', 'type: loot, cost: 0', undefined],
    ['what works its cost out', 'type: loot, cost: "min(payload.bet, 5)"', undefined],
    ['the policy’s own money', 'type: cash, value: 5', undefined],
  ])('a reward of unknown cost: %s', (_, reward, message) => {
    const text = guarded('{}', REWARD.replace('type: bonus_cash, value: 2', reward))
    const found = lint(text, { policies })
    if (message === undefined) expect(found).toEqual([])
    else expect(found).toEqual([expect.stringContaining(`warning COST`)])
    if (message !== undefined) expect(found.join()).toContain(message)
  })
})
