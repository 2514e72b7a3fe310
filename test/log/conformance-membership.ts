import { describe, expect, test } from 'vitest'
import type { MemberMemory, OutRecord } from '../../core/ports/log.ts'
import { expectCode, Member, newTopic, out, outs, sendAll, unique, waitFor, type Subject } from './harness.ts'

/** Members that come, go, and fall silent: no record is lost, none is handled by two. */
export function membershipConformance(subject: Subject): void {
  sharing(subject)
  describe('memory', () => {
    remembering(subject)
  })
  describe.skipIf(!subject.features.sessionTimeoutMs)('session', () => {
    sessions(subject)
  })
}

function sharing({ log, features }: Subject): void {
  test('two members share the partitions, and each record goes to exactly one', async () => {
    const topic = await newTopic(log(), { partitions: 4 })
    const group = unique('g')
    const members = [new Member(log(), group, topic).start(), new Member(log(), group, topic).start()]
    await waitFor(() => expect(members.map((member) => member.owned.size)).toEqual([2, 2]), features)
    expect(new Set(members.flatMap((member) => [...member.owned])).size).toBe(4)
    expect([await log().members(group), await log().members(unique('nobody'))]).toEqual([2, 0])
    const sent = [0, 1, 2, 3].flatMap((partition) => outs(topic, `p${partition}-`, 25, partition))
    await sendAll(log(), sent)
    await waitFor(() => expect(members.flatMap((member) => member.records)).toHaveLength(100), features)
    expect(members.flatMap((member) => member.texts).sort()).toEqual(sent.map((record) => String(record.value)).sort())
    for (const member of members) expect(member.records).toHaveLength(50)
    for (const member of members) await member.stop()
    expect(await log().members(group)).toBe(0)
  })

  test('members join and leave under load: every record is handled once, none is lost', async () => {
    const topic = await newTopic(log(), { partitions: 4 })
    const group = unique('g')
    const producer = await log().producer()
    const sent: OutRecord[] = []
    const feed = async (): Promise<void> => {
      const next = [0, 1, 2, 3].map((partition) => out(topic, `${sent.length}-${partition}`, { partition }))
      sent.push(...next)
      await producer.send(next)
    }
    const feedUntil = async (condition: () => boolean): Promise<void> => {
      for (const until = Date.now() + features.patienceMs; !condition() && Date.now() < until; ) {
        await feed()
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      expect(condition()).toBe(true)
    }
    const first = new Member(log(), group, topic).start()
    await feedUntil(() => first.records.length >= 20)
    const second = new Member(log(), group, topic).start()
    await feedUntil(() => second.records.length >= 20)
    await first.stop()
    await feedUntil(() => second.owned.size === 4)
    await feed()
    const all = (): string[] => [...first.texts, ...second.texts]
    await waitFor(() => expect(all().length).toBeGreaterThanOrEqual(sent.length), features)
    expect(all().sort()).toEqual(sent.map((record) => String(record.value)).sort())
    await second.stop()
    await producer.close()
  })

  test('the new owner gets nothing of a partition while the former still has a batch of it', async () => {
    const topic = await newTopic(log(), { partitions: 2 })
    const group = unique('g')
    let busy = 0
    let overlapped = false
    let release: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const first = new Member(log(), group, topic, {
      batch: async (batch, control, self) => {
        busy += 1
        await control.heartbeat()
        await gate
        busy -= 1
        return self.take(batch)
      },
    }).start()
    await first.joined(features, 2)
    await sendAll(log(), [...outs(topic, 'a', 1, 0), ...outs(topic, 'b', 1, 1)])
    await waitFor(() => expect(busy).toBe(2), features)
    const second = new Member(log(), group, topic, {
      rebalanced: async ({ gained }) => {
        overlapped ||= gained.length > 0 && busy > 0
      },
    }).start()
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(second.records).toEqual([])
    release()
    await second.joined(features)
    expect(overlapped).toBe(false)
    await sendAll(log(), [...outs(topic, 'c', 1, 0), ...outs(topic, 'd', 1, 1)])
    await waitFor(() => expect([...first.texts, ...second.texts].sort()).toEqual(['a0', 'b0', 'c0', 'd0']), features)
    await first.stop()
    await second.stop()
  })
}

class Memory implements MemberMemory {
  readonly former: string | undefined
  readonly ids: string[] = []

  constructor(former?: string) {
    this.former = former
  }

  remember(memberId: string): void {
    this.ids.push(memberId)
  }
}

function remembering({ log, features }: Subject): void {
  test('a member is told its id before a partition comes with it', async () => {
    const memory = new Memory()
    const known: number[] = []
    const member = new Member(log(), unique('g'), await newTopic(log()), {
      memory,
      rebalanced: async () => void known.push(memory.ids.length),
    }).start()
    await member.joined(features)
    expect(memory.ids).toEqual([expect.stringMatching(/^[\x21-\x7e]{1,255}$/)])
    await member.stop()
    expect(known).toEqual([1, 1])
  })

  test('the place of a former life is given up: whoever still has it is out, as after its session', async () => {
    const topic = await newTopic(log(), { partitions: 2 })
    const group = unique('g')
    const [memory, untouched] = [new Memory(), new Memory()]
    const former = new Member(log(), group, topic, { memory }).start()
    await former.joined(features, 2)
    const other = new Member(log(), group, topic, { memory: untouched }).start()
    await waitFor(() => expect([former.owned.size, other.owned.size]).toEqual([1, 1]), features)
    const back = new Member(log(), group, topic, { memory: new Memory(memory.ids.at(-1)) }).start()
    // It joins again, under another id.
    await waitFor(() => expect(memory.ids).toHaveLength(2), features)
    await waitFor(() => expect(former.owned.size + other.owned.size + back.owned.size).toBe(2), features)
    expect(await log().members(group)).toBe(3)
    expect(untouched.ids).toHaveLength(1)
    for (const member of [former, other, back]) await member.stop()
  })

  test.each(['nobody-knows-it', undefined])('a former life that is not known (%s) does no harm', async (id) => {
    const topic = await newTopic(log(), { partitions: 2 })
    const group = unique('g')
    const memory = new Memory()
    const other = new Member(log(), group, topic, { memory }).start()
    await other.joined(features, 2)
    const back = new Member(log(), group, topic, { memory: new Memory(id) }).start()
    await waitFor(() => expect([other.owned.size, back.owned.size]).toEqual([1, 1]), features)
    expect(memory.ids).toHaveLength(1)
    await back.stop()
    await other.stop()
  })
}

function sessions({ log, features }: Subject): void {
  const sessionTimeoutMs = features.sessionTimeoutMs ?? 0

  test('heartbeats in a long batch keep the membership', async () => {
    const topic = await newTopic(log())
    await sendAll(log(), outs(topic, 'v', 1))
    const member = new Member(log(), unique('g'), topic, {
      sessionTimeoutMs,
      batch: async (batch, control, self) => {
        const until = Date.now() + 2.5 * sessionTimeoutMs
        while (Date.now() < until) {
          await new Promise((resolve) => setTimeout(resolve, sessionTimeoutMs / 8))
          await control.heartbeat()
        }
        return self.take(batch)
      },
    }).start()
    await waitFor(() => expect(member.texts).toEqual(['v0']), features)
    expect(member.changes).toHaveLength(1)
    await member.stop()
  })

  test('a member that falls silent is thrown out: another gets its partition, its commit is refused', async () => {
    const topic = await newTopic(log())
    const group = unique('g')
    await sendAll(log(), outs(topic, 'v', 2))
    let release: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const silent = new Member(log(), group, topic, {
      sessionTimeoutMs,
      batch: async (batch) => {
        await gate
        return batch.nextOffset
      },
    }).start()
    await waitFor(() => expect(silent.batches).toBe(1), features)
    const other = new Member(log(), group, topic, { sessionTimeoutMs }).start()
    await waitFor(() => expect(other.texts).toEqual(['v0', 'v1']), features)
    await expectCode(silent.consumer.commit([{ topic, partition: 0, offset: 0 }]), 'ONCEWARD_E_LOG_FENCED')
    expect(await log().committed(group, [{ topic, partition: 0 }])).toEqual([2])
    release()
    await silent.consumer.stop()
    await other.stop()
    expect([silent.owned.size, other.owned.size]).toEqual([0, 0])
  })
}
