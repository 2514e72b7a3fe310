import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openEmbeddedLog } from '../../connectors/log/embedded/log.ts'
import { systemClock } from '../../core/clock.ts'
import { FaultyKv } from './faulty-kv.ts'
import { type Found, foundIn, Runner, steps, TOPIC, type World } from './log-model.ts'

async function worldOn(kv: FaultyKv): Promise<World> {
  const open = () => openEmbeddedLog({ kv, clock: systemClock, tailBytes: 300 })
  const log = await open()
  await log.createTopics([{ topic: TOPIC, partitions: 2, cleanup: 'delete' }])
  const world: World = {
    log,
    reopen: async () => {
      await world.log.close()
      return open()
    },
    fail: (fault) => {
      kv.fault = fault
    },
  }
  return world
}

describe('embedded log against a model of plain arrays', () => {
  test('any sequence of appends, transactions, fencing, restarts and failing writes reads as the model says', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const world = await worldOn(new FaultyKv())
        const runner = new Runner(world)
        for (const step of sequence) {
          await runner.take(step)
          await runner.model.compare(world.log)
        }
        await world.log.close()
      }),
      { numRuns: 150 },
    )
  })

  test('a crash between any two writes leaves what was written, with open transactions aborted', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const kv = new FaultyKv()
        const world = await worldOn(kv)
        const runner = new Runner(world)
        const states: { writes: number; found: Found }[] = []
        const note = () => states.push({ writes: kv.writes.length, found: runner.model.afterRestart() })
        note()
        for (const step of sequence.filter(({ do: name }) => name !== 'reopen')) {
          await runner.take(step)
          note()
        }
        await world.log.close()
        for (let writes = states[0]?.writes ?? 0; writes <= kv.writes.length; writes++) {
          const log = await openEmbeddedLog({ kv: await kv.crashedAfter(writes), clock: systemClock })
          const found = await foundIn(log)
          const exact = states.findLast((state) => state.writes === writes)
          const between = [
            states.findLast((state) => state.writes < writes),
            states.find((state) => state.writes > writes),
          ]
          if (exact) expect(found).toEqual(exact.found)
          else expect(between.map((state) => state?.found)).toContainEqual(found)
          await log.close()
        }
      }),
      { numRuns: 40 },
    )
  })
})
