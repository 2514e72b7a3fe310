import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assignPartitions, type GroupMember } from '../../connectors/log/embedded/assignment.ts'

const TOPICS = ['a', 'b', 'c']

const members = fc
  .uniqueArray(fc.nat(6), { minLength: 1, maxLength: 5 })
  .chain((ids) =>
    fc.tuple(
      ...ids.map((id) =>
        fc.subarray(TOPICS, { minLength: 1 }).map((topics) => ({ id: `m${id}`, topics: new Set(topics) })),
      ),
    ),
  )
const partitions = fc
  .tuple(fc.nat(5), fc.nat(5), fc.nat(5))
  .map((counts) =>
    TOPICS.flatMap((topic, i) => Array.from({ length: counts[i] ?? 0 }, (_, partition) => ({ topic, partition }))),
  )

function countsOf<P extends { topic: string }>(owners: Map<P, string>, topic: string, among: GroupMember[]): number[] {
  const ids = [...owners].filter(([partition]) => partition.topic === topic).map(([, id]) => id)
  return among.filter((member) => member.topics.has(topic)).map((member) => ids.filter((id) => id === member.id).length)
}

describe('assignment of partitions to members', () => {
  test('every partition with a subscriber has one owner, who subscribes, and each topic is shared evenly', () => {
    fc.assert(
      fc.property(members, members, partitions, (first, second, all) => {
        const former = assignPartitions(first, all, new Map())
        const owners = assignPartitions(second, all, former)
        for (const partition of all) {
          const subscribers = second.filter((member) => member.topics.has(partition.topic))
          const owner = second.find((member) => member.id === owners.get(partition))
          expect(owner === undefined).toBe(subscribers.length === 0)
          if (owner) expect(owner.topics.has(partition.topic)).toBe(true)
        }
        for (const topic of TOPICS) {
          const counts = countsOf(owners, topic, second)
          if (counts.length > 0) expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
        }
      }),
    )
  })

  test('nothing moves where the members stay the same', () => {
    fc.assert(
      fc.property(members, members, partitions, (first, second, all) => {
        const before = assignPartitions(second, all, assignPartitions(first, all, new Map()))
        expect(assignPartitions(second, all, before)).toEqual(before)
      }),
    )
  })

  test('a member that joins takes partitions only to itself; one that leaves moves only its own', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.nat(12), (count, size) => {
        const all = Array.from({ length: size }, (_, partition) => ({ topic: 'a', partition }))
        const some = Array.from({ length: count }, (_, i) => ({ id: `m${i}`, topics: new Set(['a']) }))
        const more = [...some, { id: 'new', topics: new Set(['a']) }]
        const before = assignPartitions(some, all, new Map())
        const joined = assignPartitions(more, all, before)
        for (const partition of all) {
          if (joined.get(partition) !== 'new') expect(joined.get(partition)).toBe(before.get(partition))
        }
        const left = assignPartitions(some, all, joined)
        for (const partition of all) {
          if (joined.get(partition) !== 'new') expect(left.get(partition)).toBe(joined.get(partition))
        }
      }),
    )
  })
})
