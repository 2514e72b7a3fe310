import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { anchorFolder } from '../../connectors/audit/anchor-file.ts'
import { openAuditLog } from '../../connectors/audit/audit-log.ts'
import { systemClock as clock } from '../../core/clock.ts'

/** More for a figure to be told: AUDIT_RECORDS=200000. */
const RECORDS = Number(process.env['AUDIT_RECORDS'] ?? 20_000)
const AT_ONCE = 20

test.each([
  { bytes: 1_000, count: RECORDS, microsMax: 40 },
  { bytes: 40_000, count: RECORDS / 20, microsMax: 500 },
])(
  'a record of $bytes bytes costs at most $microsMax µs of the processor',
  { timeout: 120_000 },
  async ({ bytes, count, microsMax }) => {
    const folder = await mkdtemp(join(tmpdir(), 'onceward-audit-'))
    const log = await openAuditLog({ folder, stream: 's', clock, anchors: [anchorFolder(join(folder, 'anchors'))] })
    const raw = Buffer.alloc(bytes * 0.75, 'x7').toString('base64')
    const cpu = process.cpuUsage()
    const began = clock.monotonic()
    for (let n = 0; n < count; n += AT_ONCE) {
      const calls = Array.from({ length: AT_ONCE }, (_, i) =>
        log.append([
          { at: clock.now(), kind: 'request', body: { request_id: `r${n + i}`, ip: '192.0.2.1', raw_base64: raw } },
        ]),
      )
      await Promise.all(calls)
    }
    const ms = clock.monotonic() - began
    const { user, system } = process.cpuUsage(cpu)
    const micros = (user + system) / count
    await log.close()
    await rm(folder, { recursive: true })
    const rate = `${Math.round((count / ms) * 1000)} records/s, ${((bytes * count) / ms / 1000).toFixed(1)} MB/s`
    process.stdout.write(`${bytes} bytes: ${rate}, ${micros.toFixed(1)} µs a record\n`)
    expect(micros).toBeLessThan(microsMax)
  },
)
