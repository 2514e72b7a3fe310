import { sql } from '@databases/pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { manualTaskId } from '../../core/ids.ts'
import type { BackOffice, Mandate, Outcome } from '../../core/ports/back-office.ts'
import {
  ANN,
  audited,
  BOB,
  command,
  give,
  manual,
  type Office,
  pool,
  standing,
  startOffices,
  requireBalance,
} from './office.ts'

let offices: Awaited<ReturnType<typeof startOffices>>
let office: Office
let others: BackOffice[]
beforeAll(async () => {
  offices = await startOffices()
})
afterAll(() => offices.stop())
beforeEach(async () => {
  office = await offices.open()
  others = [office.office, office.another(), office.another(), office.another()]
})
afterEach(async () => {
  await requireBalance(office)
  await office.close()
})

const kinds = (outcomes: readonly (readonly Outcome[])[]): string[] => outcomes.flat().map(({ kind }) => kind)
const count = (all: readonly string[], kind: string): number => all.filter((one) => one === kind).length
const REPEATS = 60

describe('people who decide at the same time', () => {
  test('of four who approve, reject or void one hold, one does and the others learn who', async () => {
    for (let n = 0; n < REPEATS; n++) {
      const id = `rt_${n}`
      await give(office, { id, status: 'held', cost: '1.00' })
      const outcomes = await Promise.all([
        others[0]?.carryOut(command('approve', ANN), [id]) ?? [],
        others[1]?.carryOut(command('reject', BOB), [id]) ?? [],
        others[2]?.carryOut(command('approve', { ...ANN, actor: 'carol' }), [id]) ?? [],
        others[3]?.carryOut(command('reject', { ...ANN, actor: 'dave' }), [id]) ?? [],
      ])
      expect(count(kinds(outcomes), 'done')).toBe(1)
      for (const outcome of outcomes.flat()) {
        if (outcome.kind !== 'refused') continue
        expect(outcome.code).toBe('ONCEWARD_E_HOLD_DECIDED')
        expect(outcome.detail).toMatch(
          /^(ann|bob|carol|dave) (approved|rejected) it at 20\d\d-.* \(looked at it\); it is (reserved|voided)$/,
        )
      }
    }
    expect(await audited(office)).toHaveLength(REPEATS)
  })

  test('two approvals of four eyes at once reserve once', async () => {
    for (let n = 0; n < REPEATS; n++) {
      const id = `rt_${n}`
      await give(office, { id, status: 'held', cost: '1.00', approvals: 2 })
      const outcomes = await Promise.all(
        [ANN, BOB, ANN, BOB].map(
          async (mandate, i) => (await others[i]?.carryOut(command('approve', mandate), [id])) ?? [],
        ),
      )
      expect(count(kinds(outcomes), 'done')).toBe(2)
      expect(await standing(office, id)).toMatchObject({ status: 'reserved', queued: 1 })
    }
  })

  test('many who approve from one pool never take more than it has', async () => {
    await pool(office, 'season', { budget: '20.00' })
    const ids = Array.from({ length: 80 }, (_, n) => `rt_${n}`)
    for (const id of ids) await give(office, { id, status: 'held', cost: '1.00' })
    const outcomes = await Promise.all(
      others.map(async (each, i) =>
        each.carryOut(
          command('approve'),
          ids.filter((_, n) => n % 4 === i),
        ),
      ),
    )
    expect(count(kinds(outcomes), 'done')).toBe(20)
    expect(await standing(office, 'rt_0')).toMatchObject({ reserved: '20.00', overrun: '0.00' })
  })
})

test('of a person who freezes and a sink that sends, either comes first and the other sees it', async () => {
  for (let n = 0; n < REPEATS; n++) {
    const id = `rt_${n}`
    await give(office, { id, status: 'reserved', cost: '1.00' })
    // What a sink's clearance does: it locks the row, and sends what is reserved still.
    const sending = office.database.query(sql`
      UPDATE reward_ledger SET status = 'sent' WHERE reward_task_id = ${id} AND status = 'reserved' RETURNING id`)
    const [sent, outcomes] = await Promise.all([sending, others[1]?.carryOut(command('freeze'), [id]) ?? []])
    const [outcome] = outcomes
    expect(outcome).toMatchObject({ kind: 'done', to: 'frozen' })
    const wasSent = (sent as unknown[]).length === 1
    // Sent first: it may be paid, and its reservation stays.
    expect(await standing(office, id)).toMatchObject({ status: 'frozen', queued: 0, reserves: wasSent })
  }
})

test('one reference that several people issue at once is one reward', async () => {
  await pool(office)
  for (let n = 0; n < REPEATS / 2; n++) {
    // Without a pool nothing but the reference itself keeps them apart.
    const reward = manual(`ticket ${n}`, n % 2 === 0 ? { poolId: null } : {})
    const people: Mandate[] = [ANN, BOB, ANN, BOB]
    const outcomes = await Promise.all(
      people.map(async (mandate, i) => (await others[i]?.issue(mandate, [reward])) ?? []),
    )
    expect([count(kinds(outcomes), 'done'), count(kinds(outcomes), 'unchanged')]).toEqual([1, 3])
    expect(await standing(office, manualTaskId('u_1', `ticket ${n}`))).toMatchObject({ status: 'reserved', queued: 1 })
  }
})

test('commands over the same rewards in opposite orders end, whoever wins', async () => {
  const ids = Array.from({ length: 40 }, (_, n) => `rt_${n}`)
  for (const [n, id] of ids.entries()) await give(office, { id, status: 'held', cost: '1.00', pool: `pool_${n % 5}` })
  const outcomes = await Promise.all([
    others[0]?.carryOut(command('approve'), ids) ?? [],
    others[1]?.carryOut(command('reject', BOB), ids.toReversed()) ?? [],
    others[2]?.carryOut(command('freeze'), ids.toReversed()) ?? [],
  ])
  expect(outcomes.flat()).toHaveLength(120)
})
