import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assignStandbys, type StandbyMember } from '../../connectors/log/standbys.ts'
import type { HeldState, TopicPartition } from '../../core/ports/log.ts'

const TOPIC = 'events'
const of = (...numbers: number[]): TopicPartition[] => numbers.map((partition) => ({ topic: TOPIC, partition }))

function member(id: string, copies = 1, stored: readonly HeldState[] = []): StandbyMember {
  return { id, topics: new Set([TOPIC]), copies, stored }
}

const facts = fc
  .record({
    members: fc.uniqueArray(
      fc.record({
        id: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
        copies: fc.nat(3),
        stored: fc.subarray(of(0, 1, 2, 3, 4, 5)),
      }),
      { selector: ({ id }) => id, minLength: 1 },
    ),
    owners: fc.array(fc.nat(4), { minLength: 1, maxLength: 6 }),
  })
  .map(({ members, owners }) => ({
    members: members.map(({ id, copies, stored }) => member(id, copies, stored)),
    owners: owners.map(
      (owner, partition) => [of(partition)[0], members[owner % members.length]?.id] as [TopicPartition, string],
    ),
  }))

describe('who keeps a copy of what', () => {
  test('each partition has as many copies as were asked for or members allow, none with its owner, none twice', () => {
    fc.assert(
      fc.property(facts, ({ members, owners }) => {
        const given = assignStandbys(members, owners)
        const copies = Math.max(...members.map((each) => each.copies))
        for (const [partition, owner] of owners) {
          const keepers = [...given].filter(([, own]) => own.includes(partition)).map(([id]) => id)
          const able = members.filter(({ id, copies: asks }) => asks > 0 && id !== owner)
          expect(keepers).toHaveLength(Math.min(copies, able.length))
          expect(new Set(keepers).size).toBe(keepers.length)
          for (const id of keepers) expect(able.map((each) => each.id)).toContain(id)
        }
      }),
    )
  })

  test("the copies of one owner's partitions are spread over the others", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 5 }), fc.integer({ min: 1, max: 12 }), (count, size) => {
        const members = Array.from({ length: count }, (_, i) => member(`m${i}`))
        const given = assignStandbys(
          members,
          of(...Array(size).keys()).map((p) => [p, 'm0']),
        )
        const sizes = [...given].filter(([id]) => id !== 'm0').map(([, own]) => own.length)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
      }),
    )
  })

  test('a copy stays where it has come furthest, as far as the spread allows', () => {
    const reached = (value: number): HeldState[] => of(0).map((p) => ({ ...p, reached: value }))
    const owners = of(0).map((p) => [p, 'a'] as const)
    const given = assignStandbys([member('a'), member('b', 1, reached(5)), member('c', 1, reached(9))], owners)
    expect(given.get('c')).toEqual(of(0))
    expect(given.get('b')).toEqual([])
  })

  test('the same facts give the same answer, in whatever order the members come', () => {
    fc.assert(
      fc.property(facts, ({ members, owners }) => {
        const other = new Map(assignStandbys([...members].reverse(), owners))
        for (const [id, own] of assignStandbys(members, owners)) expect(other.get(id)).toEqual(own)
      }),
    )
  })
})
