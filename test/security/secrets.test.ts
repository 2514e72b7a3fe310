/** Attack: a secret is read off a log line, an error, or an object that somebody printed. */
import { inspect } from 'node:util'
import { afterEach, expect, test } from 'vitest'
import { createLogger } from '../../connectors/observe/logger.ts'
import { startPartner } from '../../connectors/partner/partner.ts'
import { httpWallet } from '../../connectors/wallet/http-wallet.ts'
import { signingKeys } from '../../connectors/wallet/signature.ts'
import { systemClock } from '../../core/clock.ts'
import { hideSecrets, type PartnerSpec } from '../../core/model/partner.ts'
import { CA, CLIENT } from '../wallet/certificates.ts'
import { cleaning, listenHttp, order, partnerSpec } from '../wallet/support.ts'

const { keep, clean } = cleaning()
afterEach(clean)

const PLAIN = 'hush-hush-3f9a'
const STANDARD = `whsec_${Buffer.from('another-hush-hush-of-24-bytes').toString('base64')}`
const KEY = CLIENT.key.split('\n')[1] ?? ''

/** Each form that a secret could be recognised in. */
const FORBIDDEN = [
  PLAIN,
  STANDARD,
  STANDARD.slice(6),
  'another-hush-hush',
  Buffer.from(PLAIN).toString('hex'),
  Buffer.from(PLAIN).toString('base64'),
  KEY,
]

function expectNoSecret(text: string): void {
  for (const secret of FORBIDDEN) expect(text).not.toContain(secret)
}

/** As loggers, debuggers and people print things. */
function prints(value: unknown): string {
  const options = { depth: 20, showHidden: true, showProxy: true, getters: true, maxStringLength: null } as const
  return [
    inspect(value, options),
    String(value),
    JSON.stringify(value) ?? '',
    inspect({ ...Object(value) }, options),
  ].join('\n')
}

function spec(url: string, change: Partial<PartnerSpec> = {}): PartnerSpec {
  return hideSecrets(partnerSpec(url, { secrets: [PLAIN, STANDARD], timeoutMs: 200, ...change }))
}

test('a spec that was read says [hidden], in whatever it stands in, and still works', async () => {
  const tls = { ca: CA, ...CLIENT }
  const read = spec('https://wallet.example', { tls })
  for (const value of [read, { partners: [read] }, { ...read }, new Map([['acme', read]]), [read.secrets, read.tls]]) {
    expectNoSecret(prints(value))
  }
  expect(JSON.stringify(read)).toContain('"secrets":"[hidden]"')
  expect(read).toMatchObject({ name: 'acme', secrets: [PLAIN, STANDARD], tls: { ca: CA, cert: CLIENT.cert } })
  const partner = await startPartner({ secret: PLAIN, clock: systemClock })
  keep(() => partner.stop())
  const client = httpWallet({ spec: spec(partner.url), clock: systemClock })
  keep(() => client.close())
  expect(await client.credit(order())).toMatchObject({ kind: 'paid' })
})

test('the log shows none of it, in whatever field it is put', async () => {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  const logger = createLogger({ level: 'debug', clock: systemClock, destination })
  const read = spec('https://wallet.example', { tls: { ca: CA, ...CLIENT } })
  const client = httpWallet({ spec: spec('http://127.0.0.1:9'), clock: systemClock })
  keep(() => client.close())
  const outcome = await client.credit(order())
  logger.warn({ outcome, spec: read, partners: [read], tls: read.tls, of: { tls: { ...read.tls } } }, 'a call failed')
  logger.child({ partner: read }).error({ err: new Error('failed', { cause: read }), client }, 'again')
  expect(lines).toHaveLength(2)
  expectNoSecret(lines.join(''))
  expect(read.tls?.key).toBe(CLIENT.key)
})

test('a wallet and its keys show nothing of their secrets', () => {
  const client = httpWallet({
    spec: spec('https://wallet.example', { tls: { ca: CA, ...CLIENT } }),
    clock: systemClock,
  })
  keep(() => client.close())
  expectNoSecret(prints(client))
  expectNoSecret(prints(signingKeys([PLAIN, STANDARD])))
})

test('what a failing call answers, and so what the sink logs and books, holds no secret and no signature', async () => {
  let signature = ''
  const { url, close } = await listenHttp((request, response) => {
    signature = String(request.headers['x-signature'])
    const how = Number(request.url?.slice(1))
    if (how === 0) request.socket.destroy()
    else if (how > 1) response.writeHead(how, { 'retry-after': '1' }).end('{"ok":false}')
  })
  keep(close)
  for (const how of [0, 1, 200, 301, 400, 429, 500]) {
    const client = httpWallet({ spec: spec(`${url}/${how}`), clock: systemClock })
    keep(() => client.close())
    const outcome = await client.credit(order())
    expect(outcome.kind).not.toBe('paid')
    expectNoSecret(prints(outcome))
    expect(prints(outcome)).not.toContain(signature)
  }
  expect(signature).toMatch(/^sha256=/)
})

test('what is refused at the start names what is wrong, and not with what', () => {
  for (const wrong of [
    partnerSpec('nonsense', { secrets: [PLAIN] }),
    partnerSpec(`https://user:${PLAIN}@wallet.example`),
    partnerSpec(`ftp://user:${PLAIN}@wallet.example`),
    partnerSpec('https://wallet.example', { secrets: [`${STANDARD}!`] }),
    partnerSpec('https://wallet.example', { secrets: [PLAIN], concurrency: 0 }),
    partnerSpec('https://wallet.example', { secrets: [PLAIN], tls: { cert: 'nonsense', key: CLIENT.key } }),
    partnerSpec('https://wallet.example', { secrets: [PLAIN], tls: { key: CLIENT.key } }),
    partnerSpec('https://127.0.0.1', { secrets: [PLAIN], allowHosts: [] }),
  ]) {
    let thrown: unknown
    try {
      httpWallet({ spec: wrong, clock: systemClock })
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(Error)
    expectNoSecret(inspect(thrown, { depth: 20, showHidden: true }))
  }
})
