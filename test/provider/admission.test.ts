import { createHash, X509Certificate } from 'node:crypto'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { AddressList } from '../../connectors/gateway/addresses.ts'
import { clientCertificate } from '../../connectors/gateway/client-certificate.ts'
import { admit, type ProviderTrust } from '../../connectors/gateway/provider/admission.ts'
import { signingKeys } from '../../connectors/wallet/signature.ts'
import { CA, CLIENT, SERVER, STRANGER } from '../wallet/certificates.ts'
import { factsOf, type Headers, VECTOR } from './calls.ts'

const LISTED = `sha256:${'a'.repeat(64)}`
const OTHER = `sha256:${'b'.repeat(64)}`
const SIGNED: Headers = {
  'webhook-id': VECTOR.id,
  'webhook-timestamp': String(VECTOR.seconds),
  'webhook-signature': VECTOR.signature,
}
const FORGED: Headers = { ...SIGNED, 'webhook-signature': `v1,${'A'.repeat(43)}=` }

function trusting(change: Partial<ProviderTrust>): ProviderTrust {
  return {
    keys: signingKeys([VECTOR.secret]),
    standardOnly: true,
    addresses: undefined,
    certificates: undefined,
    ...change,
  }
}

const IPS = { none: undefined, list: new AddressList(['203.0.113.0/24', '2001:db8::/32']) }
const CERTIFICATES = { none: undefined, list: new Set([LISTED]) }

/** All that is configured × all that comes. What is admitted is written out: the rest is not. */
const ADMITTED = new Set([
  'ips any, certificates none: listed address, no certificate, signed',
  'ips any, certificates none: listed address, listed certificate, signed',
  'ips any, certificates none: listed address, other certificate, signed',
  'ips any, certificates none: other address, no certificate, signed',
  'ips any, certificates none: other address, listed certificate, signed',
  'ips any, certificates none: other address, other certificate, signed',
  'ips list, certificates none: listed address, no certificate, signed',
  'ips list, certificates none: listed address, listed certificate, signed',
  'ips list, certificates none: listed address, other certificate, signed',
  'ips any, certificates list: listed address, listed certificate, signed',
  'ips any, certificates list: other address, listed certificate, signed',
  'ips list, certificates list: listed address, listed certificate, signed',
])

const CASES = (['any', 'list'] as const).flatMap((ips) =>
  (['none', 'list'] as const).flatMap((certificates) =>
    (['listed', 'other'] as const).flatMap((address) =>
      (['no', 'listed', 'other'] as const).flatMap((certificate) =>
        (['signed', 'forged'] as const).map((signature) => ({ ips, certificates, address, certificate, signature })),
      ),
    ),
  ),
)

test.each(CASES)(
  'ips $ips, certificates $certificates: $address address, $certificate certificate, $signature',
  (each) => {
    const { ips, certificates, address, certificate, signature } = each
    const trust = trusting({
      addresses: ips === 'list' ? IPS.list : IPS.none,
      certificates: certificates === 'list' ? CERTIFICATES.list : CERTIFICATES.none,
    })
    const admission = admit(
      trust,
      factsOf(signature === 'signed' ? SIGNED : FORGED, {
        ip: address === 'listed' ? '203.0.113.200' : '203.0.114.1',
        clientCertificate: { no: undefined, listed: LISTED, other: OTHER }[certificate],
      }),
    )
    const name = `ips ${ips}, certificates ${certificates}: ${address} address, ${certificate} certificate, ${signature}`
    expect(admission.ok).toBe(ADMITTED.has(name))
  },
)

test('what did not hold is told with nothing of the call in it', () => {
  const trust = trusting({ addresses: IPS.list, certificates: CERTIFICATES.list })
  const mark = 'INJECTED\nline'
  const headers = { 'webhook-id': mark, 'webhook-timestamp': mark, 'webhook-signature': mark, 'x-signature': mark }
  const tries = [
    { ip: mark },
    { ip: '203.0.113.1', clientCertificate: mark },
    { ip: '203.0.113.1', clientCertificate: LISTED },
  ].map((change) => admit(trust, factsOf(headers, change)))
  expect(tries).toMatchObject([{ problem: 'address' }, { problem: 'certificate' }, { problem: 'request_id' }])
  for (const admission of tries) expect(JSON.stringify(admission)).not.toContain('INJECTED')
})

describe('addresses', () => {
  const has = (addresses: AddressList, ip: string): boolean =>
    admit(trusting({ addresses }), factsOf(SIGNED, { ip })).ok
  const list = new AddressList(['203.0.113.0/24', '198.51.100.7', '2001:db8::/32', '::ffff:192.0.2.0/120'])
  test.each([
    ['203.0.113.0', true],
    ['203.0.113.255', true],
    ['203.0.114.0', false],
    ['203.0.112.255', false],
    ['198.51.100.7', true],
    ['198.51.100.8', false],
    ['192.0.2.9', true],
    ['::ffff:203.0.113.9', true],
    ['::ffff:cb00:7109', true],
    ['0:0:0:0:0:ffff:203.0.113.9', true],
    ['::203.0.113.9', false],
    ['64:ff9b::cb00:7109', false],
    ['2002:cb00:7109::', false],
    ['2001:db8::1', true],
    ['2001:DB8:0:0:0:0:0:1', true],
    ['2001:db8::1%eth0', true],
    ['2001:db9::1', false],
    ['fe80::1%eth0', false],
    ['', false],
    ['localhost', false],
    ['203.0.113.9:443', true],
    ['203.0.113.09', false],
    ['0xcb.0.113.9', false],
    ['3405803785', false],
  ])('%s is listed: %s', (ip, listed) => expect(has(list, ip)).toBe(listed))

  test('all of IPv6 is not all of IPv4, nor the other way round', () => {
    const [six, four] = [new AddressList(['::/0']), new AddressList(['0.0.0.0/0'])]
    expect([has(six, '2001:db8::1'), has(six, '203.0.113.1'), has(six, '::ffff:203.0.113.1')]).toEqual([
      true,
      false,
      false,
    ])
    expect([has(four, '2001:db8::1'), has(four, '203.0.113.1'), has(four, '::ffff:203.0.113.1')]).toEqual([
      false,
      true,
      true,
    ])
  })

  test.each([0, 1, 7, 8, 9, 23, 24, 25, 31, 32])(
    'a network of %d bits has its first and last address, and not their neighbours',
    (bits) => {
      const size = 2 ** (32 - bits)
      const from = bits === 0 ? 0 : Math.floor(0xcb00_7109 / size) * size
      const dotted = (n: number): string => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255].join('.')
      const network = new AddressList([`${dotted(0xcb00_7109)}/${bits}`])
      expect([has(network, dotted(from)), has(network, dotted(from + size - 1))]).toEqual([true, true])
      if (bits > 0) expect([has(network, dotted(from - 1)), has(network, dotted(from + size))]).toEqual([false, false])
    },
  )

  test.each([
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0/8',
    '10.0.0.0/8/8',
    '2001:db8::/129',
    'example.com',
    '',
    '10.0.0.0/',
    '10.0.0.0/a',
    '*',
  ])('%j is refused', (text) => expect(() => new AddressList([text])).toThrow(RangeError))
})

describe('over TLS', () => {
  let server: Server | undefined
  afterEach(() => new Promise<void>((done) => (server === undefined ? done() : server.close(() => done()))))

  const printOf = (pem: string): string =>
    `sha256:${createHash('sha256').update(new X509Certificate(pem).raw).digest('hex')}`

  async function shown(client: { cert?: string; key?: string }): Promise<string | undefined> {
    const listening = createServer({ ...SERVER, ca: CA, requestCert: true, rejectUnauthorized: false })
    server = listening
    const seen = new Promise<string | undefined>((settle) => {
      listening.on('secureConnection', (socket) => {
        settle(clientCertificate(socket))
        socket.destroy()
      })
    })
    await new Promise<void>((done) => listening.listen(0, '127.0.0.1', done))
    const { port } = listening.address() as AddressInfo
    const socket = connect({
      host: '127.0.0.1',
      port,
      ca: CA,
      servername: 'localhost',
      checkServerIdentity: () => undefined,
      ...client,
    })
    socket.on('error', () => undefined)
    const certificate = await seen
    socket.destroy()
    return certificate
  }

  test('a certificate counts by the SHA-256 of its DER, and only where one of our authorities has signed it', async () => {
    const trust = trusting({ certificates: new Set([printOf(CLIENT.cert), printOf(STRANGER.cert)]) })
    const ours = await shown(CLIENT)
    expect(ours).toBe(printOf(CLIENT.cert))
    expect(admit(trust, factsOf(SIGNED, { clientCertificate: ours }))).toMatchObject({ ok: true })
  })

  test.each([
    ['one that a stranger has signed', STRANGER],
    ['none', {}],
  ])('%s does not count, be it listed or not', async (_, client) => {
    const trust = trusting({ certificates: new Set([printOf(CLIENT.cert), printOf(STRANGER.cert)]) })
    const certificate = await shown(client)
    expect(certificate).toBeUndefined()
    expect(admit(trust, factsOf(SIGNED, { clientCertificate: certificate }))).toMatchObject({
      ok: false,
      problem: 'certificate',
    })
  })
})
