import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMap, isSeq, type Node } from 'yaml'
import { describe, expect, test } from 'vitest'
import { readProviders } from '../../cli/gateway/providers-file.ts'
import { LocatedYaml } from '../../cli/partners/located-yaml.ts'
import type { Privacy, Provider } from '../../core/ports/gateway.ts'
import { simple } from '../mapping/mapping-texts.ts'
import { factsOf, VECTOR } from './calls.ts'

const SECRET = 'very-secret-indeed'
const PRINT = `sha256:${'ab'.repeat(32)}`
const PRIVACY: Privacy = { pass: undefined, hash: ['context.ip'] }
const EXAMPLE = readFileSync(join(import.meta.dirname, '../../examples/gateway/gameco.mapping.yaml'), 'utf8')
const FILES: Readonly<Record<string, string>> = {
  '/etc/onceward/gameco.secret': `${SECRET}\n`,
  '/etc/onceward/two.secret': `${VECTOR.secret}\n${SECRET}\n`,
  '/etc/onceward/three.secret': 'a\nb\nc\n',
  '/etc/onceward/empty.secret': '\n',
  '/etc/onceward/wrong.secret': 'whsec_S3CR3T!\n',
  '/etc/onceward/gameco.mapping.yaml': EXAMPLE,
  '/etc/onceward/bets.mapping.yaml': simple(),
  '/etc/onceward/received.mapping.yaml': simple({ ts: '{ time: request.received_at, unit: ms }' }),
  '/etc/onceward/wrong.mapping.yaml': simple({ when: 'stake +', event_id: '"x"' }),
}

async function read(text: string): Promise<readonly Provider[]> {
  const yaml = new LocatedYaml('/etc/onceward/gateway.yaml', { code: 'ONCEWARD_E_GATEWAY_INVALID', begins: 'sources' })
  const root = yaml.parse(text)
  const list: unknown = isMap(root) ? root.get('providers') : undefined
  const entries = isSeq<Node>(list) ? list.items : []
  const outside = {
    read: (path: string): Promise<string> => {
      const found = FILES[path]
      return found === undefined ? Promise.reject(new Error('ENOENT: no such file')) : Promise.resolve(found)
    },
    environment: { GAMECO_SECRET: SECRET, EMPTY: ' ' },
    folder: '/etc/onceward',
  }
  return readProviders(yaml, entries, { outside, privacy: PRIVACY })
}

/** A provider with what differs. */
function provider(change: Readonly<Record<string, string | null>> = {}): string {
  const fields: Record<string, string | null> = {
    name: 'gameco',
    secret_file: 'gameco.secret',
    allow_ips: '[203.0.113.0/24, "2001:db8::/32"]',
    mapping: 'bets.mapping.yaml',
    ...change,
  }
  const lines = Object.entries(fields).flatMap(([key, value]) => (value === null ? [] : [`${key}: ${value}`]))
  return `  - ${lines.join('\n    ')}\n`
}
const one = (change: Readonly<Record<string, string | null>> = {}): string => `providers:\n${provider(change)}`

describe('a provider', () => {
  test('with all there is to say', async () => {
    const [gameco] = await read(
      one({
        secret_file: 'two.secret',
        signature: 'standard',
        client_certificates: `["${PRINT.toUpperCase().replace('SHA256', 'sha256')}"]`,
        mapping: 'gameco.mapping.yaml',
        events: '[bet, spin, win]',
        limits: '{ events_per_second: 50, body: 64KiB, batch: 20 }',
        dead_letters: 'false',
      }),
    )
    expect(gameco).toMatchObject({
      source: {
        name: 'gameco',
        kind: 'webhook',
        events: new Set(['bet', 'spin', 'win']),
        trusted: true,
        privacy: PRIVACY,
        deadLetters: false,
      },
      limits: { eventsPerSecond: 50, bodyBytes: 65_536, batch: 20 },
      asksForCertificate: true,
    })
    const signed = {
      'webhook-id': VECTOR.id,
      'webhook-timestamp': String(VECTOR.seconds),
      'webhook-signature': VECTOR.signature,
    }
    expect(gameco?.admit(factsOf(signed, { clientCertificate: PRINT }))).toEqual({ ok: true, requestId: VECTOR.id })
    expect(gameco?.admit(factsOf(signed))).toMatchObject({ ok: false, problem: 'certificate' })
    expect(gameco?.map({ rounds: [{ type: 'ROUND_STARTED' }] }, { receivedAt: 0, requestId: 'a' })).toMatchObject({
      ok: true,
      events: [],
    })
  })

  test('with the least: any signature, all events, what is no event set aside', async () => {
    const [gameco] = await read(one({ secret_file: null, secret_env: 'GAMECO_SECRET' }))
    expect(gameco).toMatchObject({ source: { events: undefined, deadLetters: true }, asksForCertificate: false })
  })

  test('that calls from anywhere has to say so, and then its signature alone counts', async () => {
    const [gameco] = await read(one({ allow_ips: 'any', secret_file: 'two.secret' }))
    const headers = {
      'webhook-id': VECTOR.id,
      'webhook-timestamp': String(VECTOR.seconds),
      'webhook-signature': VECTOR.signature,
    }
    expect(gameco?.admit(factsOf(headers, { ip: '192.0.2.1' }))).toMatchObject({ ok: true })
  })

  test('known by its certificate needs no addresses', async () => {
    expect(await read(one({ allow_ips: null, client_certificates: `"${PRINT}"` }))).toMatchObject([
      { asksForCertificate: true },
    ])
  })
})

describe('what is wrong with one', () => {
  test.each([
    [one({ name: null }), '2:5: a provider has no name'],
    [one({ name: 'a/b' }), '2:11: "a/b" cannot be a name'],
    [one({ secrets: 'x' }), '6:5: a provider has no key "secrets"'],
    [one({ alow_ips: 'any' }), '6:5: a provider has no key "alow_ips"; did you mean allow_ips?'],
    [one({ secret_file: null }), '2:11: a provider has either secret_file or secret_env'],
    [one({ secret_env: 'GAMECO_SECRET' }), '2:11: a provider has either secret_file or secret_env'],
    [one({ secret_file: 'none' }), '3:18: none cannot be read: ENOENT'],
    [one({ secret_file: 'empty.secret' }), '3:18: empty.secret is empty'],
    [one({ secret_file: 'three.secret' }), '3:18: these are 3 secrets'],
    [one({ secret_file: 'wrong.secret' }), '3:18: a secret begins with whsec_, but what follows is not base64'],
    [one({ secret_file: null, secret_env: 'EMPTY' }), '5:17: the variable EMPTY is not set'],
    [one({ allow_ips: null }), '2:11: a provider has allow_ips or client_certificates'],
    [one({ allow_ips: '[]' }), '4:16: allow_ips is an empty list'],
    [one({ allow_ips: '[any, 203.0.113.0/24]' }), '4:16: any stands alone'],
    [one({ allow_ips: 'everywhere' }), '4:16: "everywhere" is neither an address nor a network'],
    [one({ allow_ips: '[203.0.113.0/33]' }), '4:16: "203.0.113.0/33" is neither'],
    [one({ client_certificates: '[sha256:ab]' }), '6:26: this is no fingerprint of a certificate'],
    [one({ signature: 'hmac' }), '6:16: signature is any'],
    [one({ mapping: null }), '2:5: a provider has no mapping'],
    [one({ mapping: 'none.yaml' }), '5:14: none.yaml cannot be read'],
    [one({ mapping: 'received.mapping.yaml' }), '5:14: received.mapping.yaml takes request.received_at or request.id'],
    [one({ events: '[win]' }), '6:13: the mapping makes "bet", which this provider may not send'],
    [one({ events: '[]' }), '6:13: events is an empty list'],
    [one({ dead_letters: '"no"' }), '6:19: dead_letters is true or false'],
    [one({ limits: '{ batch: 501 }' }), '6:22: batch is a whole number from 1 to 500'],
    [one() + provider({ secret_file: 'two.secret' }), '6:5: there is a provider gameco above'],
  ])('%j: %s', async (text, said) => {
    await expect(read(text)).rejects.toMatchObject({
      code: 'ONCEWARD_E_GATEWAY_INVALID',
      message: expect.stringContaining(`/etc/onceward/gateway.yaml:${said}`),
    })
  })

  test('is all of it told, where it is its mapping', async () => {
    await expect(read(one({ mapping: 'wrong.mapping.yaml' }))).rejects.toMatchObject({
      code: 'ONCEWARD_E_MAPPING_INVALID',
      message: expect.stringMatching(
        /2 problems in the mapping:\n\/etc\/onceward\/wrong\.mapping\.yaml:4:15: [^]*wrong\.mapping\.yaml:8:/,
      ),
    })
  })

  test('is told without the secret, whoever writes it into the file', async () => {
    for (const text of [one({ secret_file: null, secret_env: SECRET }), one({ secret_file: 'wrong.secret' })]) {
      const error: unknown = await read(text).catch((thrown: unknown) => thrown)
      expect(String(error)).toContain('gateway.yaml')
      expect(String(error)).not.toMatch(new RegExp(`${SECRET}|S3CR3T`))
    }
  })

  test('is not that its mapping takes something of the request, where Standard Webhooks signs its id', async () => {
    await expect(read(one({ mapping: 'received.mapping.yaml', signature: 'standard' }))).resolves.toHaveLength(1)
  })
})
