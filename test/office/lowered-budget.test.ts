import { afterAll, expect, test } from 'vitest'
import { sql } from '@databases/pg'
import { ANN, command, give, startOffices, standing, pool } from './office.ts'

test('an override goes past a budget that was lowered below what is gone already', async () => {
  const offices = await startOffices()
  afterAll(() => offices.stop())
  const office = await offices.open()
  await pool(office)
  await give(office, { id: 'rt_0', status: 'reserved', cost: '500.00' })
  await give(office, { id: 'rt_1', status: 'held', cost: '10.00' })
  await office.database.query(sql`UPDATE reward_budget SET budget = 50`)
  const [outcome] = await office.office.carryOut(command('approve', { ...ANN, override: true }), ['rt_1'])
  expect(outcome).toMatchObject({ kind: 'done', to: 'reserved', overrun: 46_000n })
  expect(await standing(office, 'rt_1')).toMatchObject({ status: 'reserved', reserved: '510.00', overrun: '460.00' })
  await office.close()
})
