import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AddressList } from '../../connectors/gateway/addresses.ts'
import { keyHash } from '../../connectors/gateway/keys.ts'
import { createKey } from '../../cli/gateway/new-key.ts'
import {
  directoryOf,
  event,
  KEY,
  keySource,
  PUBLIC_KEY,
  publicSource,
  startGateway,
  type TestGateway,
} from './gateway-harness.ts'

let gateway: TestGateway
beforeEach(async () => {
  gateway = await startGateway()
})
afterEach(() => gateway.close())

const nothing = { authorization: undefined }
const status = async (headers: Record<string, string | string[] | undefined>, path = '/v1/events'): Promise<number> =>
  (await gateway.send({ json: event(), path, headers: { ...nothing, ...headers } })).status

describe('a key', () => {
  test('stands in Authorization or X-Api-Key', async () => {
    expect(await status({ authorization: `Bearer ${KEY}` })).toBe(202)
    expect(await status({ authorization: `bearer   ${KEY}` })).toBe(202)
    expect(await status({ 'x-api-key': KEY })).toBe(202)
  })

  test('that is wrong, empty, twice there or in another scheme is none', async () => {
    expect(await status({})).toBe(401)
    expect(await status({ 'x-api-key': '' })).toBe(401)
    expect(await status({ 'x-api-key': `${KEY}x` })).toBe(401)
    expect(await status({ 'x-api-key': 'x'.repeat(5_000) })).toBe(401)
    expect(await status({ 'x-api-key': [KEY, KEY] })).toBe(401)
    expect(await status({ authorization: [`Bearer ${KEY}`, 'Bearer other'] })).toBe(401)
    expect(await status({ authorization: [`Bearer ${KEY}`, `Bearer ${KEY}`] })).toBe(401)
    expect(await status({ authorization: `Basic ${KEY}` })).toBe(401)
    expect(await status({ authorization: KEY })).toBe(401)
    expect(await status({ authorization: `Bearer ${KEY}`, 'x-api-key': 'other' })).toBe(401)
    expect(await status({ 'x-api-key': keyHash(KEY) })).toBe(401)
  })

  test('stands in the URL where it is public, and only then', async () => {
    expect(await status({}, `/v1/events?key=${PUBLIC_KEY}`)).toBe(202)
    expect(await status({}, `/v1/events?key=${KEY}`)).toBe(401)
    expect(await status({}, `/v1/events?key=${PUBLIC_KEY}&key=${PUBLIC_KEY}`)).toBe(401)
    expect(await status({}, '/v1/events?__proto__=1&key=')).toBe(401)
    expect(await status({ authorization: `Bearer ${PUBLIC_KEY}` })).toBe(202)
  })

  test('says whose events they are', async () => {
    await status({}, `/v1/events?key=${PUBLIC_KEY}`)
    expect(gateway.intake.requests[0]?.source.name).toBe('web')
    expect(gateway.counts.get('gatewayRequests source=web status=202')).toBe(1)
  })

  test('may be bound to addresses and scopes', async () => {
    gateway.use(directoryOf({ sources: [keySource({ allowIps: new AddressList(['203.0.113.0/24']) })] }))
    expect(await status({ 'x-api-key': KEY })).toBe(403)
    gateway.use(directoryOf({ sources: [keySource({ allowIps: new AddressList(['127.0.0.0/8', '::1']) })] }))
    expect(await status({ 'x-api-key': KEY })).toBe(202)
    gateway.use(directoryOf({ sources: [keySource({ scopes: new Set(['dlq:read'] as const) })] }))
    expect(await status({ 'x-api-key': KEY })).toBe(403)
  })

  test('ends at its time', async () => {
    const until = (notAfter: number) =>
      gateway.use(directoryOf({ sources: [keySource({ keys: [{ id: 'k', hash: keyHash(KEY), notAfter }] })] }))
    until(Date.now() - 1)
    expect(await status({ 'x-api-key': KEY })).toBe(401)
    until(Date.now() + 600_000)
    expect(await status({ 'x-api-key': KEY })).toBe(202)
  })

  test('is exchanged without a request that fails', async () => {
    const keys = (...names: string[]) => names.map((name) => ({ id: name, hash: keyHash(name), notAfter: undefined }))
    gateway.use(directoryOf({ sources: [keySource({ keys: keys('old') })] }))
    expect(await status({ 'x-api-key': 'old' })).toBe(202)
    gateway.use(directoryOf({ sources: [keySource({ keys: keys('old', 'new') })] }))
    expect(await Promise.all(['old', 'new'].map((key) => status({ 'x-api-key': key })))).toEqual([202, 202])
    gateway.use(directoryOf({ sources: [keySource({ keys: keys('new') })] }))
    expect(await Promise.all(['old', 'new'].map((key) => status({ 'x-api-key': key })))).toEqual([401, 202])
  })

  test('a request under way ends by what it began with', async () => {
    let goOn: () => void = () => undefined
    const { behave } = gateway.intake
    const began = new Promise<void>((resolve) => {
      gateway.intake.behave = async (request) => {
        resolve()
        await new Promise<void>((done) => (goOn = done))
        return await behave(request)
      }
    })
    const answer = status({ 'x-api-key': KEY })
    await began
    gateway.use(directoryOf({ sources: [publicSource()] }))
    goOn()
    expect(await answer).toBe(202)
  })
})

test('a key that was made is random, and its line fits the file', () => {
  const [first, second] = [createKey('web_1'), createKey('web_1')]
  expect(first).not.toBe(second)
  const [key = ''] = first.split('\n')
  expect(key).toMatch(/^onceward_[A-Za-z0-9_-]{43}$/)
  expect(first).toContain(`{ id: "web_1", hash: "sha256:${keyHash(key)}" }`)
})
