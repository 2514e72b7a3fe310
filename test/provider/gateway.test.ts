import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMap, isSeq, type Node } from 'yaml'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readProviders } from '../../cli/gateway/providers-file.ts'
import { LocatedYaml } from '../../cli/partners/located-yaml.ts'
import { systemClock } from '../../core/clock.ts'
import type { Provider } from '../../core/ports/gateway.ts'
import { type Answer, directoryOf, startGateway, type TestGateway } from '../gateway/gateway-harness.ts'
import { type Headers, plain, v1 } from './calls.ts'

const EXAMPLES = join(import.meta.dirname, '../../examples/gateway')
const GAMECO = 'whsec_Z2FtZWNvIGdhbWVjbyBnYW1lY28gZ2FtZWNv'
const PAYGRID = 'the secret of paygrid'
const FILE = `
providers:
  - { name: gameco, secret_env: GAMECO, signature: standard, allow_ips: 127.0.0.0/8, mapping: gameco.mapping.yaml }
  - { name: paygrid, secret_env: PAYGRID, allow_ips: any, mapping: paygrid.mapping.yaml }
  - { name: elsewhere, secret_env: GAMECO, allow_ips: 203.0.113.0/24, mapping: gameco.mapping.yaml }
`

async function providers(): Promise<readonly Provider[]> {
  const yaml = new LocatedYaml('gateway.yaml', { code: 'ONCEWARD_E_GATEWAY_INVALID', begins: 'sources' })
  const root = yaml.parse(FILE)
  const list: unknown = isMap(root) ? root.get('providers') : undefined
  const outside = {
    read: (path: string) => Promise.resolve(readFileSync(path, 'utf8')),
    environment: { GAMECO, PAYGRID },
    folder: EXAMPLES,
  }
  return readProviders(yaml, isSeq<Node>(list) ? list.items : [], { outside, privacy: { pass: undefined, hash: [] } })
}

let gateway: TestGateway
beforeEach(async () => {
  gateway = await startGateway({ directory: directoryOf({ providers: await providers() }) })
})
afterEach(() => gateway.close())

const bodyOf = (name: string): Buffer => readFileSync(join(EXAMPLES, `bodies/${name}.json`))
const seconds = (): string => String(Math.floor(systemClock.now() / 1_000))

function call(name: string, body: Buffer, headers: Headers): Promise<Answer> {
  const sent = Object.fromEntries(Object.entries(headers).map(([key, value]) => [key, String(value)]))
  return gateway.send({ path: `/v1/webhooks/${name}`, body, headers: { ...sent, authorization: undefined } })
}

function standard(secret: string, id: string, body: Buffer): Headers {
  const at = seconds()
  return { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': v1(secret, { id, seconds: at, body }) }
}

const xSignature = (id: string, body: Buffer): Headers => ({
  'X-Signature': plain(PAYGRID, body),
  'X-Request-Id': id,
  'X-Timestamp': seconds(),
})

test("an aggregator's rounds are taken, each answered by its transaction", async () => {
  const body = bodyOf('gameco-rounds')
  const headers = standard(GAMECO, 'msg_1', body)
  const answer = await call('gameco', body, headers)
  expect([answer.status, answer.json['accepted'], answer.json['rejected']]).toEqual([202, 4, 0])
  expect(answer.json['events']).toEqual(
    [880_012_345, 880_012_346, 880_012_347, 880_012_348].map((id) => ({
      status: 'accepted',
      event_id: `gameco:${id}`,
    })),
  )
  const again = await call('gameco', body, headers)
  expect([again.text, again.headers['idempotent-replay']]).toEqual([answer.text, 'true'])
  expect(gateway.intake.requests).toHaveLength(1)
})

test('one round that cannot be mapped is rejected with a sentence, and the others are taken', async () => {
  const text = bodyOf('gameco-rounds').toString().replace('"ref": "u_124"', '"ref": null')
  const body = Buffer.from(text)
  const answer = await call('gameco', body, standard(GAMECO, 'msg_2', body))
  expect(answer.json).toMatchObject({ accepted: 3, rejected: 1 })
  expect(answer.json['events']).toMatchObject([
    { status: 'accepted' },
    { status: 'rejected', reason: 'schema', detail: expect.stringMatching(/^rounds\[2\]: user\.id cannot be made/) },
    { status: 'accepted' },
    { status: 'accepted' },
  ])
})

test("a payment provider's X-Signature is enough where the file says any, and its repeats make no other events", async () => {
  const body = bodyOf('paygrid-deposit')
  const [first, captured] = [
    await call('paygrid', body, xSignature('r1', body)),
    await call('paygrid', body, xSignature('r2', body)),
  ]
  expect([first.status, captured.status]).toEqual([202, 202])
  const sent = gateway.intake.requests.map(({ events }) => JSON.stringify(events))
  expect(new Set(sent).size).toBe(1)
})

test('whatever is wrong with a call, the answer is the same', async () => {
  const body = bodyOf('gameco-rounds')
  const right = standard(GAMECO, 'msg_3', body)
  const answers = [
    await call('nobody', body, right),
    await call('elsewhere', body, right),
    await call('gameco', body, standard('whsec_b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3Ro', 'msg_3', body)),
    await call('gameco', Buffer.from(`${body.toString()} `), right),
    await call('gameco', body, { ...right, 'webhook-timestamp': '1614265330' }),
    await call('gameco', body, xSignature('r1', body)),
    await call('gameco', body, {}),
  ]
  const shown = answers.map(({ status, text, headers }) => {
    const { date: _date, 'x-request-id': _id, ...rest } = headers
    return JSON.stringify([status, text, rest])
  })
  expect([...new Set(shown)]).toHaveLength(1)
  expect(answers[0]?.status).toBe(401)
  expect(gateway.intake.requests).toEqual([])
  expect(Object.fromEntries([...gateway.counts].filter(([key]) => key.startsWith('gatewaySignature')))).toEqual({
    'gatewaySignatureFailures provider=elsewhere problem=address': 1,
    'gatewaySignatureFailures provider=gameco problem=signature': 5,
  })
})
