import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { type HttpRegistryOptions, httpRegistry } from '../../connectors/registry/http-registry.ts'
import { OncewardError } from '../../core/errors.ts'
import type { SchemaRegistry } from '../../core/ports/registry.ts'
import { fastClock } from '../support/clocks.ts'
import { CA, SERVER } from '../wallet/certificates.ts'
import { errorOf } from './support.ts'

type Answer = (request: IncomingMessage, response: ServerResponse) => void

const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

const json =
  (status: number, body: unknown): Answer =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push({
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  })
  return (server.address() as AddressInfo).port
}

/** A registry that gives these answers one after the other, the last one for ever. */
async function answering(answers: readonly Answer[], options: Partial<HttpRegistryOptions> = {}) {
  const requests: { readonly method: string; readonly url: string; readonly authorization: string | undefined }[] = []
  const server = createServer((request, response) => {
    requests.push({
      method: request.method ?? '',
      url: request.url ?? '',
      authorization: request.headers.authorization,
    })
    answers[Math.min(requests.length, answers.length) - 1]?.(request, response)
  })
  const port = await listening(server)
  const registry = httpRegistry({ url: `http://127.0.0.1:${port}/base/`, clock: fastClock(1_000), ...options })
  open.push(registry)
  return { registry, requests }
}

async function messageOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.catch((reason: unknown) => reason)
  return error instanceof OncewardError ? `${error.code}: ${error.message}` : String(error)
}

const SCHEMA = { schema: '"string"' }
const cut: Answer = (request) => request.socket.destroy()

describe('a call of the registry', () => {
  test('keeps the path of the URL, escapes subjects, and signs in', async () => {
    const { registry, requests } = await answering([json(200, [1, 2])], { user: { name: 'u', password: 'pä:ss' } })
    expect(await registry.versions('events.raw-a/b ?#')).toEqual([1, 2])
    expect(requests).toEqual([
      {
        method: 'GET',
        url: '/base/subjects/events.raw-a%2Fb%20%3F%23/versions',
        authorization: `Basic ${Buffer.from('u:pä:ss').toString('base64')}`,
      },
    ])
  })

  test.each<[string, Answer]>([
    ['a 500', json(500, { error_code: 50001 })],
    ['a 503 without a body', (_, response) => void response.writeHead(503).end()],
    ['a 429', json(429, {})],
    ['a cut connection', cut],
  ])('is tried again after %s', async (_, trouble) => {
    const { registry, requests } = await answering([trouble, trouble, json(200, SCHEMA)])
    expect(await registry.schema(7)).toEqual(SCHEMA)
    expect(requests).toHaveLength(3)
  })

  test('ends after a bound, and says where and why', async () => {
    const { registry, requests } = await answering([json(503, {})], { retriesMax: 2 })
    expect(await messageOf(registry.schema(7))).toMatch(
      /^ONCEWARD_E_REGISTRY_UNAVAILABLE: the schema registry at http:\/\/127\.0\.0\.1:\d+ cannot be asked \(tried 3 times\): GET \/base\/schemas\/ids\/7 was answered with 503$/,
    )
    expect(requests).toHaveLength(3)
  })

  test('that is not answered ends as well', async () => {
    const { registry } = await answering([() => undefined], { retriesMax: 0, timeoutMs: 300 })
    expect(await errorOf(registry.schema(7))).toBe('ONCEWARD_E_REGISTRY_UNAVAILABLE')
  })

  test('nor one whose answer does not end, or never ends to come', async () => {
    const half: Answer = (_, response) => void response.writeHead(200).write('{"schema":')
    const { registry } = await answering([half], { retriesMax: 0, timeoutMs: 300 })
    expect(await errorOf(registry.schema(7))).toBe('ONCEWARD_E_REGISTRY_UNAVAILABLE')
    const endless: Answer = (_, response) => {
      const more = (): void => {
        while (response.write('x'.repeat(65_536)));
        response.once('drain', more)
      }
      more()
    }
    const other = await answering([endless], { retriesMax: 0 })
    expect(await errorOf(other.registry.schema(7))).toBe('ONCEWARD_E_REGISTRY_UNAVAILABLE')
  })

  test.each<[string, Answer, RegExp]>([
    ['the key is wrong', json(401, {}), /REFUSED: .*answers with 401; check --registry-user/],
    ['it is not allowed', json(403, {}), /REFUSED: .*answers with 403/],
    [
      'the path is wrong',
      json(404, { error_code: 404, message: 'HTTP 404 Not Found' }),
      /REFUSED: .*404; check the path of --registry/,
    ],
    [
      'a web server answers',
      (_, response) => void response.writeHead(404).end('<html>'),
      /REFUSED: .*404; check the path/,
    ],
    ['a web page answers', (_, response) => void response.writeHead(200).end('<html>'), /REFUSED: .*not JSON/],
    [
      'it leads elsewhere',
      (_, response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end('{}'),
      /REFUSED: .*answers with 302/,
    ],
    ['it is no object', json(200, []), /REFUSED: .*no object/],
    ['there is no schema in it', json(200, { schema: 7 }), /REFUSED: .*where a text belongs/],
    [
      'it is an error of another kind',
      json(422, { error_code: 42201, message: 'Invalid schema' }),
      /REFUSED: .*422: Invalid schema/,
    ],
  ])('is not tried again where %s', async (_, answer, says) => {
    const { registry, requests } = await answering([answer])
    expect(await messageOf(registry.schema(7))).toMatch(says)
    expect(requests).toHaveLength(1)
  })

  test.each<[object, string | undefined]>([
    [{ schema: 'x', schemaType: 'AVRO' }, undefined],
    [{ schema: 'x', schemaType: 'PROTOBUF' }, 'is PROTOBUF and not Avro'],
    [{ schema: 'x', references: [] }, undefined],
    [
      { schema: 'x', references: [{ name: 'a', subject: 'b', version: 1 }] },
      'refers to other schemas of the registry, which Onceward does not follow; register it whole',
    ],
  ])('%j', async (body, unusable) => {
    const { registry } = await answering([json(200, body)])
    expect(await registry.schema(7)).toEqual(unusable === undefined ? { schema: 'x' } : { schema: 'x', unusable })
  })

  test('an id that is not known is known only from the registry itself', async () => {
    const { registry } = await answering([json(404, { error_code: 40403, message: 'Schema not found' })])
    expect(await registry.schema(7)).toBeUndefined()
  })

  test('ends at once when the registry is closed', async () => {
    const { registry } = await answering([() => undefined])
    const asking = errorOf(registry.schema(7))
    await registry.close()
    expect(await asking).toBe('ONCEWARD_E_REGISTRY_UNAVAILABLE')
  })
})

describe('the address', () => {
  test.each([
    ['http://user:secret@registry', /--registry-user and --registry-password-file/],
    ['ftp://registry', /not the URL of a schema registry/],
    ['http://registry/?a=1', /a query or a fragment/],
    ['nothing', /not the URL of a schema registry/],
  ])('%s is refused', (url, says) => {
    expect(() => httpRegistry({ url, clock: fastClock() })).toThrow(says)
    expect(() => httpRegistry({ url, clock: fastClock() })).not.toThrow(/secret/)
  })

  test('a certificate is checked against the authority that is named, and against no other', async () => {
    const server = createTlsServer(SERVER, json(200, SCHEMA))
    const port = await listening(server)
    const asked = (more: Partial<HttpRegistryOptions>): Promise<unknown> => {
      const registry: SchemaRegistry = httpRegistry({
        url: `https://localhost:${port}`,
        clock: fastClock(1_000),
        retriesMax: 0,
        ...more,
      })
      open.push(registry)
      return registry.schema(7)
    }
    expect(await asked({ ca: CA })).toEqual(SCHEMA)
    expect(await errorOf(asked({}))).toBe('ONCEWARD_E_REGISTRY_UNAVAILABLE')
  })
})
