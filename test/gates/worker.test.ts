import { afterEach, describe, expect, test } from 'vitest'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { ManualClock } from '../support/clocks.ts'
import { type EventFields, eventLine, kycOf } from '../support/engine.ts'
import { SHARED_RULES } from '../support/shared-rules.ts'
import { expectFold, expectReference, Lab, type RunningWorker } from '../support/worker-harness.ts'

const T0 = Date.parse('2025-11-03T20:00:00Z')
const MINUTE = 60_000
const RULES = {
  'r.yaml': `
rule_id: r
when: { event_name: login }
score: { formula: "1" }
reward_trigger: { on_progress: { threshold: [1, 2, 3], reward: { type: loot } } }
`,
}

let lab: Lab | undefined
afterEach(async () => {
  await lab?.close()
  lab = undefined
})

const event = (id: string, minute: number, more: Partial<EventFields> = {}): string =>
  eventLine({ id, ts: T0 + minute * MINUTE, ...more })
const rg = (id: string, minute: number, payload: object): string => event(id, minute, { name: 'rg_event', payload })
const until = (minute: number): string => new Date(T0 + minute * MINUTE).toISOString()

async function told(here: Lab): Promise<string[]> {
  return (await here.rewardRecords()).map((record) => {
    if (record.type === 'player.changed') return `player ${record.restrictions.length}`
    return `${record.type.replace('reward_task.', '')} ${record.origin.event_id}`
  })
}

describe('a partition that falls silent while a restriction runs', () => {
  test('gets no tick before event time would have come to its end, and one then', async () => {
    const here = (lab = await Lab.open({ partitions: 1, rules: RULES }))
    const clock = new ManualClock(T0 + 90 * MINUTE)
    const worker = here.start({ clock, tickAfterMs: 5_000 })
    await here.produce([rg('x', 0, { type: 'cool_off', until: until(30) }), event('e', 1)])
    await here.caughtUp()
    expect(await told(here)).toEqual(['player 1', 'frozen e'])
    // The worker looks twice a second of its clock.
    for (let minute = 0; minute < 28; minute++) {
      clock.advance(MINUTE)
      await here.caughtUp()
    }
    expect(await ticks(here)).toBe(0)
    clock.advance(2 * MINUTE)
    await here.until('it is released', async () => (await told(here)).includes('created e'))
    expect(await told(here)).toEqual(['player 1', 'frozen e', 'player 0', 'created e'])
    expect(await ticks(here)).toBe(1)
    await worker.stop()
    await expectFold(here, worker.disk, 0)
  })

  async function ticks(here: Lab): Promise<number> {
    const records = await here.read({ topic: here.topics.events, partition: 0 })
    return records.filter(({ headers }) => headers?.['onceward-tick'] !== undefined).length
  }
})

describe('a worker that is killed while rewards are frozen', () => {
  const kill = (worker: RunningWorker, write: number): Promise<void> =>
    new Promise((resolve) => {
      let writes = 0
      worker.disk.beforeWrite = () => {
        if (++writes === write) resolve(worker.kill())
      }
    })

  test.each(['its disk', 'an empty disk'])('releases them once, and with their ids, from %s', async (disk) => {
    const here = (lab = await Lab.open({ partitions: 1, rules: RULES }))
    const first = here.start()
    await here.produce([rg('x', 0, { type: 'self_exclusion' }), event('e', 1), event('f', 2)])
    await here.caughtUp()
    const killed = kill(first, 1)
    await here.produce([rg('y', 3, { type: 'self_exclusion', action: 'lifted' })])
    await killed
    first.disk.beforeWrite = undefined
    const second = here.start(disk === 'its disk' ? { disk: first.disk } : {})
    await here.produce([event('g', 4)])
    await here.caughtUp()
    const records = ['player 1', 'frozen e', 'frozen f', 'player 0', 'created e', 'created f', 'created g']
    expect(await told(here)).toEqual(records)
    const ids = (await here.rewardRecords()).flatMap((each) => ('origin' in each ? [each.reward_task_id] : []))
    expect(ids.slice(0, 2)).toEqual(ids.slice(2, 4))
    await second.stop()
    await expectFold(here, second.disk, 0)
  })

  test('many that time releases at once go out in several transactions, and a kill in between loses none', async () => {
    const here = (lab = await Lab.open({ partitions: 1, rules: RULES }))
    const limits = { records: 1_000, held: { events: 100, bytes: 1 << 20 }, outputs: 300 }
    const first = here.start({ limits })
    const users = Array.from({ length: 7 }, (_, i) => `u_${i}`)
    const payload = { type: 'cool_off', until: until(30) }
    await here.produce(users.map((user) => event(`x-${user}`, 0, { user, name: 'rg_event', payload })))
    await here.produce(users.map((user) => event(`e-${user}`, 1, { user })))
    await here.caughtUp()
    const before = first.batches
    const killed = kill(first, 3)
    await here.tick(T0 + 40 * MINUTE)
    await killed
    first.disk.beforeWrite = undefined
    expect(first.batches - before).toBe(2)
    const second = here.start({ disk: first.disk, limits })
    const released = async (): Promise<string[]> => (await told(here)).filter((text) => text.startsWith('created'))
    await here.until('all are released', async () => (await released()).length >= users.length)
    expect(await released()).toEqual(users.map((user) => `created e-${user}`))
    await second.stop()
    await expectFold(here, second.disk, 0)
  })
})

test('the same is earned with KYC as without, and what is paid at once only with it', async () => {
  const bets = generatedBets(3_000, 17)
  for (const kyc of [kycOf(bets), []]) {
    const here = (lab = await Lab.open({ partitions: 2, rules: RULE_FILES }))
    const worker = here.start()
    await here.produce([...kyc, ...bets])
    await here.caughtUp()
    await expectReference(here, SHARED_RULES)
    const { rewards } = await here.results()
    const frozen = rewards.filter(({ type }) => type === 'reward_task.frozen')
    expect(rewards.length).toBeGreaterThan(15)
    expect(frozen).toHaveLength(kyc.length > 0 ? 0 : rewards.length)
    await worker.stop()
    await here.close()
  }
  lab = undefined
})
