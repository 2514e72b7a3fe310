import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fileText, PLAIN, summaryText } from '../../cli/rule-tests/output.ts'
import { type FileResult, runTestFile, testFilesIn } from '../../cli/rule-tests/session.ts'
import { runCli, startCli } from '../cli/process.ts'
import { normalize } from '../support/engine.ts'

const RULE = `
rule_id: r_bets
when:
  event_name: bet
  filters:
    - user.geo == "TR"
    - payload.bet >= 1
    - count(bet, 1h) >= 2
score: { formula: payload.bet, caps: { per_bet: 5, per_day: 8 } }
reward_trigger:
  on_progress:
    threshold: [6, 100]
    reward: { type: fs, value: 1 }
`

let root = ''
let folders = 0
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'onceward-rule-tests-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

function folder(tests: string, rule = RULE): string {
  const dir = mkdtempSync(join(root, `${++folders}-`))
  writeFileSync(join(dir, 'bets.yaml'), rule)
  writeFileSync(join(dir, 'bets.test.yaml'), tests)
  return dir
}

async function run(tests: string, rule = RULE): Promise<FileResult> {
  const [file = ''] = await testFilesIn(folder(tests, rule))
  return runTestFile(file, normalize)
}

/** A file with one test; `events` and `expect` in YAML's flow style. */
function one(events: string, expected: string): string {
  return `user: { geo: TR }\npayload: { bet: 3 }\ntests:\n  - name: it\n    events: ${events}\n    expect: ${expected}\n`
}

const TWO = '[{ event: bet, at: day 1 at 10:00, times: 3, every: 1m }]'

describe('a rule test', () => {
  test.each([
    ['points in all', '{ points: 6 }', []],
    ['other points', '{ points: 7 }', [{ what: 'points', expected: 7, received: 6 }]],
    ['scores in short', '{ scores: [3, 3] }', []],
    [
      'a field of a score',
      '{ scores: [3, { progress: 5 }] }',
      [{ what: 'scores[1].progress', expected: 5, received: 6 }],
    ],
    [
      'too few scores',
      '{ scores: [3] }',
      [{ what: 'scores', expected: [{ points: 3 }], received: [{ points: 3 }, { points: 3 }] }],
    ],
    ['a reward', '{ rewards: [{ threshold: 6, type: fs, amount: 1 }] }', []],
    [
      'no reward',
      '{ rewards: [] }',
      [{ what: 'rewards', expected: [], received: [{ threshold: 6, event: 'event-3', type: 'fs', amount: 1 }] }],
    ],
  ])('compares what is expected, and nothing else: %s', async (_, expected, differences) => {
    const { tests, problem } = await run(one(TWO, expected))
    expect(problem).toBeUndefined()
    expect(tests).toEqual([{ name: 'it', differences }])
  })

  test('has an event that the schema refuses only where it says so', async () => {
    const wrong = '[{ event: bet, payload: { bet: much } }]'
    const [failed] = (await run(one(wrong, '{ points: 0 }'))).tests
    expect(failed?.differences).toMatchObject([{ what: 'rejected', received: [{ reason: 'schema' }] }])
    const [passed] = (await run(one(wrong, '{ rejected: [{ reason: schema }] }'))).tests
    expect(passed?.differences).toEqual([])
  })

  test.each([
    ['day 3 at 10:00', '2025-11-05T07:00:00.000Z'],
    ['day 1', '2025-11-02T21:00:00.000Z'],
    ['day 1 at 23:59:59', '2025-11-03T20:59:59.000Z'],
    ['2025-12-24T18:00:00Z', '2025-12-24T18:00:00.000Z'],
  ])('has a clock of its own: %s', async (at, ts) => {
    const rule = 'rule_id: r\nwhen: { event_name: bet }\nscore: { formula: 1 }\n'
    const head = 'start: 2025-11-03\ntime_zone: Europe/Istanbul\npayload: { bet: 1 }\n'
    const text = `${head}tests: [{ name: it, events: [{ event: bet, at: ${at} }], expect: { scores: [{ event_ts: "${ts}" }] } }]\n`
    expect((await run(text, rule)).tests).toEqual([{ name: 'it', differences: [] }])
  })

  test.each([
    ['tests: [{ name: it, expects: {} }]', 'tests[0] has no key expects; did you mean expect?'],
    ['tests: [{ name: it, expect: {} }]', 'tests[0] expects nothing; write one of points'],
    ['tests: [{ expect: { points: 1 } }]', 'tests[0] needs a name'],
    [
      'tests: [{ name: it, events: [{ event: bet, at: noon }], expect: { points: 1 } }]',
      'tests[0].events[0].at is "noon"; write day 3 at 10:00',
    ],
    ['rules: [other.yaml]\ntests: []', 'there is no rule file other.yaml beside it'],
    ['tests: {', 'it is no YAML: '],
  ])('that cannot be read says where and what would be right: %s', async (text, problem) => {
    expect((await run(text)).problem).toContain(problem)
  })
})

describe('coverage', () => {
  test('names the filters, caps and thresholds that no test exercised', async () => {
    const { coverage } = await run(one(TWO, '{ points: 6 }'))
    expect(coverage).toEqual([
      {
        ruleId: 'r_bets',
        done: 5,
        all: 10,
        missing: [
          'filter never failed: user.geo == "TR"',
          'filter never failed: payload.bet >= 1',
          'cap never cut: per_bet',
          'cap never cut: per_day',
          'threshold never crossed: 100',
        ],
      },
    ])
  })

  test('sees filters fail', async () => {
    const { coverage } = await run(
      one('[{ event: bet, user: { geo: DE } }, { event: bet, payload: { bet: 0.5 } }]', '{ points: 0 }'),
    )
    expect(coverage[0]?.missing).not.toContain('filter never failed: user.geo == "TR"')
    expect(coverage[0]?.missing).not.toContain('filter never failed: payload.bet >= 1')
    expect(coverage[0]?.missing).toContain('filter never held: count(bet, 1h) >= 2')
  })

  test('sees filters fail that an index over many rules would have spared', async () => {
    const games = Array.from({ length: 6 }, (_, i) => `game_${i}`)
    const dir = mkdtempSync(join(root, 'many-'))
    for (const game of games) {
      const filter = `payload.game_id == "${game}"`
      const rule = `rule_id: r_${game}\nwhen: { event_name: bet, filters: ['${filter}'] }\nscore: { formula: 1 }\n`
      writeFileSync(join(dir, `${game}.yaml`), rule)
    }
    const event = '{ event: bet, payload: { bet: 1, game_id: game_0 } }'
    const rules = games.map((game) => `${game}.yaml`).join(', ')
    writeFileSync(
      join(dir, 'all.test.yaml'),
      `rules: [${rules}]\ntests: [{ name: it, events: [${event}], expect: { points: 1 } }]\n`,
    )
    const { coverage } = await runTestFile(join(dir, 'all.test.yaml'), normalize)
    const never = coverage.flatMap(({ missing }) => missing)
    expect(never.filter((each) => each.startsWith('filter never failed'))).toEqual([
      'filter never failed: payload.game_id == "game_0"',
    ])
    expect(never).toHaveLength(6)
  })

  test('sees caps cut', async () => {
    const { coverage } = await run(one('[{ event: bet, payload: { bet: 9 }, times: 3, every: 1m }]', '{ points: 8 }'))
    expect(coverage[0]?.missing.filter((each) => each.startsWith('cap'))).toEqual([])
  })
})

describe('onceward rules test', () => {
  test('runs the examples, all of which pass and leave nothing out', async () => {
    const { code, stdout } = await runCli(['rules', 'test', 'examples/rules'])
    expect(stdout).toContain('  ✓ a day gives at most 1500 points, and three rewards on the way')
    expect(stdout).toContain(' Test files  3 passed (3)')
    expect(stdout).toContain('Coverage  100%')
    expect([code, stdout.includes('✗')]).toEqual([0, false])
  })

  test('fails with what was expected and received', async () => {
    const { code, stdout } = await runCli(['rules', 'test', folder(one(TWO, '{ points: 7 }'))])
    expect(stdout).toContain('  ✗ it\n      points\n        - expected 7\n        + received 6\n')
    expect(stdout).toContain('Tests  1 failed | 0 passed (1)')
    expect(code).toBe(1)
  })

  test('shows what is wrong with a rule, and says where there are no tests', async () => {
    const broken = await run(one(TWO, '{ points: 6 }'), RULE.replace('payload.bet >= 1', 'payload.bet >>= 1'))
    const text = fileText(broken, PLAIN)
    expect(text).toContain('  ✗ one problem in the rules:')
    expect(text).toMatch(/bets\.yaml:7:\d+: /)
    expect(summaryText([broken], 1, PLAIN)).toContain('Test files  1 failed | 0 passed (1)')
    const { code, stderr } = await runCli(['rules', 'test', 'examples/events'])
    expect([code, stderr]).toEqual([1, expect.stringContaining('there are no rule tests in examples/events')])
  })

  test('runs again when a file changes, until Ctrl-C', async () => {
    const dir = folder(one(TWO, '{ points: 7 }'))
    const cli = startCli(['rules', 'test', dir, '--watch'])
    await cli.until(({ stdout }) => stdout.includes('1 failed'))
    const file = join(dir, 'bets.test.yaml')
    const mended = readFileSync(file, 'utf8').replace('points: 7', 'points: 6')
    // The watch may begin a moment after the first run.
    await cli.until(({ stdout }) => {
      if (!stdout.includes('1 passed (1)')) writeFileSync(file, mended)
      return stdout.includes('1 passed (1)')
    })
    cli.child.kill('SIGINT')
    expect((await cli.ended).code).toBe(0)
  })
})
