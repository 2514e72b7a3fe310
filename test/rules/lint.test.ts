import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { lintText } from '../../cli/rules/lint-report.ts'
import { readRuleFiles } from '../../connectors/files/rule-files.ts'
import { loadSchemas } from '../../connectors/files/schemas.ts'
import { parseSchemas } from '../../operators/event-schema.ts'
import { fieldsOfSchemas } from '../../operators/schema-fields.ts'
import { type LintOptions, lintRules } from '../../rules/lint.ts'

const OWN = {
  name: 'quest.avsc',
  text: JSON.stringify({
    type: 'record',
    name: 'quest',
    fields: [
      { name: 'step', type: 'int' },
      { name: 'extra', type: { type: 'map', values: 'string' } },
      { name: 'place', type: { type: 'record', name: 'place', fields: [{ name: 'city', type: 'string' }] } },
      { name: 'tags', type: { type: 'array', items: 'string' } },
      { name: 'bet', type: 'string' },
    ],
  }),
}
const catalog = fieldsOfSchemas(parseSchemas([...(await loadSchemas()), OWN]))

function lint(text: string, options: LintOptions = { catalog }): string[] {
  return lintRules([{ file: 'r.yaml', text }], options).findings.map(
    ({ line, column, code, severity, message, hint }) =>
      `${line}:${column} ${severity ?? 'error'} ${code.replace('ONCEWARD_E_RULE_', '')} ${message} | ${hint}`,
  )
}

interface Parts {
  readonly event?: string
  readonly filter?: string
  readonly formula?: string
  readonly score?: string
  readonly more?: string
}

function rule({ event = 'bet', filter = 'payload.bet > 0', formula = '1', score = '', more = '' }: Parts = {}): string {
  return [
    'rule_id: r',
    `when: { event_name: ${event}, filters: [${JSON.stringify(filter)}] }`,
    `score: { formula: ${JSON.stringify(formula)}${score} }`,
    more,
  ].join('\n')
}

const trigger = (threshold: string, rest = ''): string =>
  `reward_trigger: { on_progress: { threshold: ${threshold}, reward: { type: fs, value: 1 }${rest} } }`

describe('a finding says place, severity, code and what would be right', () => {
  it.each<[string, Parts, string]>([
    [
      'a misspelt field',
      { filter: 'payload.bte > 1' },
      '2:37 error UNKNOWN_FIELD no schema of these events has a field "payload.bte" | did you mean payload.bet?',
    ],
    [
      'a field that is nothing like one',
      { filter: 'payload.zzz > 1' },
      '2:37 error UNKNOWN_FIELD no schema of these events has a field "payload.zzz" | declare it in a schema, or name one of payload.bet, payload.win',
    ],
    ['a misspelt field of the user', { filter: 'user.goe == "TR"' }, 'did you mean user.geo?'],
    [
      'a number compared with a text',
      { filter: 'payload.bet == "5"' },
      '2:37 error WRONG_TYPE a number is never compared with a text',
    ],
    [
      'a text used as a number',
      { formula: 'payload.currency * 2' },
      '3:20 error WRONG_TYPE a number is needed here, this is a text',
    ],
    [
      'a number used as a condition',
      { filter: 'payload.bet' },
      '2:37 error WRONG_TYPE a condition is needed here, this is a number',
    ],
    [
      'a list compared',
      { filter: 'user.risk_flags == "vpn"' },
      'a list is never compared | write user.risk_flags contains "vpn"',
    ],
    [
      'starts_with of a list',
      { filter: 'user.risk_flags starts_with "vpn"' },
      'asks for a text on its left, this is a list',
    ],
    ['an object compared', { event: 'quest', filter: 'payload.place == "x"' }, 'an object is never compared'],
    ['a field below a text', { event: 'quest', filter: 'payload.place.city.name == "x"' }, 'UNKNOWN_FIELD'],
    [
      'an unknown event',
      { event: 'bte' },
      '2:21 error UNKNOWN_EVENT no schema declares the event "bte", so none is ever accepted | did you mean bet?',
    ],
    [
      'a threshold above what a day gives',
      { score: ', caps: { per_day: 100 }', more: trigger('[50, 101]', ', reset: daily') },
      '4:50 error UNREACHABLE nobody comes to 101: the rule gives at most 100 points in a day',
    ],
    [
      'a threshold above what hours give in a week',
      { score: ', caps: { per_hour: 1 }', more: trigger('169', ', reset: weekly') },
      'at most 168 points in a week',
    ],
    [
      'a threshold above what minutes give in a month',
      { score: ', caps: { per_minute: 1 }', more: trigger('44641', ', reset: monthly') },
      'at most 44640 points in a month',
    ],
    [
      'a threshold above what the days of the rule give',
      { filter: 'now between "2025-11-01" and "2025-11-02"', score: ', caps: { per_day: 10 }', more: trigger('31') },
      'at most 30 points',
    ],
    ['a threshold of a rule that gives nothing', { formula: '0.5', more: trigger('1') }, 'at most 0 points'],
    [
      'an end before the start',
      { filter: 'now >= "2025-12-01" and now < "2025-11-01"' },
      '2:36 error UNREACHABLE this ends at 2025-11-01T00:00:00.000Z, but the rule begins at 2025-12-01T00:00:00.000Z',
    ],
    [
      'an end before it is in effect',
      { filter: 'now <= "2025-11-30"', more: 'meta: { effective_from: 2025-12-01 }' },
      'this ends at 2025-12-01T00:00:00.000Z, but the rule begins at 2025-12-01',
    ],
    [
      'a segment that is not there',
      { filter: 'user in segment("vip")' },
      '2:53 error UNKNOWN_SEGMENT there is no segment "vip"',
    ],
    [
      'a division by what can be zero',
      { filter: 'payload.bet >= 0', formula: 'payload.win / payload.bet' },
      '3:34 warning DIVISION payload.bet can be zero',
    ],
    [
      'an amount without bound',
      { more: 'reward_trigger: { on_progress: { threshold: 1, reward: { type: cash, value: "payload.win * 2" } } }' },
      '4:78 warning UNBOUNDED nothing bounds this amount | write min(payload.win * 2, 50)',
    ],
  ])('%s', (_, parts, expected) => {
    expect(lint(rule(parts))).toEqual([expect.stringContaining(expected)])
  })

  it('of a pool that is not there, where pools are named', () => {
    const text = rule({ more: 'guardrails: { kyc_min_level: 1, budget_pool: nov_saeson }' })
    expect(lint(text, { catalog, pools: ['nov_season', 'daily'] })).toEqual([
      '4:46 error UNKNOWN_POOL there is no pool "nov_saeson" | did you mean nov_season?',
    ])
    expect(lint(text)).toEqual([])
  })

  it('of files together: one version twice, a segment that nobody asks for', () => {
    const files = [
      { file: 'a.yaml', text: rule() },
      { file: 'b.yaml', text: rule() },
      { file: 's.yaml', text: 'segment_id: s\nusers: [u]\n' },
    ]
    const { findings, rules, segments } = lintRules(files, { catalog })
    expect(findings.map(({ file, code, severity }) => [file, code, severity])).toEqual([
      ['b.yaml', 'ONCEWARD_E_RULE_DUPLICATE', undefined],
      ['s.yaml', 'ONCEWARD_E_RULE_UNUSED', 'warning'],
    ])
    expect([rules, segments]).toEqual([2, 1])
  })
})

describe('nothing is found in', () => {
  it.each<[string, Parts]>([
    ['a rule without fault', {}],
    ['fields of another event of the rule', { event: '[bet, quest]', filter: 'payload.step > 1 and payload.win > 1' }],
    ['a field whose events differ in type', { event: '[bet, quest]', filter: 'payload.bet == "5" or payload.bet > 5' }],
    ['what a map holds', { event: 'quest', filter: 'payload.extra.anything == "x"' }],
    ['a field below a record', { event: 'quest', filter: 'payload.place.city == "x" and payload.tags contains "y"' }],
    ['a text or a number, as the schema leaves open', { filter: 'payload.game_id == "x" or payload.game_id == 5' }],
    [
      'a field that the rule itself says may be missing',
      { filter: 'not exists(payload.score_of_ml) or payload.score_of_ml < 1' },
    ],
    ['thresholds exactly reached', { score: ', caps: { per_day: 100 }', more: trigger('[100]', ', reset: daily') }],
    [
      'thresholds of a rule whose caps are those of an event',
      { score: ', caps: { per_bet: 1 }', more: trigger('1000000', ', reset: daily') },
    ],
    [
      'a bounded amount',
      {
        more: 'reward_trigger: { on_progress: { threshold: 1, reward: { type: cash, value: "if(payload.win > 5, 3, min(payload.win, 2))" } } }',
      },
    ],
  ])('%s', (_, parts) => {
    expect(lint(rule(parts))).toEqual([])
  })

  it('the examples', async () => {
    const files = await readRuleFiles(join(import.meta.dirname, '../../examples/rules'))
    expect(lintRules(files, { catalog }).findings).toEqual([])
  })
})

describe('a divisor', () => {
  const doubtful = (filter: string, formula: string): string[] =>
    lint(rule({ filter, formula })).map((finding) => finding.replace(/.*DIVISION (.*) can be.*/, '$1'))

  it.each([
    ['payload.bet > 0', '1 / payload.bet'],
    ['0 < payload.bet', '1 / payload.bet'],
    ['payload.bet >= 0.2 and payload.win > 1', 'payload.win % payload.bet'],
    ['payload.bet != 0', '1 / -payload.bet'],
    ['not payload.bet == 0', '1 / payload.bet'],
    ['not (payload.bet <= 0 or payload.win > 5)', '1 / payload.bet'],
    ['payload.bet between 1 and 2', '1 / (payload.bet * 2)'],
    ['payload.bet in [1, 2]', '1 / payload.bet'],
    ['payload.bet < 0', '1 / abs(payload.bet)'],
    ['true', '1 / 2'],
    ['true', '1 / max(payload.bet, 0.1)'],
    ['true', 'if(payload.bet > 0, 1 / payload.bet, 0)'],
    ['true', 'if(payload.bet == 0, 0, 1 / payload.bet)'],
    ['payload.bet > 0 and payload.win > 0', '1 / (payload.bet + payload.win)'],
  ])('%s: %s is known not to be zero', (filter, formula) => {
    expect(doubtful(filter, formula)).toEqual([])
  })

  it.each([
    ['true', '1 / payload.bet', 'payload.bet'],
    ['payload.bet >= 0', '1 / payload.bet', 'payload.bet'],
    ['payload.bet > -1', '1 / payload.bet', 'payload.bet'],
    ['payload.bet > 0 or payload.win > 0', '1 / payload.bet', 'payload.bet'],
    ['not payload.bet > 0', '1 / payload.bet', 'payload.bet'],
    ['payload.bet between -1 and 1', '1 / payload.bet', 'payload.bet'],
    ['payload.bet in [0, 1]', '1 / payload.bet', 'payload.bet'],
    ['payload.bet not between 1 and 2', '1 / payload.bet', 'payload.bet'],
    ['payload.bet not in [1, 2]', '1 / payload.bet', 'payload.bet'],
    ['payload.win > 0', '1 / payload.bet', 'payload.bet'],
    ['payload.bet > 0', '1 / (payload.bet - 1)', '(payload.bet - 1)'],
    ['true', 'if(payload.bet > 0, 1, 1 / payload.bet)', 'payload.bet'],
    ['true', '1 / floor(payload.bet)', 'floor(payload.bet)'],
    ['payload.win / payload.bet > 2', '1', 'payload.bet'],
    ['true', '1 % 0', '0'],
  ])('%s: %s can be zero', (filter, formula, divisor) => {
    expect(doubtful(filter, formula)).toEqual([divisor])
  })
})

describe('findings are printed', () => {
  const report = lintRules(
    [{ file: 'rules/a,b.yaml', text: rule({ filter: 'payload.bte > 1', formula: '1 / payload.win' }) }],
    { catalog },
  )

  it('for people', () => {
    expect(
      lintText(report, 'text'),
    ).toBe(`rules/a,b.yaml:2:37: error: no schema of these events has a field "payload.bte" [ONCEWARD_E_RULE_UNKNOWN_FIELD]
    when: { event_name: bet, filters: ["payload.bte > 1"] }
                                        ^
  did you mean payload.bet?

1 rule and 0 segments: 1 error, 0 warnings
`)
    expect(lintText({ findings: [], rules: 2, segments: 1, policies: 0 }, 'text')).toBe(
      '2 rules and 1 segment: nothing to find\n',
    )
  })

  it('for programs', () => {
    expect(JSON.parse(lintText(report, 'json'))).toMatchObject({
      rules: 1,
      errors: 1,
      warnings: 0,
      findings: [{ severity: 'error', file: 'rules/a,b.yaml', line: 2, column: 37, hint: 'did you mean payload.bet?' }],
    })
  })

  it('for GitHub, with what its format needs escaped', () => {
    expect(lintText(report, 'github')).toBe(
      '::error file=rules/a%2Cb.yaml,line=2,col=37,title=ONCEWARD_E_RULE_UNKNOWN_FIELD::no schema of these events has a field "payload.bte"; did you mean payload.bet?\n',
    )
  })
})
