import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../core/durations.ts'
import { eventLine, type Line, TestEngine, testRule } from '../support/engine.ts'
import { again, T0 } from './support.ts'

const RUNS = Number(process.env['ONCEWARD_FUZZ'] ?? 300)

/** One thing that happens to a partition. Numbers that pick an event do so modulo how many there are. */
type Step =
  | { readonly kind: 'event'; readonly back: number }
  /** One that was sent before: as it was; as a person sends a letter again; or as one that says it was no late one. */
  | { readonly kind: 'repeat' | 'reprocess' | 'reprocess-other'; readonly which: number }
  | { readonly kind: 'pass'; readonly ms: number; readonly tick: boolean }
  | { readonly kind: 'cut' | 'restart' | 'rebuild' }

/** Whole half hours, so that times often fall on the very instants at which something is forgotten; and beside them. */
const near = (...at: readonly number[]): fc.Arbitrary<number> =>
  fc.tuple(fc.constantFrom(...at), fc.constantFrom(-1, 0, 0, 1)).map(([ms, by]) => Math.max(0, ms + by))
const backs = fc.oneof(
  fc.constantFrom(0, 0, 1, 59_999, MINUTE_MS),
  near(MINUTE_MS, HOUR_MS / 2, HOUR_MS, 5 * HOUR_MS, 23 * HOUR_MS, DAY_MS - HOUR_MS / 2, DAY_MS, DAY_MS + HOUR_MS),
)
const which = fc.nat(1_000)
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('event' as const), back: backs }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('repeat' as const), which }) },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('reprocess' as const), which }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('reprocess-other' as const), which }) },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('pass' as const),
        ms: fc.oneof(
          fc.constantFrom(MINUTE_MS, HOUR_MS / 2, HOUR_MS, 12 * HOUR_MS),
          near(DAY_MS - HOUR_MS, DAY_MS, DAY_MS + HOUR_MS),
        ),
        tick: fc.boolean(),
      }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('cut', 'cut', 'restart', 'rebuild' as const) }) },
  ),
  { minLength: 10, maxLength: 80, size: 'max' },
) as fc.Arbitrary<Step[]>

interface Sent {
  readonly id: string
  readonly ts: number
}

/** What S19 and decision 12 say of one partition, as plainly as it can be. */
class Model {
  watermark = Number.NEGATIVE_INFINITY
  readonly seen = new Map<string, number>()
  readonly counts = { unique: 0, duplicates: 0, late: 0 }
  readonly scored: string[] = []
  /** Scored after it had been late. */
  late = 0

  take({ id, ts }: Sent, wasLate: boolean): void {
    const before = this.seen.get(id)
    const isLate = ts < this.watermark - MINUTE_MS
    if (before !== undefined && before >= this.watermark - DAY_MS) this.counts.duplicates++
    else if (isLate && !(wasLate && ts >= this.watermark - DAY_MS)) this.counts.late++
    else {
      this.counts.unique++
      this.seen.set(id, ts)
      this.scored.push(id)
      this.watermark = Math.max(this.watermark, ts)
      if (isLate) this.late++
    }
  }
}

/** Sends the steps through the engine, in batches as they are cut. */
async function run(all: readonly Step[], model: Model): Promise<TestEngine> {
  const engine = new TestEngine([testRule({ ruleId: 'r' }), testRule({ ruleId: 's', ordering: 'strict' })])
  const sent: Sent[] = []
  let batch: Line[] = []
  let now = T0
  const flush = async (): Promise<void> => {
    await engine.feed(batch)
    while (engine.overdue) await engine.feed([])
    batch = []
  }
  const send = ({ id, ts }: Sent, header?: string): void => {
    batch.push({ value: eventLine({ id, ts }), ...(header === undefined ? {} : { again: header }) })
  }
  for (const step of all) {
    if (step.kind === 'event') {
      const event = { id: `e${sent.length}`, ts: now - step.back }
      sent.push(event)
      model.take(event, false)
      send(event)
    } else if (step.kind === 'pass') {
      now += step.ms
      if (step.tick) {
        batch.push({ value: '', tick: now })
        model.watermark = Math.max(model.watermark, now)
      }
    } else if ('which' in step) {
      const event = sent[step.which % Math.max(1, sent.length)]
      if (event === undefined) continue
      model.take(event, step.kind === 'reprocess')
      const was = step.kind === 'reprocess' ? 'late' : 'schema'
      send(event, step.kind === 'repeat' ? undefined : again(was))
    } else {
      await flush()
      if (step.kind === 'restart') engine.restart()
      if (step.kind === 'rebuild') await engine.rebuild()
    }
  }
  await flush()
  await engine.finish()
  return engine
}

test('whatever is sent again, and however often, each event is scored once at most, and counted once', async () => {
  let [late, tooOld, repeats] = [0, 0, 0]
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const model = new Model()
      const { output } = await run(all, model)
      const { events, unique, duplicates, late: letters } = output.counts
      expect({ unique, duplicates, late: letters }).toEqual(model.counts)
      expect(events).toBe(unique + duplicates + letters)
      const scored = output.scores.filter(({ value }) => value.rule_id === 'r').map(({ value }) => value.event_id)
      expect(scored).toEqual(model.scored)
      expect(new Set(scored).size).toBe(scored.length)
      // The strict lane is told of every one, and gives nothing for those that came after their turn.
      const strict = output.scores.filter(({ value }) => value.rule_id === 's')
      expect(strict.map(({ value }) => value.event_id).sort()).toEqual(scored.toSorted())
      expect(strict.filter(({ value }) => value.reason === 'late_strict').length).toBe(model.late)
      late += model.late
      tooOld += output.dlq.filter(({ value }) => value.detail.includes('too old to be counted')).length
      repeats += duplicates
    }),
    { numRuns: RUNS },
  )
  // What is compared is there in numbers.
  expect({ late: late > RUNS / 2, tooOld: tooOld > RUNS, repeats: repeats > RUNS }).toEqual({
    late: true,
    tooOld: true,
    repeats: true,
  })
}, 300_000)
