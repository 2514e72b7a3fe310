import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { sql } from '@databases/pg'
import { REWARD_STATUSES, type RewardStatus } from '../../core/model/reward-status.ts'
import type { CommandName, Mandate, Outcome } from '../../core/ports/back-office.ts'
import {
  ANN,
  audited,
  BOB,
  command,
  EXCLUDED,
  type Given,
  give,
  type Office,
  player,
  pool,
  standing,
  startOffices,
  requireBalance,
} from './office.ts'

let offices: Awaited<ReturnType<typeof startOffices>>
let office: Office
beforeAll(async () => {
  offices = await startOffices()
})
afterAll(() => offices.stop())
beforeEach(async () => {
  office = await offices.open()
})
afterEach(async () => {
  await requireBalance(office)
  await office.close()
})

const OVERRIDE: Mandate = { ...ANN, override: true }

async function run(name: CommandName, id = 'rt_1', mandate: Mandate = ANN, notPaid = false): Promise<Outcome> {
  const order = command(name, mandate, { notPaid })
  const forecast = await office.office.forecast(order, [id], new Map())
  const outcomes = await office.office.carryOut(order, [id])
  // What was forecast is what is done.
  expect(outcomes.map(({ kind }) => kind)).toEqual(forecast.map(({ kind }) => kind))
  const [outcome] = outcomes
  if (outcome === undefined) throw new Error('no outcome')
  return outcome
}

describe('state × command', () => {
  type Row = [CommandName, RewardStatus, boolean, 'unchanged' | 'refused' | RewardStatus, string?]
  const table: Row[] = [
    ['approve', 'held', false, 'reserved'],
    ['reject', 'held', false, 'voided'],
    ['assign', 'held', false, 'held'],
    ...(['approve', 'reject', 'assign', 'unassign'] as const).flatMap((name) =>
      (['frozen', 'reserved', 'sent', 'succeeded', 'failed', 'voided', 'expired'] as const).map(
        (status): Row => [name, status, false, 'refused', 'never held'],
      ),
    ),
    ['unassign', 'held', false, 'unchanged'],
    ['freeze', 'pending', false, 'frozen'],
    ['freeze', 'held', false, 'frozen'],
    ['freeze', 'reserved', false, 'frozen'],
    ['freeze', 'reserved', true, 'frozen'],
    ['freeze', 'sent', true, 'frozen'],
    ['freeze', 'frozen', false, 'unchanged'],
    ['freeze', 'failed', false, 'refused', 'nothing is sent'],
    ['freeze', 'succeeded', false, 'refused', 'it is paid (p_1)'],
    ['freeze', 'voided', false, 'refused', 'ended as voided'],
    ['freeze', 'expired', false, 'refused', 'ended as expired'],
    ['release', 'frozen', false, 'reserved'],
    ['release', 'frozen', true, 'reserved'],
    ['release', 'held', false, 'unchanged'],
    ['release', 'reserved', false, 'unchanged'],
    ['release', 'sent', true, 'unchanged'],
    ['release', 'succeeded', false, 'unchanged'],
    ['release', 'failed', false, 'unchanged'],
    ['release', 'voided', false, 'refused', 'ended as voided'],
    ['release', 'expired', false, 'refused', 'ended as expired'],
    ['void', 'pending', false, 'voided'],
    ['void', 'held', false, 'voided'],
    ['void', 'frozen', false, 'voided'],
    ['void', 'frozen', true, 'refused', '--not-paid'],
    ['void', 'reserved', false, 'voided'],
    ['void', 'reserved', true, 'refused', 'freeze it first'],
    ['void', 'sent', true, 'refused', 'freeze it first'],
    ['void', 'failed', false, 'voided'],
    ['void', 'failed', true, 'refused', 'look for rid_'],
    ['void', 'voided', false, 'unchanged'],
    ['void', 'succeeded', false, 'refused', 'it is paid'],
    ['void', 'expired', false, 'refused', 'ended as expired'],
    ['resend', 'failed', false, 'reserved'],
    ['resend', 'failed', true, 'reserved'],
    ['resend', 'reserved', false, 'unchanged'],
    ['resend', 'sent', true, 'unchanged'],
    ['resend', 'succeeded', false, 'unchanged'],
    ['resend', 'held', false, 'refused', 'only what has failed'],
    ['resend', 'frozen', false, 'refused', 'only what has failed'],
    ['resend', 'voided', false, 'refused', 'ended as voided'],
    ['resend', 'expired', false, 'refused', 'ended as expired'],
  ]

  // One ledger for each command: a fresh one for each row would be most of the time that this takes.
  test.each([...new Set(table.map(([name]) => name))])('%s, in every state that the table has', async (name) => {
    const rows = table.filter((row) => row[0] === name)
    for (const [n, [, status, inDoubt, becomes, says]] of rows.entries()) {
      const what = `${name} of what is ${status}${inDoubt ? ' and in doubt' : ''}`
      const id = `rt_${n}`
      await give(office, { id, status, inDoubt, pool: `pool_${n}` })
      const before = await standing(office, id)
      const outcome = await run(name, id)
      const after = await standing(office, id)
      const entries = (await audited(office)).filter(({ subject }) => subject === id)
      if (becomes === 'unchanged' || becomes === 'refused') {
        expect([what, outcome.kind, after, entries]).toEqual([what, becomes, before, []])
        expect(`${what}: ${'detail' in outcome ? outcome.detail : ''}`).toContain(says ?? '')
        continue
      }
      expect({ what, ...outcome }).toMatchObject({ what, kind: 'done', from: status, to: becomes })
      expect({ what, ...after }).toMatchObject({
        what,
        status: becomes,
        reserves: becomes === 'reserved' || (becomes === 'frozen' && inDoubt),
        queued: becomes === 'reserved' ? 1 : 0,
        open: becomes === 'held' ? 1 : 0,
        frozen_by: becomes === 'frozen' ? 'manual' : null,
      })
      expect([what, ...entries]).toMatchObject([what, { actor: 'ann', reason: 'looked at it' }])
    }
  })

  test('the table has every command in every state that a reward can be found in', () => {
    const names: readonly CommandName[] = [
      'approve',
      'reject',
      'assign',
      'unassign',
      'freeze',
      'release',
      'void',
      'resend',
    ]
    const found = REWARD_STATUSES.filter((status) => status !== 'pending')
    const missing = names.flatMap((name) =>
      found.filter((status) => !table.some((row) => row[0] === name && row[1] === status)),
    )
    expect(missing).toEqual([])
  })

  test('what is in doubt is voided once somebody says that the partner did not pay, and its reservation is given back', async () => {
    await give(office, { id: 'rt_1', status: 'failed', inDoubt: true })
    expect(await standing(office, 'rt_1')).toMatchObject({ reserved: '10.00' })
    expect(await run('void', 'rt_1', ANN, true)).toMatchObject({ kind: 'done', to: 'voided', reserved: -1000n })
    expect(await standing(office, 'rt_1')).toMatchObject({ status: 'voided', reserved: '0.00' })
  })

  test('a freeze while a call is under way says so, and keeps the reservation', async () => {
    await give(office, { id: 'rt_1', status: 'sent', claimed: true })
    const outcome = await run('freeze')
    expect(outcome).toMatchObject({ kind: 'done', to: 'frozen', reserved: 0n })
    expect('notes' in outcome ? outcome.notes.join() : '').toContain('a call is under way and may still pay it')
    expect(await standing(office, 'rt_1')).toMatchObject({ queued: 0, reserved: '10.00' })
  })

  test('what the gates froze becomes a person’s, and nobody but a person lets it go then', async () => {
    await give(office, { id: 'rt_1', status: 'frozen', frozenBy: 'stream' })
    expect(await run('freeze')).toMatchObject({ kind: 'done', from: 'frozen', to: 'frozen' })
    expect(await standing(office, 'rt_1')).toMatchObject({ status: 'frozen', frozen_by: 'manual' })
  })

  test('what was under review when it was frozen goes back to its review', async () => {
    await give(office, { id: 'rt_1', status: 'held', approvals: 2 })
    await run('freeze')
    expect(await run('release')).toMatchObject({ kind: 'done', from: 'frozen', to: 'held' })
    const view = await office.office.reward('rt_1')
    expect(view.holds).toMatchObject([
      { decision: 'ended', approvals: 2 },
      { decision: null, approvals: 2, reasons: [{ by: 'large_prize' }] },
    ])
  })

  test('whose time is up is not released, but what is in doubt never expires', async () => {
    for (const [id, inDoubt] of [
      ['rt_1', false],
      ['rt_2', true],
    ] as const)
      await give(office, { id, status: 'frozen', inDoubt })
    await office.database.query(sql`UPDATE reward_freeze SET expires_at = now() - interval '1 second'`)
    expect(await run('release')).toMatchObject({
      kind: 'refused',
      detail: expect.stringContaining('its time was up at'),
    })
    expect(await run('release', 'rt_2')).toMatchObject({ kind: 'done', to: 'reserved' })
  })

  test('a reward that nobody has is named', async () => {
    expect(await run('freeze', 'rt_gone')).toMatchObject({ kind: 'refused', code: 'ONCEWARD_E_REWARD_UNKNOWN' })
    await expect(office.office.reward('rt_gone')).rejects.toMatchObject({ code: 'ONCEWARD_E_REWARD_UNKNOWN' })
  })
})

describe('gates', () => {
  const ways: readonly (readonly [CommandName, Given])[] = [
    ['approve', { id: 'rt_1', status: 'held', kyc: 2 }],
    ['release', { id: 'rt_1', status: 'frozen', kyc: 2 }],
    ['resend', { id: 'rt_1', status: 'failed', kyc: 2 }],
  ]
  describe.each(ways)('%s', (name, given) => {
    test.each([
      ['an unknown level', null, false],
      ['a low level', 1, false],
      ['enough', 2, true],
    ])('%s', async (_, kyc, passes) => {
      await give(office, given)
      if (kyc !== null) await player(office, 'u_1', { kyc })
      expect(await run(name)).toMatchObject({ kind: passes ? 'done' : 'refused' })
      if (passes) return
      expect(await standing(office, 'rt_1')).toMatchObject({ status: given.status })
      expect(await run(name, 'rt_1', OVERRIDE)).toMatchObject({ kind: 'done', to: 'reserved' })
      // So that the sink's look at the moment of the call lets it through as well.
      expect(await standing(office, 'rt_1')).toMatchObject({ kyc_required: 0 })
      const [entry] = await audited(office)
      expect(entry?.['detail']).toMatchObject({ override: [expect.stringContaining('KYC level')] })
    })

    test('nobody goes past responsible gaming', async () => {
      await give(office, given)
      await player(office, 'u_1', { kyc: 3, restrictions: [EXCLUDED] })
      const outcome = await run(name, 'rt_1', OVERRIDE)
      expect(outcome).toMatchObject({ kind: 'refused', code: 'ONCEWARD_E_REWARD_REFUSED' })
      expect('detail' in outcome ? outcome.detail : '').toContain('self_exclusion')
      expect(await standing(office, 'rt_1')).toMatchObject({ status: given.status, kyc_required: 2 })
    })
  })
})

describe('the hard cap', () => {
  const ways: readonly (readonly [CommandName, Given])[] = [
    ['approve', { id: 'rt_1', status: 'held', cost: '60.00' }],
    ['release', { id: 'rt_1', status: 'frozen', cost: '60.00' }],
    ['resend', { id: 'rt_1', status: 'failed', cost: '60.00' }],
  ]
  test.each(ways)('%s: refused above it, unless overridden with a reason that is audited', async (name, given) => {
    await pool(office, 'season', { budget: '100.00' })
    await give(office, { id: 'rt_0', status: 'reserved', cost: '30.00' })
    await give(office, given.status === 'failed' ? { ...given, cost: '60.00' } : given)
    await office.database.query(sql`UPDATE reward_budget SET budget = 70`)
    const refused = await run(name)
    expect(refused).toMatchObject({ kind: 'refused', detail: expect.stringContaining('40.00 of 70.00') })
    expect(await run(name, 'rt_1', OVERRIDE)).toMatchObject({ kind: 'done', to: 'reserved', overrun: 2000n })
    expect(await standing(office, 'rt_1')).toMatchObject({ reserved: '90.00', overrun: '20.00' })
    expect((await audited(office)).at(-1)?.['detail']).toMatchObject({
      overrun: '20.00',
      override: [expect.any(String)],
    })
  })

  test('rewards of one call share what is left, in the forecast as in the deed', async () => {
    await pool(office, 'season', { budget: '25.00' })
    const ids = ['rt_1', 'rt_2', 'rt_3']
    for (const id of ids) await give(office, { id, status: 'held' })
    const kinds = (outcomes: readonly Outcome[]): string[] => outcomes.map(({ kind }) => kind)
    const positions = new Map()
    const forecast: Outcome[] = []
    for (const id of ids) forecast.push(...(await office.office.forecast(command('approve'), [id], positions)))
    expect(kinds(forecast)).toEqual(['done', 'done', 'refused'])
    expect(kinds(await office.office.carryOut(command('approve'), ids))).toEqual(['done', 'done', 'refused'])
  })
})

describe('four eyes', () => {
  test('two people must approve, and only the second reserves', async () => {
    await give(office, { id: 'rt_1', status: 'held', approvals: 2 })
    expect(await run('approve')).toMatchObject({ kind: 'done', to: 'held', reserved: 0n })
    const again = await run('approve')
    expect(again).toMatchObject({ kind: 'refused', code: 'ONCEWARD_E_HOLD_DECIDED' })
    expect(await standing(office, 'rt_1')).toMatchObject({ status: 'held', queued: 0, reserved: '0.00' })
    expect(await run('approve', 'rt_1', BOB)).toMatchObject({ kind: 'done', to: 'reserved', reserved: 1000n })
    expect((await audited(office)).map(({ actor, action }) => [actor, action])).toEqual([
      ['ann', 'hold.approval'],
      ['bob', 'hold.approved'],
    ])
  })

  test('one of the two may reject', async () => {
    await give(office, { id: 'rt_1', status: 'held', approvals: 2 })
    await run('approve')
    expect(await run('reject', 'rt_1', BOB)).toMatchObject({ kind: 'done', to: 'voided' })
  })
})

test('a cost that nobody knew must be said before somebody approves', async () => {
  await give(office, { id: 'rt_1', status: 'held', cost: '0.00', holds: [{ by: 'no_rate', detail: 'no rate' }] })
  expect(await run('approve')).toMatchObject({ kind: 'refused', detail: expect.stringContaining('--cost') })
  await office.office.carryOut({ ...ANN, name: 'approve', cost: 1234n }, ['rt_1'])
  expect(await standing(office, 'rt_1')).toMatchObject({ status: 'reserved', reserved: '12.34' })
})

test('a cost that is known is nobody’s to say: that would be a way past the budget', async () => {
  await give(office, { id: 'rt_1', status: 'held', cost: '10.00' })
  const [outcome] = await office.office.carryOut({ ...ANN, name: 'approve', cost: 1n }, ['rt_1'])
  expect(outcome).toMatchObject({ kind: 'refused', detail: expect.stringContaining('10.00') })
  expect(await standing(office, 'rt_1')).toMatchObject({ status: 'held', reserved: '0.00' })
})

test('nothing is done in nobody’s name or for no reason', async () => {
  await give(office, { id: 'rt_1', status: 'held' })
  for (const mandate of [
    { ...ANN, actor: ' ' },
    { ...ANN, reason: '' },
  ]) {
    await expect(office.office.carryOut(command('approve', mandate), ['rt_1'])).rejects.toMatchObject({
      code: 'ONCEWARD_E_USAGE',
    })
  }
})
