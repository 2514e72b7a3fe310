import { afterEach, describe, expect, test } from 'vitest'
import { eventLine, kycOf } from '../support/engine.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { Lab } from '../support/worker-harness.ts'
import { replay } from './replay-lab.ts'

const BETS = generatedBets(3_000, 43)
const LAST = BETS.reduce((last, line) => Math.max(last, Date.parse((JSON.parse(line) as { ts: string }).ts)), 0)

let lab: Lab
afterEach(() => lab.close())

async function live(...feeds: (readonly string[])[]): Promise<void> {
  lab = await Lab.open({ partitions: 2, rules: RULE_FILES })
  const worker = lab.start()
  for (const lines of feeds) {
    await lab.produce(lines)
    await lab.caughtUp()
  }
  await worker.stop()
}

/** Level 2 for every player of the bets, after the last of them. */
const verifiedLater = (): string[] =>
  kycOf(BETS).map((line, i) => {
    const { user } = JSON.parse(line) as { user: { id: string } }
    const payload = { kyc_level: 2 }
    return eventLine({ id: `later-${i}`, user: user.id, name: 'kyc_status_changed', ts: LAST, payload })
  })

describe('a replay compares what became of each reward', () => {
  test('frozen and released on both sides is no difference', async () => {
    await live(BETS, verifiedLater())
    const records = await lab.rewardRecords()
    expect(records.filter(({ type }) => type === 'reward_task.frozen').length).toBeGreaterThan(5)
    expect((await replay(lab)).differences).toEqual([])
  })

  test('what was released by events beyond the replayed span is none', async () => {
    await live(BETS, verifiedLater())
    const from = await Promise.all(
      [0, 1].map(async (partition) => {
        const records = await lab.read({ topic: lab.topics.events, partition })
        return records.findIndex(({ value }) => String(value).includes('"later-'))
      }),
    )
    const { differences } = await replay(lab, { settings: { to: from.map((at, p) => `${p}:${at}`).join() } })
    expect(differences).toEqual([])
  })

  test('a reward that was paid although the gates stop it is different, by its status', async () => {
    await live(BETS)
    const [{ topic, record }] = await asIfPaid()
    const { differences } = await replay(lab)
    expect(topic).toBe(lab.topics.rewards)
    expect(differences).toMatchObject([{ kind: 'different', reward_task_id: record, fields: ['status'] }])
  })

  test('what is frozen is not missing: nothing is issued', async () => {
    await live(BETS)
    const { notes } = await replay(lab, { settings: { mode: 'apply', yes: true } })
    expect(notes.at(-1)).toBe('nothing is missing; nothing was issued')
  })

  test('what a replay has frozen is issued as frozen: no stream and no sink may let it go unasked', async () => {
    lab = await Lab.open({ partitions: 2, rules: {} })
    await lab.produce(BETS)
    const rules = { settings: { mode: 'apply', yes: true }, rules: RULE_FILES } as const
    const { notes } = await replay(lab, rules)
    const records = await lab.rewardRecords()
    const frozen = records.filter(({ type }) => type === 'reward_task.frozen')
    expect(frozen.length).toBeGreaterThan(5)
    // Nobody is verified, so whatever needs a level is frozen.
    expect(records.filter((each) => each.type === 'reward_task.created' && (each.kyc?.required ?? 0) > 0)).toEqual([])
    expect(notes.at(-2)).toMatch(
      new RegExp(`^${frozen.length} of these are frozen, .*rewards release --frozen-by stream$`),
    )
    const again = await replay(lab, rules)
    expect(again.notes.at(-1)).toBe('nothing is missing; nothing was issued')
  })

  /** A task as a gate that does not hold would have written it, for a reward that is frozen. */
  async function asIfPaid(): Promise<readonly [{ topic: string; record: string }]> {
    const frozen = (await lab.rewardRecords()).find(({ type }) => type === 'reward_task.frozen')
    if (frozen?.type !== 'reward_task.frozen') throw new Error('nothing is frozen')
    const topic = lab.topics.rewards
    const value = { ...frozen, type: 'reward_task.created', status: 'pending', released_at: frozen.frozen_at }
    const producer = await lab.log.producer()
    const partition = (await lab.read({ topic, partition: 0 })).some(({ key }) => key?.toString() === frozen.user_id)
      ? 0
      : 1
    await producer.send([{ topic, partition, key: frozen.user_id, value: JSON.stringify(value), timestamp: 0 }])
    await producer.close()
    return [{ topic, record: frozen.reward_task_id }]
  }
})
