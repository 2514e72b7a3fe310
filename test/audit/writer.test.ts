import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { readLine } from '../../core/audit/lines.ts'
import type { AuditEntry } from '../../core/ports/audit.ts'
import { type AuditLogOptions, openAuditLog } from '../../connectors/audit/audit-log.ts'
import { verifyAudit } from '../../connectors/audit/verify.ts'
import type { AuditStream } from '../../connectors/audit/chain-writer.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'onceward-audit-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const open = (options: Partial<AuditLogOptions> = {}): Promise<AuditStream> =>
  openAuditLog({ folder, stream: 's', clock: systemClock, ...options })
const entry = (n: number): AuditEntry => ({ at: 1_700_000_000_000 + n, kind: 'request', body: { n } })
const segments = async (): Promise<string[]> =>
  (await readdir(join(folder, 's'))).filter((name) => name.endsWith('.audit')).sort()
const path = (name: string): string => join(folder, 's', name)

async function linesOf(name: string): Promise<string[]> {
  return (await readFile(path(name), 'utf8')).split('\n').filter((line) => line !== '')
}

describe('a stream of the audit log', () => {
  test('is a chain of lines, from its first header over every segment to its last footer', async () => {
    const log = await open({ segmentBytesMax: 2_000 })
    for (let n = 1; n <= 30; n += 1) await log.append([entry(n)])
    await log.close()
    const lines = (await Promise.all((await segments()).map(linesOf))).flat().map((line) => readLine(Buffer.from(line)))
    let prev = '0'.repeat(64)
    for (const line of lines) {
      expect(line).toMatchObject({ prev })
      prev = line.type === 'broken' ? '' : line.hash
    }
    expect(lines.flatMap((line) => (line.type === 'record' ? line.seq : []))).toEqual(
      Array.from({ length: 30 }, (_, i) => i + 1),
    )
    expect((await segments()).length).toBeGreaterThan(3)
  })

  test('has one writer', async () => {
    const log = await open()
    await expect(open()).rejects.toMatchObject({ code: 'ONCEWARD_E_STATE_LOCKED' })
    await log.close()
    await (await open()).close()
  })

  test('takes overlapping calls in their order', async () => {
    const log = await open()
    await Promise.all(Array.from({ length: 100 }, (_, i) => log.append([entry(i)])))
    await log.close()
    const [name = ''] = await segments()
    const bodies = (await linesOf(name))
      .map((line) => readLine(Buffer.from(line)))
      .flatMap((line) => (line.type === 'record' ? line.body : []))
    expect(bodies).toEqual(Array.from({ length: 100 }, (_, i) => `{"n":${i}}`))
  })

  test('takes the largest body that a gateway may be told to take, whatever stands in it', {
    timeout: 60_000,
  }, async () => {
    const log = await open()
    const body = '\u0001'.repeat(8 * 1_048_576)
    await log.append([{ at: 1_700_000_000_000, kind: 'request', body: { body } }, entry(1)])
    await log.close()
    const findings: unknown[] = []
    const [verified] = await verifyAudit({ folder, anchors: [], report: (one) => findings.push(one) })
    expect([verified?.records, findings]).toEqual([2, []])
    const again = await open()
    await again.append([entry(2)])
    await again.close()
  })

  test('closed segments cannot be written by their owner, open ones not by others', async () => {
    const log = await open()
    await log.append([entry(1)])
    const [name = ''] = await segments()
    expect((await stat(path(name))).mode & 0o777).toBe(0o640)
    await log.close()
    expect((await stat(path(name))).mode & 0o777).toBe(0o440)
  })
})
