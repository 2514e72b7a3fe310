import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Context } from '../../cli/command.ts'
import { loadRulesFrom } from '../../cli/load-rules.ts'
import { checkPolicies } from '../../cli/policy/check.ts'
import { costOfReward } from '../../cli/policy/cost.ts'
import { listPolicies } from '../../cli/policy/list.ts'
import { publishPolicyFiles } from '../../cli/policy/publish.ts'
import { showPolicy } from '../../cli/policy/show.ts'
import { policiesToLookAt, publishedPolicies } from '../../cli/policy/sources.ts'
import { lintFolder } from '../../cli/rules/lint.ts'
import { diffFolder } from '../../cli/rules-control/diff.ts'
import { publishFolder } from '../../cli/rules-control/publish.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { ruleText } from '../rules/rule-texts.ts'
import { clockAt } from '../support/clocks.ts'
import { Lab } from '../support/worker-harness.ts'
import { policyText } from './policy-texts.ts'

const FIRST = '2025-11-10T12:00:00.000Z'
const LATER = '2025-11-10T13:00:00.000Z'
/** A lead after LATER. */
const EFFECT = '2025-11-10T13:05:10.000Z'

let lab: Lab
let dir = ''
beforeEach(async () => {
  lab = await Lab.open()
  dir = mkdtempSync(join(tmpdir(), 'onceward-policy-'))
})
afterEach(async () => {
  await lab.close()
  rmSync(dir, { recursive: true, force: true })
})

interface Called {
  stdout: string
  readonly notes: string[]
}

function contextOf(called: Called, settings: object, now: string) {
  return {
    settings: {
      prefix: undefined,
      by: 'ann',
      reason: undefined,
      at: undefined,
      json: false,
      brokers: undefined,
      policy: undefined,
      path: dir,
      dir,
      format: 'text',
      pools: undefined,
      schemas: undefined,
      reward: '{"type":"fs"}',
      failOnDifference: false,
      kafkaTls: false,
      kafkaCaFile: undefined,
      kafkaCertFile: undefined,
      kafkaKeyFile: undefined,
      kafkaSasl: undefined,
      kafkaUser: undefined,
      kafkaPasswordFile: undefined,
      ...settings,
    },
    signal: new AbortController().signal,
    clock: clockAt(now, lab.clock),
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

const file = (name: string, text: string): string => {
  const path = join(dir, name)
  writeFileSync(path, text)
  return path
}
const publish = (settings: object = {}, now = LATER) =>
  call((context) => publishPolicyFiles(lab.log, context), settings, now)
const show = (settings: object = {}) =>
  call(async (context) => showPolicy(await publishedPolicies(lab.log, context), context), settings)
const list = (settings: object = {}) =>
  call(async (context) => listPolicies(await publishedPolicies(lab.log, context), context), settings)
const cost = (reward: string, settings: object = {}) =>
  call(async (context) => costOfReward(await policiesToLookAt(context), context), { policy: dir, reward, ...settings })

describe('policy check', () => {
  test('tells all problems of all files at once, and what is fine', async () => {
    const good = file('good.yaml', policyText())
    const bad = file('bad.yaml', 'policy: p\ncurrency: eur\nkyc: { cash: 11 }\nmeta: { version: 2 }\n')
    file('rule.yaml', ruleText())
    const { stdout, code } = await call(checkPolicies)
    expect(stdout).toContain(`${good}: policy payout 1.0: 1 pool, 0 unit costs, 0 rates, nothing to find\n`)
    for (const place of ['2:11', '3:14']) expect(stdout).toContain(`${bad}:${place}: `)
    expect(stdout).toMatch(/2 problems\n$/)
    expect(code).toBe(1)
    expect(await call(checkPolicies, { path: good })).toMatchObject({ code: 0 })
  })

  test('of a named file that is none says what is missing; of a folder without one that there is none', async () => {
    const rule = file('rule.yaml', ruleText())
    const { stdout, code } = await call(checkPolicies, { path: rule })
    expect([stdout.includes('a policy has no key "rule_id"'), code]).toEqual([true, 1])
    await expect(call(checkPolicies)).rejects.toMatchObject({ code: 'ONCEWARD_E_FILE_UNREADABLE' })
  })
})

describe('policy publish', () => {
  test('says what it published and from when on, then that nothing is new', async () => {
    const path = file('p.yaml', policyText())
    expect((await publish({ path, reason: 'a start' }, FIRST)).stdout).toBe(
      'published  policy 1.0, in effect since ever\n',
    )
    expect((await publish({ path })).stdout).toBe('unchanged  policy 1.0\n')
  })

  test('takes a folder whole or not at all, with a diff of what was edited', async () => {
    file('p.yaml', policyText())
    await publish({}, FIRST)
    file('p.yaml', policyText({ pools: 'nov: { budget: 200 }' }))
    file('p2.yaml', policyText({ version: '2.0' }))
    await expect(publish()).rejects.toThrow(
      /nothing was published; one problem in the policy[^]*POLICY_VERSION_CHANGED[^]*--- published policy 1\.0[^]*\n-pools: \{ nov: \{ budget: 100 \} \}\n\+pools: \{ nov: \{ budget: 200 \} \}/,
    )
    expect((await list()).stdout).not.toContain('2.0')
  })

  test('a folder of rules is published with the policy that lies there', async () => {
    file('r.yaml', ruleText())
    file('p.yaml', policyText())
    const { stdout } = await call((context) => publishFolder(lab.log, context), {}, FIRST)
    expect(stdout).toBe('published  policy 1.0, in effect since ever\npublished  r 1.0, in effect since ever\n')
  })

  test('rules diff shows what the policy beside the rules says that was not published', async () => {
    file('r.yaml', ruleText())
    file('p.yaml', policyText())
    const diff = (): Promise<Called & { code: unknown }> =>
      call((context) => diffFolder(lab.log, context), { failOnDifference: true })
    expect((await diff()).stdout).toContain('--- nothing published\n')
    await call((context) => publishFolder(lab.log, context), {}, FIRST)
    expect(await diff()).toMatchObject({ stdout: '', code: 0 })
    file('p2.yaml', policyText({ version: '2.0' }))
    const { stdout, code } = await diff()
    expect(stdout).toMatch(/^--- published policy 1\.0\n\+\+\+ .*p2\.yaml\n/)
    expect(code).toBe(1)
  })

  test('a folder with a policy and no rules is no folder of rules', async () => {
    file('p.yaml', policyText())
    await expect(loadRulesFrom(dir)).rejects.toThrow(/there is a policy in .*, but no rule; .* onceward policy publish/)
  })
})

describe('policy list and policy show', () => {
  beforeEach(async () => {
    file('r.yaml', ruleText())
    file('p.yaml', policyText())
    await call((context) => publishFolder(lab.log, context), { reason: 'a start' }, FIRST)
    await publish({
      path: file(
        'p2.yaml',
        policyText({ version: '2.0', pools: 'nov: { budget: 200, geo: [TR] }', more: 'large_prize: 5\n' }),
      ),
      by: 'bob',
    })
  })

  test('list shows each version with its status, who and why', async () => {
    expect((await list()).stdout).toBe(
      `POLICY  VERSION  STATUS     IN EFFECT FROM            PUBLISHED                 BY   REASON
payout  1.0      active     ever                      ${FIRST}  ann  a start
payout  2.0      scheduled  ${EFFECT}  ${LATER}  bob
`,
    )
    const { policies } = JSON.parse((await list({ at: EFFECT, json: true })).stdout) as {
      policies: { status: string }[]
    }
    expect(policies.map(({ status }) => status)).toEqual(['replaced', 'active'])
  })

  test('show prints the one that decides at a time, with the terms of each pool', async () => {
    const { stdout } = await show()
    expect(stdout).toContain(`policy 1.0: in effect since ever\npublished ${FIRST} by ann: a start\n`)
    expect(stdout).toMatch(/nov +100\.00 +all +UTC +- +90 % = 90\.00 +- +- +hold +all +- +-\n/)
    const later = await show({ at: EFFECT })
    expect(later.stdout).toMatch(
      /policy 2\.0: in effect from[^]*nov +200\.00 +all +UTC +- +90 % = 180\.00 +5\.00 +- +hold +TR/,
    )
    expect(JSON.parse((await show({ at: EFFECT, json: true })).stdout)).toMatchObject({
      version: '2.0',
      effective_from: EFFECT,
      pools: [{ pool_id: 'nov', budget: '200.00', geo: ['TR'], breaker_at: '180.00', large_prize: '5.00' }],
      published_by: 'bob',
      content: expect.stringContaining('policy: payout'),
    })
  })

  test('where none is in effect they say so', async () => {
    const empty = await Lab.open()
    const none = await call(async (context) => showPolicy(await publishedPolicies(empty.log, context), context))
    expect(none.stdout).toContain(`no policy is in effect at ${LATER}`)
    const listed = await call(async (context) => listPolicies(await publishedPolicies(empty.log, context), context))
    expect(listed.stdout).toBe('no policy is published\n')
    await empty.close()
  })
})

describe('policy cost', () => {
  beforeEach(() => {
    const more = 'catalogue: [{ type: fs, unit_cost: 0.15 }]\nrates: { TRY: { 2025-11-01: 0.02 }, USD: 0.9 }\n'
    file('p.yaml', policyText({ more }))
  })

  test.each([
    ['{"type":"fs","amount":3}', '0.45 EUR: 3 of { type: fs, unit_cost: 0.15 } (policy 1.0)\n', 0],
    ['{"type":"fs","value":3}', '0.45 EUR: 3 of { type: fs, unit_cost: 0.15 } (policy 1.0)\n', 0],
    ['{"type":"cash","amount":50,"currency":"USD"}', '45.00 EUR: 50.00 USD, of which one is 0.9 EUR (policy 1.0)\n', 0],
    ['{"type":"cash","amount":"2.50"}', '2.50 EUR: its amount (policy 1.0)\n', 0],
    ['{"type":"loot"}', '0.00 EUR: no line of the catalogue is about it (policy 1.0)\n', 0],
    ['{"type":"fs","amount":3,"cost":1}', '1.00 EUR: the reward says so itself (policy 1.0)\n', 0],
    [
      '{"type":"cash","amount":5,"currency":"BRL"}',
      'unknown: there is no exchange rate from BRL to EUR on 2025-11-10 (policy 1.0)\n',
      1,
    ],
  ])('%s', async (reward, stdout, code) => {
    expect(await cost(reward)).toMatchObject({ stdout, code })
  })

  test('by the rate of a day, for programs', async () => {
    const reward = '{"type":"cash","amount":50,"currency":"TRY"}'
    expect(JSON.parse((await cost(reward, { at: '2025-11-03', json: true })).stdout)).toMatchObject({
      policy: '1.0',
      cost: '1.00',
      currency: 'EUR',
      by: 'rate',
    })
    expect(JSON.parse((await cost(reward, { at: '2025-10-31', json: true })).stdout)).toMatchObject({
      cost: null,
      by: 'no_rate',
    })
  })

  test.each([
    ['fs', /no JSON/],
    ['[]', /no JSON object/],
    ['{"amount":5}', /has no type/],
    ['{"type":"fs","amount":-5}', /at least zero/],
    ['{"type":"cash","amount":"1e3"}', /not an amount/],
  ])('%s is refused', async (reward, message) => {
    await expect(cost(reward)).rejects.toThrow(message)
  })

  test('needs a place to look', async () => {
    await expect(cost('{"type":"fs"}', { policy: undefined })).rejects.toMatchObject({ code: 'ONCEWARD_E_USAGE' })
  })
})

describe('rules lint', () => {
  const rule = ruleText({ more: 'guardrails: { budget_pool: nov_tr }\n' })

  test('takes names of pools and policy files together', async () => {
    file('r.yaml', rule)
    const elsewhere = mkdtempSync(join(tmpdir(), 'onceward-policy-'))
    const policy = join(elsewhere, 'p.yaml')
    writeFileSync(policy, policyText({ pools: 'nov_tr: { budget: 1 }' }))
    expect((await call(lintFolder, { pools: ['nov_tr'] })).code).toBe(0)
    expect((await call(lintFolder, { pools: [policy] })).code).toBe(0)
    expect((await call(lintFolder, { pools: ['nov_br'] })).stdout).toContain('there is no pool "nov_tr"')
    writeFileSync(policy, policyText({ pools: 'nov_br: { budget: 1 }' }))
    expect((await call(lintFolder, { pools: [policy] })).code).toBe(1)
    expect((await call(lintFolder, { pools: [policy, 'nov_tr'] })).code).toBe(0)
    writeFileSync(policy, 'policy: p\n')
    await expect(call(lintFolder, { pools: [policy] })).rejects.toMatchObject({ code: 'ONCEWARD_E_POLICY_INVALID' })
    rmSync(elsewhere, { recursive: true })
  })

  test('goes by the policy in the folder, and tells its problems', async () => {
    file('r.yaml', rule)
    file('p.yaml', policyText())
    const { stdout, code } = await call(lintFolder)
    expect([stdout.includes('there is no pool "nov_tr"'), code]).toEqual([true, 1])
    expect(stdout).toContain('1 rule and 0 segments, and a policy: 1 error')
    file('p.yaml', 'policy: p\n')
    expect((await call(lintFolder)).stdout).toContain('ONCEWARD_E_POLICY_INVALID')
  })
})
