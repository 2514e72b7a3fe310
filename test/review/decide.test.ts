/** The rows of ./pipeline/review/decide.ts. */
import { describe, expect, test } from 'vitest'
import type { DlqReason, DlqRecord } from '../../core/model/dlq.ts'
import { partitionOf } from '../../core/partitioner.ts'
import { REPROCESSED_HEADER } from '../../core/topics.ts'
import { readReprocessed } from '../../operators/reprocessed.ts'
import { type Deciding, decide, type Surroundings, type Verdict } from '../../pipeline/review/decide.ts'
import { fixOf } from '../../pipeline/review/fix.ts'
import { type Letter, readLetter } from '../../pipeline/review/letter.ts'
import type { Whole } from '../../pipeline/review/letters.ts'
import { normalize, testRule, testRules } from '../support/engine.ts'
import { ANN, BOB, bet, DAY, letterOf, taskLetter, TOPICS } from './office.ts'

const OPEN = testRule({ ruleId: 'r_any', eventNames: ['bet'] })
const STRICT = testRule({ ruleId: 'r_strict', eventNames: ['bet'], ordering: 'strict' })
const FUSSY = testRule({ ruleId: 'r_fussy', eventNames: ['bet'], matches: () => false })
const PER_MINUTE = testRule({ ruleId: 'r_minute', eventNames: ['bet'], caps: { perMinute: 5 } })

const PARTITIONS = 4

function around(
  change: { rules?: readonly ReturnType<typeof testRule>[]; watermark?: number; ledger?: boolean } = {},
): Surroundings {
  const { rules = [OPEN], watermark, ledger = false } = change
  const known = { rules: testRules(rules), reorderWindowMs: 60_000, dedupeWindowMs: 86_400_000, watermark }
  return { topics: TOPICS, partitions: PARTITIONS, normalize, whereabouts: () => known, ledger }
}

function letter(record: DlqRecord): Letter {
  const read = readLetter(
    {
      topic: TOPICS.dlq,
      partition: 0,
      offset: 9,
      timestamp: DAY,
      key: null,
      value: Buffer.from(JSON.stringify(record)),
    },
    TOPICS,
  )
  if (read === undefined) throw new Error('no letter')
  return read
}

const REPROCESS: Deciding = { ...ANN, name: 'reprocess' }
const NOW = DAY + 1_000

function verdictOn(
  record: DlqRecord,
  command = REPROCESS,
  given: Parameters<typeof around>[0] & { whole?: Whole; now?: number } = {},
): Verdict {
  const { whole = { ok: true, bytes: Buffer.from(record.raw) }, now = NOW, ...rest } = given
  return decide(letter(record), command, { decision: undefined, whole, now }, around(rest))
}

function fixed(
  set: readonly string[],
  more: { unset?: readonly string[]; when?: string; allowIds?: boolean } = {},
): Deciding {
  const { unset = [], when, allowIds = false } = more
  return { ...ANN, name: 'fix', fix: fixOf({ kind: 'changes', set, unset, when, allowIds }) }
}

const DROP: Deciding = { ...BOB, name: 'drop' }
const BROKEN = letterOf(bet('e1', { payload: { bet: '1', win: 2, currency: 'EUR' } }))

describe('R1: what is decided is told', () => {
  const decision = { state: 'dropped', actor: 'bob', at: 'then', reason: 'x', command: 'c' } as const
  test.each([REPROCESS, DROP, fixed(['payload.bet=1'])])('whatever is asked for', (command) => {
    const facts = { decision, whole: { ok: true, bytes: Buffer.from('') } as const, now: NOW }
    expect(decide(letter(BROKEN), command, facts, around())).toEqual({ kind: 'decided', decision })
  })
})

describe('an event goes back as it came', () => {
  test('to the partition of its player, with the ingest time of now and its history', () => {
    const steps = [
      { letter: '3-1', was: 'schema', action: 'fix', actor: 'bob', at: '2025-11-03T00:00:00.000Z' },
    ] as const
    const record = letterOf(bet('e1', { user: { id: 'u_7' } }), { reason: 'future', history: steps })
    const verdict = verdictOn(record)
    if (verdict.kind !== 'send') throw new Error(JSON.stringify(verdict))
    const { headers, ...sent } = verdict.record
    expect(sent).toEqual({
      topic: TOPICS.events,
      partition: partitionOf('u_7', PARTITIONS),
      key: 'u_7',
      value: Buffer.from(record.raw),
      timestamp: NOW,
    })
    // As the worker reads it.
    expect(readReprocessed(headers?.[REPROCESSED_HEADER] ?? Buffer.alloc(0))).toEqual({
      ok: true,
      history: [
        ...steps,
        { letter: '0-9', was: 'future', action: 'reprocess', actor: 'ann', at: new Date(NOW).toISOString() },
      ],
    })
  })

  test('one that the gateway refused goes past what the gateway would have put right, and that is said', () => {
    const record = letterOf(bet('e1'), { source: null, from: 'gateway/web' })
    expect(verdictOn(record)).toMatchObject({
      kind: 'send',
      notes: [expect.stringContaining('goes past the gateway') as string],
    })
    expect(verdictOn({ ...record, from: 'webhook/gameco' })).toMatchObject({ kind: 'send', notes: [] })
  })

  test('not where its history has grown so long that no worker would read it', () => {
    const step = {
      letter: '3-1',
      was: 'late',
      action: 'fix',
      actor: 'b'.repeat(100),
      at: '2025-11-03T00:00:00.000Z',
    } as const
    expect(verdictOn(letterOf(bet('e1'), { history: Array.from({ length: 300 }, () => step) }))).toMatchObject({
      kind: 'refuse',
      detail: expect.stringMatching(/sent back 300 times/) as string,
    })
  })
})

describe('R3: what would be set aside again is refused', () => {
  test('for its schema, with the sentence of the schemas of now', () => {
    expect(verdictOn(BROKEN)).toMatchObject({
      kind: 'refuse',
      detail: expect.stringMatching(
        /^it is not valid by the schemas of now: payload\.bet is the text "1"; .*dlq fix$/,
      ) as string,
    })
  })

  test('for its time, until that comes', () => {
    const ahead = letterOf(bet('e1', { ts: new Date(DAY + 400_000).toISOString() }), { reason: 'future' })
    expect(verdictOn(ahead, REPROCESS, { now: DAY + 99_999 })).toEqual({
      kind: 'refuse',
      detail: 'its ts 2025-11-03T00:06:40.000Z still lies ahead; it is accepted from 2025-11-03T00:01:40.000Z on',
    })
    expect(verdictOn(ahead, REPROCESS, { now: DAY + 100_000 })).toMatchObject({ kind: 'send' })
  })

  const late = letterOf(bet('e1'), { reason: 'late' })
  test.each([
    ['no rule at all', [], /no rule in effect at 2025-11-03T00:00:00.000Z matches it/],
    ['no rule that matches', [FUSSY], /no rule in effect .* matches it/],
    ['only rules that ask for order', [STRICT], /not scored by r_strict: the rule takes events in their order/],
  ])('for coming late, with %s', (_, rules, detail) => {
    expect(verdictOn(late, REPROCESS, { rules })).toMatchObject({
      kind: 'refuse',
      detail: expect.stringMatching(detail) as string,
    })
  })

  test('for coming so late that nobody remembers', () => {
    const watermark = DAY + 86_400_000
    expect(verdictOn(late, REPROCESS, { watermark: watermark + 1 })).toMatchObject({
      kind: 'refuse',
      detail: expect.stringMatching(/too old to be counted: workers remember ids of 24 hours/) as string,
    })
    expect(verdictOn(late, REPROCESS, { watermark })).toMatchObject({ kind: 'send' })
  })

  test('but not where some rule scores it; which does and which does not is said', () => {
    const verdict = verdictOn(late, REPROCESS, { rules: [OPEN, STRICT, PER_MINUTE] })
    expect(verdict).toMatchObject({
      kind: 'send',
      notes: [
        expect.stringMatching(/^scored by r_any \(1 points before caps\): /) as string,
        expect.stringMatching(/^not scored by r_strict: /) as string,
        expect.stringMatching(/^may be scored by r_minute /) as string,
      ],
    })
  })

  test('where it was late once, a fix of it is asked the same', () => {
    const again = letterOf(bet('e1', { payload: { bet: '1', win: 2, currency: 'EUR' } }), {
      history: [{ letter: '0-1', was: 'late', action: 'reprocess', actor: 'ann', at: '2025-11-03T00:00:00.000Z' }],
    })
    expect(verdictOn(again, fixed(['payload.bet=1']), { rules: [STRICT] })).toMatchObject({ kind: 'refuse' })
  })

  test('one that is late by now for the first time is sent, and said to come back', () => {
    const watermark = DAY + 60_001
    expect(verdictOn(letterOf(bet('e1')), REPROCESS, { watermark })).toMatchObject({
      kind: 'send',
      notes: [expect.stringMatching(/late by now, so that it comes back/) as string],
    })
    expect(verdictOn(letterOf(bet('e1')), REPROCESS, { watermark: watermark - 1 })).toMatchObject({
      kind: 'send',
      notes: [],
    })
  })

  test('where the letter had to cut it and the rest is gone', () => {
    expect(verdictOn(letterOf(bet('e1')), REPROCESS, { whole: { ok: false, detail: 'gone' } })).toEqual({
      kind: 'refuse',
      detail: 'gone',
    })
  })

  test('where it came from another topic than that of events', () => {
    const record = letterOf(bet('e1'), { source: { topic: 'other', partition: 0, offset: 0 } })
    expect(verdictOn(record)).toMatchObject({
      kind: 'refuse',
      detail: expect.stringContaining('came from other') as string,
    })
  })
})

describe('a fix', () => {
  test('is sent where its result is valid, and another event or player is pointed out', () => {
    const verdict = verdictOn(
      BROKEN,
      fixed(['payload.bet=payload.win', 'event_id="e2"', 'user.id="u_2"'], { allowIds: true }),
    )
    expect(verdict).toMatchObject({
      kind: 'send',
      to: 'fixed',
      notes: ['another event_id: e1 becomes e2', 'another player: u_1 becomes u_2'],
    })
    if (verdict.kind !== 'send') return
    expect(JSON.parse(String(verdict.record.value))).toMatchObject({ event_id: 'e2', payload: { bet: 2, win: 2 } })
    expect(verdict.record.partition).toBe(partitionOf('u_2', PARTITIONS))
  })

  test('is refused where its result is not valid', () => {
    expect(verdictOn(BROKEN, fixed(['payload.bet="x"']))).toMatchObject({
      kind: 'refuse',
      detail: expect.stringMatching(/^the fixed event is not valid: payload\.bet is the text "x"/) as string,
    })
  })

  test('is refused where it is not for the event, and where what came is no object', () => {
    expect(verdictOn(BROKEN, fixed(['payload.bet=1'], { when: 'payload.win > 100' }))).toMatchObject({ kind: 'refuse' })
    for (const raw of ['{', '[1]', 'null', '\u0000']) {
      expect(verdictOn(letterOf(raw), fixed(['payload.bet=1']))).toMatchObject({
        kind: 'refuse',
        detail: expect.stringContaining('no JSON object') as string,
      })
    }
  })

  test('that cannot be read is told with all that is wrong', () => {
    expect(() => fixed(['payload.bet=nonsense('])).toThrow(
      expect.objectContaining({ code: 'ONCEWARD_E_MAPPING_INVALID' }) as Error,
    )
  })
})

describe('R4 and R5: what is never sent', () => {
  test.each<[string, DlqRecord]>([
    ['a call whose signature does not hold', letterOf(bet('e1'), { reason: 'signature', source: null })],
    ['a tick', letterOf('', { detail: 'the header onceward-tick holds "x", which is no time' })],
    ['a record that the sink cannot read', taskLetter('rt_1', { reason: 'schema' })],
    ['a task without an id', { ...taskLetter('rt_1'), raw: '{}' }],
  ])('%s', (_, record) => {
    expect(verdictOn(record, REPROCESS, { ledger: true })).toMatchObject({ kind: 'refuse' })
    expect(verdictOn(record, fixed(['payload.bet=1']), { ledger: true })).toMatchObject({ kind: 'refuse' })
  })

  test.each<DlqReason>(['payout', 'budget_closed'])(
    'a reward (%s): the ledger is asked, where there is one',
    (reason) => {
      const record = taskLetter('rt_1', { reason })
      expect(verdictOn(record, REPROCESS, { ledger: true })).toEqual({ kind: 'resend', taskId: 'rt_1' })
      expect(verdictOn(record)).toMatchObject({
        kind: 'refuse',
        detail: expect.stringContaining('onceward rewards resend rt_1') as string,
      })
      expect(verdictOn(record, fixed(['payload.bet=1']), { ledger: true })).toMatchObject({ kind: 'refuse' })
    },
  )
})

describe('a drop', () => {
  test('needs a reason, and nothing else', () => {
    const all = [BROKEN, taskLetter('rt_1'), letterOf('{', { reason: 'signature', source: null }), letterOf('')]
    for (const record of all) {
      expect(verdictOn(record, DROP, { whole: { ok: false, detail: 'gone' } })).toMatchObject({ kind: 'drop' })
      expect(verdictOn(record, { ...DROP, reason: ' ' })).toMatchObject({ kind: 'refuse' })
      expect(verdictOn(record, { ...DROP, reason: undefined })).toMatchObject({ kind: 'refuse' })
    }
  })

  test('of a reward says that the ledger does not hear of it', () => {
    expect(verdictOn(taskLetter('rt_1'), DROP)).toEqual({
      kind: 'drop',
      notes: ['reward rt_1 stays as it is in the ledger'],
    })
  })
})
