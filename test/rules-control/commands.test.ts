import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Context } from '../../cli/command.ts'
import { rulesRamp } from '../../cli/commands/rules-ramp.ts'
import { change } from '../../cli/rules-control/change.ts'
import { diffFolder } from '../../cli/rules-control/diff.ts'
import { listRules } from '../../cli/rules-control/list.ts'
import { publishFolder } from '../../cli/rules-control/publish.ts'
import { showRule } from '../../cli/rules-control/show.ts'
import type { Clock } from '../../core/clock.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import type { ChangeKind } from '../../rules/control-change.ts'
import { ruleText } from '../rules/rule-texts.ts'
import { clockAt } from '../support/clocks.ts'
import { Lab } from '../support/worker-harness.ts'

const FIRST = '2025-11-10T12:00:00.000Z'
const LATER = '2025-11-10T13:00:00.000Z'
/** A lead after LATER. */
const EFFECT = '2025-11-10T13:05:10.000Z'

let lab: Lab
let dir = ''
beforeEach(async () => {
  lab = await Lab.open()
  dir = mkdtempSync(join(tmpdir(), 'onceward-rules-'))
})
afterEach(async () => {
  await lab.close()
  rmSync(dir, { recursive: true, force: true })
})

interface Called {
  stdout: string
  readonly notes: string[]
}

const DEFAULTS = {
  prefix: undefined,
  by: 'ann',
  reason: undefined,
  at: undefined,
  json: false,
  ruleVersion: undefined,
  failOnDifference: false,
  id: 'r',
}

function contextOf(called: Called, settings: object, now: string) {
  const clock: Clock = clockAt(now, lab.clock)
  return {
    settings: { ...DEFAULTS, dir, ...settings },
    signal: new AbortController().signal,
    clock,
    random: () => 0,
    logger: silentLogger,
    terminal: {
      print: (text: string) => Promise.resolve(void (called.stdout += text)),
      note: (line: string) => void called.notes.push(line),
      progress: { isTty: false, columns: 80, write: () => undefined },
    },
  } satisfies Context<object>
}

type AnyContext = ReturnType<typeof contextOf>

async function call(run: (context: AnyContext) => Promise<unknown>, settings: object = {}, now = LATER) {
  const called: Called = { stdout: '', notes: [] }
  const code = await run(contextOf(called, settings, now))
  return { ...called, code }
}

const publish = (settings: object = {}, now = LATER) =>
  call((context) => publishFolder(lab.log, context), settings, now)
const list = (settings: object = {}) => call((context) => listRules(lab.log, context), settings)
const show = (settings: object = {}) => call((context) => showRule(lab.log, context), settings)
const diff = (settings: object = {}) => call((context) => diffFolder(lab.log, context), settings)
const say = (kind: ChangeKind, settings: object = {}) => call((context) => change(lab.log, context, kind), settings)
const file = (name: string, text: string): void => writeFileSync(join(dir, name), text)

describe('rules publish', () => {
  test('says what it published and from when on, then that nothing is new', async () => {
    file('r.yaml', ruleText())
    expect((await publish({ reason: 'a start' }, FIRST)).stdout).toBe('published  r 1.0, in effect since ever\n')
    file('r2.yaml', ruleText({ version: '2.0' }))
    expect((await publish()).stdout).toBe(`published  r 2.0, in effect from ${EFFECT} on\nunchanged  r 1.0\n`)
  })

  test('takes a folder whole or not at all, and tells all that is wrong, with a diff of what was edited', async () => {
    file('r.yaml', ruleText())
    await publish({}, FIRST)
    file('r.yaml', ruleText({ formula: '2' }))
    file('new.yaml', ruleText({ id: 'new' }))
    file('early.yaml', ruleText({ id: 'early', effective: '2025-11-10' }))
    await expect(publish()).rejects.toThrow(
      /nothing was published; 2 problems[^]*early\.yaml:4:41[^]*RULE_TOO_SOON[^]*RULE_VERSION_CHANGED[^]*\n-score: \{ formula: "1" \}\n\+score: \{ formula: "2" \}/,
    )
    expect((await list()).stdout).not.toMatch(/new|early/)
  })

  test('names the user of the operating system where nobody else is named', async () => {
    file('r.yaml', ruleText())
    await publish({ by: undefined }, FIRST)
    expect((await list()).stdout).toContain(userInfo().username)
  })
})

describe('rules list', () => {
  test('shows each version with its status, for whom, who and why, and what was said since', async () => {
    expect((await list()).stdout).toBe('no rule is published\n')
    file('r.yaml', ruleText())
    await publish({ reason: 'a start' }, FIRST)
    file('r2.yaml', ruleText({ version: '2.0' }).replace('"2.0"', '"2.0", rollout: 10'))
    await publish({ by: 'bob' })
    await say({ kind: 'ramp', to: 50, version: undefined }, { at: '2025-11-11', reason: 'quiet' })
    await say({ kind: 'pause' }, { at: '2025-11-12' })
    expect((await list()).stdout).toBe(
      `RULE  VERSION  STATUS     PLAYERS  IN EFFECT FROM            PUBLISHED                 BY   REASON
r     1.0      active     100 %    ever                      ${FIRST}  ann  a start
r     2.0      scheduled  -        ${EFFECT}  ${LATER}  bob

r 2.0 is for 50 % of the players from 2025-11-11T00:00:00.000Z on, says ann: quiet
r is paused from 2025-11-12T00:00:00.000Z on, says ann
`,
    )
    const at = async (time: string) => {
      const { rules } = JSON.parse((await list({ at: time, json: true })).stdout) as {
        rules: { versions: { version: string; status: string; players: number }[] }[]
      }
      return rules[0]?.versions.map(({ status, players }) => `${status} ${players}`)
    }
    expect(await at(EFFECT)).toEqual(['active 90', 'active 10'])
    expect(await at('2025-11-11')).toEqual(['active 50', 'active 50'])
    expect(await at('2025-11-12')).toEqual(['paused 0', 'paused 0'])
    await expect(list({ at: 'soon' })).rejects.toThrow(/--at: "soon" is not a date/)
  })

  test('says of a version that a newer one has taken all players from that it is replaced', async () => {
    file('r.yaml', ruleText())
    await publish({}, FIRST)
    file('r2.yaml', ruleText({ version: '2.0' }))
    await publish()
    expect((await list({ at: EFFECT })).stdout).toMatch(/1\.0 +replaced +- .*\nr +2\.0 +active +100 %/)
  })
})

describe('rules show', () => {
  test('prints the file that judges events of a time, as it was published', async () => {
    file('r.yaml', `# a comment\n${ruleText()}`)
    await publish({ reason: 'a start' }, FIRST)
    file('r2.yaml', ruleText({ version: '2.0', formula: '2' }).replace('"2.0"', '"2.0", rollout: 10'))
    await publish()
    const head = `# r 1.0: active, in effect since ever\n# published ${FIRST} by ann: a start\n`
    expect((await show()).stdout).toBe(`${head}# a comment\n${ruleText()}`)
    const both = (await show({ at: EFFECT })).stdout
    expect(both).toMatch(/^# r 2\.0: active, .* for 10 % of the players[^]*formula: "2"[^]*# r 1\.0: active, .* 90 %/)
    expect((await show({ ruleVersion: '2.0' })).stdout).toContain('# r 2.0: scheduled')
    await expect(show({ ruleVersion: '3.0' })).rejects.toThrow(/published are 1\.0, 2\.0/)
    await expect(show({ id: 'q' })).rejects.toThrow(/rule q is not published/)
  })

  test('says that nothing is in effect yet', async () => {
    file('r.yaml', ruleText({ effective: '2025-12-01' }))
    await publish({}, FIRST)
    expect((await show()).stdout).toBe(`# no version of r is in effect at ${LATER}\n`)
  })
})

describe('rules diff', () => {
  test('shows what a folder says that was not published, and what it lacks', async () => {
    file('r.yaml', ruleText())
    file('gone.yaml', ruleText({ id: 'gone' }))
    await publish({}, FIRST)
    expect(await diff({ failOnDifference: true })).toMatchObject({ stdout: '', notes: [], code: 0 })
    rmSync(join(dir, 'gone.yaml'))
    file('r.yaml', `# other comments are no difference\n${ruleText()}`)
    file('r2.yaml', ruleText({ version: '2.0', formula: '2' }))
    const found = await diff()
    expect(found.stdout).toMatch(/^--- published r 1\.0\n\+\+\+ .*r2\.yaml\n@@ -1,4 \+1,4 @@\n rule_id: r\n/)
    expect(found.notes).toEqual([`note: published, but not in ${dir}: gone`])
    expect([found.code, (await diff({ failOnDifference: true })).code]).toEqual([0, 1])
  })
})

test.each([
  ['100', true],
  ['12.5', true],
  ['50%', true],
  ['101', false],
  ['0.125', false],
  ['-1', false],
  ['half', false],
])('rules ramp --to %s is understood: %s', (text, understood) => {
  const to = rulesRamp.settings.find(({ name }) => name === 'to')
  expect(to?.read(text).ok).toBe(understood)
})

describe('rules pause, resume, retire and ramp', () => {
  beforeEach(async () => {
    file('r.yaml', ruleText())
    await publish({}, FIRST)
  })

  test('say from when on they hold, and that there is nothing to do where it is so already', async () => {
    expect((await say({ kind: 'pause' })).stdout).toBe(`r is paused from ${EFFECT} on\n`)
    expect((await say({ kind: 'pause' })).stdout).toBe('nothing to do: r is paused\n')
    expect((await say({ kind: 'resume' }, { at: '2025-11-12' })).stdout).toBe(
      'r goes on from 2025-11-12T00:00:00.000Z on\n',
    )
    expect((await say({ kind: 'retire' }, { at: '2025-11-13' })).stdout).toBe(
      'r is retired from 2025-11-13T00:00:00.000Z on\n',
    )
    await expect(say({ kind: 'pause' }, { at: '2025-11-10T13:05' })).rejects.toThrow(/too soon/)
  })

  test('a smaller rollout says who goes back', async () => {
    const { stdout, notes } = await say({ kind: 'ramp', to: 12.5, version: undefined })
    expect(stdout).toBe(`r 1.0 is for 12.5 % of the players from ${EFFECT} on\n`)
    expect(notes).toEqual([
      'note: that is less than 100 %: the players between 12.5 and 100 % go back to the version before, or to none',
    ])
    expect((await say({ kind: 'ramp', to: 50, version: undefined })).notes).toEqual([])
  })
})
