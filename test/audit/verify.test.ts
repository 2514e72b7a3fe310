import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Finding } from '../../core/audit/findings.ts'
import { seededRandom } from '../../core/random.ts'
import { entryOf, MadeLog } from './made-logs.ts'
import { TAMPER, type Traces } from './tamperings.ts'

const RUNS = Number(process.env['ONCEWARD_FUZZ'] ?? 1_000)

/** How one log comes to be. */
interface Life {
  /** Of each record, and how many go into one call. */
  readonly calls: readonly {
    readonly sizes: readonly number[]
    readonly anchored: boolean
    readonly reopened: boolean
  }[]
  readonly segmentBytes: number
}

const lives: fc.Arbitrary<Life> = fc.record({
  calls: fc.array(
    fc.record({
      sizes: fc.array(fc.nat(40), { minLength: 1, maxLength: 5 }),
      anchored: fc.nat(2).map((one) => one === 0),
      reopened: fc.nat(3).map((one) => one === 0),
    }),
    { minLength: 2, maxLength: 8 },
  ),
  segmentBytes: fc.integer({ min: 500, max: 5_000 }),
})

async function live(made: MadeLog, stream: string, { calls, segmentBytes }: Life): Promise<void> {
  let log = await made.open(stream, { segmentBytesMax: segmentBytes })
  let n = 0
  for (const { sizes, anchored, reopened } of calls) {
    await log.append(sizes.map((size) => entryOf((n += 1), size)))
    if (anchored) await made.anchored(log)
    if (!reopened) continue
    await log.close()
    log = await made.open(stream, { segmentBytesMax: segmentBytes })
  }
  await log.close()
}

function names({ where, records }: Traces): (finding: Finding) => boolean {
  return (finding) => {
    if (where.length > 0 && !where.includes(finding.where ?? '') && !where.includes(finding.place ?? '')) return false
    if (records === undefined) return true
    const first = finding.seq ?? Number.POSITIVE_INFINITY
    return first <= records[1] && (finding.lastSeq ?? first) >= records[0]
  }
}

describe('verification', () => {
  test(`finds each of ${RUNS} tamperings and names its place`, { timeout: 600_000 }, async () => {
    const found = new Map<string, number>()
    const property = fc.asyncProperty(
      lives,
      fc.constantFrom(...Object.keys(TAMPER)),
      fc.integer(),
      async (life, kind, seed) => {
        const made = await MadeLog.begin()
        try {
          await live(made, 'stream', life)
          await live(made, 'other', {
            calls: [{ sizes: [1, 2], anchored: true, reopened: false }],
            segmentBytes: 5_000,
          })
          const random = seededRandom(seed)
          const traces = await TAMPER[kind]?.({
            made,
            stream: 'stream',
            segments: await made.segments('stream'),
            random,
          })
          if (traces === undefined) return
          const { findings } = await made.verify()
          found.set(kind, (found.get(kind) ?? 0) + 1)
          expect(findings.filter(({ stream }) => stream !== 'stream')).toEqual([])
          expect({ kind, traces, findings, named: findings.some(names(traces)) }).toMatchObject({ named: true })
          expect({ kind, traces, findings, few: findings.length < 8 }).toMatchObject({ few: true })
        } finally {
          await made.remove()
        }
      },
    )
    await fc.assert(property, { numRuns: RUNS })
    expect([...found.keys()].sort()).toEqual(Object.keys(TAMPER).sort())
  })

  test(`finds nothing in ${RUNS} logs that nobody touched`, { timeout: 600_000 }, async () => {
    const property = fc.asyncProperty(lives, async (life) => {
      const made = await MadeLog.begin()
      try {
        await live(made, 'stream', life)
        const { findings, streams } = await made.verify()
        expect(findings).toEqual([])
        const records = life.calls.reduce((sum, { sizes }) => sum + sizes.length, 0)
        expect(streams).toMatchObject([
          { stream: 'stream', records, last: records, anchored: records, closed: true, torn: 0 },
        ])
      } finally {
        await made.remove()
      }
    })
    await fc.assert(property, { numRuns: RUNS })
  })
})
