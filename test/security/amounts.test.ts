/** Attack: an amount that one end reads otherwise than the other, or that takes instead of giving. */
import { afterEach, describe, expect, test } from 'vitest'
import { parseOrder } from '../../connectors/partner/order.ts'
import { startPartner } from '../../connectors/partner/partner.ts'
import { httpWallet } from '../../connectors/wallet/http-wallet.ts'
import { systemClock } from '../../core/clock.ts'
import type { Reward } from '../../core/model/reward.ts'
import type { CreditOutcome } from '../../core/ports/wallet.ts'
import { cleaning, order, partnerSpec, SECRET } from '../wallet/support.ts'

const { keep, clean } = cleaning()
afterEach(clean)

/** Pays the rewards one after the other; what was answered, and what the partner paid. */
async function pay(rewards: readonly object[], currencies?: readonly string[]) {
  const options = currencies === undefined ? {} : { currencies }
  const partner = await startPartner({ secret: SECRET, clock: systemClock, ...options })
  keep(() => partner.stop())
  const client = httpWallet({ spec: partnerSpec(partner.url), clock: systemClock })
  keep(() => client.close())
  const outcomes: CreditOutcome[] = []
  for (const [n, reward] of rewards.entries()) {
    // As a task from outside would have it, whatever its types say.
    outcomes.push(await client.credit(order(n, { reward: reward as Reward })))
  }
  return { outcomes, stats: partner.stats() }
}

const NUMBERS = [-1, -0.01, Number.NaN, Infinity, -Infinity, 0.001, 0.1 + 0.2, 1e21, 1e-7, 2 ** 53, 10_000_000_000_000]
const TEXTS = [
  '-1',
  '-0.01',
  'NaN',
  'Infinity',
  '1e3',
  '0x10',
  '1,00',
  '1_000',
  ' 1',
  '01',
  '+1',
  '٣',
  '',
  '1.234',
  '1.',
]
const OTHERS = ['10000000000000000.00', '9'.repeat(400), true, [1], { $gt: 0 }, ['1', '2']]

test.each([...NUMBERS, ...TEXTS, ...OTHERS])('an amount of %o is refused without a call', async (amount) => {
  const { outcomes, stats } = await pay([{ type: 'cash', amount, currency: 'EUR' }])
  expect(outcomes).toMatchObject([{ kind: 'refused', detail: expect.stringMatching(/^not called: /) }])
  expect(stats.calls).toBe(0)
})

test('an amount of 18 digits arrives with all of them, and adds up exactly', async () => {
  const large = { type: 'cash', amount: '4999999999999999.99', currency: 'EUR' }
  const { outcomes, stats } = await pay([large, { ...large, amount: '0.01' }, { ...large, amount: 0.1 }])
  expect(outcomes.map(({ kind }) => kind)).toEqual(['paid', 'paid', 'paid'])
  expect(stats.amounts).toEqual({ 'cash EUR': '5000000000000000.10' })
})

test('other currencies are not mixed, and a wallet that does not pay in one says so', async () => {
  const cash = { type: 'cash', amount: 2 }
  const rewards = ['EUR', 'TRY', 'eur', 'EUR ', undefined].map((currency) => ({ ...cash, currency }))
  const mixed = await pay(rewards)
  expect(mixed.stats.amounts).toEqual({
    'cash EUR': '2.00',
    'cash TRY': '2.00',
    'cash eur': '2.00',
    'cash EUR ': '2.00',
    cash: '2.00',
  })
  const strict = await pay(rewards, ['EUR'])
  expect(strict.outcomes.map(({ kind }) => kind)).toEqual(['paid', 'refused', 'refused', 'refused', 'refused'])
  expect(strict.stats).toMatchObject({ malformed: 4, distinct: 1, amounts: { 'cash EUR': '2.00' } })
})

describe('a wallet that is handed an order by others', () => {
  const read = (reward: string, top = ''): unknown =>
    parseOrder('rid_1', Buffer.from(`{"request_id":"rid_1","user_id":"u","reward":{"type":"cash",${reward}}${top}}`))

  test.each([
    ['"amount":-1', ',"amount":-1', /negative/],
    ['"amount":1', ',"amount":2', /differs/],
    ['"amount":1', '', /differs/],
    ['"amount":1,"amount":2', ',"amount":1', /differs/],
    ['"amount":NaN', ',"amount":NaN', /not an order/],
    ['"amount":1e400', ',"amount":1e400', /not an amount|not an order/],
    ['"amount":[1]', ',"amount":[1]', /no number/],
    ['"amount":true', ',"amount":true', /no number/],
    ['"amount":10000000000000000.00', ',"amount":10000000000000000.00', /largest amount/],
    ['"amount":0.30000000000000004', ',"amount":0.30000000000000004', /two decimals/],
  ])('refuses %s%s', (reward, top, why) => expect(read(reward, top)).toMatch(why))

  test.each([
    ['9999999999999999.99', 999_999_999_999_999_999n],
    ['1234567890123456.78', 123_456_789_012_345_678n],
    ['2', 200n],
    ['"2.50"', 250n],
  ])('reads %s to the cent', (text, cents) => {
    expect(read(`"amount":${text},"note":"a 12345678901234567890 b"`, `,"amount":${text}`)).toMatchObject({
      amount: cents,
    })
  })
})
