import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import type { DlqRecord } from '../../core/model/dlq.ts'
import type { ClaimRef, Ledger, LedgerTask, Settlement } from '../../core/ports/ledger.ts'
import type { LogRecord } from '../../core/ports/log.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { openDeadLetters } from '../../pipeline/payout/dead-letters.ts'
import { createIntake } from '../../pipeline/payout/intake.ts'
import { PATIENCE, patience } from '../../pipeline/payout/patience.ts'
import { createPayer } from '../../pipeline/payout/payer.ts'
import { createClearer } from '../../pipeline/payout/clearer.ts'
import { createSettler } from '../../pipeline/payout/settler.ts'
import { newCounters } from '../../pipeline/payout/stats.ts'
import { parseRecord, TASK_BYTES_MAX } from '../../pipeline/payout/task.ts'
import { entry, PARTITIONS, PLAIN, task, TOPICS } from '../payout/fixtures.ts'
import { openTestLog, type TestLog } from '../payout/test-log.ts'

let log: TestLog | undefined
afterEach(() => log?.close())

function recordOf(value: Buffer): LogRecord {
  return { topic: TOPICS.rewards, partition: 0, offset: 0, timestamp: 0, key: null, value }
}

/** A task of exactly so many bytes. */
function taskOf(bytes: number): LogRecord {
  const bare = JSON.stringify({ ...task(1), note: '' })
  return recordOf(Buffer.from(bare.replace('"note":""', `"note":"${'x'.repeat(bytes - bare.length)}"`)))
}

const still = { heartbeat: (): Promise<void> => Promise.resolve() }
const insistent = patience({
  policy: PATIENCE,
  clock: systemClock,
  random: () => 0.5,
  logger: silentLogger,
  signal: new AbortController().signal,
})

async function take(
  records: readonly LogRecord[],
): Promise<{ letters: DlqRecord[]; booked: LedgerTask[]; at: number }> {
  const here = (log = await openTestLog(PARTITIONS))
  const booked: LedgerTask[] = []
  const ledger: Pick<Ledger, 'book' | 'players'> = {
    book(arrivals) {
      booked.push(...arrivals.map((arrival) => arrival.task))
      return Promise.resolve({ recorded: arrivals.length, known: 0, held: 0, frozen: 0, refused: [] })
    },
    players: () => Promise.resolve(),
  }
  const intake = createIntake({
    consumer: { commit: () => Promise.resolve() },
    ledger,
    view: PLAIN,
    // The embedded log takes records of 1 MiB, as Kafka does by default.
    deadLetters: await openDeadLetters(here.log, TOPICS.dlq, systemClock),
    patience: insistent,
    logger: silentLogger,
    counters: newCounters(),
    metrics: {},
    queued: () => undefined,
    playersChanged: () => undefined,
  })
  const at = await intake.batch(
    { topic: TOPICS.rewards, partition: 0, records, fetchOffset: 0, nextOffset: records.length, end: records.length },
    still,
  )
  const letters = (await here.records(TOPICS.dlq)).map(({ value }) => JSON.parse(String(value)) as DlqRecord)
  return { letters, booked, at }
}

test('a task of exactly the bound is booked', async () => {
  const { booked, letters } = await take([taskOf(TASK_BYTES_MAX)])
  expect(booked.map(({ raw }) => raw.length)).toEqual([TASK_BYTES_MAX])
  expect(letters).toEqual([])
})

test('one byte more goes to the DLQ, and what comes behind it is booked', async () => {
  const { booked, letters, at } = await take([taskOf(TASK_BYTES_MAX + 1), taskOf(1_000)])
  expect(booked).toHaveLength(1)
  expect(letters[0]).toMatchObject({ reason: 'schema', detail: expect.stringContaining(`at most ${TASK_BYTES_MAX}`) })
  expect(at).toBe(2)
})

test('a record larger than any topic would take back is cut in its dead letter and does not stop the partition', async () => {
  const huge = recordOf(Buffer.alloc(8 << 20, 0x01))
  const binary = recordOf(Buffer.alloc(8 << 20, 0xff))
  const { letters, at } = await take([huge, binary])
  expect(letters.map(({ raw_bytes }) => raw_bytes)).toEqual([8 << 20, 8 << 20])
  expect(at).toBe(2)
})

test('ids of what is no task are told only where they could be ids', () => {
  const told = (id: string): boolean => {
    const value = Buffer.from(JSON.stringify({ user_id: id, origin: { event_id: id } }))
    const parsed = parseRecord(recordOf(value), PLAIN)
    return !parsed.ok && parsed.userId === id && parsed.eventId === id
  }
  expect([512, 513].map((length) => told('x'.repeat(length)))).toEqual([true, false])
})

test.each([1, 4])(
  'with %i calls at once, at most twice as many tasks are claimed and not settled',
  async (concurrency) => {
    const stopping = new AbortController()
    const [claims, waiting]: [number[], (() => void)[]] = [[], []]
    let [held, most, next] = [0, 0, 0]
    const TASKS = 40
    const ledger = {
      claim({ limit }: { limit: number }) {
        claims.push(limit)
        const found = Array.from({ length: Math.min(limit, TASKS - next) }, () => entry(next++))
        held += found.length
        most = Math.max(most, held)
        return Promise.resolve(found.map((each) => ({ taskId: each.taskId, claim: 1n, attempts: 0, task: each })))
      },
      clear: (cleared: readonly ClaimRef[]) =>
        Promise.resolve(new Map(cleared.map(({ taskId }) => [taskId, { kind: 'send', again: false } as const]))),
      settle(settlements: readonly Settlement[]) {
        held -= settlements.length
        if (next >= TASKS && held === 0) stopping.abort()
        return Promise.resolve({ changed: new Set(settlements.map(({ taskId }) => taskId)), differing: [] })
      },
    }
    let calls = 0
    const payer = createPayer({
      ledger,
      wallet: {
        async credit() {
          calls++
          expect(calls).toBeLessThanOrEqual(concurrency)
          await new Promise<void>((resolve) => {
            waiting.push(resolve)
            setImmediate(() => waiting.shift()?.())
          })
          calls--
          return { kind: 'paid', payoutId: 'p', status: 'ok' }
        },
        close: () => Promise.resolve(),
      },
      deadLetters: { send: () => Promise.resolve(), close: () => Promise.resolve() },
      partner: 'wallet',
      clearer: createClearer(ledger, insistent, systemClock),
      settler: createSettler(ledger, insistent, () => undefined),
      patience: insistent,
      clock: systemClock,
      random: () => 0.5,
      logger: silentLogger,
      counters: newCounters(),
      metrics: {},
      retry: { retriesMax: 8, baseMs: 1, capMs: 2 },
      owner: 'o',
      concurrency,
      leaseMs: 60_000,
      idlePollMs: 5,
      stopping: stopping.signal,
      cutOff: new AbortController().signal,
    })
    await payer.run()
    expect(next).toBe(TASKS)
    expect(most).toBe(2 * concurrency)
    expect(Math.max(...claims)).toBeLessThanOrEqual(2 * concurrency)
  },
)
