import * as fc from 'fast-check'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Finding } from '../../core/audit/findings.ts'
import { seededRandom } from '../../core/random.ts'
import { die, type DiskFaults, faultyDisk } from './faulty-disk.ts'
import { entryOf, MadeLog, quickDisk } from './made-logs.ts'
import { TAMPER, type Traces } from './tamperings.ts'

const RUNS = Number(process.env['ONCEWARD_FUZZ'] ?? 1_000)

const AFTERWARDS = ['goes on', 'goes on', 'is opened again', 'dies'] as const

/** How one log comes to be. */
interface Life {
  /** Of each record, and how many go into one call. */
  readonly calls: readonly {
    readonly sizes: readonly number[]
    readonly anchored: boolean
    readonly afterwards: (typeof AFTERWARDS)[number]
    /** How much of a further call a dying writer still writes. */
    readonly share: number
  }[]
  readonly segmentBytes: number
  /** Everything closed is retired at the end. */
  readonly retired: boolean
}

const lives: fc.Arbitrary<Life> = fc.record({
  calls: fc.array(
    fc.record({
      sizes: fc.array(fc.nat(40), { minLength: 1, maxLength: 5 }),
      anchored: fc.nat(2).map((one) => one === 0),
      afterwards: fc.constantFrom(...AFTERWARDS),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    { minLength: 2, maxLength: 8 },
  ),
  segmentBytes: fc.integer({ min: 500, max: 5_000 }),
  retired: fc.nat(15).map((one) => one === 0),
})

const OTHER: Life = {
  calls: [{ sizes: [1, 2], anchored: true, afterwards: 'goes on', share: 0 }],
  segmentBytes: 5_000,
  retired: false,
}

/** Answers how many records were acknowledged. */
async function live(made: MadeLog, stream: string, { calls, segmentBytes, retired }: Life): Promise<number> {
  const faults: DiskFaults = {}
  const options = { segmentBytesMax: segmentBytes, disk: faultyDisk(faults, quickDisk) }
  let log = await made.open(stream, options)
  let n = 0
  for (const { sizes, anchored, afterwards, share } of calls) {
    await log.append(sizes.map((size) => entryOf((n += 1), size)))
    if (anchored) await made.anchored(log)
    if (afterwards === 'goes on') continue
    if (afterwards === 'dies') {
      faults.write = (bytes) => ({ written: Math.floor(bytes * share), code: 'EIO' })
      faults.truncate = () => 'EIO'
      await log.append([entryOf(0, 20), entryOf(0, 20)]).catch(() => undefined)
      await die(log, join(made.folder, stream), faults)
      for (const fault of Object.keys(faults)) delete faults[fault as keyof DiskFaults]
    } else {
      await log.close()
    }
    log = await made.open(stream, options)
  }
  await log.close()
  if (retired) await made.retire()
  return n
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
          await live(made, 'stream', { ...life, retired: false })
          await live(made, 'other', OTHER)
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
        const acknowledged = await live(made, 'stream', life)
        const { findings, streams } = await made.verify()
        expect(findings).toEqual([])
        const stream = streams.find(({ stream }) => stream === 'stream')
        expect(stream).toMatchObject({ closed: true, torn: 0, anchored: stream?.last })
        expect(stream?.last).toBeGreaterThanOrEqual(acknowledged)
      } finally {
        await made.remove()
      }
    })
    await fc.assert(property, { numRuns: RUNS })
  })
})
