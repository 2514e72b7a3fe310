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

/** Topics that the same members read, as one text; they are shared out together. */
function readersOf(topic: string, among: readonly GroupMember[]): string {
  const readers = among.filter((member) => member.topics.has(topic))
  return readers.map((member) => member.id).join(',')
}

describe('assignment of partitions to members', () => {
  test('every partition with a subscriber has one owner, who subscribes; numbers are even, and the same number stays together', () => {
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
        for (const readers of new Set(TOPICS.map((topic) => readersOf(topic, second)).filter((ids) => ids !== ''))) {
          const own = all.filter((partition) => readersOf(partition.topic, second) === readers)
          const units = new Map(own.map((partition) => [partition.partition, owners.get(partition)]))
          for (const partition of own) expect(owners.get(partition)).toBe(units.get(partition.partition))
          const counts = readers.split(',').map((id) => [...units.values()].filter((owner) => owner === id).length)
          expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
        }
      }),
    )
  })

  test('odd partitions go to who has least from other topics', () => {
    const both = { id: 'both', topics: new Set(['a', 'b']) }
    const lone = { id: 'lone', topics: new Set(['b']) }
    const [a, b] = [
      { topic: 'a', partition: 0 },
      { topic: 'b', partition: 0 },
    ]
    expect(assignPartitions([both, lone], [a, b], new Map()).get(b)).toBe('lone')
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
