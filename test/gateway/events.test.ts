import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createKey } from '../../cli/gateway/new-key.ts'
import { OncewardError } from '../../core/errors.ts'
import { directoryOf, event, KEY, keySource, LIMITS, startGateway, type TestGateway } from './gateway-harness.ts'

let gateway: TestGateway
beforeEach(async () => {
  gateway = await startGateway()
})
afterEach(() => gateway.close())

describe('what is taken', () => {
  test('one event', async () => {
    const answer = await gateway.send({ json: event() })
    expect(answer.status).toBe(202)
    expect(answer.json).toEqual({ accepted: 1, rejected: 0, events: [{ status: 'accepted', event_id: 'e_1' }] })
    expect(gateway.intake.requests).toMatchObject([
      { source: { name: 'backend' }, events: [event()], facts: { ip: '127.0.0.1' } },
    ])
  })

  test('a list, and a list under "events", each answered in its order', async () => {
    const events = [event('a'), {}, event('b')]
    for (const json of [events, { events }]) {
      const answer = await gateway.send({ json })
      expect(answer.status).toBe(202)
      expect(answer.json).toEqual({
        accepted: 2,
        rejected: 1,
        events: [
          { status: 'accepted', event_id: 'a' },
          { status: 'rejected', reason: 'schema', detail: 'event_id is missing' },
          { status: 'accepted', event_id: 'b' },
        ],
      })
    }
  })

  test('an event that has a field called events is an event', async () => {
    await gateway.send({ json: event('a', { events: [1, 2] }) })
    expect(gateway.intake.requests[0]?.events).toHaveLength(1)
  })

  test('text/plain, for sendBeacon, and gzip', async () => {
    const plain = await gateway.send({ json: event('a'), headers: { 'content-type': 'text/plain;charset=UTF-8' } })
    expect(plain.status).toBe(202)
    const body = gzipSync(JSON.stringify(event('b')))
    const packed = await gateway.send({ body, headers: { 'content-encoding': 'gzip' } })
    expect(packed.status).toBe(202)
    expect(gateway.intake.requests.map(({ events }) => events)).toEqual([[event('a')], [event('b')]])
  })
})

describe('where none was taken', () => {
  test('422, and 409 where all are conflicts', async () => {
    expect((await gateway.send({ json: [{}, {}] })).status).toBe(422)
    const conflict = { status: 'rejected', event_id: 'a', reason: 'conflict', detail: 'other content' } as const
    gateway.intake.behave = async () => [conflict, conflict]
    expect((await gateway.send({ json: [event('a'), event('a')] })).status).toBe(409)
    expect(gateway.counts.get('gatewayConflicts source=backend')).toBe(2)
    gateway.intake.behave = async () => [conflict, { status: 'rejected', reason: 'forbidden', detail: 'not yours' }]
    expect((await gateway.send({ json: [event('a'), event('a')] })).status).toBe(422)
  })
})

describe('what is refused, and never reaches the bus', () => {
  const code = (answer: { json: Record<string, unknown> }): unknown => answer.json['error']

  test.each([
    ['no body', '', 400],
    ['no JSON', '{"event_id":', 400],
    ['no object', '"text"', 400],
    ['null', 'null', 400],
    ['no events', '[]', 400],
    ['no events under events', '{"events":[]}', 400],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]), 400],
    ['a depth bomb', '['.repeat(60_000), 400],
    ['a depth bomb of objects', '{"a":'.repeat(10_000), 400],
    ['a key __proto__', JSON.stringify([event()]).replace('"payload"', '"__proto__"'), 400],
    ['a key __proto__ in disguise', '{"\\u005f\\u005Fproto__":{"admin":true}}', 400],
    ['too many events', JSON.stringify(Array.from({ length: 501 }, () => 1)), 413],
    ['too many bytes', JSON.stringify(event('a', { more: 'x'.repeat(70_000) })), 413],
  ])('%s', async (_name, body, status) => {
    const answer = await gateway.send({ body })
    expect(answer.status).toBe(status)
    expect(code(answer)).toEqual({ code: expect.stringMatching(/^ONCEWARD_E_REQUEST_/), message: expect.any(String) })
    expect(gateway.intake.requests).toEqual([])
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined()
  })

  test('a body may be 64 levels deep, and no more', async () => {
    const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)
    expect((await gateway.send({ body: nested(64) })).status).toBe(422)
    expect((await gateway.send({ body: nested(65) })).status).toBe(400)
  })

  test('brackets within texts are not depth', async () => {
    const answer = await gateway.send({ json: event('a', { more: '[{\\"'.repeat(1_000) }) })
    expect(answer.status).toBe(202)
  })

  test.each(['application/xml', 'multipart/form-data', 'application/jsonx', ';', 'nonsense', undefined])(
    'Content-Type %s',
    async (type) => {
      const answer = await gateway.send({ json: event(), headers: { 'content-type': type } })
      expect(answer.status).toBe(415)
      expect(code(answer)).toMatchObject({ code: 'ONCEWARD_E_REQUEST_MALFORMED' })
    },
  )

  test('other encodings, and what only says that it is gzip', async () => {
    expect((await gateway.send({ json: event(), headers: { 'content-encoding': 'br' } })).status).toBe(415)
    expect((await gateway.send({ json: event(), headers: { 'content-encoding': 'gzip, gzip' } })).status).toBe(415)
    expect((await gateway.send({ json: event(), headers: { 'content-encoding': 'gzip' } })).status).toBe(400)
  })

  test('a gzip bomb is unpacked up to the bound of the source only', async () => {
    const bomb = gzipSync(Buffer.alloc(20_000_000, 0x20))
    expect(bomb.length).toBeLessThan(LIMITS.bodyBytes)
    const answer = await gateway.send({ body: bomb, headers: { 'content-encoding': 'gzip' } })
    expect(answer.status).toBe(413)
  })

  test('a body that grows beyond the bound without having said so', async () => {
    const body = JSON.stringify(event('a', { more: 'x'.repeat(70_000) }))
    const answer = await gateway.send({
      body,
      headers: { 'content-length': undefined, 'transfer-encoding': 'chunked' },
    })
    expect(answer.status).toBe(413)
  })

  test('paths and methods that there are not', async () => {
    expect((await gateway.send({ path: '/nowhere', json: event() })).status).toBe(404)
    expect((await gateway.send({ path: '/v1/events/', json: event() })).status).toBe(404)
    expect((await gateway.send({ path: '/v1/%zz', json: event() })).status).toBe(400)
    expect((await gateway.send({ path: `/v1/webhooks/${'x'.repeat(200)}`, json: event() })).status).toBe(404)
    for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY']) {
      const answer = await gateway.send({
        method,
        ...(method === 'QUERY' ? { headers: { 'content-type': 'text/plain' } } : {}),
      })
      expect([method, answer.status, answer.headers['allow']]).toEqual([method, 405, 'POST'])
    }
    expect((await gateway.send({ method: 'POST', path: '/openapi.json' })).status).toBe(405)
    // Found by fuzzing: the framework refuses it in its own way.
    expect((await gateway.send({ method: 'QUERY', body: 'x' })).status).toBe(400)
  })
})

describe('where the bus or the audit log is away', () => {
  test('503 with Retry-After, nothing taken', async () => {
    gateway.intake.behave = async () => {
      throw new OncewardError('ONCEWARD_E_LOG_UNAVAILABLE', 'the broker kafka-1.internal is away')
    }
    const answer = await gateway.send({ json: event() })
    expect(answer.status).toBe(503)
    expect(answer.headers['retry-after']).toMatch(/^[1-9]\d*$/)
    expect(answer.json).toMatchObject({ error: { code: 'ONCEWARD_E_LOG_UNAVAILABLE' } })
    expect(answer.text).not.toContain('kafka-1')
    gateway.audit.failing = new OncewardError('ONCEWARD_E_AUDIT_UNWRITABLE', '/var/audit is full')
    const unaudited = await gateway.send({ json: event() })
    expect(unaudited.status).toBe(503)
    expect(unaudited.json).toMatchObject({ error: { code: 'ONCEWARD_E_AUDIT_UNWRITABLE' } })
    expect(unaudited.text).not.toContain('/var')
    expect(gateway.intake.requests).toEqual([])
  })

  test('where nobody knows whether the bus has it, the connection is cut without an answer', async () => {
    gateway.intake.behave = async () => {
      throw new OncewardError('ONCEWARD_E_LOG_COMMIT_UNKNOWN', 'nobody knows')
    }
    await expect(gateway.send({ json: event() })).rejects.toThrow(/socket hang up|ECONNRESET/)
    expect(gateway.counts.get('gatewayRequests source=backend status=cut')).toBe(1)
  })

  test('a defect of ours is told without what it was', async () => {
    gateway.intake.behave = async () => {
      throw new TypeError('cannot read properties of undefined, at secret.ts')
    }
    const answer = await gateway.send({ json: event() })
    expect(answer.status).toBe(500)
    expect(answer.text).not.toContain('secret')
  })
})

test('a source has its own bounds for events at once, bytes and rate', async () => {
  const limits = { eventsPerSecond: 1, burst: 3, bodyBytes: 1_000, batch: 2 }
  gateway.use(directoryOf({ sources: [keySource({ limits })] }))
  const two = [event('a'), event('b')]
  expect((await gateway.send({ json: [...two, event('c')] })).status).toBe(413)
  expect((await gateway.send({ json: event('a', { more: 'x'.repeat(2_000) }) })).status).toBe(413)
  expect((await gateway.send({ body: 'nonsense' })).status).toBe(400)
  const answer = await gateway.send({ json: two })
  expect(answer.status).toBe(429)
  expect(answer.headers['retry-after']).toMatch(/^[12]$/)
  expect(gateway.intake.requests).toEqual([])
})

test('what is held of bodies is bounded, and given back', async () => {
  await gateway.close()
  gateway = await startGateway({ limits: { bodyBytes: 1_000 } })
  const large = event('a', { more: 'x'.repeat(2_000) })
  expect((await gateway.send({ json: large })).status).toBe(503)
  for (let n = 0; n < 20; n++) expect((await gateway.send({ json: event(`e_${n}`) })).status).toBe(202)
  expect(gateway.gateway.state().bodyBytes).toBe(0)
})

test('healthz and readyz say how it is, openapi.json what there is', async () => {
  expect((await gateway.send({ method: 'GET', path: '/healthz' })).status).toBe(200)
  expect((await gateway.send({ method: 'GET', path: '/readyz' })).status).toBe(200)
  gateway.intake.available = false
  const ready = await gateway.send({ method: 'GET', path: '/readyz' })
  expect([ready.status, ready.json]).toEqual([503, { alive: true, ready: false, reasons: ['the bus is away'] }])
  expect((await gateway.send({ method: 'HEAD', path: '/healthz' })).text).toBe('')
  expect((await gateway.send({ method: 'GET', path: '/openapi.json' })).json['openapi']).toBe('3.1.0')
})

test('the key stands in no answer and in no entry of the audit log', async () => {
  await gateway.send({ json: event(), headers: { authorization: undefined, 'x-api-key': KEY } })
  await gateway.send({
    json: event(),
    path: `/v1/events?key=${encodeURIComponent(KEY)}&k%65y=${encodeURIComponent(KEY)}`,
  })
  await gateway.send({ json: event(), headers: { authorization: 'Bearer nonsense', cookie: `a=${KEY}` } })
  const kept = JSON.stringify(gateway.audit.entries)
  expect(gateway.audit.entries.length).toBeGreaterThan(3)
  expect(kept).toContain('backend_1')
  for (const secret of [KEY, encodeURIComponent(KEY), 'nonsense']) expect(kept).not.toContain(secret)
})

test('a key stands in no entry either where somebody has put it into another place', async () => {
  const [lost = ''] = createKey('lost').split('\n')
  const elsewhere = { authorization: undefined, 'x-apikey': lost, 'x-original-uri': `/v1/events?key=${lost}` }
  await gateway.send({ json: event(), headers: elsewhere })
  await gateway.send({ json: event(), headers: { ...elsewhere, 'x-api-key': KEY } })
  await gateway.send({ json: event(), path: `/v1/events?api-key=${lost}`, headers: { authorization: undefined } })
  expect(gateway.audit.entries.map(({ kind }) => kind)).toEqual(['refusal', 'request', 'answer', 'refusal'])
  expect(JSON.stringify(gateway.audit.entries)).not.toContain(lost)
})

test('of what strangers send little is kept, however large their headers are', async () => {
  const headers = { authorization: undefined, 'x-large': 'x'.repeat(12_000), 'x-small': 'yes' }
  await gateway.send({ json: event(), path: `/v1/events?${'p'.repeat(2_000)}`, headers })
  const [entry] = gateway.audit.entries
  expect(JSON.stringify(entry).length).toBeLessThan(4_096)
  expect(entry?.body['headers_cut']).toBe(1)
  expect(entry?.body['headers']).toContainEqual(['x-small', 'yes'])
})

test('one address cannot use up the rate of a source whose key anybody has', async () => {
  const limits = { ...LIMITS, eventsPerSecond: 100, burst: 100, perAddress: 1, batch: 3 }
  gateway.use(directoryOf({ sources: [keySource({ limits })], trustedProxies: ['127.0.0.1'] }))
  const from = async (ip: string, events = 1): Promise<number> => {
    const json = Array.from({ length: events }, (_, index) => event(`e_${index}`))
    const answer = await gateway.send({ json, headers: { authorization: `Bearer ${KEY}`, 'x-forwarded-for': ip } })
    return answer.status
  }
  expect([await from('203.0.113.7', 2), await from('203.0.113.7', 2)]).toEqual([202, 429])
  for (let n = 0; n < 200; n++) expect([202, 429]).toContain(await from('2001:db8::1'))
  expect(await from('2001:db8::2')).toBe(429)
  expect([await from('2001:db8:0:1::1', 3), await from('203.0.113.8')]).toEqual([202, 202])
})
