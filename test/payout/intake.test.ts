import { expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'
import type { DlqRecord } from '../../core/model/dlq.ts'
import type { Booked, Ledger } from '../../core/ports/ledger.ts'
import type { LogRecord, RecordBatch } from '../../core/ports/log.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { createIntake, type IntakeParts } from '../../pipeline/payout/intake.ts'
import { patience } from '../../pipeline/payout/patience.ts'
import { newCounters } from '../../pipeline/payout/stats.ts'
import { PLAIN, records, task, tasks, TOPICS } from './fixtures.ts'

function batchOf(values: readonly (string | null)[]): RecordBatch {
  const list: LogRecord[] = values.map((value, offset) => ({
    topic: TOPICS.rewards,
    partition: 0,
    offset,
    timestamp: 0,
    key: null,
    value: value === null ? null : Buffer.from(value),
  }))
  const end = values.length
  return { topic: TOPICS.rewards, partition: 0, records: list, fetchOffset: 0, nextOffset: end + 3, end: end + 10 }
}

const batch = (count: number): RecordBatch => batchOf(records(tasks(count)).map(({ value }) => String(value)))
const DONE = { recorded: 0, known: 0, held: 0, frozen: 0, refused: [] }

interface Change {
  readonly book?: Ledger['book']
  readonly players?: Ledger['players']
  readonly commitError?: Error
  readonly letters?: DlqRecord[]
}

/** What happened, in order. */
function parts(steps: string[], change: Change = {}): IntakeParts {
  const book: Ledger['book'] = (arrivals): Promise<Booked> => {
    steps.push(`book ${arrivals.length}`)
    return Promise.resolve({ ...DONE, recorded: arrivals.length })
  }
  const players: Ledger['players'] = (changes) => {
    steps.push(`players ${changes.map(({ userId, seq }) => `${userId}#${seq}`).join(' ')}`)
    return Promise.resolve()
  }
  return {
    consumer: {
      commit: ([position]) => {
        steps.push(`commit ${position?.offset}`)
        return change.commitError === undefined ? Promise.resolve() : Promise.reject(change.commitError)
      },
    },
    ledger: { book: change.book ?? book, players: change.players ?? players },
    view: PLAIN,
    deadLetters: {
      send: (letters) => {
        steps.push(`letters ${letters.map(({ reason }) => reason).join(' ')}`)
        change.letters?.push(...letters)
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
    playersChanged: () => void steps.push('players changed'),
  }
}

const still = { heartbeat: (): Promise<void> => Promise.resolve() }

function changed(user: string, seq: number, asOf = '2025-11-03T00:00:00Z'): string {
  const restrictions = [{ kind: 'self_exclusion', since: '2025-11-03T00:00:00Z', until: null }]
  return JSON.stringify({ type: 'player.changed', user_id: user, kyc_level: 1, restrictions, as_of: asOf, seq })
}

test('letters first, then the ledger, then the offset', async () => {
  const steps: string[] = []
  const { records: good, ...rest } = batch(3)
  const broken = good.map((record, n) => (n === 1 ? { ...record, value: null } : record))
  const intake = createIntake(parts(steps))
  expect(await intake.batch({ ...rest, records: broken }, still)).toBe(6)
  expect(steps).toEqual(['letters schema', 'book 2', 'queued', 'commit 6'])
  expect(intake.lagRecords()).toBe(7)
  await intake.rebalanced({ gained: [], lost: [{ topic: TOPICS.rewards, partition: 0 }] })
  expect(intake.lagRecords()).toBe(0)
})

test('what is known of players is booked before any reward of the batch, wherever it stands in it', async () => {
  const steps: string[] = []
  const [one, two] = records(tasks(2)).map(({ value }) => String(value))
  const values = [one ?? '', changed('u_1', 1), two ?? '', changed('u_2', 2), changed('u_1', 3)]
  await createIntake(parts(steps)).batch(batchOf(values), still)
  expect(steps).toEqual(['players u_1#1 u_2#2 u_1#3', 'players changed', 'book 2', 'queued', 'commit 8'])
})

test('what its pool refuses stands in the DLQ before the offset is committed, each time it is delivered', async () => {
  const steps: string[] = []
  const letters: DlqRecord[] = []
  const [, refused = task(1)] = tasks(2)
  const detail = 'pool nov_season has 0.00 of 10.00 left, and the reward costs 1.35'
  const book: Ledger['book'] = () => {
    steps.push('book')
    return Promise.resolve({ ...DONE, known: 2, refused: [{ taskId: refused.reward_task_id, detail }] })
  }
  const intake = createIntake(parts(steps, { book, letters }))
  for (let n = 0; n < 2; n++) await intake.batch(batch(2), still)
  const once = ['book', 'queued', 'letters budget_closed', 'commit 5']
  expect(steps).toEqual([...once, ...once])
  expect(letters[0]).toMatchObject({
    reason: 'budget_closed',
    detail,
    user_id: refused.user_id,
    event_id: 'e_1',
    source: { offset: 1 },
    raw: JSON.stringify(refused),
  })
})

test('while the ledger is away the group hears a heartbeat before each new try, and nothing is committed', async () => {
  const steps: string[] = []
  let tries = 0
  const book: Ledger['book'] = (list) => {
    steps.push('book')
    if (++tries < 4) return Promise.reject(new OncewardError('ONCEWARD_E_LEDGER_UNAVAILABLE', 'away'))
    return Promise.resolve({ ...DONE, recorded: list.length })
  }
  const heartbeat = (): Promise<void> => {
    steps.push('heartbeat')
    return Promise.resolve()
  }
  await createIntake(parts(steps, { book })).batch(batch(2), { heartbeat })
  const again = ['book', 'heartbeat']
  expect(steps).toEqual([...again, ...again, ...again, 'book', 'queued', 'commit 5'])
})

test('what the ledger cannot hold is set aside alone, rewards and changes of players', async () => {
  const steps: string[] = []
  const letters: DlqRecord[] = []
  const malformed = new OncewardError('ONCEWARD_E_TASK_MALFORMED', 'it cannot be held')
  const bad = task(1).reward_task_id
  const book: Ledger['book'] = (list) =>
    list.some(({ task: { taskId } }) => taskId === bad)
      ? Promise.reject(malformed)
      : Promise.resolve({ ...DONE, recorded: list.length })
  const players: Ledger['players'] = (list) =>
    list.some(({ seq }) => seq === 7) ? Promise.reject(malformed) : Promise.resolve()
  const made = parts(steps, { book, players, letters })
  const values = [changed('u_1', 6), changed('u_2', 7), ...records(tasks(3)).map(({ value }) => String(value))]
  await createIntake(made).batch(batchOf(values), still)
  expect(letters).toMatchObject([
    { reason: 'schema', detail: 'it cannot be held', user_id: 'u_2', raw: values[1], source: { offset: 1 } },
    { reason: 'schema', detail: 'it cannot be held', raw: values[3], source: { offset: 3 } },
  ])
  expect(made.counters).toMatchObject({ recorded: 2, players: 1, malformed: 2 })
  expect(steps.at(-1)).toBe('commit 8')
})

test('any other refusal of the ledger ends the sink, and nothing is committed', async () => {
  const steps: string[] = []
  const refused = new OncewardError('ONCEWARD_E_LEDGER_REFUSED', 'no such table')
  const book: Ledger['book'] = () => Promise.reject(refused)
  await expect(createIntake(parts(steps, { book })).batch(batch(2), still)).rejects.toBe(refused)
  expect(steps).toEqual([])
})

test('who lost the partition before its offset was committed goes on: the next owner finds the tasks known', async () => {
  const fenced = new OncewardError('ONCEWARD_E_LOG_FENCED', 'out of the group')
  expect(await createIntake(parts([], { commitError: fenced })).batch(batch(2), still)).toBe(5)
  const broken = new OncewardError('ONCEWARD_E_LOG_UNAVAILABLE', 'no broker')
  await expect(createIntake(parts([], { commitError: broken })).batch(batch(2), still)).rejects.toBe(broken)
})
