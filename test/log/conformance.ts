import { afterAll, beforeAll, describe } from 'vitest'
import type { Log } from '../../core/ports/log.ts'
import { assert } from '../../core/assert.ts'
import { cleanupConformance } from './conformance-cleanup.ts'
import { groupConformance } from './conformance-groups.ts'
import { lifeConformance } from './conformance-life.ts'
import { recordConformance } from './conformance-records.ts'
import { transactionConformance } from './conformance-transactions.ts'
import type { LogFeatures, OpenedLog, Subject } from './harness.ts'

export type { LogFeatures, OpenedLog, OpenTransaction } from './harness.ts'

/**
 * The guarantees of core/ports/log.ts, as tests. Every adapter runs them. One log is opened for the whole suite; each
 * test has topics, groups and transactional ids of its own, so that a cluster can be shared.
 */
export function logConformance(
  name: string,
  options: { readonly open: () => Promise<OpenedLog>; readonly features: LogFeatures },
): void {
  describe(`log port: ${name}`, () => {
    let opened: OpenedLog | undefined
    let log: Log | undefined

    const subject: Subject = {
      features: options.features,
      open: options.open,
      opened: () => {
        assert(opened, 'the suite opens its log before the first test')
        return opened
      },
      log: () => {
        assert(log, 'the suite opens its log before the first test')
        return log
      },
      reopen: async () => {
        assert(opened?.reopen, 'only called where the log can be reopened')
        log = await opened.reopen()
        return log
      },
    }

    beforeAll(async () => {
      opened = await options.open()
      log = opened.log
    })
    afterAll(async () => {
      await opened?.close()
    })

    recordConformance(subject)
    transactionConformance(subject)
    groupConformance(subject)
    cleanupConformance(subject)
    lifeConformance(subject)
  })
}
