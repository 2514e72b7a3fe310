/** What stood ahead of a reward when it was stopped or refused stands ahead of it still when somebody lets it go. */
import { sql } from '@databases/pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import type { LedgerTask } from '../../core/ports/ledger.ts'
import { admit } from '../../pipeline/payout/admission.ts'
import { created, entry, frozen, terms } from '../ledger/fixtures.ts'
import { ANN, BOB, command, type Office, standing, startOffices } from './office.ts'

let offices: Awaited<ReturnType<typeof startOffices>>
let office: Office
beforeAll(async () => {
  offices = await startOffices()
}, 60_000)
afterAll(() => offices.stop())
beforeEach(async () => {
  office = await offices.open()
})
afterEach(() => office.close())

const LARGE = [{ by: 'large_prize', detail: 'a prize of 25.00 is reviewed, as is each from 10.00 on' }]
const prize = (change: Partial<LedgerTask> = {}): LedgerTask =>
  entry(1, { userId: 'u_1', kycRequired: 0, cost: 2_500n, value: 2_500n, holds: LARGE, approvals: 2, ...change })

async function book(arrivals: Parameters<ReturnType<typeof openPostgresLedger>['book']>[0]): Promise<void> {
  const ledger = openPostgresLedger({ url: office.url, allowNonDurable: true })
  await ledger.book(arrivals, admit)
  await ledger.close()
}

describe.each([
  ['release', async (task: LedgerTask) => book([frozen(task)])],
  [
    'resend',
    async (task: LedgerTask) => {
      await book([created({ ...task, terms: terms({ budget: 0n, whenClosed: 'dlq' }) })])
      await office.database.query(sql`UPDATE reward_budget SET budget = 1000`)
    },
  ],
] as const)('%s', (name, given) => {
  test('leads to the review that the policy wants, by as many people', async () => {
    const task = prize()
    await given(task)
    const [outcome] = await office.office.carryOut(command(name, ANN), [task.taskId])
    expect(outcome).toMatchObject({ kind: 'done', to: 'held' })
    expect(await standing(office, task.taskId)).toMatchObject({ status: 'held', reserved: '0.00', queued: 0 })
    const { holds } = await office.office.reward(task.taskId)
    expect(holds.at(-1)).toMatchObject({ reasons: LARGE, approvals: 2, decision: null })
    await office.office.carryOut(command('approve', ANN), [task.taskId])
    expect(await standing(office, task.taskId)).toMatchObject({ status: 'held' })
    await office.office.carryOut(command('approve', BOB), [task.taskId])
    expect(await standing(office, task.taskId)).toMatchObject({ status: 'reserved', reserved: '25.00' })
  })

  test('lets go at once what nobody has to look at', async () => {
    const task = prize({ holds: [], approvals: 1 })
    await given(task)
    const [outcome] = await office.office.carryOut(command(name, ANN), [task.taskId])
    expect(outcome).toMatchObject({ kind: 'done', to: 'reserved' })
  })

  test('asks for two people where the prize is for two, whatever else is said of it', async () => {
    const task = prize({ holds: [] })
    await given(task)
    const [outcome] = await office.office.carryOut(command(name, ANN), [task.taskId])
    expect(outcome).toMatchObject({ kind: 'done', to: 'held' })
  })
})
