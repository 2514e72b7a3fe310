import { afterEach, describe, expect, test } from 'vitest'
import { silentLogger } from '../../core/ports/logger.ts'
import { changeRule, publishRules, readControl } from '../../pipeline/publish-rules.ts'
import { loadRules } from '../../rules/load.ts'
import { ruleText } from '../rules/rule-texts.ts'
import { FaultyLog } from '../support/faulty-log.ts'
import { Lab } from '../support/worker-harness.ts'

let lab: Lab
afterEach(() => lab.close())

const rule = (id: string, version: string, formula = '1') => ({
  file: `${id}.yaml`,
  text: ruleText({ id, version, formula }),
})

function publish(files: readonly ReturnType<typeof rule>[], by: string, log: Lab['log'] | FaultyLog = lab.log) {
  const loaded = loadRules(files)
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const { clock, topics } = lab
  return publishRules({
    log,
    clock,
    logger: silentLogger,
    topic: topics.control,
    rules: loaded.rules,
    publishedBy: by,
  })
}

const options = () => ({ log: lab.log, clock: lab.clock, logger: silentLogger, topic: lab.topics.control })

describe('two who publish at once', () => {
  test('other content under one version: one has it, the other is told so, whole', async () => {
    lab = await Lab.open()
    const plans = await Promise.all([
      publish([rule('r', '1.0', '1'), rule('a', '1.0')], 'ann'),
      publish([rule('r', '1.0', '2'), rule('b', '1.0')], 'bob'),
    ])
    const [winner, loser] = plans[0].refused.length === 0 ? plans : [...plans].reverse()
    expect(winner?.publish).toHaveLength(2)
    expect(loser?.refused).toMatchObject([{ code: 'ONCEWARD_E_RULE_VERSION_CHANGED' }])
    const { published, problems } = await readControl(options())
    expect(problems).toEqual([])
    expect([...published.values()].map(({ record }) => record.published_by)).toEqual(
      winner?.publish.map(({ published_by }) => published_by),
    )
  })

  test('other rules: both have theirs, and each rule stands there once', async () => {
    lab = await Lab.open()
    await Promise.all([
      publish([rule('a', '1.0')], 'ann'),
      publish([rule('b', '1.0')], 'bob'),
      publish([rule('a', '1.0')], 'eve'),
    ])
    const records = await lab.read({ topic: lab.topics.control, partition: 0 })
    expect(records.map(({ value }) => String(JSON.parse(String(value)).rule_id)).sort()).toEqual(['a', 'b'])
  })

  test('of whom one had looked before the other had begun: it looks once more, and is refused', async () => {
    lab = await Lab.open()
    const log = new FaultyLog(lab.log, {
      opening: async () => {
        await publish([rule('r', '1.0', '2')], 'bob')
      },
    })
    const plan = await publish([rule('r', '1.0', '1')], 'ann', log)
    expect(plan.refused).toMatchObject([{ code: 'ONCEWARD_E_RULE_VERSION_CHANGED' }])
    expect(await lab.read({ topic: lab.topics.control, partition: 0 })).toHaveLength(1)
  })

  test('of whom one had looked before the other committed: it sees what was written since, and is refused', async () => {
    lab = await Lab.open()
    let crossed = false
    const log = new FaultyLog(lab.log, {
      commit: async (_, __, apply) => {
        if (!crossed) {
          crossed = true
          await publish([rule('r', '1.0', '2')], 'bob')
        }
        return apply()
      },
    })
    const plan = await publish([rule('r', '1.0', '1')], 'ann', log)
    expect(plan.refused).toMatchObject([{ code: 'ONCEWARD_E_RULE_VERSION_CHANGED' }])
    const { published } = await readControl(options())
    expect([...published.values()].map(({ record }) => record.published_by)).toEqual(['bob'])
  })
})

test('a change is written once, and with it who and why', async () => {
  lab = await Lab.open()
  await publish([rule('r', '1.0')], 'ann')
  const pause = { ruleId: 'r', change: { kind: 'pause' }, publishedBy: 'bob', reason: 'too generous' } as const
  expect(await changeRule(options(), pause)).toMatchObject({ kind: 'publish' })
  expect(await changeRule(options(), pause)).toEqual({ kind: 'unchanged', state: 'r is paused' })
  const { switches, timelines } = await readControl(options())
  expect(switches).toMatchObject([{ type: 'rule.paused', published_by: 'bob', reason: 'too generous' }])
  expect(timelines.get('r')?.statusAt(Date.parse(switches[0]?.effective_from ?? ''))).toBe('paused')
})

test('what took long to be written is told, for workers may have judged without it', async () => {
  lab = await Lab.open()
  const told: string[] = []
  const log = new FaultyLog(lab.log, {
    commit: async (_, __, apply) => {
      await lab.clock.sleep(6_000)
      return apply()
    },
  })
  const logger = { ...silentLogger, warn: (_: object, message: string) => void told.push(message) }
  await changeRule({ ...options(), log, logger }, { ruleId: 'r', change: { kind: 'pause' } }).catch(() => undefined)
  expect(told).toEqual([])
  await publish([rule('r', '1.0')], 'ann')
  await changeRule({ ...options(), log, logger }, { ruleId: 'r', change: { kind: 'pause' } })
  expect(told.join()).toContain('publishing took so long')
})
