import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { anchorFolder, anchorFolderReader } from '../../connectors/audit/anchor-file.ts'
import { openAuditLog } from '../../connectors/audit/audit-log.ts'
import { verifyAudit } from '../../connectors/audit/verify.ts'
import { systemClock as clock } from '../../core/clock.ts'
import type { Finding } from '../../core/audit/findings.ts'
import { runCli } from '../cli/process.ts'
import { entryOf } from './made-logs.ts'

/** Colours a terminal, turns text around, and writes invisibly. */
const HOSTILE = '\u009b31m \u202e \u{e0041} \u2028 é'

let dir = ''
const audit = (): string => join(dir, 'log')
const anchors = (): string => join(dir, 'anchors')
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'onceward-audit-'))
  const places = [anchorFolder(anchors())]
  const log = await openAuditLog({
    folder: audit(),
    stream: 'gateway-1',
    clock,
    anchors: places,
    segmentBytesMax: 1_000,
  })
  for (let n = 1; n <= 10; n += 1) await log.append([entryOf(n, 5)])
  await log.append([
    {
      at: Date.parse('2025-11-03T12:00:00Z'),
      kind: 'request',
      body: { user_id: 'u_1', request_id: 'r_1', body: HOSTILE },
    },
  ])
  await log.close()
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

describe('the commands around the audit log', () => {
  test('list shows each segment, for people and for programs', async () => {
    const { code, stdout } = await runCli(['audit', 'list', '--audit', audit()])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^gateway-1 {2}0{15}1\.audit {2}1 to \d+ /m)
    const json = await runCli(['audit', 'list', '--audit', audit(), '--json'])
    const { segments } = JSON.parse(json.stdout) as { segments: { footer?: { last: number } }[] }
    expect(segments.at(-1)?.footer?.last).toBe(11)
  })

  test.each([
    [['--user', 'u_1'], 1],
    [['--request', 'r_1'], 1],
    [['--user', 'u_2'], 0],
    [['--from', '2025-11-03', '--until', '2025-11-04'], 1],
    [['--kind', 'refusal'], 1],
    [['--limit', '4'], 4],
  ])('show %j prints %d records', async (flags, count) => {
    const { code, stdout } = await runCli(['audit', 'show', '--audit', audit(), ...flags])
    const lines = stdout.split('\n').filter((line) => line !== '')
    expect([code, lines.length]).toEqual([0, count])
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ stream: 'gateway-1', seq: expect.any(Number) })
  })

  test('show lets nothing through that a terminal would obey, and says the same', async () => {
    const { stdout } = await runCli(['audit', 'show', '--audit', audit(), '--user', 'u_1'])
    expect(stdout).not.toMatch(/[\u0080-\u009f\u2028\u202e\u{e0041}]/u)
    expect(JSON.parse(stdout)).toMatchObject({ body: { user_id: 'u_1', body: HOSTILE } })
    const raw = await runCli(['audit', 'show', '--audit', audit(), '--user', 'u_1', '--raw'])
    expect(raw.stdout).toContain(HOSTILE)
  })

  test.each([[['audit', 'list']], [['audit', 'show']], [['audit', 'retain', '--older-than', '1d', '--as', 'ann']]])(
    '%j of a folder or a stream that is not there does not pass for an empty one',
    async (command) => {
      const gone = await runCli([...command, '--audit', join(dir, 'gone')])
      expect(gone).toMatchObject({ code: 1, stderr: expect.stringContaining('cannot be read (ENOENT)') })
      if (command[1] === 'retain') return
      const misspelt = await runCli([...command, '--audit', audit(), '--streams', 'gateway-2'])
      expect([misspelt.code, misspelt.stderr]).toEqual([
        2,
        expect.stringMatching(/there is no stream gateway-2; there are gateway-1/),
      ])
    },
  )

  test('verify says what it saw, also where there is no anchor, and fails where there is no folder', async () => {
    const sound = await runCli(['audit', 'verify', '--audit', audit(), '--anchors', anchors()])
    expect(sound).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/11 records in 1 stream .*: nothing was changed/),
    })
    expect(sound.stdout).toMatch(/gateway-1 +\d+ +11 +1 +11 +11 +0 +0/)
    const without = await runCli(['audit', 'verify', '--audit', audit()])
    expect(without.stderr).toMatch(/without anchors .* cannot be told/)
    expect(await runCli(['audit', 'verify', '--audit', join(dir, 'gone')])).toMatchObject({ code: 1 })
    const misspelt = await runCli(['audit', 'verify', '--audit', audit(), '--streams', 'gateway-2'])
    expect(misspelt.stderr).toMatch(/there is no stream gateway-2; there are gateway-1/)
    const lost = await runCli(['audit', 'verify', '--audit', audit(), '--anchors', join(dir, 'gone')])
    expect(lost).toMatchObject({ code: 1, stdout: expect.stringMatching(/anchors_removed/) })
  })

  test('verification finds nothing while somebody writes', { timeout: 60_000 }, async () => {
    const folder = join(dir, 'busy')
    const places = [anchorFolder(join(folder, 'anchors'))]
    const log = await openAuditLog({
      folder,
      stream: 's',
      clock,
      anchors: places,
      segmentBytesMax: 20_000,
      anchorMs: 1,
      syncMs: 5,
    })
    const findings: Finding[] = []
    const stop = new AbortController()
    const looking = (async () => {
      const anchors = [anchorFolderReader(join(folder, 'anchors'))]
      for (let look = 0; look < 40; look += 1) {
        await verifyAudit({ folder, anchors, report: (one) => findings.push(one) })
      }
      stop.abort()
    })()
    for (let n = 1; !stop.signal.aborted; n += 1) await log.append([entryOf(n, 30)])
    await looking
    await log.close()
    expect(findings).toEqual([])
  })
})
