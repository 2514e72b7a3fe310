import * as fc from 'fast-check'
import { appendFile, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readLine } from '../../core/audit/lines.ts'
import { decideReopening, type SegmentEnd } from '../../core/audit/reopening.ts'
import type { AuditLogOptions } from '../../connectors/audit/audit-log.ts'
import type { AuditFile } from '../../connectors/audit/disk.ts'
import { Tape } from '../../connectors/audit/tape.ts'
import { die, type DiskFaults, faultyDisk } from './faulty-disk.ts'
import { entryOf, MadeLog, quickDisk, readLines } from './made-logs.ts'

let made: MadeLog
beforeEach(async () => {
  made = await MadeLog.begin()
})
afterEach(() => made.remove())

const RUNS = Number(process.env['ONCEWARD_FUZZ'] ?? 60)

/** Numbers `n` of the records that stand in the stream, in its order. */
async function standing(of: MadeLog): Promise<number[]> {
  const numbers: number[] = []
  for (const segment of await of.segments('s')) {
    for (const text of await readLines(of.path('s', segment))) {
      const line = readLine(Buffer.from(text))
      if (line.type !== 'record' || line.kind === 'recovery') continue
      numbers.push((JSON.parse(line.body) as { n: number }).n)
    }
  }
  return numbers
}

const unwritable = { code: 'ONCEWARD_E_AUDIT_UNWRITABLE' }

describe('a disk that fails', () => {
  test.each(['ENOSPC', 'EIO', 'EROFS', 'EDQUOT'])(
    '%s refuses the call, leaves no trace of it, and the next succeeds',
    async (code) => {
      const faults: DiskFaults = {}
      const log = await made.open('s', { disk: faultyDisk(faults, quickDisk) })
      await log.append([entryOf(1, 1)])
      faults.write = (bytes) => ({ written: Math.floor(bytes * 0.7), code })
      await expect(log.append([entryOf(2, 1), entryOf(3, 1)])).rejects.toMatchObject(unwritable)
      await expect(log.append([entryOf(4, 1)])).rejects.toMatchObject(unwritable)
      expect(log.state()).toMatchObject({ seq: 1, refused: 2 })
      delete faults.write
      await log.append([entryOf(5, 1)])
      await log.close()
      expect(await standing(made)).toEqual([1, 5])
      expect((await made.verify()).findings).toEqual([])
    },
  )

  test('as long as what a failed write left cannot be cut, nothing is taken', async () => {
    const faults: DiskFaults = {}
    const log = await made.open('s', { disk: faultyDisk(faults, quickDisk) })
    await log.append([entryOf(1, 1)])
    faults.write = () => ({ written: 150, code: 'EIO' })
    faults.truncate = () => 'EIO'
    await expect(log.append([entryOf(2, 1)])).rejects.toMatchObject(unwritable)
    delete faults.write
    await expect(log.append([entryOf(3, 1)])).rejects.toMatchObject(unwritable)
    delete faults.truncate
    await log.append([entryOf(4, 1)])
    await log.close()
    expect(await standing(made)).toEqual([1, 4])
    expect((await made.verify()).findings).toEqual([])
  })

  test('where every call waits for the disk, one whose sync fails does not count', async () => {
    const faults: DiskFaults = {}
    const log = await made.open('s', { disk: faultyDisk(faults, quickDisk), syncMs: 0 })
    await log.append([entryOf(1, 1)])
    faults.sync = () => 'EIO'
    await expect(log.append([entryOf(2, 1)])).rejects.toMatchObject(unwritable)
    delete faults.sync
    await log.append([entryOf(3, 1)])
    await log.close()
    expect(await standing(made)).toEqual([1, 3])
  })

  test('after a sync that failed nothing is acknowledged until what it may have lost is written and synced again', async () => {
    const faults: DiskFaults = {}
    let writes = 0
    const log = await made.open('s', { disk: faultyDisk(faults, quickDisk) })
    await log.append([entryOf(1, 1)])
    faults.sync = () => 'EIO'
    faults.write = () => void (writes += 1)
    made.clock.advance(1_000)
    await expect
      .poll(() =>
        log.append([entryOf(2, 1)]).then(
          () => 'taken',
          () => 'refused',
        ),
      )
      .toBe('refused')
    delete faults.sync
    writes = 0
    await log.append([entryOf(3, 1)])
    // The doubtful bytes once more, then the new ones.
    expect(writes).toBe(2)
    await log.close()
    expect((await standing(made)).filter((n) => n !== 2)).toEqual([1, 3])
    expect((await made.verify()).findings).toEqual([])
  })

  test('a segment that cannot be begun or ended is tried again, and the chain has no break', async () => {
    const faults: DiskFaults = {}
    const log = await made.open('s', { disk: faultyDisk(faults, quickDisk), segmentBytesMax: 300 })
    for (let n = 1; n <= 12; n += 1) {
      if (n % 3 === 0) faults.create = () => 'ENOSPC'
      if (n % 4 === 0) faults.write = () => ({ written: 100, code: 'ENOSPC' })
      await log.append([entryOf(n, 1)]).catch(() => undefined)
      delete faults.create
      delete faults.write
    }
    await log.close()
    expect((await made.verify()).findings).toEqual([])
    expect((await standing(made)).length).toBe(log.state().seq)
  })

  test('somebody else who writes into the file is noticed, and what they wrote stays', async () => {
    const log = await made.open('s')
    await log.append([entryOf(1, 1)])
    const [segment = ''] = await made.segments('s')
    await appendFile(made.path('s', segment), 'foreign\n')
    await expect(log.append([entryOf(2, 1)])).rejects.toMatchObject(unwritable)
    await expect(log.close()).rejects.toMatchObject(unwritable)
    expect(await readFile(made.path('s', segment), 'utf8')).toMatch(/foreign\n$/)
  })

  test('a place of anchors that fails holds up no append, is counted, and gets the newest head later', async () => {
    let broken = true
    const far = {
      name: 'far away',
      unbroken: false,
      open: async (stream: string) => {
        const chain = await made.farAway.open(stream)
        return {
          ...chain,
          write: (...head: Parameters<typeof chain.write>) =>
            broken ? Promise.reject(new Error('away')) : chain.write(...head),
        }
      },
    }
    const log = await made.open('s', { anchors: [far] })
    for (let n = 1; n <= 3; n += 1) {
      await log.append([entryOf(n, 1)])
      const failures = log.state().anchors[0]?.failures ?? 0
      await expect.poll(() => (made.clock.advance(1_000), log.state().anchors[0]?.failures)).toBeGreaterThan(failures)
    }
    broken = false
    await made.anchored(log)
    expect(made.farAway.lines).toHaveLength(1)
    await log.close()
  })
})

describe('a writer that was killed', () => {
  test('loses nothing that it acknowledged, wherever it died, and the next one says what was cut', {
    timeout: 120_000,
  }, async () => {
    const lives = fc.array(
      fc.record({ calls: fc.integer({ min: 1, max: 6 }), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
      {
        minLength: 1,
        maxLength: 5,
      },
    )
    const property = fc.asyncProperty(lives, fc.integer({ min: 300, max: 2_000 }), async (deaths, segmentBytesMax) => {
      const own = await MadeLog.begin()
      try {
        const acknowledged: number[] = []
        let n = 0
        for (const { calls, share } of deaths) {
          const faults: DiskFaults = {}
          const options: Partial<AuditLogOptions> = { disk: faultyDisk(faults, quickDisk), segmentBytesMax }
          const log = await own.open('s', options)
          for (let call = 1; call <= calls; call += 1) {
            n += 1
            await log.append([entryOf(n, n % 9)])
            acknowledged.push(n)
            if (n % 5 === 0) await own.anchored(log)
          }
          // The last call is cut off in the middle: nobody was told of it.
          faults.write = (bytes) => ({ written: Math.floor(bytes * share), code: 'EIO' })
          faults.truncate = () => 'EIO'
          n += 1
          await log.append([entryOf(n, 3), entryOf(n + 1, 3)]).catch(() => undefined)
          n += 1
          await die(log, join(own.folder, 's'), faults)
        }
        const log = await own.open('s', { segmentBytesMax })
        await log.append([entryOf(0, 1)])
        await log.close()
        const there = await standing(own)
        expect(there).toEqual([...new Set(there)])
        expect(there).toEqual(expect.arrayContaining([...acknowledged, 0]))
        expect((await own.verify()).findings).toEqual([])
      } finally {
        await own.remove()
      }
    })
    await fc.assert(property, { numRuns: RUNS })
  })

  test('what was cut stands in the chain with its hash', async () => {
    const log = await made.open('s')
    await log.append([entryOf(1, 1)])
    await die(log, join(made.folder, 's'), {})
    const [segment = ''] = await made.segments('s')
    chmodSync(made.path('s', segment), 0o640)
    const lines = await readLines(made.path('s', segment))
    await writeFile(made.path('s', segment), `${lines.slice(0, 2).join('\n')}\n{"seq":2,"at":17${'x'.repeat(1_000)}`)
    await rm(made.anchors, { recursive: true })
    made.farAway.lines.length = 0
    const next = await made.open('s')
    await next.append([entryOf(2, 1)])
    await next.close()
    expect((await made.verify([])).findings).toEqual([])
    const recovery = readLine(Buffer.from((await readLines(made.path('s', segment)))[2] ?? ''))
    expect(recovery).toMatchObject({ type: 'record', seq: 2, kind: 'recovery' })
    expect(recovery.type === 'record' && JSON.parse(recovery.body)).toMatchObject({ segment, bytes: 1_016 })
  })
})

describe('reopening', () => {
  const end: SegmentEnd = {
    name: '0000000000000001.audit',
    first: 1,
    last: 3,
    head: 'h3',
    closed: false,
    openedAt: 0,
    wholeBytes: 900,
    rest: undefined,
    misfit: undefined,
    anchored: undefined,
  }
  const genesis = 'g'
  const rest = { bytes: 5, hash: 'r' }
  test.each([
    ['nothing there', { newest: undefined, anchor: undefined }, 'begin'],
    ['nothing there, but an anchor', { newest: undefined, anchor: { seq: 1, head: 'h1' } }, 'refuse'],
    ['an open segment', { newest: end, anchor: undefined }, 'continue'],
    ['an open segment with something torn', { newest: { ...end, rest }, anchor: { seq: 3, head: 'h3' } }, 'continue'],
    ['a closed segment', { newest: { ...end, closed: true }, anchor: { seq: 3, head: 'h3' } }, 'begin'],
    ['a closed segment with something behind', { newest: { ...end, closed: true, rest }, anchor: undefined }, 'refuse'],
    ['a line that does not belong', { newest: { ...end, misfit: { line: 3 } }, anchor: undefined }, 'refuse'],
    ['less than is anchored', { newest: end, anchor: { seq: 4, head: 'h4' } }, 'refuse'],
    [
      'less than is anchored, and something torn',
      { newest: { ...end, rest }, anchor: { seq: 4, head: 'h4' } },
      'refuse',
    ],
    [
      'something else than is anchored',
      { newest: { ...end, anchored: 'x2' }, anchor: { seq: 2, head: 'h2' } },
      'refuse',
    ],
    ['not even a header', { newest: { ...end, last: 0, head: undefined, rest }, anchor: undefined }, 'continue'],
  ])('%s', (_, facts, action) => {
    expect(decideReopening({ ...facts, genesis })).toMatchObject({ action })
  })

  test('is refused where the last line was changed or cut, as far as that can be told', async () => {
    const log = await made.open('s')
    await log.append([entryOf(1, 1), entryOf(2, 1)])
    await made.anchored(log)
    await die(log, join(made.folder, 's'), {})
    const [segment = ''] = await made.segments('s')
    const path = made.path('s', segment)
    const lines = await readLines(path)
    chmodSync(path, 0o640)
    await writeFile(path, `${lines.slice(0, 3).join('\n')}\n`.replace('"n":2', '"n":9'))
    await expect(made.open('s')).rejects.toMatchObject({ code: 'ONCEWARD_E_AUDIT_BROKEN' })
    await writeFile(path, `${lines.slice(0, 3).join('\n')}\n`)
    await truncate(path, (await readFile(path)).length - 20)
    await expect(made.open('s')).rejects.toMatchObject({ code: 'ONCEWARD_E_AUDIT_BROKEN' })
  })
})

test('of a segment whose end could not be synced all is on the disk before its end counts', async () => {
  const disk = new ForgetfulFile()
  const tape = new Tape('segment', disk, 0)
  const [records, footer] = [Buffer.from('records\n'), Buffer.from('footer\n')]
  await tape.write(records, false)
  disk.failing = true
  await expect(tape.write(footer, true)).rejects.toMatchObject(unwritable)
  disk.failing = false
  await tape.write(footer, true)
  expect(disk.onDisk.toString()).toBe('records\nfooter\n')
})

/** As a system does it: after a sync that failed, what was to be written counts as clean, and no later sync writes it. */
class ForgetfulFile implements AuditFile {
  onDisk = Buffer.alloc(0)
  failing = false
  #size = 0
  #dirty: { readonly bytes: Buffer; readonly position: number }[] = []

  size(): number {
    return this.#size
  }

  write(bytes: Buffer, position: number): Promise<void> {
    this.#dirty.push({ bytes: Buffer.from(bytes), position })
    this.#size = Math.max(this.#size, position + bytes.length)
    return Promise.resolve()
  }

  truncate(length: number): Promise<void> {
    this.#size = length
    this.#dirty = this.#dirty.filter(({ position }) => position < length)
    return Promise.resolve()
  }

  sync(): Promise<void> {
    const dirty = this.#dirty
    this.#dirty = []
    if (this.failing) return Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' }))
    const held = Buffer.alloc(this.#size)
    this.onDisk.copy(held)
    for (const { bytes, position } of dirty) bytes.copy(held, position)
    this.onDisk = held
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
