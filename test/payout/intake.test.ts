import { expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'
import type { Ledger, LedgerTask } from '../../core/ports/ledger.ts'
import type { RecordBatch } from '../../core/ports/log.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { createIntake, type IntakeParts } from '../../pipeline/payout/intake.ts'
import { patience } from '../../pipeline/payout/patience.ts'
import { newCounters } from '../../pipeline/payout/stats.ts'
import { records, tasks, TOPICS } from './fixtures.ts'

function batch(count: number): RecordBatch {
  const list = records(tasks(count)).map(({ value }, offset) => ({
    topic: TOPICS.rewards,
    partition: 0,
    offset,
    timestamp: 0,
    key: null,
    value: Buffer.from(value ?? ''),
  }))
  return { topic: TOPICS.rewards, partition: 0, records: list, fetchOffset: 0, nextOffset: count + 3, end: count + 10 }
}

/** What happened, in order. */
function parts(steps: string[], change: { record?: Ledger['record']; commitError?: Error } = {}): IntakeParts {
  const record = (list: readonly LedgerTask[]): Promise<{ recorded: number; known: number }> => {
    steps.push(`record ${list.length}`)
    return Promise.resolve({ recorded: list.length, known: 0 })
  }
  return {
    consumer: {
      commit: ([position]) => {
        steps.push(`commit ${position?.offset}`)
        return change.commitError === undefined ? Promise.resolve() : Promise.reject(change.commitError)
      },
    },
    ledger: { record: change.record ?? record } as Ledger,
    deadLetters: {
      send: (letters) => {
        if (letters.length > 0) steps.push(`letters ${letters.length}`)
        return Promise.resolve()
      },
      close: () => Promise.resolve(),
    },
    patience: patience({
      policy: { baseMs: 1, capMs: 2, giveUpMs: 5_000 },
      clock: systemClock,
      random: () => 0.5,
      logger: silentLogger,
      signal: new AbortController().signal,
    }),
    logger: silentLogger,
    counters: newCounters(),
    metrics: {},
    queued: () => void steps.push('queued'),
  }
}

const still = { heartbeat: (): Promise<void> => Promise.resolve() }

test('letters first, then the ledger, then the offset', async () => {
  const steps: string[] = []
  const { records: good, ...rest } = batch(3)
  const broken = good.map((record, n) => (n === 1 ? { ...record, value: null } : record))
  const intake = createIntake(parts(steps))
  expect(await intake.batch({ ...rest, records: broken }, still)).toBe(6)
  expect(steps).toEqual(['letters 1', 'record 2', 'queued', 'commit 6'])
  expect(intake.lagRecords()).toBe(7)
  await intake.rebalanced({ gained: [], lost: [{ topic: TOPICS.rewards, partition: 0 }] })
  expect(intake.lagRecords()).toBe(0)
})

test('while the ledger is away the group hears a heartbeat before each new try, and nothing is committed', async () => {
  const steps: string[] = []
  let tries = 0
  const record: Ledger['record'] = (list) => {
    steps.push('record')
    if (++tries < 4) return Promise.reject(new OncewardError('ONCEWARD_E_LEDGER_UNAVAILABLE', 'away'))
    return Promise.resolve({ recorded: list.length, known: 0 })
  }
  const heartbeat = (): Promise<void> => {
    steps.push('heartbeat')
    return Promise.resolve()
  }
  await createIntake(parts(steps, { record })).batch(batch(2), { heartbeat })
  const again = ['record', 'heartbeat']
  expect(steps).toEqual([...again, ...again, ...again, 'record', 'queued', 'commit 5'])
})

test('who lost the partition before its offset was committed goes on: the next owner finds the tasks known', async () => {
  const fenced = new OncewardError('ONCEWARD_E_LOG_FENCED', 'out of the group')
  expect(await createIntake(parts([], { commitError: fenced })).batch(batch(2), still)).toBe(5)
  const broken = new OncewardError('ONCEWARD_E_LOG_UNAVAILABLE', 'no broker')
  await expect(createIntake(parts([], { commitError: broken })).batch(batch(2), still)).rejects.toBe(broken)
})
