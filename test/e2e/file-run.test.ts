import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { partitionOf } from '../../core/partitioner.ts'
import { seededRandom } from '../../core/random.ts'
import { runCli } from '../cli/process.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { reference } from '../support/reference.ts'
import { SHARED_RULES } from '../support/shared-rules.ts'
import { sharedData, shuffleWithin, withBroken, withRepeats } from '../support/workload.ts'

interface Totals {
  readonly scores: number
  readonly points: Record<string, number>
  readonly rewards: readonly string[]
}

interface Outcome extends Totals {
  readonly summary: Record<string, unknown> & { readonly dlq: Record<string, number> }
  readonly deadLetters: readonly { readonly reason: string; readonly raw: string }[]
}

let dir = ''
let runs = 0
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'onceward-run-'))
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

function ndjson<T>(path: string): T[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T)
}

async function run(lines: readonly string[], rules: string, partitions: number): Promise<Outcome> {
  const out = join(dir, `out-${++runs}`)
  const events = join(dir, `events-${runs}.ndjson`)
  writeFileSync(events, `${lines.join('\n')}\n`)
  const args = ['run', '--events', events, '--rules', rules, '--out', out, '--partitions', String(partitions)]
  const { code, stderr } = await runCli(args)
  expect(stderr).toMatch(/rewards in/)
  expect(code).toBe(0)
  expect(readdirSync(out).sort()).toEqual(['dlq.ndjson', 'rewards.ndjson', 'scores.ndjson', 'summary.json'])
  return outcomeOf(out)
}

function outcomeOf(out: string): Outcome {
  const points: Record<string, number> = {}
  let scores = 0
  for (const score of ndjson<{ user_id: string; rule_id: string; points: number }>(join(out, 'scores.ndjson'))) {
    if (score.points === 0) continue
    scores++
    const key = `${score.user_id}|${score.rule_id}`
    points[key] = (points[key] ?? 0) + score.points
  }
  type Task = { user_id: string; origin: { rule_id: string; threshold: number } }
  const rewards = ndjson<Task>(join(out, 'rewards.ndjson'))
    .map(({ user_id, origin }) => `${user_id}|${origin.rule_id}|${origin.threshold}`)
    .sort()
  const summary = JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')) as Outcome['summary']
  return { scores, points, rewards, summary, deadLetters: ndjson(join(out, 'dlq.ndjson')) }
}

function totals({ scores, points, rewards }: Totals): Totals {
  return { scores, points, rewards: [...rewards].sort() }
}

describe('onceward run on generated bets', () => {
  test('equals the plain reference, repeats, late and broken lines included, on any number of partitions', async () => {
    const rules = mkdtempSync(join(dir, 'rules-'))
    for (const [name, text] of Object.entries(RULE_FILES)) writeFileSync(join(rules, name), text)
    const random = seededRandom(11)
    const lines = withBroken(withRepeats(generatedBets(4_000, 11), 0.03, random), 40, random)
    for (const partitions of [1, 3]) {
      const expected = reference(lines, { rules: SHARED_RULES, partitionOf: (user) => partitionOf(user, partitions) })
      const outcome = await run(lines, rules, partitions)
      expect(totals(outcome)).toEqual(totals(expected))
      expect(outcome.summary).toMatchObject({
        events: lines.length,
        unique: expected.unique,
        duplicates: expected.duplicates,
        dlq: expected.dlq,
        scores: expected.scores,
        rewards: expected.rewards.length,
      })
      expect(expected.rewards.length).toBeGreaterThan(20)
    }
  })
})

const shared = sharedData()
describe.skipIf(shared === undefined)('onceward run on the real bets', () => {
  const data = (name: string): string => join(shared ?? '', 'data', name)
  const bets = (): string[] =>
    gunzipSync(readFileSync(data('bets.ndjson.gz')))
      .toString()
      .split('\n')
      .filter((line) => line !== '')
  const expected = (): Totals => totals(JSON.parse(readFileSync(data('expected.json'), 'utf8')) as Totals)

  test.each([1, 4, 7])('gives the exact result on %i partitions', async (partitions) => {
    const outcome = await run(bets(), data('rules'), partitions)
    expect(totals(outcome)).toEqual(expected())
    expect(outcome.rewards).toHaveLength(190)
    expect(outcome.scores).toBe(27_428)
  })

  test('gives the same where lines are shuffled within 50 seconds, repeated and broken', async () => {
    const random = seededRandom(5)
    const repeated = withRepeats(shuffleWithin(bets(), 50, random), 0.03, random)
    const lines = withBroken(repeated, 300, random)
    const outcome = await run(lines, data('rules'), 4)
    expect(totals(outcome)).toEqual(expected())
    expect(outcome.summary.dlq).toEqual({ schema: 300, future: 0, late: 0 })
    expect(outcome.summary['duplicates']).toBe(repeated.length - 20_000)
    expect(outcome.deadLetters).toHaveLength(300)
    const known = new Set(lines)
    for (const { reason, raw } of outcome.deadLetters) expect([reason, known.has(raw)]).toEqual(['schema', true])
  })
})
