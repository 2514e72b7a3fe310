import { copyFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { archiveCommand } from '../../cli/audit/archive.ts'
import { decideRetention } from '../../core/audit/retention.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { seededRandom } from '../../core/random.ts'
import { KEY_ID, REGION, SECRET, startFakeS3 } from './fake-s3.ts'
import { entryOf, MadeLog, readLines, writeLines } from './made-logs.ts'

let made: MadeLog
beforeEach(async () => {
  made = await MadeLog.begin()
  const log = await made.open('s', { segmentBytesMax: 600 })
  for (let n = 1; n <= 20; n += 1) await log.append([entryOf(n, 1)])
  await log.close()
})
afterEach(() => made.remove())

describe('retention', () => {
  test('drops all but the newest, and what was dropped, and only that, counts as gone', async () => {
    const before = await made.segments('s')
    expect(await made.retire()).toMatchObject({ code: 0 })
    expect(await made.segments('s')).toEqual(before.slice(-1))
    expect((await made.verify()).findings).toEqual([])
    const log = await made.open('s')
    await log.append([entryOf(21, 1)])
    await log.close()
    expect((await made.verify()).findings).toEqual([])
  })

  test('one segment more that is gone is named', async () => {
    const log = await made.open('s')
    await log.append([entryOf(21, 1)])
    await log.close()
    await made.retire({ olderThan: 0 })
    const more = await made.open('s')
    await more.append([entryOf(22, 1)])
    await more.close()
    const [oldest = ''] = await made.segments('s')
    await rm(made.path('s', oldest))
    const { findings } = await made.verify()
    expect(findings).toContainEqual(expect.objectContaining({ stream: 's', what: 'segment_missing' }))
  })

  test('without the record of it nothing counts as retired', async () => {
    await made.retire()
    await rm(join(made.folder, 'retention'), { recursive: true })
    const { findings } = await made.verify()
    expect(findings.map(({ stream, what }) => [stream, what])).toEqual(
      expect.arrayContaining([
        ['s', 'segment_missing'],
        ['retention', 'truncated'],
      ]),
    )
  })

  test('a file that was left because the command was stopped goes the next time, without a second record', async () => {
    const last = (await made.segments('s')).at(-2) ?? ''
    await copyFile(made.path('s', last), join(made.folder, 'aside'))
    await made.retire()
    await copyFile(join(made.folder, 'aside'), made.path('s', last))
    expect((await made.verify()).findings).toEqual([])
    const [retention = ''] = await made.segments('retention')
    const records = await readLines(made.path('retention', retention))
    expect(await made.retire()).toMatchObject({ code: 0 })
    expect(await made.segments('s')).toHaveLength(1)
    expect(await readLines(made.path('retention', retention))).toEqual(records)
  })

  test('drops nothing of a stream with a finding', async () => {
    const segments = await made.segments('s')
    const path = made.path('s', segments[2] ?? '')
    const lines = await readLines(path)
    await writeLines(path, lines.toSpliced(1, 1))
    const { code, said } = await made.retire()
    expect(code).toBe(1)
    expect(said).toMatch(/s: nothing is dropped, for it does not hold together: s\/\d{16}\.audit/)
    expect(await made.segments('s')).toEqual(segments)
  })

  test('drops nothing without a yes, and nothing that is too young', async () => {
    const segments = await made.segments('s')
    expect((await made.retire({ yes: false })).said).toMatch(/would be dropped/)
    expect((await made.retire({ olderThan: 1_000 })).said).toMatch(/0 segments would be dropped/)
    expect(await made.segments('s')).toEqual(segments)
  })

  test('where there is an archive, drops only what it holds locked', async () => {
    const s3 = await startFakeS3()
    try {
      const secret = join(made.folder, '..', 'secret')
      await writeFile(secret, `${SECRET}\n`)
      const archive = {
        archiveBucket: 'audit',
        archiveEndpoint: s3.endpoint,
        archiveRegion: REGION,
        archiveKeyId: KEY_ID,
        archiveSecretFile: secret,
        archivePrefix: 'p/',
      }
      const segments = await made.segments('s')
      expect(await made.retire(archive)).toMatchObject({ code: 1, said: expect.stringMatching(/not in the archive/) })
      expect(await made.segments('s')).toEqual(segments)
      const said: string[] = []
      const code = await archiveCommand({
        settings: { audit: made.folder, streams: undefined, archiveRetain: 86_400_000, json: false, ...archive },
        signal: new AbortController().signal,
        clock: made.clock,
        random: seededRandom(1),
        logger: silentLogger,
        terminal: {
          print: async (text) => void said.push(text),
          note: () => undefined,
          progress: { isTty: false, columns: 80, write: () => undefined },
        },
      })
      expect(code).toBe(0)
      expect(said).toHaveLength(segments.length)
      expect(await made.retire(archive)).toMatchObject({ code: 0 })
      expect(await made.segments('s')).toEqual(segments.slice(-1))
      expect([...s3.objects.keys()]).toEqual(segments.map((segment) => `/audit/p/s/${segment}`))
    } finally {
      await s3.close()
    }
  })
})

describe('which segments go', () => {
  const segment = (first: number, at: number | undefined) => ({
    stream: 's',
    segment: `${first}`,
    first,
    prev: `p${first}`,
    footer: at === undefined ? undefined : { last: first + 9, at, hash: `h${first}` },
  })
  test.each([
    ['all that are old but the newest', [segment(1, 1), segment(11, 2), segment(21, 3)], ['1', '11']],
    ['none behind one that is too young', [segment(1, 1), segment(11, 9), segment(21, 2), segment(31, 3)], ['1']],
    [
      'nothing before one that has not even a header',
      [segment(1, 1), { ...segment(11, undefined), prev: undefined }],
      [],
    ],
    ['none that is open', [segment(1, undefined)], []],
    ['nothing of nothing', [], []],
  ])('%s', (_, segments, expected) => {
    const dropped = decideRetention(segments, { before: 5, retired: [] })
    expect(dropped.map(({ segment: { segment: name } }) => name)).toEqual(expected)
  })
})
