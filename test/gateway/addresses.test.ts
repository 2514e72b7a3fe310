import * as fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { AddressList, networkKey, plainAddress } from '../../connectors/gateway/addresses.ts'
import { directoryOf, event, startGateway, type TestGateway } from './gateway-harness.ts'

describe('an address has one form', () => {
  test.each([
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::FFFF:CB00:7107', '203.0.113.7'],
    ['203.0.113.7:4711', '203.0.113.7'],
    ['[2001:db8::1]:4711', '2001:db8::1'],
    ['[2001:DB8:0::1]', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
    ['unknown', undefined],
    ['', undefined],
    ['10.0.0', undefined],
    ['010.0.0.1', undefined],
    ['1.2.3.4, 5.6.7.8', undefined],
    ['<script>', undefined],
  ])('%s', (text, plain) => {
    expect(plainAddress(text)).toBe(plain)
  })

  test('whatever text it is, nothing is thrown, and the form is kept', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.ipV4(),
          fc.ipV4Extended(),
          fc.ipV6(),
          fc.ipV6().map((ip) => `[${ip}]:1`),
        ),
        (text) => {
          const plain = plainAddress(text)
          if (plain === undefined) return
          expect(plainAddress(plain)).toBe(plain)
          expect(typeof new AddressList(['10.0.0.0/8']).has(plain)).toBe('boolean')
          expect(networkKey(plain)).not.toBe('')
        },
      ),
    )
  })
})

describe('a list of addresses', () => {
  test.each([
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.1.2.3/8', '10.255.0.1', true],
    ['203.0.113.7', '203.0.113.7', true],
    ['203.0.113.7', '203.0.113.8', false],
    ['2001:db8::/32', '2001:db8:ffff::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['::ffff:10.0.0.0/104', '10.1.1.1', true],
    ['::ffff:10.0.0.0/104', '11.1.1.1', false],
    ['::/0', '10.0.0.1', false],
    ['::/0', '2001:db8::1', true],
    ['0.0.0.0/0', '203.0.113.7', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['10.0.0.0/8', 'nonsense', false],
  ])('%s has %s: %s', (network, address, has) => {
    expect(new AddressList([network]).has(address)).toBe(has)
  })

  test.each([
    '10.0.0.0/33',
    '2001:db8::/129',
    '10.0.0.0/',
    '10.0.0/8',
    'x',
    '',
    '10.0.0.0/+8',
    '10.0.0.0/8/8',
    '::ffff:10.0.0.0/8',
  ])('"%s" is none', (text) => {
    expect(() => new AddressList([text])).toThrow(RangeError)
  })
})

test('an IPv6 caller is counted by its network', () => {
  expect(networkKey('2001:db8::1')).toBe(networkKey('2001:db8:0:0:ffff::2'))
  expect(networkKey('2001:db8:0:1::1')).not.toBe(networkKey('2001:db8::1'))
  expect(networkKey('::1')).toBe('0:0:0:0::/64')
  expect(networkKey('10.0.0.1')).toBe('10.0.0.1')
})

describe('the client behind proxies', () => {
  let gateway: TestGateway
  afterEach(() => gateway.close())
  const facts = async (
    directory: Parameters<typeof directoryOf>[0],
    headers: Record<string, string | string[]>,
  ): Promise<{ ip: string; country: string | undefined } | undefined> => {
    gateway = await startGateway({ directory: directoryOf(directory) })
    expect((await gateway.send({ json: event(), headers })).status).toBe(202)
    return gateway.intake.requests[0]?.facts
  }
  const trusting = { trustedProxies: ['127.0.0.0/8', '10.0.0.0/8', 'fd00::/8'] }

  test.each<[string, Parameters<typeof directoryOf>[0], string | string[], string]>([
    ['nobody is trusted', {}, '203.0.113.7', '127.0.0.1'],
    ['one proxy', trusting, '203.0.113.7', '203.0.113.7'],
    ['what the client itself wrote is further out', trusting, '1.1.1.1, 203.0.113.7', '203.0.113.7'],
    ['several proxies', trusting, '1.1.1.1, 203.0.113.7, fd00::5, 10.0.0.1', '203.0.113.7'],
    ['a header for each proxy', trusting, ['1.1.1.1', '203.0.113.7', '10.0.0.1'], '203.0.113.7'],
    ['IPv6', trusting, '2001:DB8::1', '2001:db8::1'],
    ['IPv4 mapped', trusting, '::ffff:203.0.113.7', '203.0.113.7'],
    ['mapped proxies are trusted as well', trusting, '203.0.113.7, ::ffff:10.0.0.1', '203.0.113.7'],
    ['with a port', trusting, '203.0.113.7:4711', '203.0.113.7'],
    ['no address at all', trusting, 'unknown', '127.0.0.1'],
    ['no address behind a proxy', trusting, 'unknown, 10.0.0.1', '10.0.0.1'],
    ['only proxies', trusting, '10.0.0.2', '10.0.0.2'],
    ['nothing', trusting, ' , ', '127.0.0.1'],
  ])('%s', async (_name, directory, header, ip) => {
    expect(await facts(directory, { 'x-forwarded-for': header })).toMatchObject({ ip })
  })

  test.each<[string, Parameters<typeof directoryOf>[0], string | string[], string | undefined]>([
    ['a trusted proxy', trusting, 'tr', 'TR'],
    ['nobody is trusted', {}, 'TR', undefined],
    ['unknown', trusting, 'XX', undefined],
    ['Tor', trusting, 'T1', undefined],
    ['twice', trusting, ['TR', 'DE'], undefined],
    ['nonsense', trusting, 'Turkey', undefined],
  ])('the country of %s', async (_name, directory, header, country) => {
    const told = await facts({ ...directory, countryHeader: 'cf-ipcountry' }, { 'cf-ipcountry': header })
    expect(told?.country).toBe(country)
  })
})
