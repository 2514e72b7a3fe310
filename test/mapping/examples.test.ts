import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { loadSchemas } from '../../connectors/files/schemas.ts'
import type { JsonObject } from '../../core/model/event.ts'
import { parseSchemas } from '../../operators/event-schema.ts'
import { createNormalizer, type Normalized } from '../../operators/normalize.ts'
import { itemsOf, mappingOf, REQUEST } from './mapping-texts.ts'

const FOLDER = join(import.meta.dirname, '../../examples/gateway')
const textOf = (name: string): string => readFileSync(join(FOLDER, name), 'utf8')

function mapped(provider: string, body: string): readonly JsonObject[] {
  const file = `${provider}.mapping.yaml`
  const items = itemsOf(mappingOf(textOf(file), file).map(JSON.parse(textOf(`bodies/${body}.json`)), REQUEST))
  return items.map((item) => (item.ok ? item.event : { rejected: item.detail }))
}

let normalize: (raw: Buffer) => Normalized
beforeAll(async () => {
  normalize = createNormalizer(parseSchemas(await loadSchemas()))
})

const GAMECO_ROUNDS = [
  {
    event_id: 'gameco:880012345',
    event_name: 'bet',
    ts: '2025-11-03T12:00:00.123Z',
    user: { id: 'u_123', geo: 'TR', platform: 'android' },
    context: { session_id: 's_9f31' },
    payload: {
      bet: 2.5,
      win: 10.75,
      currency: 'EUR',
      game_id: 'book_of_suns',
      round_id: 'r-77120',
      provider: 'northlight',
    },
  },
  {
    event_id: 'gameco:880012346',
    event_name: 'bet',
    ts: '2025-11-03T12:00:01.507Z',
    user: { id: 'u_124', geo: 'BR', platform: 'other', risk_flags: ['vpn'] },
    context: { session_id: 's_1c07' },
    payload: {
      bet: 19.99,
      win: 0,
      currency: 'EUR',
      game_id: 'lucky_lamps',
      round_id: 'r-77121',
      provider: 'northlight',
    },
  },
  {
    event_id: 'gameco:880012347',
    event_name: 'spin',
    ts: '2025-11-03T12:00:02.640Z',
    user: { id: 'u_123', geo: 'TR', platform: 'android' },
    context: { session_id: 's_9f31' },
    payload: {
      win: 3.3,
      free_spin: true,
      currency: 'EUR',
      game_id: 'book_of_suns',
      round_id: 'r-77122',
      provider: 'northlight',
    },
  },
  {
    event_id: 'gameco:880012348',
    event_name: 'win',
    ts: '2025-11-03T12:00:04.999Z',
    user: { id: 'u_125', geo: 'PE', platform: 'web' },
    context: {},
    payload: { win: 12_500, currency: 'EUR', game_id: 'book_of_suns', provider: 'northlight' },
  },
]

const PAYGRID_DEPOSIT = {
  event_id: 'paygrid:pay_9f2c41:COMPLETED',
  event_name: 'deposit',
  ts: '2025-11-03T12:00:04.250Z',
  user: { id: 'u_123', geo: 'TR' },
  payload: {
    amount: 50.1,
    currency: 'EUR',
    method: 'card',
    transaction_id: 'pay_9f2c41',
    provider: 'paygrid',
    first: true,
  },
}

const PAYGRID_WITHDRAWAL = {
  event_id: 'paygrid:pay_9f2c43:REQUESTED',
  event_name: 'withdraw_request',
  ts: '2025-11-03T18:20:00.000Z',
  user: { id: 'u_123', geo: 'TR' },
  payload: {
    amount: 120,
    currency: 'EUR',
    method: 'bank_transfer',
    transaction_id: 'pay_9f2c43',
    provider: 'paygrid',
  },
}

describe.each([
  ['gameco', 'gameco-rounds', GAMECO_ROUNDS],
  ['paygrid', 'paygrid-deposit', [PAYGRID_DEPOSIT]],
  ['paygrid', 'paygrid-deposit-failed', []],
  ['paygrid', 'paygrid-withdrawal', [PAYGRID_WITHDRAWAL]],
])('%s: %s', (provider, body, events) => {
  test('comes to the events that are written here', () => expect(mapped(provider, body)).toEqual(events))

  test('and a worker takes each of them', () => {
    const taken = mapped(provider, body).map((event) => normalize(Buffer.from(JSON.stringify(event))))
    expect(taken.filter(({ kind }) => kind === 'rejected')).toEqual([])
  })
})

test('a status that the mapping does not know is rejected, and not passed over', () => {
  const body = JSON.parse(textOf('bodies/paygrid-deposit.json'))
  body.data.payment.status = 'CHARGED_BACK'
  const items = itemsOf(mappingOf(textOf('paygrid.mapping.yaml'), 'paygrid.mapping.yaml').map(body, REQUEST))
  expect(items).toMatchObject([
    { ok: false, detail: expect.stringContaining('fits none of the events of paygrid.mapping.yaml') },
  ])
})
