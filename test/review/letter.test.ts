import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { letterId } from '../../core/model/dlq.ts'
import { placeOf, readLetter } from '../../pipeline/review/letter.ts'
import { readReview } from '../../pipeline/review/review-record.ts'
import { bet, letterOf, taskLetter, TOPICS } from './office.ts'

const recordOf = (value: Buffer | null) => ({
  topic: TOPICS.dlq,
  partition: 1,
  offset: 5,
  timestamp: 7,
  key: null,
  value,
})
const read = (letter: unknown) => readLetter(recordOf(Buffer.from(JSON.stringify(letter))), TOPICS)

test('a letter about an event tells its name, player and id, also where only its text has them', () => {
  expect(read(letterOf(bet('e1')))).toMatchObject({
    id: '1-5',
    at: 7,
    about: 'event',
    userId: 'u_1',
    eventId: 'e1',
    eventName: 'bet',
    taskId: null,
  })
})

test.each([
  ['a payment', taskLetter('rt_1'), 'task'],
  ['a record that the sink cannot read', taskLetter('rt_1', { reason: 'schema' }), 'task'],
  ['a reward that was issued by hand', taskLetter('rt_1', { source: null }), 'task'],
  ['a call', letterOf('{}', { reason: 'signature', source: null, from: 'webhook/gameco' }), 'call'],
  ['a tick', letterOf('', { detail: 'the tick to 5 is more than 5 minutes ahead of its ingest time 0' }), 'tick'],
  ['an event of a file', letterOf('{', { source: null }), 'event'],
])('%s is told as what it is', (_, letter, about) => {
  expect(read(letter)?.about).toBe(about)
})

test('whatever stands on the topics, it is a letter or none, and never an error', () => {
  const almost = fc.record(
    {
      type: fc.constant('dlq'),
      reason: fc.constant('schema'),
      detail: fc.string(),
      source: fc.jsonValue(),
      raw: fc.jsonValue(),
      history: fc.jsonValue(),
    },
    { requiredKeys: ['type', 'reason'] },
  )
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), almost), (value) => {
      const letter = read(value)
      if (letter !== undefined) expect(typeof letter.record.raw).toBe('string')
      readReview(Buffer.from(JSON.stringify(value)))
    }),
    { numRuns: 500 },
  )
  for (const value of [null, Buffer.alloc(0), Buffer.from([0xff])]) {
    expect(readLetter(recordOf(value), TOPICS)).toBeUndefined()
    expect(readReview(value)).toBeUndefined()
  }
})

test('an id and its place are one to one, so that no letter has two names', () => {
  fc.assert(
    fc.property(fc.nat(999_999_999), fc.nat(2 ** 40), (partition, offset) => {
      expect(placeOf(letterId({ partition, offset }))).toEqual({ partition, offset })
    }),
  )
  for (const id of ['', '1', '01-5', '1-05', '1-5 ', '-1-5', '1-5-6', 'a-b', '1-1e3', '１-5']) {
    expect(placeOf(id)).toBeUndefined()
  }
})
