import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { OncewardError } from '../../core/errors.ts'
import type { AuditEntry } from '../../core/ports/audit.ts'
import type { Command, Outcome } from '../../core/ports/back-office.ts'
import type { LetterFilter, ReviewOrder } from '../../core/ports/review.ts'
import type { Office } from '../../pipeline/review/resending.ts'
import { FaultyLog } from '../support/faulty-log.ts'
import {
  ANN,
  bet,
  BOB,
  collect,
  DAY,
  DROP,
  fixing,
  letterOf,
  one,
  REPROCESS,
  ReviewLab,
  taskLetter,
  TOPICS,
} from './office.ts'

let lab: ReviewLab
beforeEach(async () => {
  lab = await ReviewLab.open()
})
afterEach(() => lab.close())

const BROKEN = letterOf(bet('e1', { payload: { bet: '1', win: 2, currency: 'EUR' } }))

describe('which letters', () => {
  const HOUR = 3_600_000
  beforeEach(async () => {
    await lab.publish('rule_id: r_bets\nwhen: { event_name: bet }\nscore: { formula: "1" }\n')
    await lab.post([letterOf(bet('a', { user: { id: 'u_a' } })), BROKEN])
    await lab.post([letterOf(bet('b'), { reason: 'late', detail: 'ts x is 5 s older' })], DAY + HOUR)
    await lab.post(
      [letterOf('{"event_name":"login"}', { detail: 'ts is missing' }), taskLetter('rt_9')],
      DAY + 2 * HOUR,
    )
    await lab.append({ topic: TOPICS.dlq, partition: 0, key: null, value: 'no letter', timestamp: DAY })
    const { desk } = lab.desk()
    await collect(desk.carryOut(DROP, ['0-0']))
  })

  const idsOf = async (filter: LetterFilter, after?: string): Promise<string[]> =>
    (await collect(lab.desk().desk.letters(filter, after))).map(({ id }) => id)

  test.each<[string, LetterFilter, string[]]>([
    ['all', {}, ['0-0', '0-1', '0-2', '1-0', '1-1']],
    ['by cause', { causes: ['late', 'payout'] }, ['0-1', '1-1']],
    ['by what stands', { states: ['open'] }, ['0-1', '0-2', '1-0', '1-1']],
    ['dropped', { states: ['dropped', 'fixed'] }, ['0-0']],
    ['by time, from and until', { from: DAY + HOUR, until: DAY + 2 * HOUR }, ['0-1']],
    ['by player', { user: 'u_a' }, ['0-0']],
    ['by name', { eventName: 'login' }, ['0-2']],
    ['by the error of another letter', { error: BROKEN.detail.replace('"1"', '"77"') }, ['0-0', '1-0']],
    ['by a part of the error', { error: 'is missing' }, ['0-2']],
    ['by a number, which is not any number', { error: '77' }, []],
    ['by a number that stands there', { error: '5' }, ['0-1']],
    ['by an id that no letter has', { error: 'rt_0123456789' }, []],
    ['by the rule of a reward', { rule: 'r_a' }, ['1-1']],
    ['by a rule that looks at the event', { rule: 'r_bets' }, ['0-0', '0-1', '1-0']],
    ['all that is given must hold', { rule: 'r_bets', states: ['open'], causes: ['schema'] }, ['1-0']],
  ])('%s', async (_, filter, ids) => {
    expect(await idsOf(filter)).toEqual(ids)
  })

  test('a list goes on behind any of its letters', async () => {
    const all = await idsOf({})
    for (const [index, id] of all.entries()) expect(await idsOf({}, id)).toEqual(all.slice(index + 1))
    await expect(idsOf({}, 'x')).rejects.toMatchObject({ code: 'ONCEWARD_E_LETTER_UNKNOWN' })
  })

  test('counts add up, whatever is asked for', async () => {
    await lab.append({ topic: TOPICS.events, partition: 0, key: 'u', value: '{}', timestamp: DAY })
    const { desk } = lab.desk()
    const all = await desk.count({})
    expect(all).toMatchObject({
      letters: 5,
      byState: { open: 4, dropped: 1, fixed: 0, reprocessed: 0 },
      byCause: { schema: 3, late: 1, payout: 1 },
      unreadable: 1,
      share: { letters: 4, events: 1 },
    })
    expect(all.groups.reduce((sum, { letters }) => sum + letters, 0)).toBe(5)
    expect(all.groups[0]).toEqual({
      cause: 'schema',
      day: '2025-11-03',
      error: 'payload.bet is …; it must be a number in a "bet" event',
      state: expect.stringMatching(/open|dropped/) as string,
      letters: 1,
    })
    const open = await desk.count({ states: ['open'] })
    expect(open.letters).toBe(4)
  })
})

describe('a decision', () => {
  test('says who, when and why, what came, and what was sent where', async () => {
    const [id = ''] = await lab.post([BROKEN])
    const order: ReviewOrder = { ...fixing(['payload.bet=1']), actor: 'bob', reason: 'ticket 1' }
    expect(await lab.desk().run(order)).toEqual([{ kind: 'done', id, cause: 'schema', to: 'fixed', notes: [] }])
    const [review] = await lab.values(TOPICS.dlqReviews)
    expect(review).toMatchObject({
      letter: id,
      was: 'schema',
      decision: 'fixed',
      actor: 'bob',
      reason: 'ticket 1',
      before: { bytes: BROKEN.raw.length, text: BROKEN.raw, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
      sent: { topic: TOPICS.events, text: expect.stringContaining('"bet":1,') as string },
    })
    expect((await lab.read(TOPICS.dlqReviews))[0]?.key?.toString()).toBe(id)
  })

  test('is told to whoever comes later, with who and when', async () => {
    const [id = ''] = await lab.post([letterOf(bet('e1'))])
    await lab.desk().run(REPROCESS)
    for (const order of [DROP, REPROCESS]) {
      const later = lab.desk()
      const decision = { state: 'reprocessed', actor: 'ann', at: expect.any(String) as string, reason: null }
      expect(await later.forecast(order, [id])).toEqual([{ kind: 'decided', id, cause: 'schema', decision }])
      expect(await later.run(order, [id])).toEqual([{ kind: 'decided', id, cause: 'schema', decision }])
    }
    expect(await lab.read(TOPICS.events)).toHaveLength(1)
    expect(await lab.read(TOPICS.dlqReviews)).toHaveLength(1)
  })

  test('R6: of what is refused nothing is written, and others of the same command go on', async () => {
    const ids = await lab.post([BROKEN, letterOf(bet('e2')), letterOf(bet('e3'))])
    const outcomes = await lab.desk().run(REPROCESS)
    expect(outcomes.map(({ kind }) => kind).toSorted()).toEqual(['done', 'done', 'refused'])
    expect((await lab.values(TOPICS.dlqReviews)).map(({ letter }) => letter)).not.toContain(ids[0])
    expect(await one(lab.desk().desk, ids[0] ?? '')).toMatchObject({ state: 'open', decision: null })
  })

  test('is for each letter once, however often its id is given; ids of no letter are told', async () => {
    const [id = ''] = await lab.post([letterOf(bet('e1'))])
    const outcomes = await lab.desk().run(REPROCESS, [id, id, '0-99', '9-0', 'x', '00-0'])
    expect(outcomes.filter(({ kind }) => kind === 'done')).toHaveLength(1)
    const refused = outcomes.filter(({ kind }) => kind === 'refused')
    expect(refused.map((one) => one.id).toSorted()).toEqual(['0-99', '00-0', '9-0', 'x'])
    expect(refused.every((one) => one.kind === 'refused' && one.code === 'ONCEWARD_E_LETTER_UNKNOWN')).toBe(true)
  })

  test('a drop without a reason is refused as a whole', async () => {
    await lab.post([BROKEN])
    await expect(lab.desk().run({ ...ANN, name: 'drop' })).rejects.toMatchObject({ code: 'ONCEWARD_E_LETTER_REFUSED' })
  })

  test('a letter from what was sent again is a new one, and its story tells all of it', async () => {
    const [first = ''] = await lab.post([letterOf(bet('e1'))])
    const person = lab.desk()
    const { desk } = person
    await person.run(REPROCESS)
    const step = {
      letter: first,
      was: 'schema',
      action: 'reprocess',
      actor: 'ann',
      at: '2025-11-03T00:00:00Z',
    } as const
    const late = letterOf(bet('e1'), { reason: 'late', detail: 'ts is old', history: [step] })
    const [second = ''] = await lab.post([letterOf(bet('e9')), late].slice(1))
    const story = await desk.show(first)
    expect(story).toMatchObject({
      letter: { state: 'reprocessed', tries: 0 },
      review: { actor: 'ann' },
      prospect: 'nothing: it is decided',
    })
    expect(story.after).toMatchObject([{ id: second, cause: 'late', tries: 1 }])
    expect((await desk.show(second)).before).toMatchObject([{ id: first }])
    expect((await person.run(DROP, [second]))[0]).toMatchObject({ kind: 'done', to: 'dropped' })
    await expect(desk.show('5-5')).rejects.toMatchObject({ code: 'ONCEWARD_E_LETTER_UNKNOWN' })
  })
})

test('R7: a dry run says the same as what is done then, and opens no transactional id', async () => {
  await lab.post([BROKEN, letterOf(bet('e2')), letterOf(bet('e3'), { reason: 'late' }), taskLetter('rt_1')])
  const log = new FaultyLog(lab.log, {})
  const { desk } = lab.desk({ log })
  const orders: ReviewOrder[] = [REPROCESS, fixing(['payload.bet=1']), DROP]
  for (const order of orders) {
    const ids = (await collect(desk.letters({ states: ['open'] }))).map(({ id }) => id)
    const forecast = (await collect(desk.forecast(order, ids))).flat()
    expect(log.opened.size).toBe(0)
    const done = (await collect(lab.desk().desk.carryOut(order, ids))).flat()
    expect(done).toEqual(forecast)
  }
})

test('whoever has nothing to write stops nobody', async () => {
  await lab.post([BROKEN])
  const log = new FaultyLog(lab.log, {})
  expect(await lab.desk({ log }).run(REPROCESS)).toMatchObject([{ kind: 'refused' }])
  expect(log.opened.size).toBe(0)
})

describe('what a letter had to cut', () => {
  const long = bet('e1', { context: { session_id: 'x'.repeat(1_000) } })
  const whole = JSON.stringify(long)
  const cut = (offset: number, text = whole) =>
    letterOf(text.slice(0, 500), { raw_bytes: text.length, source: { topic: TOPICS.events, partition: 0, offset } })

  test('is read from where it came from', async () => {
    await lab.append({ topic: TOPICS.events, partition: 0, key: 'u_1', value: whole, timestamp: DAY })
    await lab.post([cut(0)])
    expect(await lab.desk().run(REPROCESS)).toMatchObject([{ kind: 'done', to: 'reprocessed' }])
    expect((await lab.read(TOPICS.events)).map(({ value }) => String(value))).toEqual([whole, whole])
  })

  test.each<[string, ReturnType<typeof cut>, RegExp]>([
    ['the log no longer has it', cut(7), /the log no longer holds the rest at t\.events\.raw\[0\]@7$/],
    ['something else stands there', cut(0, whole.replace('"e1"', '"e2"')), /something else stands/],
    ['it never was on the log', { ...cut(0), source: null }, /it did not come from the log/],
  ])('is refused where %s', async (_, letter, detail) => {
    await lab.append({ topic: TOPICS.events, partition: 0, key: 'u_1', value: whole, timestamp: DAY })
    await lab.post([letter])
    expect(await lab.desk().run(REPROCESS)).toMatchObject([
      { kind: 'refused', detail: expect.stringMatching(detail) as string },
    ])
    expect(await lab.desk().run(DROP)).toMatchObject([{ kind: 'done' }])
  })
})

test('bytes that are no text go back as they came', async () => {
  const bytes = Buffer.concat([
    Buffer.from(JSON.stringify(bet('e1')).slice(0, -1)),
    Buffer.from([0xff]),
    Buffer.from('}'),
  ])
  await lab.post([letterOf(bytes.toString(), { raw_base64: bytes.toString('base64') })])
  const { desk } = lab.desk({
    normalize: () => ({ kind: 'event', event: { eventId: 'e1', eventName: 'bet', userId: 'u', ts: DAY, data: {} } }),
  })
  await collect(desk.carryOut(REPROCESS, ['0-0']))
  expect((await lab.read(TOPICS.events))[0]?.value).toEqual(bytes)
})

test('one letter that the log does not take keeps no other', async () => {
  await lab.post(Array.from({ length: 7 }, (_, index) => letterOf(bet(`e${index}`))))
  const log = new FaultyLog(lab.log, {
    commit: (_id, { records }, apply) => {
      const large = records.some(({ value }) => String(value).includes('"e4"'))
      if (!large) return apply()
      throw new OncewardError('ONCEWARD_E_LOG_RECORD_TOO_LARGE', 'too large')
    },
  })
  const outcomes = await lab.desk({ log }).run(REPROCESS)
  expect(outcomes.filter(({ kind }) => kind === 'done')).toHaveLength(6)
  expect(outcomes.filter(({ kind }) => kind === 'refused')).toMatchObject([{ code: 'ONCEWARD_E_LOG_RECORD_TOO_LARGE' }])
  expect(await lab.read(TOPICS.events)).toHaveLength(6)
})

test('decisions without a partition for each partition of letters are refused: one could be overlooked', async () => {
  const narrow = await ReviewLab.open({ partitions: 2, reviewPartitions: 1 })
  try {
    await narrow.post([BROKEN])
    await expect(narrow.desk().run(DROP, ['0-0'])).rejects.toMatchObject({ code: 'ONCEWARD_E_LOG_REFUSED' })
  } finally {
    await narrow.close()
  }
})

test('decisions that go before their letters are refused: those would be open again', async () => {
  const days = (count: number): number => count * 86_400_000
  for (const [dlq, dlqReviews, fits] of [
    [days(30), days(7), false],
    [undefined, days(60), false],
    [days(30), days(30), true],
    [days(30), undefined, true],
  ] as const) {
    const kept = { ...(dlq === undefined ? {} : { dlq }), ...(dlqReviews === undefined ? {} : { dlqReviews }) }
    const other = await ReviewLab.open({ retentionMs: kept })
    try {
      await other.post([BROKEN])
      const said = await other
        .desk()
        .run(DROP, ['0-0'])
        .then(
          () => 'done',
          (error: unknown) => (error as { code: string }).code,
        )
      expect(said).toBe(fits ? 'done' : 'ONCEWARD_E_LOG_REFUSED')
    } finally {
      await other.close()
    }
  }
})

describe('rewards', () => {
  /** A ledger that sends again what is in `failed`, and says so once. */
  function office(failed: Set<string>): Office & { readonly commands: Command[] } {
    const commands: Command[] = []
    const answer = (taskId: string, moves: boolean): Outcome => {
      if (taskId === 'rt_voided') {
        return { kind: 'refused', taskId, code: 'ONCEWARD_E_REWARD_REFUSED', detail: 'it has ended as voided' }
      }
      if (!failed.has(taskId)) return { kind: 'unchanged', taskId, detail: 'it is on its way (reserved)' }
      if (moves) failed.delete(taskId)
      const money = { cost: 0n, reserved: 0n, overrun: 0n, notes: [] }
      return {
        kind: 'done',
        taskId,
        from: 'failed',
        to: 'reserved',
        userId: 'u',
        poolId: null,
        poolPeriod: 'all',
        ...money,
      }
    }
    return {
      commands,
      forecast: (_command, ids) => Promise.resolve(ids.map((id) => answer(id, false))),
      carryOut: (command, ids) => {
        commands.push(command)
        return Promise.resolve(ids.map((id) => answer(id, true)))
      },
    }
  }

  test('are sent again by the ledger, and the log gets the decision alone', async () => {
    await lab.post([taskLetter('rt_1'), taskLetter('rt_voided'), taskLetter('rt_2', { reason: 'budget_closed' })])
    const ledger = office(new Set(['rt_1', 'rt_2']))
    const desk = lab.desk({ office: ledger })
    const outcomes = await desk.run({ ...BOB, name: 'reprocess' })
    expect(outcomes.filter(({ kind }) => kind === 'done')).toMatchObject([
      { to: 'reprocessed', notes: ['reward rt_1: failed becomes reserved'] },
      { to: 'reprocessed', notes: ['reward rt_2: failed becomes reserved'] },
    ])
    expect(outcomes.filter(({ kind }) => kind === 'refused')).toMatchObject([{ detail: 'it has ended as voided' }])
    expect(
      ledger.commands.every(({ name, actor, reason }) => name === 'resend' && actor === 'bob' && reason === 'ticket 1'),
    ).toBe(true)
    expect(await lab.read(TOPICS.rewards)).toEqual([])
    expect(await lab.read(TOPICS.events)).toEqual([])
    expect((await lab.values(TOPICS.dlqReviews)).map(({ ledger: of }) => of)).toEqual([
      { task: 'rt_1', outcome: 'reward rt_1: failed becomes reserved' },
      { task: 'rt_2', outcome: 'reward rt_2: failed becomes reserved' },
    ])
  })

  test('a repeat after a crash between ledger and log finds it on its way, and decides', async () => {
    await lab.post([taskLetter('rt_1')])
    const ledger = office(new Set(['rt_1']))
    const log = new FaultyLog(lab.log, {
      commit: () => Promise.reject(new OncewardError('ONCEWARD_E_LOG_UNAVAILABLE', 'gone')),
    })
    await expect(lab.desk({ office: ledger, log }).run(REPROCESS)).rejects.toMatchObject({
      code: 'ONCEWARD_E_LOG_UNAVAILABLE',
    })
    expect(await lab.desk({ office: ledger }).run(REPROCESS)).toMatchObject([
      { kind: 'done', notes: ['reward rt_1: it is on its way (reserved)'] },
    ])
  })
})

test('with an audit log the command stands there before it is done, the decisions after', async () => {
  await lab.post([BROKEN, letterOf(bet('e2'))])
  const entries: AuditEntry[] = []
  const seen: number[] = []
  const audit = {
    append: async (some: readonly AuditEntry[]) => {
      entries.push(...some)
      seen.push((await lab.read(TOPICS.dlqReviews)).length)
    },
    close: () => Promise.resolve(),
  }
  await lab.desk({ audit }).run(REPROCESS)
  expect(entries.map(({ kind, body }) => [kind, body['actor'], body['letters']])).toEqual([
    ['command', 'ann', ['1-0']],
    ['decision', 'ann', ['1-0']],
  ])
  expect(seen).toEqual([0, 1])
  const full = { ...audit, append: () => Promise.reject(new OncewardError('ONCEWARD_E_AUDIT_UNWRITABLE', 'full')) }
  await expect(lab.desk({ audit: full }).run(DROP)).rejects.toMatchObject({ code: 'ONCEWARD_E_AUDIT_UNWRITABLE' })
  expect(await lab.read(TOPICS.dlqReviews)).toHaveLength(1)
})
