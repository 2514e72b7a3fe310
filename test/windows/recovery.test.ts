import * as fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import { Disk } from '../support/disk.ts'
import { expectFold, Lab, valuesOf } from '../support/worker-harness.ts'
import { judgeAll, sinceLast, streak, sum, within } from './reference.ts'
import { lineOf, type Stream, streams } from './streams.ts'

const HOUR = 3_600_000
const START = Date.parse('2025-11-01T09:00:00Z')
/** Beyond every event. */
const END = START + 365 * 24 * HOUR

const RULES = {
  'busy.yaml': `
rule_id: r_busy
when: { event_name: bet, filters: ["count(deposit, 7d) >= 1", "streak(login, day) >= 1"] }
score: { formula: "sum(bet.payload.bet, 24h) * 4 + streak(login, day)", caps: { per_day: 900 } }
reward_trigger: { on_progress: { threshold: [50, 400], reward: { type: fs, value: 5 } } }
`,
  'back.yaml': `
rule_id: r_back
when: { event_name: [bet, login], filters: ["last(login) >= 12h"] }
score: { formula: "1 + distinct(bet.payload.game_id, 35d)" }
`,
}

/** event and rule → points before caps. */
function expected({ events }: Stream): Record<string, number> {
  const scores: Record<string, number> = {}
  judgeAll(events, (asked) => {
    const { event } = asked
    const days = streak(asked, 'UTC', ({ name }) => name === 'login')
    const deposits = within(asked, 168 * HOUR, ({ name }) => name === 'deposit').length
    if (event.name === 'bet' && deposits >= 1 && days >= 1) {
      const bets = within(asked, 24 * HOUR, ({ name }) => name === 'bet').map(({ payload }) => Number(payload['bet']))
      scores[`${event.id} r_busy`] = Math.floor(sum(bets) * 4) + days
    }
    const away = sinceLast(asked, ({ name }) => name === 'login')
    if (event.name !== 'deposit' && away !== undefined && away >= 12 * HOUR) {
      const games = within(asked, 35 * 24 * HOUR, ({ name, payload }) => name === 'bet' && 'game_id' in payload)
      scores[`${event.id} r_back`] = 1 + new Set(games.map(({ payload }) => payload['game_id'])).size
    }
  })
  return scores
}

let labs: Lab[] = []
afterEach(async () => {
  await Promise.all(labs.map((lab) => lab.close()))
  labs = []
})

async function openLab(): Promise<Lab> {
  const lab = await Lab.open({ partitions: 2, rules: RULES })
  labs.push(lab)
  return lab
}

async function scored(lab: Lab): Promise<Record<string, number>> {
  const { scores } = await lab.results()
  return Object.fromEntries(scores.map((score) => [`${score.event_id} ${score.rule_id}`, score.raw_points]))
}

test('windows survive workers that are killed, and disks that are lost: the changelog has them', async () => {
  const ends = fc.constantFrom('stop', 'kill', 'lose' as const)
  await fc.assert(
    fc.asyncProperty(streams(START), fc.array(ends, { minLength: 1, maxLength: 3 }), async (stream, fates) => {
      const lab = await openLab()
      const lines = stream.arrivals.map((event) => lineOf(event).value)
      const part = Math.ceil(lines.length / (fates.length + 1))
      let disk = new Disk()
      for (const [i, fate] of fates.entries()) {
        const worker = lab.start({ disk, batchBytesMax: 1_500 })
        await lab.produce(lines.slice(i * part, (i + 1) * part))
        await (fate === 'stop'
          ? lab.caughtUp()
          : lab.until('it has begun', async () => worker.batches > 0 || (await lab.isCaughtUp())))
        await (fate === 'stop' ? worker.stop() : worker.kill())
        disk = fate === 'lose' ? new Disk() : worker.disk
      }
      const last = lab.start({ disk })
      await lab.produce(lines.slice(fates.length * part))
      await lab.tick(END)
      await lab.caughtUp()
      expect(await scored(lab)).toEqual(expected(stream))
      await last.stop()
      for (const partition of [0, 1]) await expectFold(lab, last.disk, partition)
    }),
    { numRuns: 15, endOnFailure: true },
  )
})

test('a replay by a new application, in batches of another size, gives the same scores and rewards', async () => {
  const [stream] = fc.sample(streams(START, 200), { numRuns: 1, seed: 7 })
  if (stream === undefined) throw new Error('there is a stream')
  const lab = await openLab()
  const first = lab.start({ batchBytesMax: 700 })
  await lab.produce(stream.arrivals.map((event) => lineOf(event).value))
  await lab.tick(END)
  await lab.caughtUp()
  await first.stop()
  expect(await scored(lab)).toEqual(expected(stream))
  const topics = await lab.createOutputs('replay.')
  lab.start({ application: 'replay', topics, batchBytesMax: 20_000 })
  await lab.caughtUp('replay')
  const original = valuesOf(await lab.results())
  expect(original.some((value) => value.includes('reward_task'))).toBe(true)
  expect(valuesOf(await lab.results(topics))).toEqual(original)
})
