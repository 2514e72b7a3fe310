import { expect, test } from 'vitest'
import { TICK_HEADER } from '../../core/topics.ts'
import { createRecordReader, type Input } from '../../pipeline/record-reader.ts'
import { eventLine, normalize, TestEngine, testRule, testRules } from '../support/engine.ts'

const T0 = Date.parse('2025-11-03T10:00:00Z')
const read = createRecordReader({ normalize })
const rules = testRules([testRule({ ruleId: 'r' })])

function tick(text: string, timestamp = T0): Input {
  const headers = { [TICK_HEADER]: Buffer.from(text) }
  return read({ topic: 'events.raw', partition: 0, offset: 7, timestamp, key: null, value: null, headers }, rules)
}

test('a tick is a time in milliseconds', () => {
  expect(tick(String(T0))).toEqual({ kind: 'tick', ts: T0 })
  expect(tick('-5')).toEqual({ kind: 'tick', ts: -5 })
})

test('a tick may be 5 minutes ahead of its ingest time, and not a millisecond more', () => {
  expect(tick(String(T0 + 300_000))).toMatchObject({ kind: 'tick' })
  expect(tick(String(T0 + 300_001))).toMatchObject({ kind: 'rejected', reason: 'future' })
})

test.each(['', 'soon', 'NaN', 'Infinity', '1e12', '1.5', '99999999999999999999', '0x10', ' 1'])(
  'a tick of "%s" is rejected',
  (text) => {
    expect(tick(text)).toMatchObject({
      kind: 'rejected',
      reason: 'schema',
      detail: expect.stringContaining(TICK_HEADER),
    })
  },
)

test('a tick that is rejected moves no time, even where it comes first', async () => {
  const engine = new TestEngine([testRule({ ruleId: 'r' })])
  await engine.feed([
    { value: '', tick: Number.NaN },
    { value: eventLine({ id: 'a', ts: T0 }) },
    { value: '', tick: T0 + 86_400_000, ingestTs: T0 },
    { value: eventLine({ id: 'b', ts: T0 - 60_000 }) },
    { value: eventLine({ id: 'c', ts: T0 - 60_001 }) },
  ])
  const { events, unique, schema, future, late } = engine.output.counts
  expect({ events, unique, schema, future, late }).toEqual({ events: 5, unique: 2, schema: 1, future: 1, late: 1 })
})
