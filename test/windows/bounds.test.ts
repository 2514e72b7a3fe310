import { describe, expect, test } from 'vitest'
import { emptyWindow, feedWindow, windowValue } from '../../operators/window-fold.ts'
import { ruleSetOf } from '../../rules/rule-set.ts'
import { DISTINCT_VALUES_MAX, slicesOf, WINDOW_SLICES_MAX } from '../../rules/window-lengths.ts'
import type { UserWindows } from '../../state/window-state.ts'
import { problemsOf, ruleOf } from '../rules/rule-texts.ts'
import { type EventFields, eventLine, TestEngine } from '../support/engine.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
/** The beginning of a slice of any size. */
const T0 = Date.parse('2025-11-01T00:00:00Z')

const ruleText = (formula: string): string =>
  `rule_id: r\nwhen: { event_name: login }\nscore: { formula: '${formula}' }`

async function runOf(formula: string, events: readonly Omit<EventFields, 'id'>[]): Promise<TestEngine> {
  const engine = new TestEngine(ruleSetOf([{ rule: ruleOf(ruleText(formula)), effectiveFrom: undefined }]))
  await engine.feed(
    events.map((event, i) => ({ value: eventLine({ id: `e${String(i).padStart(5, '0')}`, ...event }) })),
  )
  await engine.finish()
  expect(engine.output.dlq).toEqual([])
  return engine
}

async function lastPoints(formula: string, events: readonly Omit<EventFields, 'id'>[]): Promise<number | undefined> {
  return (await runOf(formula, events)).output.scores.at(-1)?.value.points
}

async function entries(engine: TestEngine): Promise<number> {
  const bytes = await engine.kv.get(Buffer.from('wu'))
  const windows = JSON.parse(bytes?.toString() ?? '{}') as UserWindows
  return Object.values(windows).reduce((sum, { data }) => sum + data.length, 0)
}

const faultOf = (formula: string): string | undefined => problemsOf(ruleText(formula))[0]?.message

describe('the edge of a window', () => {
  test.each([
    ['1s', SECOND, SECOND],
    ['5m', 5 * MINUTE, SECOND],
    ['301s', 300 * SECOND, 10 * SECOND],
    ['1h', HOUR, 10 * SECOND],
    ['61m', 61 * MINUTE, MINUTE],
    ['6h', 6 * HOUR, MINUTE],
    ['7h', 7 * HOUR, 5 * MINUTE],
    ['24h', DAY, 5 * MINUTE],
    ['25h', 25 * HOUR, 30 * MINUTE],
    ['1w', 7 * DAY, 30 * MINUTE],
    ['8d', 8 * DAY, 2 * HOUR],
    ['35d', 35 * DAY, 2 * HOUR],
  ])('of %s: an event counts until the slice begins that lies a whole window later', async (length, ms, size) => {
    const formula = `count(login, ${length})`
    for (const first of [T0, T0 + size - 1]) {
      expect(await lastPoints(formula, [{ ts: first }, { ts: T0 + ms - 1 }])).toBe(2)
      expect(await lastPoints(formula, [{ ts: first }, { ts: T0 + ms }])).toBe(1)
    }
    // The first event of a slice stays a whole window, the last one a slice less; none stays longer than its length.
    expect(await lastPoints(formula, [{ ts: T0 - 1 }, { ts: T0 + ms - size - 1 }])).toBe(2)
    expect(await lastPoints(formula, [{ ts: T0 - 1 }, { ts: T0 + ms - size }])).toBe(1)
  })

  test('no window has more slices than the bound, and the longest has as many', () => {
    const lengths = Array.from({ length: 35 * 24 * 60 }, (_, minute) => (minute + 1) * MINUTE)
    expect(Math.max(...lengths.map((ms) => slicesOf(ms).count))).toBe(WINDOW_SLICES_MAX)
  })

  test.each([
    ['a sequence holds as long as its first step is within the time', 'if(sequence(bet, login, 1m), 1, 0)'],
    ['the time since the last one is exact', 'if(last(bet) < 1m, 1, 0)'],
  ])('%s: to the millisecond', async (_name, formula) => {
    const bet = { ts: T0 + 123, name: 'bet', payload: { bet: 1 } }
    expect(await lastPoints(formula, [bet, { ts: T0 + 123 + MINUTE - 1 }])).toBe(1)
    expect(await lastPoints(formula, [bet, { ts: T0 + 123 + MINUTE }])).toBe(0)
  })
})

describe('what is kept of one user', () => {
  const everySlice = (count: number, ms: number): Omit<EventFields, 'id'>[] =>
    Array.from({ length: count }, (_, i) => ({ ts: T0 + i * ms, payload: { game: `g${i}`, stake: i } }))

  test.each([
    ['count(login, 35d)', 2],
    ['sum(login.payload.stake, 35d)', 2],
    ['avg(login.payload.stake, 35d)', 3],
    ['max(login.payload.stake, 35d)', 2],
  ])('%s keeps one entry for each slice, and no more', async (formula, width) => {
    const engine = await runOf(formula, everySlice(WINDOW_SLICES_MAX + 50, 2 * HOUR))
    expect(await entries(engine)).toBe(width * WINDOW_SLICES_MAX)
  })

  test('distinct counts exactly up to its bound and stays there', async () => {
    const formula = 'distinct(login.payload.game, 1h)'
    const many = everySlice(DISTINCT_VALUES_MAX + 20, SECOND)
    const engine = await runOf(formula, many)
    const counts = engine.output.scores.map(({ value }) => value.points)
    expect(counts).toEqual(many.map((_, i) => Math.min(i + 1, DISTINCT_VALUES_MAX)))
    expect(await entries(engine)).toBe(2 * DISTINCT_VALUES_MAX)
  })

  test('distinct is exact again once fewer than its bound are in the window', async () => {
    // After the flood the newest 28 are in the window, and those seen again among them count once.
    const flood = everySlice(DISTINCT_VALUES_MAX + 20, 10 * SECOND)
    const end = flood.at(-1)?.ts ?? 0
    const later = { ts: end + HOUR - 280 * SECOND, payload: { game: `g${DISTINCT_VALUES_MAX + 19}` } }
    expect(await lastPoints('distinct(login.payload.game, 1h)', [...flood, later])).toBe(28)
  })

  test('a value is told from another by kind and in full length', async () => {
    const long = 'x'.repeat(5_000)
    const values = ['1', 1, true, 'true', long, `${long}y`, long, '', 1]
    const events = values.map((game, i) => ({ ts: T0 + i, payload: { game } }))
    const engine = await runOf('distinct(login.payload.game, 1h)', events)
    expect(engine.output.scores.map(({ value }) => value.points)).toEqual([1, 2, 3, 4, 5, 6, 6, 7, 7])
    expect((await engine.kv.get(Buffer.from('wu')))?.length).toBeLessThan(400)
  })

  test('an event without the field, or with one of another kind, does not count', async () => {
    const events = [{ stake: 4 }, {}, { stake: '9' }, { stake: null }].map((payload, i) => ({ ts: T0 + i, payload }))
    expect(await lastPoints('sum(login.payload.stake, 1h)', events)).toBe(4)
    expect(await lastPoints('avg(login.payload.stake, 1h)', events)).toBe(4)
    expect(await lastPoints('distinct(login.payload.stake, 1h)', events)).toBe(2)
  })

  test('nothing is kept of users whose events no window counts', async () => {
    const engine = await runOf('count(deposit, 1h)', [{ ts: T0 }, { ts: T0 + 1 }])
    expect(await engine.kv.get(Buffer.from('wu'))).toBeUndefined()
  })
})

describe('what should not be', () => {
  const QUESTIONS = [
    'count(login, 1h)',
    'sum(login.payload.stake, 1h)',
    'max(login.payload.stake, 1h)',
    'distinct(login.payload.stake, 1h)',
    'last(login) / 1s',
    'streak(login, day)',
    'if(sequence(login, login, 1h), 1, 0)',
  ]

  /** As after a restart with a wider reordering window: what was late before is accepted. */
  test.each(QUESTIONS)('%s bears an event that is older than one that it has counted', (formula) => {
    const [spec] = ruleOf(ruleText(formula)).windows ?? []
    if (spec === undefined) throw new Error('it looks at recent events')
    const state = emptyWindow()
    const values = [0, 2 * HOUR, 10 * MINUTE, 2 * HOUR + 1].map((ms) => {
      const data = { payload: { stake: ms } }
      const event = { eventId: `e${ms}`, eventName: 'login', userId: 'u', ts: T0 + ms, data }
      feedWindow(state, spec, event)
      return windowValue(state, spec, event)
    })
    for (const value of values.slice(1)) expect(value).toBeGreaterThanOrEqual(0)
    const slices = state.data.filter((_, i) => i % 2 === (formula.startsWith('distinct') ? 1 : 0))
    if (/^(count|sum|max|distinct)/.test(formula))
      expect(slices).toEqual(slices.toSorted((a, b) => Number(a) - Number(b)))
    expect(state.data.every((entry) => typeof entry === 'string' || Number.isFinite(entry))).toBe(true)
  })

  test('a sum beyond all numbers reads from the store as it was', async () => {
    const engine = new TestEngine(
      ruleSetOf([{ rule: ruleOf(ruleText('sum(login.payload.stake, 1h) / 1e300')), effectiveFrom: undefined }]),
    )
    const bet = (id: string, ts: number): { value: string } => ({
      value: eventLine({ id, ts, payload: { stake: 1e308 } }),
    })
    await engine.feed([bet('a', T0), bet('b', T0 + 1)])
    await engine.finish()
    engine.restart()
    await engine.feed([bet('c', T0 + 2 * MINUTE)])
    await engine.finish()
    const told = engine.output.scores.map(({ value }) => value.detail ?? value.points)
    expect(told).toEqual([1e8, 179_769_313, 'sum(login.payload.stake, 1h) is too large'])
  })
})

describe('bounds that are refused beyond', () => {
  test.each([
    ['count(login, 1s)', 'count(login, 0.9s)', 'a window is at least 1s and at most 35d long'],
    ['count(login, 35d)', 'count(login, 841h)', 'a window is at least 1s and at most 35d long'],
    [sequenceOf(10), sequenceOf(11), 'a sequence has 2 to 10 steps, this one has 11'],
    [sequenceOf(2), sequenceOf(1), 'a sequence has 2 to 10 steps, this one has 1'],
    [windowsOf(20), windowsOf(21), 'a rule looks at recent events in at most 20 ways, this one in 21'],
  ])('%s is allowed, %s is not', (allowed, refused, message) => {
    expect(faultOf(allowed)).toBeUndefined()
    expect(faultOf(refused)).toBe(message)
  })

  function sequenceOf(steps: number): string {
    return `if(sequence(${'login, '.repeat(steps)}1h), 1, 0)`
  }

  function windowsOf(count: number): string {
    return Array.from({ length: count }, (_, i) => `count(login, ${i + 1}m)`).join(' + ')
  }
})
