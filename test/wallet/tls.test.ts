import type { RequestListener } from 'node:http'
import { createServer, type ServerOptions } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { httpWallet } from '../../connectors/wallet/http-wallet.ts'
import { systemClock } from '../../core/clock.ts'
import { hideSecrets, type PartnerSpec } from '../../core/model/partner.ts'
import type { Wallet } from '../../core/ports/wallet.ts'
import { CA, CLIENT, SERVER, STRANGER } from './certificates.ts'
import { cleaning, listening, order, PAID, partnerSpec } from './support.ts'

const { keep, clean } = cleaning()
afterEach(clean)

const answering: RequestListener = (_request, response) => void response.end(PAID)

async function serve(options: ServerOptions, handler: RequestListener = answering): Promise<number> {
  const { port, close } = await listening(createServer(options, handler))
  keep(close)
  return port
}

function wallet(url: string, tls?: PartnerSpec['tls']): Wallet {
  const made = httpWallet({ spec: partnerSpec(url, tls === undefined ? {} : { tls }), clock: systemClock })
  keep(() => made.close())
  return made
}

test("a partner's own CA is trusted, for that partner alone", async () => {
  const url = `https://127.0.0.1:${await serve(SERVER)}`
  expect(await wallet(url, { ca: CA }).credit(order())).toMatchObject({ kind: 'paid' })
  expect(await wallet(url).credit(order())).toMatchObject({
    kind: 'unavailable',
    detail: expect.stringMatching(/certificate/),
  })
})

test('a certificate of another name, or of nobody known, is not called', async () => {
  const localhost = `https://127.0.0.1:${await serve(STRANGER)}`
  expect(await wallet(localhost, { ca: CA }).credit(order())).toMatchObject({
    kind: 'unavailable',
    detail: expect.stringMatching(/self-signed/),
  })
  const made = httpWallet({
    spec: partnerSpec(`https://other.test:${await serve(SERVER)}`, { tls: { ca: CA } }),
    clock: systemClock,
    network: { resolve: (_host, done) => done(null, [{ address: '127.0.0.1', family: 4 }]) },
  })
  keep(() => made.close())
  expect(await made.credit(order())).toMatchObject({ kind: 'unavailable', detail: expect.stringMatching(/altnames/) })
})

test('a variable of the process cannot switch the check off', async () => {
  const url = `https://127.0.0.1:${await serve(STRANGER)}`
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
  try {
    expect(await wallet(url).credit(order())).toMatchObject({ kind: 'unavailable' })
  } finally {
    delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']
  }
})

describe('where the partner asks for a certificate', () => {
  const mutual: ServerOptions = { ...SERVER, ca: CA, requestCert: true, rejectUnauthorized: true }

  test('ours is shown', async () => {
    let seen: string | undefined
    const port = await serve(mutual, (request, response) => {
      seen = String((request.socket as TLSSocket).getPeerCertificate().subject.CN)
      response.end(PAID)
    })
    const { tls } = hideSecrets(partnerSpec('', { tls: { ca: CA, ...CLIENT } }))
    const client = wallet(`https://127.0.0.1:${port}`, tls)
    expect(await client.credit(order())).toMatchObject({ kind: 'paid' })
    expect(seen).toBe('onceward sink')
  })

  test('nothing is paid without it, or with one that they do not know', async () => {
    let calls = 0
    const port = await serve(mutual, () => calls++)
    const url = `https://127.0.0.1:${port}`
    expect(await wallet(url, { ca: CA }).credit(order())).toMatchObject({ kind: 'unavailable' })
    expect(await wallet(url, { ca: CA, ...STRANGER }).credit(order())).toMatchObject({ kind: 'unavailable' })
    expect(calls).toBe(0)
  })
})

test('a partner that speaks only TLS 1.1 is not called', async () => {
  const port = await serve({ ...SERVER, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' })
  expect(await wallet(`https://127.0.0.1:${port}`, { ca: CA }).credit(order())).toMatchObject({ kind: 'unavailable' })
})

test('one that accepts the connection and never begins TLS is unavailable after the time-out', async () => {
  const { createServer: createTcp } = await import('node:net')
  const { port, close } = await listening(createTcp(() => undefined))
  keep(close)
  const spec = partnerSpec(`https://127.0.0.1:${port}`, { timeoutMs: 100 })
  const made = httpWallet({ spec, clock: systemClock })
  keep(() => made.close())
  expect(await made.credit(order())).toEqual({ kind: 'unavailable', detail: 'no answer: no answer within 100 ms' })
})

test('certificates that cannot be used are refused at once, and the key is not shown', () => {
  const url = 'https://wallet.example'
  expect(() => wallet(url, { cert: CLIENT.cert })).toThrow(/certificate without a key/)
  expect(() => wallet(url, { key: CLIENT.key })).toThrow(/key without a certificate/)
  const middle = CLIENT.key.split('\n')[1] ?? ''
  for (const tls of [
    { cert: CLIENT.cert, key: STRANGER.key },
    { cert: 'nonsense', key: CLIENT.key },
    { cert: CLIENT.cert, key: CLIENT.key.replace('MIG', 'GIM') },
    { ca: '-----BEGIN CERTIFICATE-----\nnonsense' },
  ]) {
    expect(() => wallet(url, tls)).toThrow(expect.objectContaining({ code: 'ONCEWARD_E_PARTNERS_INVALID' }))
    expect(() => wallet(url, tls)).not.toThrow(middle)
  }
})
