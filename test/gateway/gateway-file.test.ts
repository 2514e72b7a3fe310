import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type GatewayFile, readGatewayFile } from '../../cli/gateway/gateway-file.ts'
import { WatchedFile } from '../../cli/gateway/watched-file.ts'
import { keyHash } from '../../connectors/gateway/keys.ts'
import { systemClock } from '../../core/clock.ts'
import { hasCode } from '../../core/errors.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { CA, SERVER } from '../wallet/certificates.ts'

const FILES: Readonly<Record<string, string>> = {
  'dir/link.key': 'a random text of some length\n',
  'dir/short.key': 'short\n',
  'dir/server.pem': SERVER.cert,
  'dir/server.key': SERVER.key,
  'dir/ca.pem': CA,
  'dir/secret': 'a secret of a provider\n',
  'dir/map.yaml':
    'provider: p\nevents:\n  - event_name: bet\n    event_id: "{id}"\n    ts: { time: at, unit: ms }\n    user: { id: player }\n    payload: { bet: stake }\n',
}
const read = async (path: string): Promise<string> => {
  const text = FILES[path]
  if (text === undefined) throw new Error('no such file')
  return text
}
const parse = (text: string): Promise<GatewayFile> =>
  readGatewayFile('dir/gateway.yaml', text, { read, environment: {} })
const hash = (key: string): string => `"sha256:${keyHash(key)}"`
const SOURCE = `sources:\n  - name: web\n    keys: [{ id: web_1, hash: ${hash('k')} }]\n`
const PROVIDER = 'providers:\n  - { name: p, secret_file: secret, allow_ips: any, mapping: map.yaml }\n'

/** What the events of the source with this key are hashed with. */
function keyOf({ keys }: GatewayFile['directory'], key = 'k'): string | undefined {
  return keys.find(key, 0)?.source.source.privacy.hashKey?.export().toString()
}

describe("a gateway's file", () => {
  test('with a source alone has what is needed, and the bounds that the manual says', async () => {
    const { directory, tls } = await parse(SOURCE)
    const caller = directory.keys.find('k', 0)
    expect(caller).toMatchObject({
      source: {
        source: { name: 'web', kind: 'key', trusted: true, events: undefined, deadLetters: false },
        limits: { eventsPerSecond: 1_000, burst: 2_000, bodyBytes: 262_144, batch: 500 },
        public: false,
      },
      key: { id: 'web_1' },
    })
    expect([...(caller?.source.scopes ?? [])]).toEqual(['events:write'])
    expect([tls, directory.origins.size, keyOf(directory)]).toEqual([undefined, 0, undefined])
  })

  test('with all there is', async () => {
    const { directory, tls } = await parse(`
trusted_proxies: [10.0.0.0/8, "fd00::/8"]
country_header: CF-IPCountry
cors: { origins: ["https://play.example", "http://localhost:8000"] }
privacy: { pass: [context.ip], hash: [context.ip], hash_key_file: link.key }
sources:
  - name: web
    public: true
    keys: [{ id: a, hash: ${hash('a')} }, { id: b, hash: ${hash('b').toUpperCase().replace('SHA', 'sha')}, not_after: 2026-12-31T00:00:00Z }]
    events: [login]
    allow_ips: [203.0.113.0/24]
    limits: { events_per_second: 5, burst: 7, per_address: 2, body: 1MiB, batch: 3 }
    dead_letters: true
  - { name: back, keys: [{ id: c, hash: ${hash('c')} }], scopes: [events:write, dlq:read] }
${PROVIDER}
tls: { cert_file: server.pem, key_file: server.key, client_ca_file: ca.pem }`)
    expect(directory.trustedProxies.has('10.1.1.1')).toBe(true)
    expect(directory.countryHeader).toBe('cf-ipcountry')
    expect([...directory.origins]).toEqual(['https://play.example', 'http://localhost:8000'])
    expect(keyOf(directory, 'a')).toBe('a random text of some length')
    expect(tls).toMatchObject({ cert: SERVER.cert, asksForCertificate: false })
    expect([...directory.providers.keys()]).toEqual(['p'])
    const { source, key } = directory.keys.find('b', 0) ?? {}
    expect(key?.notAfter).toBe(Date.parse('2026-12-31T00:00:00Z'))
    expect(source).toMatchObject({
      source: { trusted: false, deadLetters: true, privacy: { pass: ['context.ip'], hash: ['context.ip'] } },
      limits: { eventsPerSecond: 5, burst: 7, perAddress: 2, bodyBytes: 1_048_576, batch: 3 },
    })
    expect([...(directory.keys.find('c', 0)?.source.scopes ?? [])]).toEqual(['events:write', 'dlq:read'])
  })

  test.each([
    ['', /:1:1: the file is empty; it begins with sources:/],
    ['[1]', /:1:1: the file is a map/],
    ['a: {', /:\d+:\d+: this is no YAML/],
    ['cors: { origins: [https://x.example] }', /nobody could send anything/],
    ['source: []', /:1:1: the file has no key "source"; did you mean sources\?/],
    [SOURCE.replace('web', 'a b'), /:2:11: "a b" cannot be a name/],
    [SOURCE.replace('name: web', 'nam: web'), /:2:5: a source has no key "nam"; did you mean name\?/],
    [
      SOURCE.replace('    keys', '    public: true\n    keys'),
      /:3:13: anybody can read a public key, so say under events:/,
    ],
    [`${SOURCE}    public: yes\n`, /public is true or false/],
    [`${SOURCE}    public: true\n    events: [login]\n    scopes: [dlq:read]\n`, /its only scope is events:write/],
    [`${SOURCE}    scopes: [all]\n`, /"all" is no scope; there are events:write, dlq:read, dlq:write/],
    [`${SOURCE}    allow_ips: [10.0.0.0/40]\n`, /"10.0.0.0\/40" is neither an address nor a network/],
    [`${SOURCE}    limits: { body: 256 KB }\n`, /body is a size from 1KiB to 8MiB/],
    [`${SOURCE}    limits: { batch: 501 }\n`, /batch is a whole number from 1 to 500/],
    [SOURCE.replace(/hash: "[^"]*"/, 'hash: my-secret-key'), /:3:31: this is no hash of a key/],
    [SOURCE.replace('hash', 'not_after: tomorrow, hash'), /"tomorrow" is no time/],
    [`${SOURCE}  - name: web\n    keys: [{ id: x, hash: ${hash('x')} }]\n`, /there is a source web above/],
    [`${SOURCE}  - name: other\n    keys: [{ id: x, hash: ${hash('k')} }]\n`, /the key x is there twice/],
    [`${SOURCE}  - name: other\n    keys: [{ id: web_1, hash: ${hash('x')} }]\n`, /the key web_1 is there twice/],
    [`${SOURCE}cors: { origins: ["*"] }`, /"\*" is no origin/],
    [`${SOURCE}cors: { origins: ["https://x.example/"] }`, /is no origin; write scheme and host/],
    [`${SOURCE}country_header: cf-ipcountry`, /anybody could set it; say under trusted_proxies/],
    [`${SOURCE}trusted_proxies: [x]`, /"x" is neither an address nor a network/],
    [`${SOURCE}privacy: { hash: [user.id], hash_key_file: link.key }`, /rewards are paid to the id/],
    [`${SOURCE}privacy: { hash: [context.ip] }`, /what is hashed needs a key/],
    [`${SOURCE}privacy: { hash: [user.id], hash_key_file: link.key }`, /"user.id" is what every event needs as it is/],
    [`${SOURCE}privacy: { pass: [context..ip] }`, /"context..ip" is no path of fields/],
    [`${SOURCE}privacy: { hash: [context.ip], hash_key_file: short.key }`, /short.key holds less than 16 characters/],
    [`${SOURCE}privacy: { hash: [context.ip], hash_key_file: gone.key }`, /gone.key cannot be read/],
    [`${SOURCE}tls: { cert_file: server.pem }`, /tls needs cert_file and key_file/],
    [
      `${SOURCE}${PROVIDER.replace('allow_ips: any', `client_certificates: ${hash('c')}`)}`,
      /p shows a certificate, which needs tls: with client_ca_file/,
    ],
    [
      `${SOURCE}${PROVIDER.replace('allow_ips: any', `client_certificates: ${hash('c')}`)}tls: { cert_file: server.pem, key_file: server.key }`,
      /p shows a certificate; name who signed it: client_ca_file/,
    ],
    [`${SOURCE}${PROVIDER.replace('name: p', 'name: web')}`, /there is a source web as well/],
  ])('says what is wrong with %j', async (text, message) => {
    const error = await parse(text).catch((thrown: unknown) => thrown)
    expect(hasCode(error, 'ONCEWARD_E_GATEWAY_INVALID') ? error.message : error).toMatch(
      /^dir\/gateway\.yaml:\d+:\d+: /,
    )
    expect(String(error)).toMatch(message)
    expect(String(error)).not.toContain('my-secret-key')
  })

  test('keeps the ids of whoever is trusted from public keys', async () => {
    const other = `  - { name: back, keys: [{ id: c, hash: ${hash('c')} }] }\n`
    const { directory } = await parse(`${SOURCE}    public: true\n    events: [login]\n${other}${PROVIDER}`)
    const reserved = (key: string): unknown => directory.keys.find(key, 0)?.source.source.reserved
    expect([reserved('k'), reserved('c')]).toEqual([['back', 'p'], undefined])
    expect(directory.providers.get('p')?.source.reserved).toBeUndefined()
  })

  test('of the examples is without fault', async () => {
    const path = 'examples/gateway/gateway.yaml'
    const readReal = (file: string): Promise<string> => readFile(file, 'utf8')
    const { directory } = await readGatewayFile(path, await readReal(path), { read: readReal, environment: {} })
    expect([...directory.providers.keys()]).toEqual(['gameco', 'paygrid'])
    expect(directory.keys.find('onceward_try_me_public', 0)?.source.public).toBe(true)
    expect(directory.keys.find('onceward_try_me_not_a_secret_of_anybody', 0)?.source.public).toBe(false)
  })
})

describe('a file that is watched', () => {
  let dir = ''
  let file: WatchedFile
  const seen: GatewayFile[] = []
  const look = (): Promise<void> => file.look((next) => void seen.push(next))
  const write = (text: string): Promise<void> => writeFile(join(dir, 'gateway.yaml'), text)
  beforeEach(async () => {
    seen.length = 0
    dir = await mkdtemp(join(tmpdir(), 'onceward-gateway-file-'))
    await write(`${SOURCE}privacy: { hash: [context.ip], hash_key_file: link.key }`)
    await writeFile(join(dir, 'link.key'), 'a random text of some length')
    file = await WatchedFile.open({
      path: join(dir, 'gateway.yaml'),
      environment: {},
      clock: systemClock,
      logger: silentLogger,
      everyMs: 5,
    })
  })
  afterEach(async () => {
    await file.close()
    await rm(dir, { recursive: true })
  })

  test('is told of once where it has changed, and not where it is the same', async () => {
    await look()
    await write(`${SOURCE}privacy: { hash: [context.ip], hash_key_file: link.key }`)
    await look()
    expect(seen).toEqual([])
    await write(SOURCE.replace('web', 'other'))
    await look()
    await look()
    expect(seen).toHaveLength(1)
    expect(file.file).toBe(seen[0])
  })

  test('counts as changed where a file that it names has', async () => {
    await writeFile(join(dir, 'next.key'), 'another random text, as long')
    await rename(join(dir, 'next.key'), join(dir, 'link.key'))
    await look()
    expect(seen.map(({ directory }) => keyOf(directory))).toEqual(['another random text, as long'])
  })

  test('that is broken, half written or gone changes nothing, and is good again when it is', async () => {
    const before = file.file
    const breaking: (() => Promise<void>)[] = [
      () => write('sources: ['),
      () => write(''),
      () => rm(join(dir, 'gateway.yaml')),
      () => write(`${SOURCE}privacy: { hash: [context.ip], hash_key_file: gone.key }`),
    ]
    for (const breakIt of breaking) {
      await breakIt()
      await look()
      expect([file.good, file.file === before, seen.length]).toEqual([false, true, 0])
    }
    await write(SOURCE)
    await look()
    expect([file.good, seen.length]).toEqual([true, 1])
  })

  test('that cannot be taken over counts as broken', async () => {
    const before = file.file
    await write(SOURCE)
    await file.look(() => {
      throw new Error('the certificate cannot be used')
    })
    expect([file.good, file.file === before]).toEqual([false, true])
  })

  test('is looked at again and again until it is closed', async () => {
    const watching = file.watch((next) => void seen.push(next))
    await write(SOURCE)
    await expect.poll(() => seen.length).toBe(1)
    await file.close()
    await watching
  })
})
