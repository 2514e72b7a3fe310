import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../core/durations.ts'
import type { Caps, CompiledRule } from '../../rules/compiled.ts'
import { eventLine, type Line, TestEngine, testRule } from '../support/engine.ts'
import { reference } from '../support/reference.ts'
import { again, T0 } from './support.ts'

const RUNS = Number(process.env['ONCEWARD_FUZZ'] ?? 150)
const THRESHOLDS = [10, 25, 60, 200]

interface RuleParts {
  readonly caps: Caps
  readonly reset: 'never' | 'daily' | 'weekly' | 'monthly'
  readonly timeZone: string
}

/** An event of a player: when it happened, when it arrives, and when a person sends it again should it have been late. */
interface Happening {
  readonly points: number
  readonly at: number
  readonly delay: number
  readonly review: number
}

/** Small, so that they cut. */
const cap = (most: number): fc.Arbitrary<number | undefined> =>
  fc.option(fc.integer({ min: 0, max: most }), { nil: undefined, freq: 3 })
const caps: fc.Arbitrary<Caps> = fc
  .tuple(cap(12), cap(25), cap(60), cap(120))
  .map(([perBet, perMinute, perHour, perDay]) => ({
    ...(perBet === undefined ? {} : { perBet }),
    ...(perMinute === undefined ? {} : { perMinute }),
    ...(perHour === undefined ? {} : { perHour }),
    ...(perDay === undefined ? {} : { perDay }),
  }))
const ruleParts: fc.Arbitrary<RuleParts> = fc.record({
  caps,
  reset: fc.constantFrom('never', 'daily', 'weekly', 'monthly' as const),
  timeZone: fc.constantFrom('UTC', 'Europe/Istanbul', 'America/New_York', 'Australia/Lord_Howe'),
})
/** In bursts, so that minutes and hours fill. New York sets its clock back on the 2nd of November 2025 at 6:00 UTC. */
const START = T0 - 45 * HOUR_MS
const happening: fc.Arbitrary<Happening> = fc.record({
  points: fc.integer({ min: 0, max: 15 }),
  at: fc
    .tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 3 * MINUTE_MS }))
    .map(([hours, ms]) => START + hours * HOUR_MS + ms),
  delay: fc.oneof(
    { weight: 5, arbitrary: fc.nat(50_000) },
    { weight: 3, arbitrary: fc.integer({ min: MINUTE_MS, max: 6 * HOUR_MS }) },
    { weight: 1, arbitrary: fc.integer({ min: 6 * HOUR_MS, max: 30 * HOUR_MS }) },
  ),
  review: fc.oneof(fc.integer({ min: 0, max: 10 * HOUR_MS }), fc.integer({ min: 0, max: DAY_MS })),
})

const ruleOf = (parts: RuleParts, i: number): CompiledRule =>
  testRule({
    ruleId: `r${i}`,
    ordering: i === 2 ? 'strict' : 'any',
    timeZone: parts.timeZone,
    caps: parts.caps,
    points: ({ eventId }) => ({ ok: true, points: Number(eventId.split('-')[1]) }),
    trigger: { thresholds: THRESHOLDS, rewards: THRESHOLDS.map(() => ({ type: 'fs', amount: 1 })), reset: parts.reset },
  })

/** The records in the order in which they come, ids and points in one: `e3-12`. */
function linesOf(happenings: readonly Happening[]): Line[] {
  const arrivals = happenings.flatMap(({ points, at, delay, review }, i) => {
    const value = eventLine({ id: `e${i}-${points}`, ts: at })
    const first = { when: at + delay, line: { value } }
    // It is sent again whatever has become of it, as nobody ever should; and twice.
    const second = { value, again: again('late') }
    return [first, ...[0, HOUR_MS].map((later) => ({ when: at + delay + review + later, line: second }))]
  })
  return arrivals.sort((a, b) => a.when - b.when).map(({ line }) => line)
}

async function run(
  rules: readonly CompiledRule[],
  lines: readonly Line[],
  cuts: readonly number[],
): Promise<TestEngine> {
  const engine = new TestEngine(rules)
  let rest = lines
  for (let i = 0; rest.length > 0; i++) {
    const size = 1 + (cuts[i % cuts.length] ?? 0)
    await engine.feed(rest.slice(0, size))
    while (engine.overdue) await engine.feed([])
    rest = rest.slice(size)
    if (size % 3 === 0) engine.restart()
    if (size % 7 === 0) await engine.rebuild()
  }
  await engine.finish()
  return engine
}

/** Points and rewards by a plain reading of the events of `ids`, in order of time, as if each had come in time. */
function plainly(happenings: readonly Happening[], ids: ReadonlySet<string>, parts: RuleParts, ruleId: string) {
  const named = happenings.map(({ points, at }, i) => ({ id: `e${i}-${points}`, at }))
  const lines = named
    .filter(({ id }) => ids.has(id))
    .sort((a, b) => a.at - b.at)
    .map(({ id, at }) => eventLine({ id, ts: at }))
  const { caps: given, timeZone, reset } = parts
  const rule = {
    ruleId,
    eventName: 'login',
    formula: ({ event_id: id }: { event_id: string }) => Number(id.split('-')[1]),
    caps: given,
    timeZone,
    reset,
    thresholds: THRESHOLDS,
  }
  return reference(lines, { rules: [rule] })
}

test('totals are those of a run in which every event that was sent again had come in time, or the record says why not', async () => {
  const sums = { counted: 0, forgotten: 0, cut: 0, tooOld: 0 }
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(ruleParts, ruleParts, ruleParts),
      fc.array(happening, { minLength: 5, maxLength: 60, size: 'max' }),
      fc.array(fc.nat(20), { minLength: 1, maxLength: 12 }),
      async (allParts, happenings, cuts) => {
        const rules = allParts.map(ruleOf)
        const lines = linesOf(happenings)
        const engine = await run(rules, lines, cuts)
        const { scores, dlq, counts } = engine.output
        expect(counts.events).toBe(counts.unique + counts.duplicates + counts.late)
        // Where batches are cut makes no difference to anything.
        const other = await run(rules, lines, [lines.length])
        expect(scores).toEqual(other.output.scores)
        expect(engine.rewards()).toEqual(other.rewards())
        // Of every late event that counts the strict rule says that it cannot take it.
        const late = new Set(scores.flatMap(({ value }) => (value.reason === 'late_strict' ? [value.event_id] : [])))
        for (const [i, parts] of allParts.entries()) {
          const ruleId = `r${i}`
          const mine = scores.map(({ value }) => value).filter(({ rule_id: id }) => id === ruleId)
          expect(mine.length).toBe(counts.unique)
          const refused = mine.filter(({ reason }) => reason !== undefined)
          for (const { points, detail } of refused) expect([points, typeof detail]).toEqual([0, 'string'])
          const counted = new Set(mine.filter(({ reason }) => reason === undefined).map(({ event_id: id }) => id))
          const expected = plainly(happenings, counted, parts, ruleId)
          expect(engine.points()[`u|${ruleId}`] ?? 0).toBe(expected.points[`u|${ruleId}`] ?? 0)
          expect(engine.rewards().filter((text) => text.startsWith(`u|${ruleId}|`))).toEqual(expected.rewards)
          sums.forgotten += refused.filter(({ reason }) => reason === 'late_window_forgotten').length
          const lateOnes = mine.filter((score) => late.has(score.event_id))
          sums.counted += lateOnes.filter(({ points }) => points > 0).length
          sums.cut += lateOnes.filter(({ cut_by: by }) => by !== null).length
        }
        sums.tooOld += dlq.filter(({ value }) => value.detail.includes('too old')).length
      },
    ),
    { numRuns: RUNS },
  )
  const enough = Object.fromEntries(Object.entries(sums).map(([what, count]) => [what, count >= RUNS / 2]))
  expect(enough).toEqual({ counted: true, forgotten: true, cut: true, tooOld: true })
}, 300_000)
