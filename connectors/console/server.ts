import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { AddressInfo } from 'node:net'
import { messageOf, OncewardError } from '../../core/errors.ts'
import { countsJson, letterJson, outcomeJson, storyJson } from '../../core/letter-json.ts'
import type { Health } from '../../core/ports/health.ts'
import type { Logger } from '../../core/ports/logger.ts'
import type { LetterOutcome, LetterView, ReviewDesk, ReviewOrder } from '../../core/ports/review.ts'
import { malformed, Refusal } from '../../core/refusal.ts'
import { forbidden, frameworkRefusal, refusalOf, unauthenticated } from './refusal.ts'
import { actorOf, type OrderRequest, readFilter, readList, readOrder } from './requests.ts'

export type ReviewScope = 'dlq:read' | 'dlq:write'

export interface ReviewCaller {
  readonly name: string
  readonly scopes: ReadonlySet<string>
}

export interface ConsoleParts {
  readonly desk: ReviewDesk
  /** Whose key it is; undefined: nobody's, or not from this address. */
  readonly authenticate: (key: string, address: string) => ReviewCaller | undefined
  /** Whose X-Forwarded-For is believed. */
  readonly trusts: (address: string) => boolean
  readonly health: Health
  readonly logger: Logger
  readonly limits?: Partial<ConsoleLimits>
}

export interface ConsoleLimits {
  readonly bodyBytes: number
  readonly headerBytes: number
  /** From the first byte to the last of a request, ms. */
  readonly requestMs: number
  /** Calls that read the topics at once; more are told to come again. */
  readonly callsAtOnce: number
}

const LIMITS: ConsoleLimits = { bodyBytes: 2 * 1_048_576, headerBytes: 16_384, requestMs: 30_000, callsAtOnce: 16 }

export interface Console {
  /** Answers the port. Throws ONCEWARD_E_SETTING_INVALID where it cannot be had. */
  listen(place: { readonly host: string; readonly port: number }): Promise<number>
  /** Answers what is under way, then ends. Idempotent. */
  close(): Promise<void>
}

/** The HTTP interface to dead letters, for a console and for programs (docs/DLQ.md). */
export function createConsole(parts: ConsoleParts): Console {
  const limits = { ...LIMITS, ...parts.limits }
  const app = fastify({
    logger: false,
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.requestMs,
    http: { maxHeaderSize: limits.headerBytes, headersTimeout: limits.requestMs },
    forceCloseConnections: 'idle',
    trustProxy: (address: string) => parts.trusts(address),
    frameworkErrors: (error, _request, reply) => void refuse(parts, reply, error),
  })
  app.removeContentTypeParser('text/plain')
  app.setErrorHandler((error, _request, reply) => refuse(parts, reply, error))
  app.setNotFoundHandler((_request, reply) => refuse(parts, reply, malformed('there is nothing here', 404)))
  addRoutes(app, parts, limits)
  let closed: Promise<void> | undefined
  return {
    async listen({ host, port }) {
      try {
        await app.listen({ host, port })
      } catch (error) {
        throw new OncewardError(
          'ONCEWARD_E_SETTING_INVALID',
          `--port: ${host}:${port} cannot be had: ${messageOf(error)}`,
          {
            cause: error,
          },
        )
      }
      return (app.server.address() as AddressInfo).port
    },
    close: () => (closed ??= app.close()),
  }
}

interface Call {
  readonly request: FastifyRequest
  readonly caller: ReviewCaller
  /** Aborts once nobody waits for the answer. */
  readonly gone: AbortSignal
}

function addRoutes(app: FastifyInstance, parts: ConsoleParts, limits: ConsoleLimits): void {
  let under = 0
  const answering = (scope: ReviewScope, handle: (call: Call) => Promise<object>) => {
    const callers = new WeakMap<FastifyRequest, ReviewCaller>()
    return {
      // Before the body is read: a stranger's is not.
      onRequest: (request: FastifyRequest, _reply: FastifyReply, done: () => void): void => {
        callers.set(request, admitted(parts, request, scope))
        done()
      },
      handler: async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
        const caller = callers.get(request)
        if (caller === undefined) throw unauthenticated()
        if (under >= limits.callsAtOnce) {
          throw new Refusal('ONCEWARD_E_REQUEST_LIMITED', 429, 'too many calls at once; send it again', 1)
        }
        const gone = new AbortController()
        // The response's end, and not the request's: Node closes that one as soon as its body is read.
        reply.raw.once('close', () => gone.abort())
        under++
        try {
          return reply.send(await handle({ request, caller, gone: gone.signal }))
        } finally {
          under--
        }
      },
    }
  }
  const { desk } = parts
  app.get(
    '/v1/dlq',
    answering('dlq:read', (call) => list(desk, call)),
  )
  app.get(
    '/v1/dlq/count',
    answering('dlq:read', async ({ request }) =>
      countsJson(await desk.count(readFilter(request.query as Parameters<typeof readFilter>[0]))),
    ),
  )
  app.get(
    '/v1/dlq/:id',
    answering('dlq:read', async ({ request }) => storyJson(await desk.show((request.params as { id: string }).id))),
  )
  for (const name of ['reprocess', 'fix', 'drop'] as const) {
    app.post(
      `/v1/dlq/${name}`,
      answering('dlq:write', (call) => decide(desk, name, call)),
    )
  }
  app.get('/healthz', (_request, reply) => health(parts, reply, ({ alive }) => alive))
  app.get('/readyz', (_request, reply) => health(parts, reply, ({ alive, ready }) => alive && ready))
}

function health(parts: ConsoleParts, reply: FastifyReply, good: (report: ReturnType<Health>) => boolean): FastifyReply {
  const report = parts.health()
  return reply.code(good(report) ? 200 : 503).send(report)
}

/** Throws a Refusal. */
function admitted(parts: ConsoleParts, { headers, ip }: FastifyRequest, scope: ReviewScope): ReviewCaller {
  const [, bearer] = /^bearer +(\S+) *$/i.exec(headers.authorization ?? '') ?? []
  const header = headers['x-api-key']
  const shown = [bearer, header].filter((key) => key !== undefined)
  const [key] = shown
  const caller = shown.length === 1 && typeof key === 'string' ? parts.authenticate(key, ip) : undefined
  if (caller === undefined) throw unauthenticated()
  if (!caller.scopes.has(scope)) throw forbidden(scope)
  return caller
}

async function list(desk: ReviewDesk, { request, gone }: Call): Promise<object> {
  const { filter, limit, cursor } = readList(request.query)
  const found = await upTo(desk.letters(filter, cursor), limit, gone)
  const shown = found.slice(0, limit)
  const next = found.length > limit ? (shown.at(-1)?.id ?? null) : null
  return { letters: shown.map(letterJson), next_cursor: next }
}

/** One more than `limit`, where there is one. */
async function upTo(letters: AsyncIterable<LetterView>, limit: number, gone: AbortSignal): Promise<LetterView[]> {
  const found: LetterView[] = []
  for await (const letter of letters) {
    found.push(letter)
    if (found.length > limit || gone.aborted) break
  }
  return found
}

async function decide(desk: ReviewDesk, name: ReviewOrder['name'], { request, caller, gone }: Call): Promise<object> {
  const actor = actorOf(caller.name, request.headers['x-actor'])
  const asked = readOrder(name, request.body, actor)
  const { ids, more } = await targetsOf(desk, asked, gone)
  const { order, dryRun } = asked
  const outcomes: LetterOutcome[] = []
  for await (const some of dryRun ? desk.forecast(order, ids) : desk.carryOut(order, ids)) {
    outcomes.push(...some)
    if (gone.aborted) break
  }
  const count = (kind: LetterOutcome['kind']): number => outcomes.filter((outcome) => outcome.kind === kind).length
  return {
    dry_run: dryRun,
    letters: outcomes.length,
    done: count('done'),
    decided: count('decided'),
    refused: count('refused'),
    outcomes: outcomes.map(outcomeJson),
    more,
  }
}

async function targetsOf(
  desk: ReviewDesk,
  { targets }: OrderRequest,
  gone: AbortSignal,
): Promise<{ readonly ids: readonly string[]; readonly more: boolean }> {
  if ('ids' in targets) return { ids: targets.ids, more: false }
  const found = await upTo(desk.letters(targets.filter), targets.limit, gone)
  return { ids: found.slice(0, targets.limit).map(({ id }) => id), more: found.length > targets.limit }
}

function refuse(parts: ConsoleParts, reply: FastifyReply, error: unknown): FastifyReply {
  const refusal = refusalOf(error) ?? frameworkRefusal(error)
  if (refusal === undefined) parts.logger.error({ err: error }, 'a request about dead letters could not be handled')
  const { code, status, message, retryAfter } =
    refusal ?? new Refusal('ONCEWARD_E_INTERNAL', 500, 'this has failed here; it is in the log')
  if (retryAfter !== undefined) reply.header('retry-after', String(retryAfter))
  return reply.code(status).send({ error: { code, message } })
}
