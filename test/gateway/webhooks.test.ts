import { hash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { OncewardError } from '../../core/errors.ts'
import {
  admitGood,
  type Answer,
  directoryOf,
  event,
  LIMITS,
  provider,
  type SendOptions,
  startGateway,
  type TestGateway,
} from './gateway-harness.ts'
import { rawClient } from './raw-client.ts'

let gateway: TestGateway
beforeEach(async () => {
  gateway = await startGateway()
})
afterEach(() => gateway.close())

function webhook(id: string, json: unknown, change: SendOptions = {}): Promise<Answer> {
  const { headers, ...rest } = change
  return gateway.send({
    path: '/v1/webhooks/gameco',
    json,
    ...rest,
    headers: { authorization: undefined, 'x-request-id': id, 'x-test-signature': 'good', ...headers },
  })
}

describe('a webhook', () => {
  test('is taken once; a repeat gets the same answer', async () => {
    const body = { events: [event('a'), { unmapped: 1, event_id: 'b' }, event('c')] }
    const first = await webhook('r1', body)
    expect(first.status).toBe(202)
    expect(first.headers['idempotent-replay']).toBeUndefined()
    expect(first.json).toEqual({
      request_id: 'r1',
      accepted: 2,
      rejected: 1,
      events: [
        { status: 'accepted', event_id: 'a' },
        { status: 'rejected', event_id: 'b', reason: 'schema', detail: 'unmapped' },
        { status: 'accepted', event_id: 'c' },
      ],
    })
    const again = await webhook('r1', body)
    expect([again.status, again.text, again.headers['idempotent-replay']]).toEqual([202, first.text, 'true'])
    expect(gateway.intake.requests).toHaveLength(1)
    expect(gateway.audit.entries.map(({ kind }) => kind)).toEqual(['request', 'answer', 'request', 'answer'])
  })

  test('with the same id and other content is a conflict and an alarm', async () => {
    await webhook('r1', { events: [event('a')] })
    const other = await webhook('r1', { events: [event('b')] })
    expect(other.status).toBe(409)
    expect(other.json).toMatchObject({ error: { code: 'ONCEWARD_E_REQUEST_CONFLICT' } })
    expect(gateway.counts.get('gatewayConflicts source=gameco')).toBe(1)
    expect(gateway.audit.entries.at(-1)).toMatchObject({ kind: 'refusal', body: { status: 409, request_id: 'r1' } })
    expect(gateway.intake.requests).toHaveLength(1)
  })

  test('whose body cannot be mapped is answered with 422, and so is its repeat', async () => {
    for (const replayed of [undefined, 'true']) {
      const answer = await webhook('r2', { nothing: 1 })
      expect([answer.status, answer.headers['idempotent-replay']]).toEqual([422, replayed])
    }
  })

  test('known by what its signature covers is the same call under another id', async () => {
    const directory = directoryOf({
      providers: [
        provider({
          admit: (facts) => {
            const admission = admitGood(facts)
            return admission.ok ? { ...admission, contentId: `body:${facts.body.toString('hex')}` } : admission
          },
        }),
      ],
    })
    gateway.use(directory)
    const first = await webhook('r1', { events: [event('a')] })
    const captured = await webhook('r2', { events: [event('a')] })
    expect([captured.status, captured.text]).toEqual([202, first.text])
    expect(captured.headers['idempotent-replay']).toBe('true')
    expect((await webhook('r1', { events: [event('b')] })).status).toBe(409)
    expect(gateway.intake.requests).toHaveLength(1)
    // What was captured has not taken the id with it, which the provider gives to another call now.
    expect((await webhook('r2', { events: [event('c')] })).status).toBe(202)
  })

  test('under an id that somebody else chose is not in the way of the call whose id it is', async () => {
    const contentOf = (body: Buffer | string): string => `body_${hash('sha256', body)}`
    const admit = (facts: Parameters<typeof admitGood>[0]): ReturnType<typeof admitGood> => {
      const admission = admitGood(facts)
      return admission.ok ? { ...admission, contentId: contentOf(facts.body) } : admission
    }
    gateway.use(directoryOf({ providers: [provider({ admit })] }))
    const [first, next] = [{ events: [event('a')] }, { events: [event('b')] }]
    expect((await webhook('r1', first)).status).toBe(202)
    for (const id of ['r2', contentOf(JSON.stringify(next))]) {
      const captured = await webhook(id, first)
      expect([captured.status, captured.headers['idempotent-replay']]).toEqual([202, 'true'])
    }
    expect((await webhook('r2', next)).status).toBe(202)
    expect(gateway.intake.requests).toHaveLength(2)
  })

  test('whose id is what the signature of another covers is not in its way', async () => {
    const contentOf = (body: Buffer | string): string => `body_${hash('sha256', body)}`
    const admit = (facts: Parameters<typeof admitGood>[0]): ReturnType<typeof admitGood> => {
      const admission = admitGood(facts)
      return admission.ok ? { ...admission, contentId: contentOf(facts.body) } : admission
    }
    gateway.use(directoryOf({ providers: [provider({ admit })] }))
    const next = { events: [event('b')] }
    expect((await webhook(contentOf(JSON.stringify(next)), { events: [event('a')] })).status).toBe(202)
    expect((await webhook('r2', next)).status).toBe(202)
    expect(gateway.intake.requests).toHaveLength(2)
  })

  test('hands on with its events what could not be mapped', async () => {
    await webhook('r1', { events: [event('a'), { unmapped: 1, event_id: 'b' }] })
    await webhook('r2', { nothing: 1 })
    expect(gateway.intake.requests.map(({ events, unmapped }) => [events.length, unmapped])).toEqual([
      [1, [{ ok: false, detail: 'unmapped', event: { unmapped: 1, event_id: 'b' } }]],
      [0, [{ detail: 'the body has no list of events', event: { nothing: 1 } }]],
    ])
  })

  test('without an event for us is taken', async () => {
    expect((await webhook('r3', { events: [] })).json).toEqual({
      request_id: 'r3',
      accepted: 0,
      rejected: 0,
      events: [],
    })
  })

  test('that the bus could not take is not remembered', async () => {
    const { behave } = gateway.intake
    gateway.intake.behave = async () => {
      throw new OncewardError('ONCEWARD_E_LOG_UNAVAILABLE', 'away')
    }
    expect((await webhook('r4', { events: [event('a')] })).status).toBe(503)
    gateway.intake.behave = behave
    expect((await webhook('r4', { events: [event('a')] })).status).toBe(202)
  })

  test('that is sent again and again is kept at the rate of its provider', async () => {
    gateway.use(directoryOf({ providers: [provider({ limits: { ...LIMITS, eventsPerSecond: 1, burst: 3 } })] }))
    const body = { events: [event('a')] }
    const statuses: number[] = []
    for (let n = 0; n < 5; n++) statuses.push((await webhook('r5', body)).status)
    expect(statuses).toEqual([202, 202, 202, 429, 429])
    expect(gateway.audit.entries.filter(({ kind }) => kind === 'request')).toHaveLength(3)
  })

  test('two at once do the work once', async () => {
    const body = { events: [event('a')] }
    const answers = await Promise.all([webhook('r5', body), webhook('r5', body), webhook('r5', body)])
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    expect(gateway.intake.requests).toHaveLength(1)
  })

  test.each([
    ['a list', [event()], 400],
    ['nothing', undefined, 400],
  ])('that holds %s is malformed', async (_name, json, status) => {
    expect((await webhook('r6', json)).status).toBe(status)
  })

  test('may be bound in events, bytes and rate', async () => {
    gateway.use(
      directoryOf({
        providers: [provider({ limits: { ...LIMITS, batch: 1, eventsPerSecond: 1, burst: 1, bodyBytes: 500 } })],
      }),
    )
    expect((await webhook('r7', { events: [event('a'), event('b')] })).status).toBe(413)
    expect((await webhook('r8', { events: [event('a')], more: 'x'.repeat(500) })).status).toBe(413)
    const limited = await webhook('r9', { events: [event('a')] })
    expect([limited.status, limited.headers['retry-after']]).toEqual([429, '1'])
  })
})

describe('who does not say who it is', () => {
  test('gets the same answer whatever is wrong', async () => {
    const answers = [
      await webhook('r1', { events: [event()] }, { headers: { 'x-test-signature': 'bad' } }),
      await webhook('r1', { events: [event()] }, { headers: { 'x-request-id': undefined } }),
      await webhook('r1', { events: [event()] }, { path: '/v1/webhooks/nobody' }),
      await webhook('r1', { events: [event()] }, { path: '/v1/webhooks/__proto__' }),
      await webhook('r1', { events: [event()] }, { headers: { 'content-type': 'x/y', 'x-test-signature': 'bad' } }),
      await gateway.send({ json: event(), headers: { authorization: undefined } }),
      await gateway.send({ json: event(), headers: { authorization: 'Bearer wrong' } }),
    ]
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
    expect(answers[0]?.status).toBe(401)
    expect(gateway.intake.requests).toEqual([])
    expect(gateway.counts.get('gatewaySignatureFailures provider=gameco problem=signature')).toBe(2)
    expect(gateway.counts.get('gatewaySignatureFailures provider=gameco problem=request_id')).toBe(1)
    expect(gateway.intake.letters).toMatchObject([{ from: 'webhook/gameco' }, { from: 'webhook/gameco' }])
  })

  test('does not learn from the size that is too large which providers there are', async () => {
    const limits = { ...LIMITS, bodyBytes: 5_000 }
    gateway.use(directoryOf({ providers: [provider({ limits }), provider({ name: 'small', limits: LIMITS })] }))
    for (const size of [4_000, 6_000, 100_000, 300_000]) {
      const body = JSON.stringify({ events: [event()], more: 'x'.repeat(size) })
      const answers = await Promise.all(
        ['gameco', 'small', 'nobody'].map((name) =>
          webhook('r1', undefined, { body, path: `/v1/webhooks/${name}`, headers: { 'x-test-signature': 'bad' } }),
        ),
      )
      expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
    }
    expect((await webhook('r1', { events: [event()], more: 'x'.repeat(6_000) })).status).toBe(413)
  })

  test('and sends slowly cannot take the memory that providers have', async () => {
    await gateway.close()
    const near = provider({ mayCall: ({ ip }) => ip === '127.0.0.1' })
    const far = provider({ name: 'far', mayCall: () => false })
    const directory = directoryOf({ providers: [near, far] })
    gateway = await startGateway({ limits: { webhookBytes: 2_000, strangerBytes: 2_000 }, directory })
    const slow = await Promise.all(['far', 'nobody'].map(() => rawClient(gateway.port)))
    for (const [index, name] of ['far', 'nobody'].entries()) {
      const head = `POST /v1/webhooks/${name} HTTP/1.1\r\nHost: h\r\nContent-Length: 950\r\n\r\n`
      slow[index]?.write(head + 'x'.repeat(949))
    }
    await expect.poll(() => gateway.gateway.state().bodyBytes).toBe(2 * 949)
    expect((await webhook('r1', { events: [event()], more: 'x'.repeat(1_000) })).status).toBe(202)
    for (const client of slow) client.destroy()
    await expect.poll(() => gateway.gateway.state().bodyBytes).toBe(0)
  })

  test('leaves little in the audit log: size, hash and the beginning of the body', async () => {
    const json = { events: [event()], more: 'x'.repeat(5_000) }
    await webhook('r1', json, { headers: { 'x-test-signature': 'bad' } })
    expect(gateway.audit.entries).toMatchObject([
      {
        kind: 'refusal',
        body: {
          source: 'gameco',
          status: 401,
          ip: '127.0.0.1',
          path: '/v1/webhooks/gameco',
          body_bytes: JSON.stringify(json).length,
          body_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
          body_begin: JSON.stringify(json).slice(0, 1_024),
        },
      },
    ])
  })

  test('waits after too many attempts, and whoever has a key does not', async () => {
    await gateway.close()
    gateway = await startGateway({ limits: { failures: { perSecond: 0.01, burst: 3 } } })
    for (let n = 0; n < 3; n++) {
      expect((await webhook('r', {}, { headers: { 'x-test-signature': 'bad' } })).status).toBe(401)
    }
    const waiting = await webhook('r', {}, { headers: { 'x-test-signature': 'bad' } })
    expect([waiting.status, Number(waiting.headers['retry-after']) > 1]).toEqual([429, true])
    expect((await gateway.send({ json: event(), headers: { authorization: 'Bearer wrong' } })).status).toBe(429)
    expect((await gateway.send({ json: event() })).status).toBe(202)
  })

  test('cannot fill the memory that bodies of keys have', async () => {
    await gateway.close()
    gateway = await startGateway({ limits: { webhookBytes: 100 } })
    const large = { events: [event()] }
    expect((await webhook('r1', large)).status).toBe(503)
    expect((await gateway.send({ json: event() })).status).toBe(202)
    expect(gateway.gateway.state().bodyBytes).toBe(0)
  })
})

test('what comes and what is answered stands in the audit log as it was', async () => {
  const body = Buffer.from(JSON.stringify({ events: [event('é')] }))
  await webhook('r1', undefined, { body, headers: { 'x-more': 'yes' } })
  const [request, answer] = gateway.audit.entries
  expect(request).toMatchObject({
    kind: 'request',
    body: { source: 'gameco', request_id: 'r1', method: 'POST', path: '/v1/webhooks/gameco', body: body.toString() },
  })
  expect(request?.body['headers']).toContainEqual(['x-more', 'yes'])
  expect(answer).toMatchObject({ kind: 'answer', body: { id: request?.body['id'], status: 202, accepted: 1 } })
  await webhook('r2', undefined, { body: Buffer.from([0xff, 0xfe]) })
  expect(gateway.audit.entries[2]?.body['body_base64']).toBe(Buffer.from([0xff, 0xfe]).toString('base64'))
})
