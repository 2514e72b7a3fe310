import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import { readStatement, type StatementOptions } from '../../connectors/files/statement.ts'
import type { StatementLine } from '../../core/ports/reconciliation.ts'

const dir = mkdtempSync(join(tmpdir(), 'onceward-statement-'))
afterAll(() => rmSync(dir, { recursive: true }))

async function read(content: string | Buffer, options: StatementOptions = {}): Promise<StatementLine[]> {
  const path = join(dir, 's.csv')
  writeFileSync(path, content)
  const lines: StatementLine[] = []
  for await (const some of await readStatement(path, options)) lines.push(...some)
  return lines
}

const HEADER = 'payout_id,request_id,user_id,type,amount,currency,status,paid_at'
const LINE: StatementLine = {
  place: 's.csv record 1',
  requestId: 'rid_1',
  payoutId: 'p_1',
  userId: 'u_1',
  type: 'bonus_cash',
  amount: 250n,
  currency: 'EUR',
  state: 'paid',
  paidAt: Date.parse('2025-11-03T12:00:00Z'),
}

describe('a statement that can be read', () => {
  test.each([
    ['CSV', `${HEADER}\np_1,rid_1,u_1,bonus_cash,2.50,EUR,paid,2025-11-03T12:00:00Z\n`, {}],
    [
      'with CRLF, BOM and quotes',
      `\uFEFF${HEADER}\r\n"p_1",rid_1,"u_1",bonus_cash,"2.50",EUR,PAID,"2025-11-03 12:00:00"\r\n`,
      {},
    ],
    ['gzip', gzipSync(`${HEADER}\np_1,rid_1,u_1,bonus_cash,2.5,eur,success,1762171200\n`), {}],
    ['tabs', `${HEADER}\np_1,rid_1,u_1,bonus_cash,2.500,EUR,ok,1762171200000\n`.replaceAll(',', '\t'), {}],
    [
      'semicolons, a decimal comma, names and words of its own',
      'Beleg;Konto;Betrag;Art;Anfrage;W;Zustand;Zeit\np_1;u_1;2,50;bonus_cash;rid_1;EUR;gebucht;2025-11-03T13:00:00+01:00\n',
      {
        decimalComma: true,
        states: new Map([['gebucht', 'paid']]),
        columns: new Map([
          ['payout_id', 'Beleg'],
          ['user_id', 'Konto'],
          ['amount', 'Betrag'],
          ['type', 'Art'],
          ['request_id', 'Anfrage'],
          ['currency', 'W'],
          ['status', 'Zustand'],
          ['paid_at', 'Zeit'],
        ]),
      },
    ],
    [
      'NDJSON',
      '{"payout_id":"p_1","request_id":"rid_1","user_id":"u_1","type":"bonus_cash","amount":2.5,"currency":"EUR","status":"paid","paid_at":"2025-11-03T12:00:00Z"}\n',
      {},
    ],
    [
      'NDJSON with paths',
      '{"payout_id":"p_1","order":{"id":"rid_1"},"user_id":"u_1","type":"bonus_cash","amount":"2.50","currency":"EUR","paid_at":"2025-11-03T12:00:00Z"}',
      { columns: new Map([['request_id', 'order.id']]) },
    ],
  ] as readonly (readonly [string, string | Buffer, StatementOptions])[])('%s', async (_, content, options) => {
    expect(await read(content, options)).toEqual([LINE])
  })

  test('what it does not say is null, and a line is a payment', async () => {
    expect(await read('request_id,amount\nrid_1,2.5\n')).toEqual([
      { ...LINE, payoutId: null, userId: null, type: null, currency: null, paidAt: null },
    ])
  })

  test('a negative amount is a payment that was taken back', async () => {
    expect(await read('request_id,amount\nrid_1,-2.5\n')).toMatchObject([{ amount: 250n, state: 'reversed' }])
  })

  test('a quoted field may hold delimiters, quotes and lines', async () => {
    const [line] = await read('request_id,amount,user_id\nrid_1,"1,234.50","a ""b"",\nc"\n')
    expect(line).toMatchObject({ amount: 123_450n, userId: 'a "b",\nc' })
  })

  test.each([
    ['1,234,567.80', false, 123_456_780n],
    ['1.234.567,80', true, 123_456_780n],
    ['1 234,8', true, 123_480n],
    ['0007', false, 700n],
    ['9999999999999999.99', false, 10n ** 18n - 1n],
    ['12.3400', false, 1_234n],
    ['', false, 0n],
  ] as const)('the amount "%s" (decimal comma: %s)', async (text, decimalComma, cents) => {
    expect(await read(`request_id,amount\nrid_1,"${text}"\n`, { decimalComma })).toMatchObject([{ amount: cents }])
  })

  test('records without a request id are counted and left out', async () => {
    const path = join(dir, 'others.csv')
    writeFileSync(path, 'request_id,amount\n,5\nrid_1,2\n,7\n')
    const statement = await readStatement(path)
    const lines: StatementLine[] = []
    for await (const some of statement) lines.push(...some)
    expect([lines.length, statement.withoutId]).toEqual([1, 2])
  })
})

test.each([
  ['', {}, /it is empty/],
  ['a,b\n1,2\n', {}, /no column "request_id", it has a, b.*--columns request_id=NAME/],
  ['request_id,amount\nrid_1,2\n', { columns: new Map([['currency', 'ccy']]) }, /no column "ccy"/],
  ['request_id,amount\nrid_1,2,3\n', {}, /record 1: it has 3 fields, and the header has 2/],
  ['request_id,amount\nrid_1,2.505\n', {}, /record 1: "2.505" has more than two decimals/],
  ['request_id,amount\nrid_1,"2,50"\n', {}, /"2,50" is not an amount such as 2.50; add --decimal-comma/],
  ['request_id,amount\nrid_1,NaN\n', {}, /"NaN" is not an amount/],
  ['request_id,amount\nrid_1,1e9\n', {}, /"1e9" is not an amount/],
  ['request_id,amount\nrid_1,99999999999999999\n', {}, /is more than 9999999999999999.99/],
  ['request_id,amount,status\nrid_1,1,gebucht\n', {}, /"gebucht" is not known here.*--states gebucht=paid/],
  ['request_id,amount,status\nrid_1,1,constructor\n', {}, /"constructor" is not known here/],
  ['request_id,amount,paid_at\nrid_1,1,yesterday\n', {}, /"yesterday" is not a time/],
  ['request_id,amount\n"rid_1,1\n', {}, /a quote is opened/],
  [Buffer.from([0x72, 0xff, 0x0a]), {}, /not UTF-8/],
  ['{"request_id":"rid_1","amount":10000000000000.5}\n', {}, /neither a text nor a number below/],
  ['{"id":"rid_1"}\n', {}, /no column "request_id"/],
  ['{"request_id":"rid_1"\n', {}, /it is not JSON/],
] as readonly (readonly [string | Buffer, StatementOptions, RegExp])[])(
  '%j %j cannot be read',
  async (content, options, message) => {
    const failure = await read(content, options).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'ONCEWARD_E_STATEMENT_INVALID', message: expect.stringMatching(message) })
  },
)
