import { expect, test } from 'vitest'
import { explain } from '../../cli/explain/explanation.ts'
import { sentences } from '../../cli/explain/sentences.ts'
import { HOUR_MS, MINUTE_MS } from '../../core/durations.ts'
import { loadRules } from '../../rules/load.ts'
import { ruleSetOf } from '../../rules/rule-set.ts'
import { eventLine, TestEngine } from '../support/engine.ts'
import { again, T0 } from './support.ts'

const TEXTS = [
  `
rule_id: r_any
when: { event_name: login }
score: { formula: "4", caps: { per_minute: 6 } }
reward_trigger: { on_progress: { threshold: [100], reward: { type: fs, value: 1 }, reset: daily } }
`,
  `
rule_id: r_strict
ordering: strict
when: { event_name: login }
score: { formula: "1" }
`,
]

test('explain tells why a late event that was sent again gave nothing, and counts what it gave', async () => {
  const loaded = loadRules(TEXTS.map((text, i) => ({ file: `${i}.yaml`, text })))
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const rules = ruleSetOf(loaded.rules)
  const engine = new TestEngine(rules)
  const login = (id: string, ts: number): string => eventLine({ id, ts })
  await engine.feed([
    { value: login('before', T0 - 45 * HOUR_MS) },
    { value: login('a', T0) },
    { value: login('now', T0 + HOUR_MS) },
    { value: login('late', T0 + MINUTE_MS) },
    { value: login('other', T0 + 2 * MINUTE_MS) },
    { value: login('of-yesterday', T0 - 22 * HOUR_MS), again: again('late') },
    { value: login('late', T0 + MINUTE_MS), again: again('late') },
    { value: login('old', T0 - 30 * HOUR_MS) },
    { value: login('old', T0 - 30 * HOUR_MS), again: again('late') },
  ])
  await engine.finish()
  const { scores, dlq, rewards } = engine.output
  const values = <T>(emitted: readonly { readonly value: T }[]): T[] => emitted.map(({ value }) => value)
  const records = { scores: values(scores), rewards: values(rewards), deadLetters: values(dlq) }
  const question = { userId: 'u', ruleId: undefined, fromMs: undefined, toMs: undefined }
  const explanation = explain(records, rules.versions, question)
  const text = sentences(explanation, 10)
  for (const sentence of [
    '1 event came late, and gave nothing when sent again (late): the formula gives 4; the caps are 6 points in a minute, of which up to 4 may be given already',
    '2 events came late, and gave nothing when sent again (such as of-yesterday): the rule takes events in their order',
    'late: no points, it came late (late_window_forgotten); progress 8',
    'Progress is 8 as of 2025-11-03 21:00:00 UTC.',
    // Without what was scored after all, and of what was set aside twice the second letter alone.
    '2 events never reached a rule:',
    '- other (late): ts 2025-11-03T20:02:00.000Z is',
    '- old (late): ts 2025-11-02T14:00:00.000Z is too old to be counted',
  ]) {
    expect(text).toContain(sentence)
  }
  expect(explanation.set_aside.map(({ event_id: id }) => id)).toEqual(['other', 'old'])
})

test('progress is what a late event has brought it to, though a younger one was judged before', () => {
  const score = (id: string, minute: number, progress: number) => ({
    type: 'score' as const,
    scoring_key: id,
    event_id: id,
    user_id: 'u',
    rule_id: 'r_any',
    rule_version: '1.0',
    raw_points: 4,
    points: 4,
    progress,
    cut_by: null,
    event_ts: new Date(T0 + minute * MINUTE_MS).toISOString(),
  })
  const scores = [score('a', 0, 4), score('b', 60, 8), score('late', 30, 12)]
  const loaded = loadRules(TEXTS.map((text, i) => ({ file: `${i}.yaml`, text })))
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const question = { userId: 'u', ruleId: undefined, fromMs: undefined, toMs: undefined }
  const { versions } = ruleSetOf(loaded.rules)
  const [rule] = explain({ scores, rewards: [], deadLetters: [] }, versions, question).rules
  expect(rule?.progress).toMatchObject({ points: 12, next: { threshold: 100, missing: 88 } })
})
