import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock as clock } from '../../core/clock.ts'
import { openAuditLog } from '../../connectors/audit/audit-log.ts'
import { anchorFolder } from '../../connectors/audit/anchor-file.ts'

const folder = await mkdtemp(join(tmpdir(), 'onceward-audit-bench-'))
for (const [bytes, count] of [
  [1000, 200_000],
  [30_000, 10_000],
] as const) {
  const log = await openAuditLog({
    folder,
    stream: `b${bytes}`,
    clock,
    anchors: [anchorFolder(join(folder, 'anchors'))],
  })
  const raw = Buffer.alloc(bytes * 0.75, 'x7').toString('base64')
  const cpu = process.cpuUsage()
  const began = clock.monotonic()
  let waiting: Promise<void>[] = []
  for (let i = 0; i < count; i += 1) {
    waiting.push(
      log.append([
        { at: clock.now(), kind: 'request', body: { request_id: `r${i}`, ip: '192.0.2.1', raw_base64: raw } },
      ]),
    )
    if (waiting.length === 20) {
      await Promise.all(waiting)
      waiting = []
    }
  }
  await Promise.all(waiting)
  const ms = clock.monotonic() - began
  const { user, system } = process.cpuUsage(cpu)
  await log.close()
  process.stdout.write(
    `${bytes} B: ${Math.round((count / ms) * 1000)} records/s, ${((bytes * count) / ms / 1000).toFixed(1)} MB/s, CPU ${((user + system) / count).toFixed(1)} us a record\n`,
  )
}
await rm(folder, { recursive: true })
