/** The back office and the sink's own ledger on the same rewards. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import { manualTaskId } from '../../core/ids.ts'
import type { Restriction } from '../../core/model/player.ts'
import type { ClaimedTask, Ledger } from '../../core/ports/ledger.ts'
import { admitAgain } from '../../pipeline/payout/admission.ts'
import { ANN, command, give, manual, type Office, pool, requireBalance, standing, startOffices } from './office.ts'

let offices: Awaited<ReturnType<typeof startOffices>>
let office: Office
let ledger: Ledger
beforeAll(async () => {
  offices = await startOffices()
})
afterAll(() => offices.stop())
beforeEach(async () => {
  office = await offices.open()
  ledger = openPostgresLedger({ url: office.url, allowNonDurable: true })
  await pool(office)
})
afterEach(async () => {
  await requireBalance(office)
  await ledger.close()
  await office.close()
})

const OVERRIDE = { ...ANN, override: true }
const EXCLUSION: Restriction = { kind: 'self_exclusion', since: 0, until: null }
const id = manualTaskId('u_1', 'r')

async function claim(): Promise<ClaimedTask[]> {
  await ledger.reroute('unrouted', new Map([['*', { partner: 'wallet', ordered: false }]]))
  return [...(await ledger.claim({ owner: 'test', partner: 'wallet', limit: 10, leaseMs: 60_000 }))]
}

async function send(): Promise<ClaimedTask> {
  const [task] = await claim()
  if (task === undefined) throw new Error('nothing to claim')
  await ledger.clear([task])
  return task
}

const pay = (taskId: string) => ledger.settle([{ kind: 'succeeded', taskId, payoutId: 'p_1', payoutStatus: 'paid' }])

const tell = (kycLevel: number | null, restrictions: readonly Restriction[], seq: number) =>
  ledger.players([{ userId: 'u_1', player: { kycLevel, restrictions }, asOf: '2025-11-03T00:00:00Z', seq }])

test('what is issued by hand goes to the partner of its type, and is paid like any other', async () => {
  await office.office.issue(ANN, [manual('r')])
  const task = await send()
  expect(task).toMatchObject({ taskId: id, task: { ruleId: 'manual', reward: { type: 'cash', amount: 10 } } })
  await pay(id)
  expect(await standing(office, id)).toMatchObject({ status: 'succeeded', spent: '10.00', reserved: '0.00', queued: 0 })
})

describe('a freeze while a call is under way', () => {
  beforeEach(async () => {
    await office.office.issue(ANN, [manual('r')])
  })

  test('a call that failed is not made again', async () => {
    const { claim: token } = await send()
    await office.office.carryOut(command('freeze'), [id])
    await ledger.settle([{ kind: 'retry', taskId: id, claim: token, delayMs: 0, reason: '503' }])
    await ledger.settle([{ kind: 'failed', taskId: id, claim: token, reason: '503', inDoubt: true }])
    expect(await claim()).toEqual([])
    expect(await standing(office, id)).toMatchObject({ status: 'frozen', reserved: '10.00', frozen_by: 'manual' })
    expect(await ledger.thaw(admitAgain, 10)).toMatchObject({ known: 0 })
  })

  test('a call that paid is booked as what it is', async () => {
    await send()
    await office.office.carryOut(command('freeze'), [id])
    await pay(id)
    expect(await standing(office, id)).toMatchObject({
      status: 'succeeded',
      spent: '10.00',
      reserved: '0.00',
      overrun: '0.00',
    })
  })

  test('what was voided as not paid, and turns out to be, is spent', async () => {
    await send()
    await office.office.carryOut(command('freeze'), [id])
    await office.office.carryOut(command('void', ANN, { notPaid: true }), [id])
    expect(await standing(office, id)).toMatchObject({ status: 'voided', reserved: '0.00' })
    await pay(id)
    expect(await standing(office, id)).toMatchObject({ status: 'succeeded', spent: '10.00' })
  })

  test('what is claimed and not sent yet finds itself lost', async () => {
    const [task] = await claim()
    await office.office.carryOut(command('freeze'), [id])
    const clearances = await ledger.clear(task === undefined ? [] : [task])
    expect([...clearances.values()].map(({ kind }) => kind)).not.toContain('send')
    expect(await standing(office, id)).toMatchObject({ status: 'frozen', reserved: '0.00' })
  })
})

describe('the gates at the moment of the call', () => {
  test('let through what was overridden, and still stop a self-exclusion', async () => {
    await tell(1, [], 1)
    await office.office.issue(OVERRIDE, [manual('r', { kycRequired: 2 })])
    const [task] = await claim()
    if (task === undefined) throw new Error('nothing to claim')
    await tell(1, [EXCLUSION], 2)
    expect([...(await ledger.clear([task])).values()]).toMatchObject([{ kind: 'frozen' }])
    const [refused] = await office.office.carryOut(command('release', OVERRIDE), [id])
    expect(refused).toMatchObject({ kind: 'refused' })
    await tell(1, [], 3)
    const [released] = await office.office.carryOut(command('release'), [id])
    expect(released).toMatchObject({ kind: 'done', to: 'reserved' })
    expect(await send()).toMatchObject({ taskId: id })
  })

  test('a gift to an excluded player goes by itself when the restriction is lifted', async () => {
    await tell(2, [EXCLUSION], 1)
    await office.office.issue(OVERRIDE, [manual('r', { kycRequired: 2 })])
    expect(await ledger.thaw(admitAgain, 10)).toMatchObject({ known: 0 })
    await tell(2, [], 2)
    expect(await ledger.thaw(admitAgain, 10)).toMatchObject({ known: 1 })
    expect(await standing(office, id)).toMatchObject({ status: 'reserved', queued: 1 })
  })

  test('a gift to a player of unknown level waits for a person, whatever a sink makes of unknown levels', async () => {
    await office.office.issue(ANN, [manual('r', { kycRequired: 2 })])
    expect(await ledger.thaw(admitAgain, 10)).toMatchObject({ known: 0 })
    expect(await standing(office, id)).toMatchObject({ status: 'frozen', frozen_by: 'manual' })
  })
})

test('a reward that failed in doubt is resent under its own id, and an approval that came late changes nothing', async () => {
  await give(office, { id: 'rt_1', status: 'failed', inDoubt: true })
  await office.office.carryOut(command('resend'), ['rt_1'])
  expect(await send()).toMatchObject({ taskId: 'rt_1' })
  await pay('rt_1')
  const [again] = await office.office.carryOut(command('resend'), ['rt_1'])
  expect(again).toMatchObject({ kind: 'unchanged', detail: 'it is paid (p_1)' })
  expect(await standing(office, 'rt_1')).toMatchObject({ status: 'succeeded', spent: '10.00', reserved: '0.00' })
})
