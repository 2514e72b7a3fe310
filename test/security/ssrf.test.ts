/** Attack: a partner's URL, its name server or its answer makes the sink call where it must not. */
import { createServer as createHttps } from 'node:https'
import { connect, createServer as createTcp, isIP, type TcpNetConnectOpts } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { startPartner } from '../../connectors/partner/partner.ts'
import { canonicalHost, forbiddenKind } from '../../connectors/wallet/address.ts'
import type { Resolve } from '../../connectors/wallet/connector.ts'
import { httpWallet, type HttpWalletOptions } from '../../connectors/wallet/http-wallet.ts'
import { systemClock } from '../../core/clock.ts'
import type { PartnerSpec } from '../../core/model/partner.ts'
import type { Wallet } from '../../core/ports/wallet.ts'
import { CA, SERVER } from '../wallet/certificates.ts'
import { cleaning, listening, order, PAID, partnerSpec, SECRET } from '../wallet/support.ts'

const { keep, clean } = cleaning()
afterEach(clean)

function wallet(url: string, change: Partial<PartnerSpec> = {}, network?: HttpWalletOptions['network']): Wallet {
  const spec = partnerSpec(url, { allowHosts: [], ...change })
  const made = httpWallet({ spec, clock: systemClock, ...(network === undefined ? {} : { network }) })
  keep(() => made.close())
  return made
}

function words(text: string): readonly string[] {
  return text.split(' ')
}

/** A name server that gives each look-up the next answer, and the last one from then on. */
function answering(...answers: readonly (readonly string[])[]): { resolve: Resolve; asked: string[] } {
  const asked: string[] = []
  const resolve: Resolve = (host, done) => {
    asked.push(host)
    const addresses = answers[Math.min(asked.length, answers.length) - 1] ?? []
    done(
      null,
      addresses.map((address) => ({ address, family: isIP(address) })),
    )
  }
  return { resolve, asked }
}

/** A service of our own network that nobody may reach, and the bytes that it got all the same. */
async function victim(): Promise<{ port: number; bytes: () => number; connections: () => number }> {
  let [bytes, connections] = [0, 0]
  const { port, close } = await listening(
    createTcp((socket) => {
      connections++
      socket.on('error', () => undefined)
      socket.on('data', (data) => (bytes += data.length))
    }),
  )
  keep(close)
  return { port, bytes: () => bytes, connections: () => connections }
}

describe('an address is forbidden', () => {
  test.each([
    ...words('0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.8.9.1 169.254.169.254'),
    ...words(
      '169.254.0.1 172.16.0.1 172.31.255.255 192.0.0.8 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255',
    ),
    ...words(
      '198.51.100.7 203.0.113.24 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 100.100.100.200 168.63.129.16',
    ),
    ...words(
      '192.0.0.192 :: ::1 fe80::1 fe80::1%eth0 febf::1 fc00::1 fd00:ec2::254 fd12:3456::1 fec0::1 ff02::1 ff0e::1',
    ),
    ...words('100::1 2001:db8::1 3fff::1 5f00::1 4000::1 ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:0:0'),
    ...words('0:0:0:0:0:ffff:a9fe:a9fe ::ffff:10.0.0.1 ::127.0.0.1 ::7f00:1 ::ffff:0:127.0.0.1 ::a9fe:a9fe'),
    ...words(
      '64:ff9b::127.0.0.1 64:ff9b::7f00:1 64:ff9b::a00:1 64:ff9b:: 64:ff9b::1 64:ff9b::1:0 64:ff9b::a9fe:a9fe 64:ff9b::c000:8',
    ),
    ...words('64:ff9b:1::a00:1 64:ff9b:0:0:0:0:a9fe:a9fe 2002:7f00:1:: 2002:a00:1::1 2002:808:808::1 2001:0:a00:1::'),
    ...words('2001::1 2001:10::1 2001:1ff::1 wallet.example 127.1 0x7f.1 1.2.3.4.5'),
    '',
  ])('%s', (address) => expect(forbiddenKind(address)).toMatch(/\w/))
})

test.each([
  ...words(
    '1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 169.253.255.255',
  ),
  ...words('169.255.0.0 172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0 223.255.255.255 2606:4700:4700::1111'),
  ...words(
    '2a00:1450::1 2001:4860:4860::8888 2001:200::1 2003::1 3ffe::1 ::ffff:8.8.8.8 ::ffff:808:808 64:ff9b::8.8.8.8',
  ),
  ...words('64:ff9b::808:808 64:ff9b::c000:108'),
])('%s is public', (address) => expect(forbiddenKind(address)).toBeUndefined())

describe('a URL that is an address of ours, however it is spelt, is refused before any call', () => {
  test.each([
    ...words('127.0.0.1 2130706433 0177.0.0.1 017700000001 0x7f000001 0x7F.1 127.1 127.0.1 127.0.0.1. %31%32%37.0.0.1'),
    ...words(
      '１２７.０.０.１ 127。0。0。1 0 0.0.0.0 10.0.0.5 2852039166 169.254.169.254 0xa9fea9fe 0251.0376.0251.0376 [::1] [::]',
    ),
    ...words('[::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [0:0:0:0:0:0:0:1] [fd00:ec2::254] [fe80::1]'),
    ...words('[64:ff9b::7f00:1] [2002:7f00:1::] localhost LOCALHOST localhost. wallet.localhost ⓛocalhost'),
  ])('%s', (host) => {
    for (const url of [`https://${host}/pay`, `http://${host}:8080`]) {
      expect(() => wallet(url)).toThrow(expect.objectContaining({ code: 'ONCEWARD_E_ADDRESS_FORBIDDEN' }))
    }
  })

  test('and so is one that no address guard would see: other protocols, sign-in in the URL, plain HTTP', () => {
    for (const [url, why] of [
      ['file:///etc/passwd', /not the URL of a wallet/],
      ['gopher://127.0.0.1:6379/_FLUSHALL', /not the URL of a wallet/],
      ['unix:/var/run/docker.sock', /not the URL of a wallet/],
      ['https://[fe80::1%25eth0]/', /not the URL of a wallet/],
      ['https://user:hunter2@wallet.example/', /user name or a password/],
      ['https://wallet.example@127.0.0.1/', /user name or a password/],
      ['http://wallet.example/', /plain http/],
      ['http://8.8.8.8/', /plain http/],
    ] as const) {
      expect(() => wallet(url)).toThrow(why)
      expect(() => wallet(url)).not.toThrow(/hunter2/)
    }
  })
})

describe('a name', () => {
  test('that resolves to an address of ours is not called, whatever its certificate says', async () => {
    const { port, connections } = await victim()
    for (const address of ['127.0.0.1', '::ffff:127.0.0.1', '::1', '0.0.0.0', '::']) {
      const client = wallet(`https://wallet.example:${port}`, {}, answering([address]))
      const outcome = await client.credit(order())
      expect(outcome).toMatchObject({
        kind: 'unavailable',
        detail: expect.stringMatching(/^not called: ONCEWARD_E_ADDR/),
      })
      expect(outcome).toMatchObject({ detail: expect.stringMatching(/wallet\.example is at .*allowHosts/) })
    }
    expect(connections()).toBe(0)
  })

  test('with good and bad addresses is called at the good ones only', async () => {
    const { port, connections } = await victim()
    const tried: string[] = []
    // Every address that the socket is left to choose from.
    const dial = (options: TcpNetConnectOpts): ReturnType<typeof connect> => {
      options.lookup?.('wallet.example', { all: true }, (_error, addresses) => {
        for (const { address } of typeof addresses === 'string' ? [] : addresses) tried.push(address)
      })
      return connect(options)
    }
    const network = { ...answering(['::1', '10.255.255.1', '127.0.0.1']), dial }
    const client = wallet(`https://wallet.example:${port}`, { allowHosts: ['127.0.0.1'], timeoutMs: 100 }, network)
    await client.credit(order())
    expect(tried).toEqual(['127.0.0.1'])
    await expect.poll(connections).toBe(1)
  })

  test('that changes its mind between two connections is not called at the second address', async () => {
    const https = await listening(
      createHttps(SERVER, (_request, response) => void response.setHeader('connection', 'close').end(PAID)),
    )
    keep(https.close)
    const names = answering(['127.0.0.1'], ['127.0.0.2'])
    const url = `https://wallet.test:${https.port}`
    const client = wallet(url, { allowHosts: ['127.0.0.1'], tls: { ca: CA } }, names)
    expect(await client.credit(order(1))).toMatchObject({ kind: 'paid' })
    expect(await client.credit(order(2))).toMatchObject({
      kind: 'unavailable',
      detail: expect.stringMatching(/wallet\.test is at 127\.0\.0\.2, which is not a public address \(loopback\)/),
    })
    expect(names.asked).toEqual(['wallet.test', 'wallet.test'])
  })

  test('is looked up once for a connection: there is no second answer to lie with', async () => {
    const names = answering(['127.0.0.1'], ['127.0.0.2'])
    const { port, connections } = await victim()
    const client = wallet(`https://wallet.test:${port}`, { allowHosts: ['127.0.0.1'], timeoutMs: 100 }, names)
    await client.credit(order())
    await expect.poll(connections).toBe(1)
    expect(names.asked).toHaveLength(1)
  })

  test('whose connection ends up elsewhere gets no byte, not even the beginning of TLS', async () => {
    const { port, bytes, connections } = await victim()
    const astray = (): ReturnType<typeof connect> => connect({ host: '127.0.0.1', port })
    const client = wallet('https://wallet.example', {}, { ...answering(['8.8.8.8']), dial: astray })
    expect(await client.credit(order())).toMatchObject({
      kind: 'unavailable',
      detail: expect.stringMatching(/^not called: ONCEWARD_E_ADDRESS_FORBIDDEN: wallet\.example is at 127\.0\.0\.1/),
    })
    await expect.poll(connections).toBe(1)
    expect(bytes()).toBe(0)
  })

  test('that resolves to nothing, or not at all, is unavailable', async () => {
    expect(await wallet('https://wallet.example', {}, answering([])).credit(order())).toMatchObject({
      detail: expect.stringMatching(/wallet\.example has no address/),
    })
    const failing: Resolve = (_host, done) => done(new Error('SERVFAIL'), [])
    expect(await wallet('https://wallet.example', {}, { resolve: failing }).credit(order())).toMatchObject({
      kind: 'unavailable',
      detail: expect.stringMatching(/SERVFAIL/),
    })
  })
})

test('a redirect to the metadata service is not followed', async () => {
  const partner = await startPartner({ secret: SECRET, clock: systemClock, faults: { redirect: 1 } })
  keep(() => partner.stop())
  const dialled: string[] = []
  const dial = (options: TcpNetConnectOpts): ReturnType<typeof connect> => {
    dialled.push(options.host ?? '')
    return connect(options)
  }
  const client = wallet(partner.url, { allowHosts: ['127.0.0.1'] }, { dial })
  expect(await client.credit(order())).toMatchObject({ kind: 'refused', detail: expect.stringMatching(/redirects/) })
  expect(dialled).toEqual(['127.0.0.1'])
})

describe('what is meant can be allowed by name', () => {
  test.each([
    ['127.0.0.1', ['127.0.0.1']],
    ['127.1', ['127.0.0.1']],
    ['127.0.0.1', ['2130706433']],
    ['[::ffff:127.0.0.1]', ['127.0.0.1']],
    ['[::1]', ['::1']],
    ['[::1]', ['[0:0::1]']],
    ['wallet.internal', ['WALLET.internal.']],
    ['localhost', ['localhost']],
  ])('http://%s by %j', (host, allowHosts) => expect(() => wallet(`http://${host}`, { allowHosts })).not.toThrow())

  test('and allowing one allows no other', async () => {
    expect(() => wallet('https://127.0.0.2', { allowHosts: ['127.0.0.1'] })).toThrow(/127\.0\.0\.2 is not a public/)
    expect(() => wallet('http://wallet.example', { allowHosts: ['example'] })).toThrow(/plain http/)
    const other = wallet('https://wallet.example', { allowHosts: ['other.example'] }, answering(['10.0.0.1']))
    expect(await other.credit(order())).toMatchObject({ detail: expect.stringMatching(/10\.0\.0\.1/) })
  })

  test('a range, a URL or a port is refused, for it would allow nothing', () => {
    for (const wrong of ['10.0.0.0/8', 'https://wallet.internal', 'wallet.internal:8080', 'a b', '', '*.internal']) {
      expect(() => wallet('https://wallet.example', { allowHosts: [wrong] })).toThrow(/allowHosts has/)
    }
    expect(canonicalHost('Wallet.Internal.')).toBe('wallet.internal')
  })
})
