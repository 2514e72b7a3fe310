/**
 * Payout as a whole: real Kafka, a Postgres that syncs, four sinks as processes that are killed again and again, a partner that
 * answers late after paying, loses answers and fails, and a server that is restarted twice. Each reward is paid once, nothing is
 * lost, the budget is the ledger's sum, and reconcile finds nothing; then it names exactly what is planted.
 *
 * With fifty thousand rewards; ONCEWARD_PAYOUT_TASKS=5000 has it with fewer, for a quick look.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { groupLag } from '../../cli/log-tools/lag.ts'
import { systemClock as clock } from '../../core/clock.ts'
import { requestIdOf } from '../../core/ids.ts'
import { formatMoney } from '../../core/money.ts'
import type { LedgerTotal } from '../../core/ports/ledger.ts'
import type { Difference } from '../../pipeline/reconcile/difference.ts'
import type { Service } from '../chaos/service.ts'
import { type Ended, runCli } from '../cli/process.ts'
import { openDatabase, pastTheTriggers } from '../reconcile/book.ts'
import { kafkaForTests } from '../support/kafka.ts'
import { install, type PayoutInstallation } from './payout-installation.ts'
import { linesOf, plant } from './payout-plants.ts'
import { expectedRewards, type Expected, FROZEN, HELD, policyText, POOL, recordOf } from './payout-tasks.ts'

const REWARDS = Number(process.env['ONCEWARD_PAYOUT_TASKS'] ?? 50_000)
/** Generous: a condition is waited for, not a machine. */
const PATIENCE_MS = 120_000 + REWARDS * 8
const GROUP = 'payout.onceward.sink'

/** Some calls of every kind of failure; what is paid and not answered in time is the one that costs money. */
const BAD_DAY = {
  faults: { late: 0.02, lose: 0.02, fail: 0.04, timeout: 0.005, reset: 0.01, throttle: 0.01 },
  late_ms: 1_500,
  retry_after_s: 1,
}

describe.skipIf(!kafkaForTests().available)(`${REWARDS} rewards, four sinks, faults of every kind`, () => {
  const rewards = expectedRewards(REWARDS)
  let dir = ''
  let place: PayoutInstallation
  let statement = ''

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'onceward-payout-'))
    place = await install(dir, policyText(rewards))
    await place.behave(BAD_DAY)
  })
  afterAll(async () => {
    await place?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  test(
    'each is paid once, whoever dies meanwhile',
    async () => {
      for (const sink of place.sinks) sink.start()
      const feeding = feed(place, rewards)
      feeding.catch(() => undefined)
      const faults = await harass(place)
      await feeding
      await until(place, 'all to be settled', async () => (await lag(place)) === 0 && (await paid(place)) >= REWARDS)
      await until(place, 'nothing to be under way', async () => (await place.ledger.outstanding()) === 0)
      for (const sink of place.sinks) await sink.terminate(20_000)
      statement = await place.statement()
      expect(place.deaths).toEqual([])
      expect(faults).toMatchObject({ killed: expect.toSatisfy((killed: number) => killed >= 6), restarted: 2 })

      // Otherwise nothing of this was put to the test: some were paid, and asked for again.
      const { distinct, repeats, faults: done, ...wrong } = await place.counted()
      expect([distinct, repeats > REWARDS / 50, (done['late'] ?? 0) > 0, (done['lose'] ?? 0) > 0]).toEqual([
        REWARDS,
        true,
        true,
        true,
      ])
      expect(wrong).toMatchObject({ differing_repeats: 0, bad_signatures: 0, malformed: 0 })

      const ids = linesOf(statement).map(({ request_id: id }) => id)
      expect(new Set(ids).size).toBe(ids.length)
      const due = rewards.filter(({ fate }) => fate === 'paid').map(({ taskId }) => requestIdOf(taskId))
      expect(ids.sort()).toEqual(due.sort())
      const counts = (await place.ledger.totals()).map(({ status, count }) => [status, count])
      expect(Object.fromEntries(counts)).toEqual({ succeeded: REWARDS, held: HELD, frozen: FROZEN })
      const cents = rewards.reduce((sum, { fate, cents: each }) => sum + (fate === 'paid' ? each : 0), 0)
      const [pool] = await place.ledger.budgets()
      expect(pool).toMatchObject({ poolId: POOL, spent: BigInt(cents), reserved: 0n, overrun: 0n })
    },
    PATIENCE_MS * 2,
  )

  test('reconcile finds nothing', async () => {
    writeFileSync(join(dir, 'statement.csv'), statement)
    const { code, stdout } = await reconcile(place, join(dir, 'statement.csv'))
    expect([code, differencesIn(stdout)]).toEqual([0, []])
    expect(summaryIn(stdout)).toMatchObject({ differences: 0, notes: {}, unreadable: 0 })
  })

  test('of twenty planted differences it names exactly those twenty', async () => {
    const plants = plant(rewards, statement)
    expect(plants.expected).toHaveLength(20)
    const database = openDatabase(place.postgres.url)
    for (const move of plants.moves) await database.query(move)
    await pastTheTriggers(database, plants.edits)
    await database.dispose()
    const producer = await place.log.producer()
    await producer.send(plants.again.map((reward) => recordOf(reward, place.topics.rewards, clock.now())))
    await producer.close()
    writeFileSync(join(dir, 'planted.csv'), plants.statement)
    const { code, stdout } = await reconcile(place, join(dir, 'planted.csv'))
    const found = differencesIn(stdout).map(
      ({ kind, task_id: task, request_id: request, pool_id: pool }) => `${kind} ${task ?? request ?? pool}`,
    )
    expect(found.sort()).toEqual([...plants.expected].sort())
    expect(code).toBe(1)
  })
})

/** In pieces, so that booking goes on for as long as paying does. */
async function feed(place: PayoutInstallation, rewards: readonly Expected[]): Promise<void> {
  const producer = await place.log.producer()
  const piece = Math.ceil(rewards.length / 20)
  // Those that wait come early, so that all that happens happens to them, too.
  const inOrder = [...rewards].sort((a, b) => Number(a.fate === 'paid') - Number(b.fate === 'paid'))
  for (let from = 0; from < inOrder.length; from += piece) {
    const some = inOrder.slice(from, from + piece)
    await producer.send(some.map((reward) => recordOf(reward, place.topics.rewards, clock.now())))
    const settled = from - 2 * piece
    await until(place, `${settled} to be paid`, async () => (await paid(place)) >= settled)
  }
  await producer.close()
}

/** Kills a sink each time that some more were paid, and restarts Postgres at a third, as a crash, and at two thirds. */
async function harass(place: PayoutInstallation): Promise<{ readonly killed: number; readonly restarted: number }> {
  let [killed, restarted] = [0, 0]
  const pause = (): Promise<void> => clock.sleep(500)
  for (let share = 1; share <= 9; share += 1) {
    const reached = Math.floor((REWARDS * share) / 12)
    await until(place, `${reached} to be paid`, async () => (await paid(place)) >= reached)
    if (share === 3 || share === 6) {
      await place.postgres.restart({ crash: share === 3, pause })
      restarted += 1
      continue
    }
    // Two at once now and then, so that what they held has to wait for a lease.
    const hit = place.sinks.filter((_, n) => (n + share) % 4 === 0 || (share === 8 && n % 2 === 0))
    await Promise.all(hit.map((sink) => again(sink)))
    killed += hit.length
  }
  return { killed, restarted }
}

async function again(sink: Service): Promise<void> {
  await sink.kill()
  sink.start()
}

async function paid(place: PayoutInstallation): Promise<number> {
  // While Postgres is away there is nothing to know.
  const totals: readonly LedgerTotal[] = await place.ledger.totals().catch(() => [])
  return totals.find(({ status }) => status === 'succeeded')?.count ?? 0
}

/** Records that no sink has come to. */
async function lag(place: PayoutInstallation): Promise<number> {
  return (await groupLag(place.log, GROUP, place.topics.rewards))?.records ?? Number.POSITIVE_INFINITY
}

async function until(place: PayoutInstallation, what: string, holds: () => Promise<boolean>): Promise<void> {
  const giveUpAt = clock.monotonic() + PATIENCE_MS
  while (!(await holds().catch(() => false))) {
    if (place.deaths.length > 0) throw new Error(place.deaths.join('; '))
    if (clock.monotonic() > giveUpAt) throw new Error(`waited in vain for ${what}: ${await standing(place)}`)
    await clock.sleep(100)
  }
}

async function standing(place: PayoutInstallation): Promise<string> {
  const totals = await place.ledger.totals()
  return totals.map(({ status, count, cost }) => `${count} ${status} (${formatMoney(cost)})`).join(', ')
}

function reconcile(place: PayoutInstallation, statement: string): Promise<Ended> {
  const where = ['--brokers', place.brokers, '--prefix', place.prefix, '--statement', statement, '--json']
  return runCli(['reconcile', ...where], { environment: { ONCEWARD_DB: place.postgres.url } })
}

type Printed = Difference & { readonly type?: string }

function linesIn(stdout: string): Printed[] {
  return stdout
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Printed)
}

function differencesIn(stdout: string): Difference[] {
  return linesIn(stdout).filter(({ type }) => type !== 'summary')
}

function summaryIn(stdout: string): object | undefined {
  return linesIn(stdout).find(({ type }) => type === 'summary')
}
