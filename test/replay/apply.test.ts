import * as fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { IdSet } from '../../pipeline/replay/id-set.ts'
import { decideIssue, ISSUED_BY_HEADER, type IssueFacts, issueMissing } from '../../pipeline/replay/issuing.ts'
import { prepareReplay } from '../../pipeline/replay/preparation.ts'
import { normalize } from '../support/engine.ts'
import { clockAt } from '../support/clocks.ts'
import { Disk } from '../support/disk.ts'
import { commitUnknown, FaultyLog } from '../support/faulty-log.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { type ReferenceRule, reference } from '../support/reference.ts'
import { SHARED_RULES } from '../support/shared-rules.ts'
import { Lab, rewardsOf } from '../support/worker-harness.ts'
import { partitionIn, replay, type ReplayCall, texts } from './replay-lab.ts'

let lab: Lab
afterEach(() => lab.close())

const BETS = generatedBets(1_800, 21)
const STEPS = Array.from({ length: 12 }, (_, step) => step + 1)
/** More rewards than one transaction of the issuer takes. */
const STEPS_FILE = `
rule_id: r_steps
when: { event_name: bet }
score: { formula: "1" }
reward_trigger: { on_progress: { threshold: [${STEPS.join(', ')}], reward: [{ type: bonus_cash, value: 2.5, currency: EUR }] } }
meta: { version: "1.0" }
`
const ALL_FILES = { ...RULE_FILES, 'steps.yaml': STEPS_FILE }

/** A worker that ran without the rule for steps: its rewards were never issued. */
async function lostSteps(options: { published?: boolean } = {}): Promise<void> {
  lab = await Lab.open({ partitions: 3, rules: RULE_FILES })
  await lab.produce(BETS)
  const worker = lab.start()
  await lab.caughtUp()
  await worker.stop()
  // In effect before any event, and yet the worker never knew of it.
  if (options.published !== false)
    await lab.publish({ 'steps.yaml': STEPS_FILE }, clockAt('2025-11-01T00:00:00Z', lab.clock))
}

const apply = (call: ReplayCall = {}, application = 'mend') =>
  replay(lab, { ...call, settings: { application, mode: 'apply', yes: true, ...call.settings } })

const steps: ReferenceRule = { ruleId: 'r_steps', eventName: 'bet', formula: () => 1, thresholds: STEPS }

function referenceRewards(): string[] {
  return reference(BETS, { rules: [...SHARED_RULES, steps], partitionOf: partitionIn(lab) }).rewards
}

const issuedCount = async (): Promise<number> => (await lab.results()).rewards.length

describe('apply', () => {
  test('issues exactly what was lost, as the worker would have, and a second one issues nothing', async () => {
    await lostSteps()
    const before = await lab.results()
    const { notes, differences } = await apply()
    const after = await lab.results()
    expect(rewardsOf(after)).toEqual(referenceRewards())
    expect(after.scores).toEqual(before.scores)
    const lost = after.rewards.length - before.rewards.length
    expect(lost).toBeGreaterThan(1_000)
    expect(notes.at(-1)).toBe(`${lost.toLocaleString('en-US')} reward tasks issued on reward.tasks`)
    expect(texts(differences).filter((text) => text.startsWith('missing'))).toHaveLength(lost)
    const again = await apply()
    expect(again.notes.at(-1)).toBe('nothing is missing; nothing was issued')
    const another = await apply({}, 'another')
    expect(another.notes.at(-1)).toBe('nothing is missing; nothing was issued')
    expect((await lab.results()).rewards).toEqual(after.rewards)
  })

  test('what it issues lies where the user is, is new to retention, and says who issued it', async () => {
    await lostSteps()
    const startMs = lab.clock.now()
    await apply()
    for (const partition of [0, 1, 2]) {
      for (const { key, headers, timestamp, value } of await lab.read({ topic: lab.topics.rewards, partition })) {
        expect(partitionIn(lab)(String(key))).toBe(partition)
        const { origin } = JSON.parse(String(value)) as { origin: { rule_id: string } }
        const mended = origin.rule_id === 'r_steps'
        expect(headers?.[ISSUED_BY_HEADER]?.toString()).toBe(mended ? 'mend' : undefined)
        expect(timestamp >= startMs).toBe(mended)
      }
    }
  })

  test('shows what it would issue before it asks, and issues nothing where the answer is no or nobody can be asked', async () => {
    await lostSteps()
    const before = await issuedCount()
    const asked: string[] = []
    let shown = ''
    const no = await apply({
      settings: { yes: false },
      noted: (line) => void (shown += line),
      confirm: async (question) => {
        expect(shown).toMatch(/to be issued on reward\.tasks:[^]*r_steps 1\.0, 1 +\d+ +2\.5 bonus_cash EUR +[\d,]+/)
        asked.push(question)
        return false
      },
    })
    expect(asked).toHaveLength(1)
    expect(no.notes.at(-1)).toBe('nothing was issued')
    await expect(apply({ settings: { yes: false } })).rejects.toMatchObject({ code: 'ONCEWARD_E_USAGE' })
    expect(await issuedCount()).toBe(before)
    await apply({ settings: { yes: false }, confirm: () => Promise.resolve(true) })
    expect(rewardsOf(await lab.results())).toEqual(referenceRewards())
  })

  test('shadow issues nothing, and apply goes on from it without replaying', async () => {
    await lostSteps()
    const before = await issuedCount()
    const settings = { application: 'mend', yes: true }
    const disk = new Disk()
    await replay(lab, { settings, disk })
    expect(await issuedCount()).toBe(before)
    const { notes } = await apply({ disk })
    expect(notes.join('\n')).toContain('0 records replayed')
    expect(rewardsOf(await lab.results())).toEqual(referenceRewards())
  })

  test('warns of rules that were never published', async () => {
    await lostSteps({ published: false })
    const { notes } = await apply({ rules: ALL_FILES })
    expect(notes.join('\n')).toContain('warning: --rules has versions that were never published: r_steps 1.0')
    expect(rewardsOf(await lab.results())).toEqual(referenceRewards())
  })

  test('waits for a live application that has not come to the end', async () => {
    await lostSteps()
    await lab.produce(generatedBets(300, 22).map((line) => line.replaceAll('e-22', 'f-22')))
    const refused = apply()
    await expect(refused).rejects.toMatchObject({ code: 'ONCEWARD_E_REPLAY_REFUSED' })
    await expect(refused).rejects.toThrow(/"app" stands at offset \d+ .*onceward lag --application app --wait/)
    const shadow = await replay(lab, { settings: { application: 'look' } })
    expect(shadow.notes.join('\n')).toMatch(/"app" stands at \d+ of partition \d, before the replay's end/)
    const worker = lab.start()
    await lab.caughtUp()
    await worker.stop()
    expect((await apply()).notes.at(-1)).toMatch(/reward tasks issued/)
    const { rewards } = await lab.results()
    expect(new Set(rewards.map(({ reward_task_id }) => reward_task_id)).size).toBe(rewards.length)
  })

  test('wherever it stops, or whatever answer to a commit is lost, no task is written twice in the end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('applied', 'not applied', 'killed after'), { minLength: 1, maxLength: 3 }),
        async (faults) => {
          await lostSteps()
          for (const fault of faults) {
            const log: FaultyLog = new FaultyLog(lab.log, {
              commit: async (id, _, commit) => {
                if (!id.endsWith('.issuer')) return commit()
                if (fault === 'not applied') throw commitUnknown()
                const ends = await commit()
                if (fault === 'applied') throw commitUnknown()
                log.kill()
                return ends
              },
            })
            await apply({ log }).catch(() => undefined)
          }
          await apply()
          expect(rewardsOf(await lab.results())).toEqual(referenceRewards())
          await lab.close()
        },
      ),
      { numRuns: 3 },
    )
  }, 60_000)

  test('issues only what was shown', async () => {
    await lostSteps()
    await replay(lab, { settings: { application: 'mend' } })
    const request = { log: lab.log, clock: lab.clock, application: 'mend', prefix: '', from: 'beginning', to: 'end' }
    const windows = { reorderWindowMs: 60_000, dedupeWindowMs: 86_400_000 }
    const prepared = await prepareReplay({ ...request, ...windows, rules: undefined })
    const before = new Set((await lab.results()).rewards.map(({ reward_task_id }) => reward_task_id))
    const own = await lab.results({ ...lab.topics, rewards: 'mend.reward.tasks' })
    const missing = own.rewards.map(({ reward_task_id }) => reward_task_id).filter((id) => !before.has(id))
    const shown = new IdSet()
    for (const id of missing.slice(0, 700)) shown.add(id)
    const { signal } = new AbortController()
    const steps: number[] = []
    const options = { log: lab.log, clock: lab.clock, replay: prepared, normalize, shown, signal }
    expect(await issueMissing({ ...options, onIssued: (count) => void steps.push(count) })).toMatchObject({
      issued: 700,
    })
    expect(steps).toEqual([500, 700])
    const after = (await lab.results()).rewards.map(({ reward_task_id }) => reward_task_id)
    expect(after.filter((id) => !before.has(id)).sort()).toEqual(missing.slice(0, 700).sort())
  })

  test('of two that issue at the same moment, the one that read the topic first is fenced', async () => {
    await lostSteps()
    await replay(lab, { settings: { application: 'one' } })
    await replay(lab, { settings: { application: 'two' } })
    let second: Promise<unknown> | undefined
    const log = new FaultyLog(lab.log, {
      commit: async (id, _, commit) => {
        if (id.endsWith('.issuer')) await (second ??= apply({}, 'two'))
        return commit()
      },
    })
    await expect(apply({ log }, 'one')).rejects.toMatchObject({ code: 'ONCEWARD_E_LOG_FENCED' })
    expect(rewardsOf(await lab.results())).toEqual(referenceRewards())
  })
})

describe('the decision to issue', () => {
  const behind = [{ partition: 1, application: 'season', position: 7, end: 9 }]
  test.each<[string, IssueFacts, string]>([
    ['nothing is missing', { missing: 0, behind, consent: 'given' }, 'nothing'],
    ['the live application is behind', { missing: 3, behind, consent: 'given' }, 'refuse'],
    ['somebody agreed', { missing: 3, behind: [], consent: 'given' }, 'issue'],
    ['somebody can be asked', { missing: 3, behind: [], consent: 'to be asked' }, 'ask'],
    ['somebody said no', { missing: 3, behind: [], consent: 'refused' }, 'leave'],
    ['nobody can be asked', { missing: 3, behind: [], consent: undefined }, 'refuse'],
  ])('%s', (_, facts, kind) => {
    expect(decideIssue(facts).kind).toBe(kind)
  })
})
