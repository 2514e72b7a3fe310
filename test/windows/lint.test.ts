import { expect, test } from 'vitest'
import { loadSchemas } from '../../connectors/files/schemas.ts'
import { parseSchemas } from '../../operators/event-schema.ts'
import { fieldsOfSchemas } from '../../operators/schema-fields.ts'
import { lintRules } from '../../rules/lint.ts'
import { DISTINCT_VALUES_MAX } from '../../rules/window-lengths.ts'

const catalog = fieldsOfSchemas(parseSchemas(await loadSchemas()))

/** What is found in a rule for bets with this filter. */
function findings(filter: string): string[] {
  const text = `rule_id: r\nwhen:\n  event_name: bet\n  filters:\n    - ${filter}\nscore: { formula: 1 }`
  const options = { catalog }
  return lintRules([{ file: 'r.yaml', text }], options).findings.map(
    ({ column, code, message, hint }) => `${column} ${code.replace('ONCEWARD_E_RULE_', '')} ${message} | ${hint}`,
  )
}

test.each([
  [
    'count(deposti, 7d) > 1',
    '13 UNKNOWN_EVENT no schema declares the event "deposti", so none is ever counted | did you mean deposit?',
  ],
  [
    'payload.bet > 1 and sequence(login, bets, bet, 1h)',
    '43 UNKNOWN_EVENT no schema declares the event "bets", so none is ever counted | did you mean bet?',
  ],
  [
    'sum(deposit.payload.amuont, 7d) > 1',
    '11 UNKNOWN_FIELD no schema of these events has a field "payload.amuont" | did you mean payload.amount?',
  ],
  [
    'sum(bet.user.geo, 7d) > 1',
    '11 WRONG_TYPE sum cannot be taken of user.geo, which holds a text | write sum(bet.payload.bet, 1d)',
  ],
  [
    'count(deposit where payload.bet > 1, 7d) > 1',
    '27 UNKNOWN_FIELD no schema of these events has a field "payload.bet"',
  ],
  [
    `distinct(bet.payload.game_id, 7d) >= ${DISTINCT_VALUES_MAX + 1}`,
    '7 UNREACHABLE distinct counts up to 128 and no further: it never comes to 129 | compare it with at most 128',
  ],
  [
    `${DISTINCT_VALUES_MAX + 1} < distinct(bet.payload.game_id, 7d)`,
    '13 UNREACHABLE distinct counts up to 128 and no further: it never comes to 129 | compare it with at most 128',
  ],
])('lint finds what is wrong in %s', (filter, expected) => {
  const found = findings(filter)
  expect(found).toHaveLength(1)
  expect(found[0]).toContain(expected)
})

test.each([
  'count(deposit where payload.amount >= 50, 7d) >= 3',
  `distinct(bet.payload.game_id, 7d) >= ${DISTINCT_VALUES_MAX}`,
  'sum(bet.payload.bet, 1d) > 10 and last(login) / 1d > 2',
  'exists(max(win.payload.win, 1d)) or sequence(login, deposit where payload.amount >= 5, bet, 1h)',
])('lint finds nothing in %s', (filter) => {
  expect(findings(filter)).toEqual([])
})
