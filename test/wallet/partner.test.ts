import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { FAULT_KINDS, faultOf, faultRates, isDown } from '../../connectors/partner/faults.ts'
import { type Partner, type PartnerOptions, startPartner } from '../../connectors/partner/partner.ts'
import { openPayouts, type Payout } from '../../connectors/partner/payouts.ts'
import { statement } from '../../connectors/partner/statement.ts'
import { httpWallet } from '../../connectors/wallet/http-wallet.ts'
import { systemClock } from '../../core/clock.ts'
import type { PartnerSpec } from '../../core/model/partner.ts'
import type { Wallet } from '../../core/ports/wallet.ts'
import { cleaning, order, partnerSpec, SECRET } from './support.ts'

const { keep, clean } = cleaning()
afterEach(clean)

async function start(options: Partial<PartnerOptions> = {}): Promise<Partner> {
  const partner = await startPartner({ secret: SECRET, clock: systemClock, ...options })
  keep(() => partner.stop())
  return partner
}

function wallet(partner: Partner, change: Partial<PartnerSpec> = {}): Wallet {
  const made = httpWallet({ spec: partnerSpec(partner.url, change), clock: systemClock })
  keep(() => made.close())
  return made
}

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'onceward-partner-'))
  keep(async () => rmSync(dir, { recursive: true }))
  return dir
}

async function control(partner: Partner, change: object | string): Promise<number> {
  const body = typeof change === 'string' ? change : JSON.stringify(change)
  return (await fetch(`${partner.url}/control`, { method: 'POST', body })).status
}

test('an order is paid once, however many repeats come at the same time', async () => {
  const partner = await start()
  const client = wallet(partner, { concurrency: 32 })
  const outcomes = await Promise.all(Array.from({ length: 200 }, (_, n) => client.credit(order(n % 10))))
  expect(new Set(outcomes.map((outcome) => JSON.stringify(outcome))).size).toBe(10)
  expect(partner.stats()).toMatchObject({ calls: 200, distinct: 10, repeats: 190, differing_repeats: 0 })
  expect(partner.stats().amounts).toEqual({ 'bonus_cash EUR': '20.00' })
})

test('another order under an id that was paid gets 409, is counted, and pays nothing', async () => {
  const partner = await start()
  const client = wallet(partner)
  await client.credit(order(1))
  const other = { ...order(1), reward: { type: 'bonus_cash', amount: 2_000, currency: 'EUR' } }
  expect(await client.credit(other)).toMatchObject({ kind: 'refused', detail: expect.stringMatching(/^HTTP 409/) })
  expect(partner.stats()).toMatchObject({ distinct: 1, differing_repeats: 1, amounts: { 'bonus_cash EUR': '2.00' } })
})

describe('a fault', () => {
  test.each([
    ['fail', 'unavailable', /^HTTP 500/, undefined],
    ['timeout', 'unavailable', /no answer within/, undefined],
    ['late', 'unavailable', /no answer within/, true],
    ['lose', 'unavailable', /no answer: (?!no answer)/, true],
    ['reset', 'unavailable', /no answer: (?!no answer)/, false],
    ['reject', 'refused', /^HTTP 422/, false],
    ['throttle', 'unavailable', /^HTTP 429/, false],
    ['redirect', 'refused', /^HTTP 307/, false],
    ['differ', 'paid', undefined, true],
  ] as const)('%s is %s', async (kind, outcome, detail, pays) => {
    const partner = await start({ faults: { [kind]: 1 }, lateMs: 10_000, retryAfterS: 4 })
    const client = wallet(partner, { timeoutMs: 600 })
    const got = await client.credit(order(1))
    expect(got.kind).toBe(outcome)
    if (detail !== undefined) expect(got).toMatchObject({ detail: expect.stringMatching(detail) })
    if (kind === 'throttle') expect(got).toMatchObject({ retryAfterMs: 4_000 })
    if (pays !== undefined) expect(partner.payouts()).toEqual(pays ? [order(1).requestId] : [])
    // The next day all is well, and what was paid is paid still, once.
    partner.change({ faults: { [kind]: 0 } })
    expect(await client.credit(order(1))).toMatchObject({ kind: 'paid' })
    expect(partner.stats()).toMatchObject({ distinct: 1 })
  })

  test('differ answers a repeat with another payout', async () => {
    const partner = await start({ faults: { differ: 1 } })
    const client = wallet(partner)
    const first = await client.credit(order(1))
    const second = await client.credit(order(1))
    expect([first.kind, second.kind]).toEqual(['paid', 'paid'])
    expect(second).not.toEqual(first)
    expect(partner.stats()).toMatchObject({ distinct: 1, repeats: 1, differing_repeats: 0, faults: { differ: 2 } })
  })

  test('late answers after all, where the caller waits', async () => {
    const partner = await start({ faults: { late: 1 }, lateMs: 60 })
    const began = performance.now()
    expect(await wallet(partner).credit(order(1))).toMatchObject({ kind: 'paid' })
    expect(performance.now() - began).toBeGreaterThanOrEqual(55)
  })

  test('comes at its rate and no other, and the same draw always brings the same one', () => {
    const rates = faultRates({ fail: 0.1, timeout: 0.1, late: 0.1, lose: 0.1, reset: 0.1, reject: 0.1, throttle: 0.1 })
    const counts = new Map<string, number>()
    for (let n = 0; n < 1_000; n++) {
      const { kind } = faultOf(n / 1_000, rates)
      counts.set(kind, (counts.get(kind) ?? 0) + 1)
    }
    for (const kind of FAULT_KINDS.slice(0, 7)) expect(counts.get(kind)).toBeCloseTo(100, -1)
    expect(counts.get('none')).toBeCloseTo(300, -1)
    expect(faultOf(0.04, rates)).toEqual({ kind: 'fail', afterPaying: true })
    expect(faultOf(0.06, rates)).toEqual({ kind: 'fail', afterPaying: false })
  })

  test('rates out of bounds, and more than all of the calls together, are refused', () => {
    for (const wrong of [{ fail: -0.1 }, { late: 1.1 }, { lose: Number.NaN }, { fail: 0.6, reset: 0.6 }]) {
      expect(() => faultRates(wrong)).toThrow(expect.objectContaining({ code: 'ONCEWARD_E_SETTING_INVALID' }))
    }
    expect(() => faultRates(Object.fromEntries(FAULT_KINDS.slice(0, 5).map((kind) => [kind, 0.2])))).not.toThrow()
  })
})

describe('while it runs', () => {
  test('POST /control changes what goes wrong', async () => {
    const partner = await start()
    const client = wallet(partner)
    expect(await control(partner, { faults: { fail: 1 } })).toBe(200)
    expect(await client.credit(order(1))).toMatchObject({ kind: 'unavailable' })
    expect(await control(partner, { faults: { fail: 0 }, latency_ms: 1 })).toBe(200)
    expect(await client.credit(order(1))).toMatchObject({ kind: 'paid' })
  })

  test('it can be down, with an answer or without, and up again', async () => {
    const partner = await start()
    const client = wallet(partner)
    await control(partner, { down: 'answer' })
    expect(await client.credit(order(1))).toMatchObject({ detail: expect.stringMatching(/^HTTP 503/) })
    await control(partner, { down: 'close' })
    expect(await client.credit(order(1))).toMatchObject({ detail: expect.stringMatching(/^no answer/) })
    await control(partner, { down: 'no' })
    expect(await client.credit(order(1))).toMatchObject({ kind: 'paid' })
    await control(partner, { down: 'answer', down_for_ms: 0 })
    expect(await client.credit(order(1))).toMatchObject({ kind: 'paid' })
    expect(partner.stats()).toMatchObject({ calls: 4, down: 2, distinct: 1 })
  })

  test('what it does not know is refused, and changes nothing', async () => {
    const partner = await start()
    for (const wrong of [
      '',
      'null',
      '[]',
      '{"faults":{"explode":1}}',
      '{"faults":{"fail":2}}',
      '{"faults":[]}',
      '{"faults":{"fail":"1"}}',
      '{"down":"maybe"}',
      '{"down":true}',
      '{"latency_ms":-1}',
      '{"latency_ms":"1"}',
      '{"__proto__":{"down":"answer"}}',
      '{"toString":1}',
      '{"faults":{"fail":1},"late_ms":-1}',
    ]) {
      expect([wrong, await control(partner, wrong)]).toEqual([wrong, 400])
    }
    expect(await wallet(partner).credit(order(1))).toMatchObject({ kind: 'paid' })
  })

  test('it is down at the end of each period, by itself', () => {
    const window = { forMs: 10, everyMs: 60 }
    expect([0, 49, 50, 59, 60, 109, 110, 119.9].map((ms) => isDown(ms, window))).toEqual([
      false,
      false,
      true,
      true,
      false,
      false,
      true,
      true,
    ])
    expect(isDown(55, undefined)).toBe(false)
  })

  test('a window that is longer than its period is refused', async () => {
    await expect(start({ downWindow: { forMs: 60, everyMs: 60 } })).rejects.toThrow(/not possible/)
  })
})

describe('the statement', () => {
  const USER = 'u,"1"\nA'

  test('has a line for each payout, with what was paid as decimal text', async () => {
    const clock = { ...systemClock, now: () => Date.parse('2025-10-24T11:37:21.500Z') }
    const partner = await startPartner({ secret: SECRET, clock })
    keep(() => partner.stop())
    const client = httpWallet({ spec: partnerSpec(partner.url), clock })
    keep(() => client.close())
    await client.credit(order(1, { userId: USER }))
    await client.credit(order(2, { reward: { type: 'fs', amount: 10 } }))
    const get = async (query: string): Promise<string> => (await fetch(`${partner.url}/statement${query}`)).text()
    const [one, two] = [order(1).requestId, order(2).requestId]
    const csv = await get('?format=csv')
    expect(csv.split('\n')[0]).toBe('payout_id,request_id,user_id,type,amount,currency,status,paid_at')
    expect(csv).toMatch(
      new RegExp(`\npo_\\w{24},${one},"u,""1""\nA",bonus_cash,2.00,EUR,succeeded,2025-10-24T11:37:21.500Z\n`),
    )
    expect(csv).toMatch(new RegExp(`\npo_\\w{24},${two},u_2,fs,10.00,,succeeded,`))
    expect(await get('')).toBe(csv)
    const lines = (await get('?format=ndjson')).trim().split('\n')
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { request_id: one, user_id: USER, type: 'bonus_cash', amount: '2.00', currency: 'EUR', status: 'succeeded' },
      { request_id: two, user_id: 'u_2', type: 'fs', amount: '10.00', currency: null },
    ])
  })

  test.each(['statement.csv', 'statement.ndjson'])('is written to %s when it stops', async (name) => {
    const path = join(folder(), name)
    const partner = await startPartner({ secret: SECRET, clock: systemClock, statementFile: path })
    await wallet(partner).credit(order(1))
    const expected = [...partner.statement(name.endsWith('csv') ? 'csv' : 'ndjson')].join('')
    await partner.stop()
    expect(readFileSync(path, 'utf8')).toBe(expected)
    expect(expected).toContain(order(1).requestId)
  })

  test('is handed out in pieces, and lists each once, in order', () => {
    const payouts = openPayouts()
    for (let n = 0; n < 2_345; n++) payouts.pay(payout(n))
    const pieces = [...statement(payouts.all(), 'ndjson')]
    expect(pieces.length).toBeGreaterThan(2)
    const ids = pieces
      .join('')
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { request_id: string }).request_id)
    expect(ids).toEqual(payouts.ids())
    expect([...payouts.all()]).toEqual(Array.from({ length: 2_345 }, (_, n) => payout(n)))
  })
})

function payout(n: number, change: Partial<Payout> = {}): Payout {
  const plain = {
    requestId: `rid_${n}`,
    userId: `u_${n}`,
    type: 'cash',
    currency: 'EUR',
    amount: 100n,
    digest: n,
    paidAt: n,
  }
  return { ...plain, ...change }
}

test('what was paid comes back as it was', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          userId: fc.string({ unit: 'grapheme' }),
          type: fc.constantFrom('cash', 'fs', 'loot'),
          currency: fc.constantFrom('EUR', 'TRY', undefined),
          amount: fc.bigInt(0n, 10n ** 18n - 1n),
          digest: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
          paidAt: fc.integer({ min: 0, max: 4e12 }),
        }),
      ),
      (rows) => {
        const payouts = openPayouts()
        const paid = rows.map((row, n) => ({ ...row, requestId: `rid_${n}` }))
        for (const each of paid) payouts.pay(each)
        expect([...payouts.all()]).toEqual(paid)
      },
    ),
  )
})

describe('with a state file', () => {
  test('it pays once over its restarts', async () => {
    const stateFile = join(folder(), 'paid.state')
    const first = await startPartner({ secret: SECRET, clock: systemClock, stateFile })
    const odd = order(1, { userId: 'u\u2028"\n\u00e9' })
    expect(await wallet(first).credit(odd)).toMatchObject({ kind: 'paid' })
    const before = [...first.statement('csv')].join('')
    await first.stop()
    const second = await start({ stateFile })
    expect([...second.statement('csv')].join('')).toBe(before)
    expect(await wallet(second).credit(odd)).toMatchObject({ kind: 'paid' })
    expect(await wallet(second).credit(order(2))).toMatchObject({ kind: 'paid' })
    expect(await wallet(second).credit({ ...odd, userId: 'another' })).toMatchObject({ kind: 'refused' })
    expect(second.stats()).toMatchObject({ distinct: 2, repeats: 2, differing_repeats: 1 })
    expect(second.stats().amounts).toEqual({ 'bonus_cash EUR': '4.00' })
  })

  test('a payout is on disk before it is answered, and a line that was cut off was never answered', async () => {
    const stateFile = join(folder(), 'paid.state')
    const first = await startPartner({ secret: SECRET, clock: systemClock, stateFile })
    await wallet(first).credit(order(1))
    const written = readFileSync(stateFile, 'utf8')
    expect(written).toContain(order(1).requestId)
    await first.stop()
    writeFileSync(stateFile, `${written}["rid_2",1`)
    const second = await start({ stateFile })
    expect(second.payouts()).toEqual([order(1).requestId])
    expect(readFileSync(stateFile, 'utf8')).toBe(written)
  })

  test('a file that is none of its own is refused, and left alone', async () => {
    const dir = folder()
    for (const text of ['hello\n', '[1]\n', '{"a":1}\n', '["rid_1",1,"u","cash","EUR","x",1]\n']) {
      const stateFile = join(dir, 'other')
      writeFileSync(stateFile, text)
      const starting = startPartner({ secret: SECRET, clock: systemClock, stateFile })
      await expect(starting).rejects.toMatchObject({ code: 'ONCEWARD_E_FILE_UNREADABLE' })
      expect(readFileSync(stateFile, 'utf8')).toBe(text)
    }
    await expect(start({ stateFile: join(dir, 'gone', 'state') })).rejects.toMatchObject({
      code: 'ONCEWARD_E_FILE_UNREADABLE',
    })
    expect(existsSync(join(dir, 'gone'))).toBe(false)
  })
})

test('while secrets are exchanged, it accepts both', async () => {
  const partner = await start({ otherSecrets: ['the next secret'] })
  expect(await wallet(partner, { secrets: ['the next secret'] }).credit(order(1))).toMatchObject({ kind: 'paid' })
  expect(await wallet(partner, { secrets: ['the next secret', SECRET] }).credit(order(2))).toMatchObject({
    kind: 'paid',
  })
  expect(await wallet(partner, { secrets: ['a third'] }).credit(order(3))).toMatchObject({ kind: 'refused' })
})
