import * as fc from 'fast-check'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { openEmbeddedLog } from '../../connectors/log/embedded/log.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { Standbys } from '../../pipeline/standbys.ts'
import { memoryKv } from '../../state/memory-kv.ts'
import { fastClock } from '../support/clocks.ts'
import { Disk } from '../support/disk.ts'

const steps = fc.array(
  fc.record({
    want: fc.option(fc.subarray([0, 1, 2]), { nil: undefined }),
    release: fc.option(fc.nat(2), { nil: undefined }),
    /** Turns of the event loop before the next step. */
    turns: fc.nat(3),
  }),
  { minLength: 1, maxLength: 8 },
)

test('whatever the group wants and the worker takes away meanwhile: a released store is free, a store has one user', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const clock = fastClock()
      const log = await openEmbeddedLog({ kv: memoryKv(), clock, maintenanceIntervalMs: 0 })
      await log.createTopics([{ topic: 'changelog', partitions: 3, cleanup: 'compact' }])
      const disk = new Disk()
      const open = new Set<number>()
      const warnings: string[] = []
      const standbys = new Standbys({
        log,
        clock,
        logger: {
          ...silentLogger,
          warn: (fields: object, line: string) => void warnings.push(line + JSON.stringify(fields)),
        },
        application: 'app',
        changelog: 'changelog',
        deleteRetentionMs: 60_000,
        openStore: async (partition) => {
          const kv = await disk.open(partition)
          open.add(partition)
          const close = kv.close.bind(kv)
          kv.close = async () => {
            // A disk takes its time.
            await turn()
            open.delete(partition)
            await close()
          }
          return kv
        },
      })
      for (const { want, release, turns } of all) {
        if (want !== undefined) standbys.want(want)
        if (release !== undefined) {
          await standbys.release(release)
          expect(open.has(release)).toBe(false)
          for (let i = 0; i < 3; i++) await turn()
          expect(open.has(release)).toBe(false)
        }
        for (let i = 0; i < turns; i++) await turn()
      }
      await standbys.close()
      for (let i = 0; i < 3; i++) await turn()
      expect(open.size).toBe(0)
      expect(warnings).toEqual([])
      await log.close()
    }),
    { numRuns: 300 },
  )
})
