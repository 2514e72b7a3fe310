import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ruleSetOf } from '../../rules/rule-set.ts'
import { ruleOf } from '../rules/rule-texts.ts'
import { TestEngine } from '../support/engine.ts'
import {
  type Asked,
  judgeAll,
  numbers,
  type PastEvent,
  sequence,
  sinceLast,
  streak,
  sum,
  weekStreak,
  within,
} from './reference.ts'
import { lineOf, streams } from './streams.ts'

/** A formula and what it gives; undefined: no number. */
interface Question {
  readonly formula: string
  readonly plain: (asked: Asked) => number | undefined
}

const named =
  (name: string) =>
  (event: PastEvent): boolean =>
    event.name === name
const bigBet = (event: PastEvent): boolean => event.name === 'bet' && Number(event.payload['bet']) >= 5
const game1 = (event: PastEvent): boolean => event.name === 'bet' && event.payload['game_id'] === 'g1'
const DAY = 86_400_000

function windowQuestions(length: string, ms: number): Question[] {
  const bets = (asked: Asked): number[] => numbers(within(asked, ms, named('bet')), 'bet')
  const some = (values: readonly number[], of: (values: readonly number[]) => number): number | undefined =>
    values.length === 0 ? undefined : of(values)
  return [
    { formula: `count(deposit, ${length})`, plain: (asked) => within(asked, ms, named('deposit')).length },
    { formula: `count(bet where payload.bet >= 5, ${length})`, plain: (asked) => within(asked, ms, bigBet).length },
    { formula: `sum(bet.payload.bet, ${length}) * 4`, plain: (asked) => sum(bets(asked)) * 4 },
    {
      formula: `avg(bet.payload.bet, ${length}) * 1000`,
      plain: (asked) => some(bets(asked), (values) => (sum(values) / values.length) * 1000),
    },
    { formula: `min(bet.payload.bet, ${length}) * 4`, plain: (asked) => some(bets(asked), (v) => Math.min(...v) * 4) },
    {
      formula: `max(bet.payload.bet where payload.game_id == 'g1', ${length}) * 4`,
      plain: (asked) => some(numbers(within(asked, ms, game1), 'bet'), (v) => Math.max(...v) * 4),
    },
    {
      formula: `distinct(bet.payload.game_id, ${length})`,
      plain: (asked) =>
        new Set(within(asked, ms, (e) => named('bet')(e) && 'game_id' in e.payload).map((e) => e.payload['game_id']))
          .size,
    },
    {
      formula: `if(sequence(deposit, bet, bet where payload.bet >= 5, ${length}), 1, 0)`,
      plain: (asked) => Number(sequence(asked, ms, [named('deposit'), named('bet'), bigBet])),
    },
  ]
}

const timeQuestions = (zone: string): Question[] => [
  {
    formula: 'last(login) / 1s',
    plain: (asked) => {
      const age = sinceLast(asked, named('login'))
      return age === undefined ? undefined : Math.floor(age / 1000)
    },
  },
  { formula: 'streak(login, day)', plain: (asked) => streak(asked, zone, named('login')) },
  {
    formula: 'streak(deposit where payload.amount >= 30, week)',
    plain: (asked) => weekStreak(asked, zone, (e) => e.name === 'deposit' && Number(e.payload['amount']) >= 30),
  },
]

const ALL = '[login, bet, deposit]'

function ruleText(id: string, { formula, zone, filter }: { formula: string; zone: string; filter?: string }): string {
  const filters = filter === undefined ? '' : `, filters: ["${filter}"]`
  return `rule_id: ${id}\nwhen: { event_name: ${ALL}${filters} }\nscore: { formula: "${formula}", time_zone: ${zone} }`
}

interface Run {
  readonly arrivals: readonly PastEvent[]
  readonly cuts: readonly number[]
}

/** Feeds the arrivals in batches of these lengths; where one is 0 everything but the store is forgotten. */
async function run(texts: readonly string[], { arrivals, cuts }: Run): Promise<TestEngine> {
  const engine = new TestEngine(ruleSetOf(texts.map((text) => ({ rule: ruleOf(text), effectiveFrom: undefined }))))
  let at = 0
  for (const cut of [...cuts, arrivals.length]) {
    if (cut === 0) engine.restart()
    await engine.feed(arrivals.slice(at, at + cut).map(lineOf))
    at += cut
  }
  await engine.finish()
  expect(engine.output.dlq).toEqual([])
  return engine
}

/** By event and rule: the points, or that there was no number. */
function scoresOf(engine: TestEngine): Record<string, number | string> {
  return Object.fromEntries(
    engine.output.scores.map(({ value }) => [`${value.event_id} ${value.rule_id}`, value.reason ?? value.raw_points]),
  )
}

function expectedScores(events: readonly PastEvent[], questions: readonly Question[]): Record<string, number | string> {
  const scores: Record<string, number | string> = {}
  judgeAll(events, (asked) => {
    questions.forEach(({ plain }, i) => {
      const value = plain(asked)
      scores[`${asked.event.id} q${i}`] = value === undefined ? 'not_finite' : Math.floor(value + 1e-9)
    })
  })
  return scores
}

const cuts = fc.array(fc.nat(25), { maxLength: 8 })
/** The longest length of each granularity, and one or two that are no whole number of slices. */
const LENGTHS: readonly (readonly [string, number])[] = [
  ['1s', 1_000],
  ['90s', 90_000],
  ['5m', 300_000],
  ['301s', 301_000],
  ['1h', 3_600_000],
  ['61m', 3_660_000],
  ['6h', 6 * 3_600_000],
  ['24h', DAY],
  ['25h', 25 * 3_600_000],
  ['7d', 7 * DAY],
  ['8d', 8 * DAY],
  ['35d', 35 * DAY],
]

describe('what recent events come to, against a plain reference', () => {
  const start = Date.parse('2025-11-01T09:00:00Z')

  test.each(LENGTHS)(
    'over %s: the same in whatever order they arrive, however they are cut, with restarts',
    async (length, ms) => {
      const questions = windowQuestions(length, ms)
      const texts = questions.map(({ formula }, i) => ruleText(`q${i}`, { formula, zone: 'UTC' }))
      await fc.assert(
        fc.asyncProperty(streams(start), cuts, async ({ events, arrivals }, cuts) => {
          expect(scoresOf(await run(texts, { arrivals, cuts }))).toEqual(expectedScores(events, questions))
        }),
        { numRuns: 15, endOnFailure: true },
      )
    },
  )

  test.each([
    ['UTC', '2025-11-01T09:00:00Z'],
    ['Europe/Berlin', '2025-10-24T20:00:00Z'],
    ['Europe/Berlin', '2025-03-28T20:00:00Z'],
    ['America/New_York', '2025-10-31T20:00:00Z'],
    ['Asia/Kolkata', '2025-12-30T12:00:00Z'],
    ['Pacific/Auckland', '2025-09-26T06:00:00Z'],
    // Clocks were set back at one minute past midnight: the day before came again.
    ['America/St_Johns', '2010-11-05T20:00:00Z'],
    ['America/Havana', '2025-11-01T12:00:00Z'],
  ])('days and weeks in %s from %s on', async (zone, from) => {
    const questions = timeQuestions(zone)
    const texts = questions.map(({ formula }, i) => ruleText(`q${i}`, { formula, zone }))
    await fc.assert(
      fc.asyncProperty(streams(Date.parse(from)), cuts, async ({ events, arrivals }, cuts) => {
        expect(scoresOf(await run(texts, { arrivals, cuts }))).toEqual(expectedScores(events, questions))
      }),
      { numRuns: 25, endOnFailure: true },
    )
  })

  test('a day that comes again when clocks are set back counts once, and joins what it lies between', async () => {
    const zone = 'America/St_Johns'
    const questions = timeQuestions(zone)
    const texts = questions.map(({ formula }, i) => ruleText(`q${i}`, { formula, zone }))
    // 02:30:30 UTC is half a minute past midnight of the 7th, 02:31 is 23:01 of the 6th.
    const around = fc.constantFrom(
      '05T12:00:00',
      '06T20:00:00',
      '07T02:30:30',
      '07T02:31:00',
      '07T03:00:00',
      '07T12:00:00',
    )
    await fc.assert(
      fc.asyncProperty(
        fc.subarray([0, 1, 2, 3, 4, 5, 6, 7]),
        fc.array(around, { maxLength: 8 }),
        async (logins, times) => {
          const events = times.map((time, i) => ({
            id: `e${i}`,
            user: 'u',
            name: logins.includes(i) ? 'login' : 'bet',
            ts: Date.parse(`2010-11-${time}Z`),
            payload: logins.includes(i) ? {} : { bet: 1 },
          }))
          events.sort((a, b) => a.ts - b.ts)
          expect(scoresOf(await run(texts, { arrivals: events, cuts: [3] }))).toEqual(expectedScores(events, questions))
        },
      ),
      { numRuns: 150, endOnFailure: true },
    )
  })

  test('as conditions: a rule matches where they hold', async () => {
    const filter = 'count(deposit, 7d) >= 2 and (last(login) >= 30m or not exists(last(login))) and payload.bet > 1'
    const formula = 'if(sequence(login, bet, 2h), 2, 1)'
    const text = ruleText('r', { formula, zone: 'UTC', filter })
    await fc.assert(
      fc.asyncProperty(streams(start), cuts, async ({ events, arrivals }, cuts) => {
        const expected: Record<string, number> = {}
        judgeAll(events, (asked) => {
          const login = sinceLast(asked, named('login'))
          if (within(asked, 7 * DAY, named('deposit')).length < 2 || (login !== undefined && login < 1_800_000)) return
          if (!(Number(asked.event.payload['bet']) > 1)) return
          expected[`${asked.event.id} r`] = sequence(asked, 7_200_000, [named('login'), named('bet')]) ? 2 : 1
        })
        expect(scoresOf(await run([text], { arrivals, cuts }))).toEqual(expected)
      }),
      { numRuns: 60, endOnFailure: true },
    )
  })
})
