import { afterEach, beforeEach, expect, test } from 'vitest'
import { directoryOf, event, PUBLIC_KEY, startGateway, type TestGateway } from './gateway-harness.ts'

const ORIGIN = 'https://play.example'
let gateway: TestGateway
beforeEach(async () => {
  gateway = await startGateway({ directory: directoryOf({ origins: [ORIGIN, 'http://localhost:8000'] }) })
})
afterEach(() => gateway.close())

const preflight = (origin: string | undefined) =>
  gateway.send({
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type',
    },
  })

test('a page of a configured origin is asked once, and remembers the answer', async () => {
  const answer = await preflight(ORIGIN)
  expect(answer.status).toBe(204)
  expect(answer.headers).toMatchObject({
    'access-control-allow-origin': ORIGIN,
    'access-control-allow-methods': 'POST',
    'access-control-allow-headers': expect.stringMatching(/Authorization.*Content-Type/),
    'access-control-max-age': '7200',
    vary: expect.stringContaining('Origin'),
  })
  expect(answer.headers['access-control-allow-credentials']).toBeUndefined()
})

test.each(['https://play.example.evil.example', 'http://play.example', 'https://play.example:444', 'null', ORIGIN.toUpperCase()])(
  'a page of %s is not let in',
  async (origin) => {
    const asked = await preflight(origin)
    expect([asked.status, asked.headers['access-control-allow-origin']]).toEqual([405, undefined])
    const sent = await gateway.send({ json: event(), headers: { origin } })
    expect([sent.status, sent.headers['access-control-allow-origin']]).toEqual([202, undefined])
    expect(sent.headers['vary']).toContain('Origin')
  },
)

test('answers and refusals can be read by the page, with when to try again', async () => {
  for (const headers of [{ origin: ORIGIN }, { origin: ORIGIN, authorization: 'Bearer wrong' }, { origin: ORIGIN, 'content-type': 'x/y' }]) {
    const answer = await gateway.send({ json: event(), headers })
    expect(answer.headers['access-control-allow-origin']).toBe(ORIGIN)
    expect(answer.headers['access-control-expose-headers']).toContain('Retry-After')
  }
})

test('what sendBeacon sends needs no question before it', async () => {
  const answer = await gateway.send({
    path: `/v1/events?key=${PUBLIC_KEY}`,
    body: JSON.stringify(event()),
    headers: { origin: ORIGIN, authorization: undefined, 'content-type': 'text/plain;charset=UTF-8' },
  })
  expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([202, ORIGIN])
})

test('another list of origins counts from the next request on', async () => {
  gateway.use(directoryOf({ origins: ['https://other.example'] }))
  expect((await preflight(ORIGIN)).status).toBe(405)
  expect((await preflight('https://other.example')).status).toBe(204)
})

test('without an origin nothing is asked', async () => {
  expect((await preflight(undefined)).status).toBe(405)
})
