import { X509Certificate } from 'node:crypto'
import { connect } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import type { WebhookFacts } from '../../core/ports/gateway.ts'
import { CA, CLIENT, SERVER, STRANGER } from '../wallet/certificates.ts'
import { directoryOf, event, provider, startGateway, type TestGateway } from './gateway-harness.ts'

let gateway: TestGateway
afterEach(() => gateway.close())

const seen: WebhookFacts[] = []
const watching = provider({
  asksForCertificate: true,
  admit: (facts) => {
    seen.push(facts)
    return { ok: true, requestId: `r${seen.length}` }
  },
})

async function start(): Promise<void> {
  seen.length = 0
  gateway = await startGateway({
    tls: { ...SERVER, clientCa: CA, asksForCertificate: true },
    directory: directoryOf({ providers: [watching] }),
  })
}

const webhook = (tls: object) => gateway.send({ path: '/v1/webhooks/gameco', json: { events: [] }, ca: CA, ...tls })

describe('over TLS', () => {
  test('a client that shows a certificate which our authority has signed is known by its fingerprint', async () => {
    await start()
    expect((await webhook(CLIENT)).status).toBe(202)
    const print = new X509Certificate(CLIENT.cert).fingerprint256.replaceAll(':', '').toLowerCase()
    expect(seen.map(({ clientCertificate }) => clientCertificate)).toEqual([`sha256:${print}`])
  })

  test('one of a stranger, or none, counts for nothing, and others are let in all the same', async () => {
    await start()
    expect((await webhook(STRANGER)).status).toBe(202)
    expect((await webhook({})).status).toBe(202)
    expect(seen.map(({ clientCertificate }) => clientCertificate)).toEqual([undefined, undefined])
    expect((await gateway.send({ json: event(), ca: CA })).status).toBe(202)
  })

  test('a session that is taken up again still knows the certificate, and a stranger still has none', async () => {
    await start()
    for (const client of [CLIENT, STRANGER]) {
      const session = await new Promise<Buffer>((resolve) => {
        const socket = connect({ port: gateway.port, host: '127.0.0.1', ca: CA, ...client })
        socket.once('session', (ticket: Buffer) => {
          socket.destroy()
          resolve(ticket)
        })
      })
      expect((await webhook({ ...client, session })).status).toBe(202)
    }
    expect(seen.map(({ clientCertificate }) => typeof clientCertificate)).toEqual(['string', 'undefined'])
  })

  test('the certificate is exchanged without a restart', async () => {
    await start()
    expect((await gateway.send({ json: event(), ca: CA })).status).toBe(202)
    gateway.gateway.renewTls({ ...STRANGER, clientCa: CA, asksForCertificate: true })
    await expect(gateway.send({ json: event(), ca: CA })).rejects.toThrow(/certificate/)
    expect(() => gateway.gateway.renewTls({ cert: 'x', key: 'y', clientCa: CA, asksForCertificate: true })).toThrow(
      /PEM|no start line/,
    )
    const checkServerIdentity = (): undefined => undefined
    expect((await gateway.send({ json: event(), ca: STRANGER.cert, checkServerIdentity })).status).toBe(202)
  })

  test('nothing below TLS 1.2 is spoken', async () => {
    await start()
    await expect(
      gateway.send({ json: event(), ca: CA, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }),
    ).rejects.toThrow(/alert|version/)
  })
})

test('over plain HTTP there is no certificate', async () => {
  seen.length = 0
  gateway = await startGateway({ directory: directoryOf({ providers: [watching] }) })
  expect((await gateway.send({ path: '/v1/webhooks/gameco', json: { events: [] } })).status).toBe(202)
  expect(seen[0]?.clientCertificate).toBeUndefined()
})
