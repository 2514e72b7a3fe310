import { afterEach, beforeEach, expect, test } from 'vitest'
import { anchorTopic, anchorTopicReader } from '../../connectors/audit/anchor-topic.ts'
import { verifyAudit } from '../../connectors/audit/verify.ts'
import { openEmbeddedLog } from '../../connectors/log/embedded/log.ts'
import type { Finding } from '../../core/audit/findings.ts'
import type { Log } from '../../core/ports/log.ts'
import { memoryKv } from '../../state/memory-kv.ts'
import { readAll } from '../log/harness.ts'
import { fastClock } from '../support/clocks.ts'
import { commitUnknown } from '../support/faulty-log.ts'
import { entryOf, MadeLog } from './made-logs.ts'

const TOPIC = 'audit.heads'

let made: MadeLog
beforeEach(async () => {
  made = await MadeLog.begin()
})
afterEach(() => made.remove())

/** The log as one sees it whose `lost`-th send succeeds without an answer. */
function losingAnswers(log: Log, lost: number): Log {
  let sends = 0
  const producer: Log['producer'] = async () => {
    const real = await log.producer()
    return {
      send: async (records) => {
        const ends = await real.send(records)
        if (++sends === lost) throw commitUnknown()
        return ends
      },
      close: () => real.close(),
    }
  }
  return Object.assign(Object.create(log) as Log, { producer })
}

test.each([1, 2, 3])('an anchor whose answer was lost is no sign of tampering: number %i', async (lost) => {
  const log = await openEmbeddedLog({ kv: memoryKv(), clock: fastClock(200), maintenanceIntervalMs: 0 })
  await log.createTopics([{ topic: TOPIC, partitions: 1, cleanup: 'delete' }])
  const audit = await made.open('s', { anchors: [anchorTopic(losingAnswers(log, lost), TOPIC)] })
  for (let n = 1; n <= 5; n += 1) {
    await audit.append([entryOf(n, 1)])
    await made.anchored(audit)
  }
  await audit.close()
  expect((await readAll(log, { topic: TOPIC, partition: 0 })).length).toBeGreaterThan(5)
  const findings: Finding[] = []
  const anchors = [anchorTopicReader(log, TOPIC)]
  const [stream] = await verifyAudit({ folder: made.folder, anchors, report: (finding) => findings.push(finding) })
  expect(findings).toEqual([])
  expect(stream?.anchored).toBe(5)
  await log.close()
})
