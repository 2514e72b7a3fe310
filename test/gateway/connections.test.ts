import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { event, KEY, startGateway, type TestGateway } from './gateway-harness.ts'
import { type RawClient, rawClient } from './raw-client.ts'

let gateway: TestGateway
const clients: RawClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await gateway.close()
})

async function open(...args: Parameters<typeof startGateway>): Promise<() => Promise<RawClient>> {
  gateway = await startGateway(...args)
  return async () => {
    const client = await rawClient(gateway.port)
    clients.push(client)
    return client
  }
}

const BODY = JSON.stringify(event())
const HEAD = `POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\nContent-Type: application/json\r\n`
const REQUEST = `${HEAD}Content-Length: ${BODY.length}\r\n\r\n${BODY}`
const SHORT = { headersMs: 200, requestMs: 400, checkMs: 50, keepAliveMs: 300, silenceMs: 1_000 }

describe('a slow client', () => {
  test.each([
    ['sends its headers a byte at a time', 'POST /v1/events HTTP/1.1\r\nX-A: '],
    ['stops within the first line', 'POST /v1/ev'],
    ['never sends the body that it announced', `${HEAD}Content-Length: 100\r\n\r\n{`],
    ['stops within a chunk', `${HEAD}Transfer-Encoding: chunked\r\n\r\nffff\r\n{`],
  ])('that %s is answered with 408, or cut', async (_name, begin) => {
    const client = await (await open({ limits: SHORT }))()
    client.write(begin)
    const dripping = setInterval(() => client.socket.writable && client.write('a'), 40)
    const text = await client.closed().finally(() => clearInterval(dripping))
    expect(text === '' || text.startsWith('HTTP/1.1 408 ')).toBe(true)
    await expect.poll(() => gateway.gateway.state().bodyBytes).toBe(0)
    expect(gateway.intake.requests).toEqual([])
  })

  test.each([
    ['says nothing at all', ''],
    ['sends empty lines after an answer', REQUEST],
  ])('that %s is cut', async (_name, begin) => {
    const client = await (await open({ limits: SHORT }))()
    if (begin !== '') {
      client.write(begin)
      await client.until(/HTTP\/1\.1 202 [^]*\}$/)
      client.write('\r\n')
    }
    await client.closed()
  })

  test('holds up nobody else', async () => {
    const client = await open({ limits: SHORT })
    await Promise.all(Array.from({ length: 50 }, async () => (await client()).write('POST /v1/events HTTP/1.1\r\n')))
    expect((await gateway.send({ json: event() })).status).toBe(202)
  })
})

describe('what is no HTTP, or means to be taken for something else', () => {
  test.each([
    ['nonsense', 'nonsense\r\n\r\n', 400],
    ['TLS on a plain port', Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03]), 400],
    ['both lengths', `${HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET`, 400],
    ['two lengths', `${HEAD}Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}`, 400],
    ['a length with a sign', `${HEAD}Content-Length: +5\r\n\r\n{}`, 400],
    ['an encoding in disguise', `${HEAD}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`, 400],
    ['a chunk size that is none', `${HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, 400],
    ['a header with a line feed alone', 'POST /v1/events HTTP/1.1\nHost: x\nA: b\n\n', 400],
    ['a space before the colon', 'POST /v1/events HTTP/1.1\r\nHost : x\r\n\r\n', 400],
    ['a folded header', 'POST /v1/events HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n', 400],
    ['NUL in a header', 'POST /v1/events HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n', 400],
    ['no host', 'POST /v1/events HTTP/1.1\r\n\r\n', 400],
    ['headers without end', `POST /v1/events HTTP/1.1\r\nHost: x\r\nA: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ['a path without end', `POST /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431],
    ['another version', 'POST /v1/events HTTP/3.0\r\nHost: x\r\n\r\n', 400],
    ['an expectation', `${HEAD}Expect: something\r\nContent-Length: 2\r\n\r\n{}`, 417],
  ])('%s', async (_name, text, status) => {
    const client = await (await open())()
    client.write(text)
    const answer = await client.closed()
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect(answer).toContain('"code":"ONCEWARD_E_REQUEST_MALFORMED"')
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1)
    expect(gateway.intake.requests).toEqual([])
    expect((await gateway.send({ json: event() })).status).toBe(202)
  })

  test('nonsense behind a request does not take the place of its answer', async () => {
    const client = await (await open())()
    const { behave } = gateway.intake
    let goOn: () => void = () => undefined
    const began = new Promise<void>((resolve) => {
      gateway.intake.behave = async (request) => {
        resolve()
        await new Promise<void>((done) => (goOn = done))
        return await behave(request)
      }
    })
    client.write(REQUEST)
    await began
    client.write('nonsense\r\n\r\n')
    const answer = client.closed()
    expect(await answer).toBe('')
    goOn()
    await expect.poll(() => gateway.intake.requests.length).toBe(1)
  })

  test('a request within the body of another one is a body', async () => {
    const client = await (await open())()
    const inner = `GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n`
    client.write(`${HEAD}Content-Length: ${inner.length}\r\n\r\n${inner}`)
    expect(await client.until(/\}$/)).toMatch(/^HTTP\/1\.1 400 /)
  })

  test.each(['CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'])(
    '%j is not understood',
    async (text) => {
      const client = await (await open())()
      client.write(text)
      await client.closed()
      expect((await gateway.send({ json: event() })).status).toBe(202)
    },
  )

  test('an upgrade is not made', async () => {
    const client = await (await open())()
    client.write('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    expect(await client.until(/\}$/)).toMatch(/^HTTP\/1\.1 200 /)
  })
})

describe('a connection', () => {
  test('goes on after a refusal, also of what was too large', async () => {
    const client = await (await open())()
    client.write(`${HEAD}Content-Length: 200000\r\n\r\n`)
    await client.until(/HTTP\/1\.1 413 [^]*\}$/)
    client.write('x'.repeat(200_000))
    client.write(REQUEST)
    expect(await client.until(/HTTP\/1\.1 202 [^]*\}$/)).toContain('"accepted":1')
  })

  test('that sends on and on after a refusal is cut', async () => {
    const client = await (await open())()
    client.write(`${HEAD}Content-Length: 100000000000\r\n\r\n`)
    const flood = setInterval(() => client.socket.writable && client.write('x'.repeat(100_000)), 1)
    expect(await client.closed().finally(() => clearInterval(flood))).toMatch(/^HTTP\/1\.1 413 /)
  })

  test('is asked for its body where it expects that', async () => {
    const client = await (await open())()
    client.write(`${HEAD}Expect: 100-continue\r\nContent-Length: ${BODY.length}\r\n\r\n`)
    await client.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/)
    client.write(BODY)
    expect(await client.until(/202 [^]*\}$/)).toContain('"accepted":1')
  })

  test('may send its next request before it has its answer', async () => {
    const client = await (await open())()
    client.write(REQUEST.repeat(3))
    expect((await client.until(/(HTTP\/1\.1 202 [^]*){3}\}$/)).match(/HTTP\/1\.1/g)).toHaveLength(3)
  })

  test('ends after so many requests', async () => {
    const client = await (await open({ limits: { requestsPerConnection: 2 } }))()
    client.write(REQUEST.repeat(2))
    expect((await client.closed()).match(/HTTP\/1\.1 202/g)).toHaveLength(2)
  })

  test('above the bound is closed at once', async () => {
    const client = await open({ limits: { connections: 3 } })
    await Promise.all([client(), client(), client()])
    await expect.poll(() => gateway.gateway.state().connections).toBe(3)
    const above = connect(gateway.port, '127.0.0.1')
    await new Promise<void>((resolve) => above.on('error', () => undefined).on('close', () => resolve()))
    clients.splice(0, 1)[0]?.destroy()
    await expect.poll(() => gateway.gateway.state().connections).toBe(2)
    expect((await gateway.send({ json: event() })).status).toBe(202)
  })

  test('of a client that goes away in the middle leaves nothing behind', async () => {
    const client = await (await open())()
    client.write(`${HEAD}Content-Length: 60000\r\n\r\n${'x'.repeat(30_000)}`)
    await expect.poll(() => gateway.gateway.state().bodyBytes).toBeGreaterThan(0)
    client.destroy()
    await expect.poll(() => gateway.gateway.state()).toEqual({ bodyBytes: 0, connections: 0 })
    expect(gateway.intake.requests).toEqual([])
  })

  test('with 1,000 headers, with headers twice, and with HTTP/1.0 is answered', async () => {
    const client = await open()
    const many = await client()
    many.write(`${HEAD}${'A: b\r\n'.repeat(1_000)}Content-Length: ${BODY.length}\r\n\r\n${BODY}`)
    expect(await many.until(/\}$/)).toMatch(/^HTTP\/1\.1 (202|431) /)
    const twice = await client()
    twice.write(REQUEST.replace('Host: x', 'Host: x\r\nAuthorization: Bearer other\r\nContent-Type: text/x'))
    expect(await twice.until(/\}$/)).toMatch(/^HTTP\/1\.1 4\d\d /)
    const old = await client()
    old.write(REQUEST.replace('HTTP/1.1', 'HTTP/1.0'))
    expect(await old.closed()).toMatch(/^HTTP\/1\.1 202 /)
  })
})
