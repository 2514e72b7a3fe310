import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { backoffMs, decide } from '../../sdk/delivery.ts'

const NOW = Date.parse('2025-11-01T12:00:00Z')

const events = (count: number): string =>
  JSON.stringify({ events: Array.from({ length: count }, () => ({ status: 'accepted', event_id: 'e' })) })
const facts = (status: number, text = '', retryAfter: string | null = null) => ({ status, text, retryAfter })

describe('what becomes of a request of three events', () => {
  test.each([
    [202, events(3), 'answered'],
    [409, events(3), 'answered'],
    [422, events(3), 'answered'],
    // Nothing of the gateway's: it is as if nobody had answered.
    [202, events(2), 'retry'],
    [202, '', 'retry'],
    [202, 'null', 'retry'],
    [202, '{"events":[null,null,null]}', 'retry'],
    [202, '{"events":{"length":3}}', 'retry'],
    [200, events(3), 'retry'],
    [200, '<html>', 'retry'],
    [204, '', 'retry'],
    [302, '', 'retry'],
    [408, '', 'retry'],
    [425, '', 'retry'],
    [429, '', 'retry'],
    [500, '', 'retry'],
    [502, '<html>', 'retry'],
    [503, '', 'retry'],
    // One may spoil the others.
    [400, '', 'split'],
    [413, '', 'split'],
    [409, '', 'split'],
    [422, events(2), 'split'],
    // Not about the events.
    [401, '', 'stop'],
    [403, '', 'stop'],
    [404, '', 'stop'],
    [405, '', 'stop'],
    [415, '', 'stop'],
    [431, '', 'stop'],
  ])('%i %s: %s', (status, text, kind) => {
    expect(decide(facts(status, text), 3, NOW).kind).toBe(kind)
  })

  test('no answer: again', () => {
    expect(decide({ failure: 'TypeError: Failed to fetch' }, 3, NOW)).toEqual({
      kind: 'retry',
      detail: 'TypeError: Failed to fetch',
      afterMs: undefined,
    })
  })
})

test.each([
  [413, 'too_large'],
  [400, 'malformed'],
  [422, 'malformed'],
] as const)('one event alone with %i is refused for good: %s', (status, reason) => {
  const text = '{"error":{"code":"ONCEWARD_E_REQUEST_MALFORMED","message":"Send JSON."}}'
  expect(decide(facts(status, text), 1, NOW)).toEqual({ kind: 'refused', reason, detail: `${status}: Send JSON.` })
})

test.each([
  ['5', 5000],
  ['0.5', 500],
  ['Sat, 01 Nov 2025 12:00:30 GMT', 30_000],
  ['99999999999', 3_600_000],
  ['Sat, 01 Nov 2025 11:00:00 GMT', undefined],
  ['0', undefined],
  ['-3', undefined],
  ['soon', undefined],
  ['', undefined],
  [null, undefined],
])('Retry-After: %s', (retryAfter, afterMs) => {
  expect(decide(facts(503, '', retryAfter), 3, NOW)).toMatchObject({ kind: 'retry', afterMs })
})

test('whatever answers, the decision is one of the five, and an event is settled by an answer of its own only', () => {
  const status = fc.oneof(fc.integer({ min: 100, max: 599 }), fc.constantFrom(202, 409, 422))
  const one = fc.oneof(fc.json(), fc.constantFrom('{"status":"accepted"}', '{"status":"rejected","reason":"schema"}'))
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    fc.array(one, { maxLength: 4 }).map((all) => `{"events":[${all.join()}]}`),
  )
  fc.assert(
    fc.property(status, text, fc.integer({ min: 1, max: 3 }), (status, text, count) => {
      const outcome = decide(facts(status, text), count, NOW)
      if (outcome.kind === 'answered') {
        expect(outcome.answers.length).toBe(count)
        for (const { status } of outcome.answers) expect(['accepted', 'rejected']).toContain(status)
      }
      if (outcome.kind === 'refused') expect(count).toBe(1)
    }),
    { numRuns: 2000 },
  )
})

test('waits double up to the most, and half of each is chance', () => {
  expect([1, 2, 3, 7, 99, 2000].map((failures) => backoffMs(failures, 1, 1000, 60_000))).toEqual([
    1000, 2000, 4000, 60_000, 60_000, 60_000,
  ])
  expect(backoffMs(3, 0, 1000, 60_000)).toBe(2000)
})
