import { Buffer } from 'node:buffer'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DEPTH_MAX, EVENT_BYTES_MAX, ID_LENGTH_MAX } from '../../operators/normalize.ts'
import { LINE_BYTES_MAX } from '../../connectors/files/line-splitter.ts'
import { seededRandom } from '../../core/random.ts'
import { WAYS_TO_BREAK } from '../support/workload.ts'
import { bet, EVENT_NAMES, normalizerOf, ownSchemas, requiredOf, validEvent } from './support.ts'

const normalize = normalizerOf()

function detailOf(value: unknown): string {
  const result = normalize(value)
  return result.kind === 'rejected' ? result.detail : 'accepted'
}

function isAnswer(value: unknown): boolean {
  const result = normalize(value)
  return result.kind === 'event' || (result.detail.length > 10 && result.detail.length < 2_000)
}

describe('whatever the bytes are, there is an answer', () => {
  it('any bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => isAnswer(Buffer.from(bytes))))
  })

  it('any JSON', () => {
    fc.assert(fc.property(fc.json({ maxDepth: 6 }), isAnswer))
  })

  it('an event with any one byte changed', () => {
    const bytes = Buffer.from(JSON.stringify(bet))
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
        const changed = Buffer.from(bytes)
        changed[at] = byte
        return isAnswer(changed)
      }),
    )
  })

  it('an event with any one field replaced by any JSON', () => {
    const path = fc.constantFrom('event_id', 'event_name', 'ts', 'version', 'user', 'context', 'payload')
    fc.assert(fc.property(path, fc.jsonValue(), (name, value) => isAnswer({ ...bet, [name]: value })))
  })

  it('a tombstone', () => {
    expect(detailOf(null)).toContain('tombstone')
  })
})

describe('a valid event passes', () => {
  it('with its ids, its time and all that it carried', () => {
    fc.assert(
      fc.property(validEvent, (event) => {
        const result = normalize(event)
        expect(result).toEqual({
          kind: 'event',
          event: {
            eventId: event.event_id,
            eventName: event.event_name,
            userId: event.user.id,
            ts: Date.parse(event.ts),
            data: JSON.parse(JSON.stringify(event)),
          },
        })
      }),
      { numRuns: 1_000 },
    )
  })

  it('of every base type of the event model', () => {
    const declared = ownSchemas.map(({ name }) => name.replace('.avsc', '')).filter((name) => name !== 'envelope')
    expect(declared.sort()).toEqual([...EVENT_NAMES].sort())
    expect(EVENT_NAMES).toHaveLength(19)
  })

  it('at the bounds, and not beyond them', () => {
    const long = 'x'.repeat(ID_LENGTH_MAX)
    expect(detailOf({ ...bet, event_id: long, user: { id: long } })).toBe('accepted')
    expect(detailOf({ ...bet, event_id: `${long}x` })).toContain('event_id is the text "xxx')
    expect(detailOf({ ...bet, user: { id: `${long}x` } })).toContain('user.id is the text "xxx')

    const frame = JSON.stringify({ ...bet, filler: '' }).length
    expect(detailOf({ ...bet, filler: 'x'.repeat(EVENT_BYTES_MAX - frame) })).toBe('accepted')
    expect(detailOf({ ...bet, filler: 'x'.repeat(EVENT_BYTES_MAX - frame + 1) })).toContain(`${EVENT_BYTES_MAX} bytes`)

    const nested = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`
    const withNested = (levels: number): string => JSON.stringify(bet).replace('{', `{"deep":${nested(levels)},`)
    expect(detailOf(withNested(DEPTH_MAX - 1))).toBe('accepted')
    expect(detailOf(withNested(DEPTH_MAX))).toContain(`${DEPTH_MAX} levels`)
    expect(detailOf(withNested(100_000))).toContain(`${DEPTH_MAX} levels`)
    expect(detailOf({ ...bet, wide: Array.from({ length: 1_000 }, () => [{}]) })).toBe('accepted')
  })
})

describe('a broken event is rejected', () => {
  it.each(WAYS_TO_BREAK.map((way) => [way.name, way] as const))('%s', (_, way) => {
    fc.assert(
      fc.property(validEvent, fc.integer(), (event, seed) => {
        expect(normalize(way.broken(JSON.stringify(event), seededRandom(seed))).kind).toBe('rejected')
      }),
      { numRuns: 50 },
    )
  })

  it('that lacks a field its type cannot be without', () => {
    fc.assert(
      fc.property(validEvent, fc.constantFrom(undefined, null), (event, nothing) => {
        for (const name of requiredOf(event.event_name)) {
          const detail = detailOf({ ...event, payload: { ...event.payload, [name]: nothing } })
          expect(detail).toContain(`payload.${name} is ${nothing === null ? 'null' : 'missing'}; it must be`)
        }
      }),
    )
  })

  it('with a number that JSON can write and no machine can hold', () => {
    expect(detailOf(JSON.stringify(bet).replace('"bet":0.5', '"bet":1e999'))).toBe(
      'payload.bet is a number too large to hold; it must be a number in a "bet" event',
    )
  })

  it('that is not UTF-8, and one that sends U+FFFD passes', () => {
    const good = Buffer.from(JSON.stringify({ ...bet, note: '\uFFFD' }))
    expect(detailOf(good)).toBe('accepted')
    expect(detailOf(Buffer.from(JSON.stringify({ ...bet, note: 'é' }), 'latin1'))).toBe(
      'the event is not UTF-8; send it in UTF-8',
    )
  })

  it('with half of a surrogate pair, wherever it stands', () => {
    expect(detailOf({ ...bet, user: { id: 'u\uD83D' } })).toContain('surrogate')
    expect(detailOf({ ...bet, note: ['\uDE00'] })).toContain('surrogate')
    expect(detailOf({ ...bet, '\uDE00': 1 })).toContain('surrogate')
    expect(detailOf(JSON.stringify({ ...bet, note: 'X' }).replace('"X"', '"\\uD83D\\uDE00"'))).toBe('accepted')
  })

  it('with NUL in an id, which Postgres cannot store', () => {
    expect(detailOf({ ...bet, event_id: 'a\0b' })).toContain('without NUL')
    expect(detailOf({ ...bet, user: { id: '\0' } })).toContain('without NUL')
    expect(detailOf({ ...bet, note: '\0' })).toBe('accepted')
  })
})

describe('a rejection says what was found and what would be right', () => {
  it.each([
    [{ ...bet, event_id: '' }, 'event_id is the text ""; it must be text of 1 to 256 characters without NUL'],
    [
      { ...bet, user: { ...bet.user, payer_flag: 'yes' } },
      'user.payer_flag is the text "yes"; it must be true or false, or nothing',
    ],
    [{ ...bet, user: { ...bet.user, risk_flags: ['a', 3] } }, 'user.risk_flags[1] is the number 3; it must be text'],
    [{ ...bet, context: { ip: {} } }, 'context.ip is an object; it must be text, or nothing'],
    [{ ...bet, payload: { bet: 'five' } }, 'payload.bet is the text "five"; it must be a number in a "bet" event'],
    [
      { ...bet, ts: '1969-12-31T23:59:59Z' },
      'ts is the text "1969-12-31T23:59:59Z", which is before 1970; it must be the time of the event',
    ],
    [[bet], 'the event is a list of 1, not a JSON object'],
  ])('%j', (event, detail) => {
    expect(detailOf(event)).toBe(detail)
  })

  it('shortens long values', () => {
    expect(detailOf({ ...bet, ts: 'x'.repeat(100_000) }).length).toBeLessThan(300)
    expect(detailOf({ ...bet, event_name: 'x'.repeat(100_000) }).length).toBeLessThan(700)
  })

  it('names the known events and how to add one, and keeps reserved names', () => {
    expect(detailOf({ ...bet, event_name: 'betted' })).toMatch(/"betted".*known are bet, deposit, .*schemas directory/)
    expect(detailOf({ ...bet, event_name: 'onceward.tick' })).toContain('reserved')
    expect(detailOf({ ...bet, event_name: 'constructor' })).toContain('no schema declares')
  })

  it('carries the ids where they can be read', () => {
    expect(normalize({ ...bet, ts: 'x' })).toMatchObject({ eventId: 'e-1', userId: 'u_1' })
    expect(normalize({ ...bet, event_id: 7 })).not.toHaveProperty('eventId')
    expect(normalize({ ...bet, user: null })).not.toHaveProperty('userId')
  })
})

it('a line that a file delivers cut is always rejected', () => {
  expect(LINE_BYTES_MAX).toBe(EVENT_BYTES_MAX)
})
