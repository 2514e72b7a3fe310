import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { configuredPartners, type PartnerSettings } from '../../cli/partners/configured.ts'
import { type Outside, readPartners } from '../../cli/partners/partners-file.ts'

const SECRET = 'very-secret-indeed'
const OUTSIDE: Outside = {
  read: (path) => {
    const files: Record<string, string> = {
      '/etc/onceward/wallet.secret': `${SECRET}\n`,
      '/etc/onceward/two.secret': `${SECRET}\nthe other\n`,
      '/etc/onceward/three.secret': 'a\nb\nc\n',
      '/etc/onceward/empty.secret': '\n',
      '/run/ca.pem': 'CA',
      '/run/cert.pem': 'CERT',
      '/run/key.pem': 'KEY',
    }
    const text = files[path]
    return text === undefined ? Promise.reject(new Error('ENOENT: no such file')) : Promise.resolve(text)
  },
  environment: { GAMES_SECRET: SECRET, GAMES_OTHER: 'the other', EMPTY: ' ' },
}
const read = (text: string): ReturnType<typeof readPartners> =>
  readPartners('/etc/onceward/partners.yaml', text, OUTSIDE)

test('a file with all there is to say, and one with the least', async () => {
  const specs = await read(`
partners:
  - name: wallet
    url: https://wallet.example/wallet/credit
    secret_file: two.secret
    types: [cash, bonus_cash]
    concurrency: 64
    order: player
    timeout: 2s
    allow_hosts: [partner, 10.0.0.7]
    tls: { ca_file: /run/ca.pem, cert_file: /run/cert.pem, key_file: /run/key.pem }
  - name: games
    url: https://games.example
    secret_env: GAMES_SECRET
    types: "*"
`)
  expect(specs).toEqual([
    {
      name: 'wallet',
      url: 'https://wallet.example/wallet/credit',
      secrets: [SECRET, 'the other'],
      types: ['cash', 'bonus_cash'],
      concurrency: 64,
      orderedByPlayer: true,
      timeoutMs: 2_000,
      allowHosts: ['partner', '10.0.0.7'],
      tls: { ca: 'CA', cert: 'CERT', key: 'KEY' },
    },
    {
      name: 'games',
      url: 'https://games.example',
      secrets: [SECRET],
      types: ['*'],
      concurrency: 16,
      orderedByPlayer: false,
      timeoutMs: 10_000,
      allowHosts: [],
    },
  ])
})

/** A partner with what differs. */
function partner(change: Readonly<Record<string, string | null>>): string {
  const fields: Record<string, string | null> = {
    name: 'wallet',
    url: 'https://wallet.example',
    secret_file: 'wallet.secret',
    types: 'cash',
    ...change,
  }
  const lines = Object.entries(fields).flatMap(([key, value]) => (value === null ? [] : [`${key}: ${value}`]))
  return `  - ${lines.join('\n    ')}\n`
}

test('two secrets may also be two variables or two files', async () => {
  const both = '[GAMES_SECRET, GAMES_OTHER]'
  expect(await read(`partners:\n${partner({ secret_file: null, secret_env: both })}`)).toMatchObject([
    { secrets: [SECRET, 'the other'] },
  ])
})

const one = (change: Readonly<Record<string, string | null>>): string => `partners:\n${partner(change)}`

test.each([
  ['', '1:1: the file is empty'],
  ['partners: []', '1:11: partners is a list'],
  ['partner: []', '1:1: the file has no key "partner"; did you mean partners?'],
  ['[]', '1:1: the file is a map'],
  ['partners: [}', '1:12: this is no YAML'],
  [one({ name: null }), '2:5: a partner has no name'],
  [one({ name: 'a b' }), '2:11: "a b" cannot be a name'],
  [one({ url: null }), '2:5: a partner has no url'],
  [one({ url: 'ftp://x' }), '3:10: this is no URL of a partner'],
  [one({ url: 'https://me:pass@x' }), '3:10: a URL must not hold a user or a password'],
  [one({ types: null }), '2:5: a partner has no types'],
  [one({ types: '[]' }), '5:12: types is an empty list'],
  [one({ types: '[7]' }), '5:13: types is a text'],
  [one({ secret_file: null }), '2:11: a partner has either secret_file or secret_env'],
  [one({ secret_env: 'GAMES_SECRET' }), '2:11: a partner has either secret_file or secret_env'],
  [one({ secret_file: 'none' }), '4:18: none cannot be read: ENOENT'],
  [one({ secret_file: 'empty.secret' }), '4:18: empty.secret is empty'],
  [one({ secret_file: 'three.secret' }), '4:18: these are 3 secrets'],
  [one({ secret_file: null, secret_env: 'MISSING' }), '5:17: the variable MISSING is not set'],
  [one({ secret_file: null, secret_env: 'EMPTY' }), '5:17: the variable EMPTY is not set'],
  [one({ concurrency: '0' }), '6:18: concurrency is a whole number from 1 to 1000'],
  [one({ concurrency: '"8"' }), '6:18: concurrency is a whole number'],
  [one({ order: 'time' }), '6:12: order is player'],
  [one({ timeout: '1m' }), '6:14: timeout is a duration from 10ms to 25s'],
  [one({ timeout: 'soon' }), '6:14: timeout is a duration'],
  [one({ tls: '{ cert_file: /run/cert.pem }' }), '6:10: cert_file and key_file go together'],
  [one({ tls: '{ ca: x }' }), '6:12: tls has no key "ca"'],
  [one({ tls: '{ ca_file: /none }' }), '6:21: /none cannot be read'],
  [one({ retries: '3' }), '6:5: a partner has no key "retries"'],
  [one({ order: '' }), '6:5: order has no value'],
  [one({}) + partner({ types: 'fs' }), '6:5: there is a partner wallet above'],
  [one({}) + partner({ name: 'b' }), '6:5: rewards of type "cash" go to wallet already'],
  [`${one({})}    name: again\n`, '6:5: this is no YAML'],
])('%j: %s', async (text, said) => {
  await expect(read(text)).rejects.toMatchObject({
    code: 'ONCEWARD_E_PARTNERS_INVALID',
    message: expect.stringContaining(`/etc/onceward/partners.yaml:${said}`),
  })
})

test('whoever writes the secret itself into the file does not find it in a message', async () => {
  const wrong = [one({ secret_file: null, secret_env: SECRET }), one({ secret: SECRET })]
  for (const text of wrong) {
    const error: unknown = await read(text).catch((thrown: unknown) => thrown)
    expect(String(error)).toMatch(/ONCEWARD|partners\.yaml/)
    expect(String(error)).not.toContain(SECRET)
  }
})

describe('the short form', () => {
  let dir = ''
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'onceward-partners-'))
    await writeFile(join(dir, 'secret'), 'now\r\n\nthen\n')
    await writeFile(join(dir, 'three'), 'a\nb\nc')
  })
  afterAll(() => rm(dir, { recursive: true }))

  const given = (change: Partial<PartnerSettings>): PartnerSettings => ({
    partners: undefined,
    wallet: 'http://localhost:8090',
    secretFile: join(dir, 'secret'),
    allowHosts: undefined,
    concurrency: 8,
    walletTimeout: 500,
    ...change,
  })

  test('is one partner, named wallet, for everything', async () => {
    expect(await configuredPartners(given({ allowHosts: ['localhost'] }), {})).toEqual([
      {
        name: 'wallet',
        url: 'http://localhost:8090',
        secrets: ['now', 'then'],
        types: ['*'],
        concurrency: 8,
        orderedByPlayer: false,
        timeoutMs: 500,
        allowHosts: ['localhost'],
      },
    ])
  })

  test.each([
    [
      'nobody pays',
      { wallet: undefined, secretFile: undefined },
      'ONCEWARD_E_USAGE',
      /give --partners FILE, or --wallet URL/,
    ],
    ['without a secret', { secretFile: undefined }, 'ONCEWARD_E_USAGE', /--secret-file/],
    ['both forms', { partners: 'p.yaml' }, 'ONCEWARD_E_USAGE', /leave out --wallet/],
    ['no file', { secretFile: '/none' }, 'ONCEWARD_E_FILE_UNREADABLE', /cannot be read/],
  ] as const)('%s is refused', async (_, change, code, message) => {
    await expect(configuredPartners(given(change), {})).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    })
  })

  test('three secrets are one too many', async () => {
    await expect(configuredPartners(given({ secretFile: join(dir, 'three') }), {})).rejects.toThrow(/has 3 lines/)
  })
})
