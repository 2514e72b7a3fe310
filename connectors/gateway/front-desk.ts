import { hash } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import type { AuditLog } from '../../core/ports/audit.ts'
import type {
  AnswerLog,
  EventAnswer,
  EventIntake,
  EventSource,
  MappedEvent,
  Provider,
  SourceLimits,
  StoredAnswer,
  WebhookFacts,
} from '../../core/ports/gateway.ts'
import type { JsonObject } from '../../core/model/event.ts'
import { Limiter } from '../../core/limiter.ts'
import type { Logger } from '../../core/ports/logger.ts'
import type { Metrics } from '../../core/ports/metrics.ts'
import { networkKey } from './addresses.ts'
import { type AnswerCounts, answerOf, countAnswers } from './answers.ts'
import { AuditTrail } from './audit-trail.ts'
import { BodyBudget, checkMediaType, checkSize, discard, type Held, readBody, unpack } from './body.ts'
import { clientCertificate } from './client-certificate.ts'
import { EVENTS_MAX } from './contract.ts'
import { countryOf, type Exchange, userAgentOf } from './exchange.ts'
import { eventsIn, type Parsed, parseJson } from './json-body.ts'
import { type KeySource, presentedKey } from './keys.ts'
import { malformed } from '../../core/refusal.ts'
import { forbidden, limited, tooLarge, unauthenticated } from './refusal.ts'
import type { ServerLimits } from './server-limits.ts'

export interface FrontDeskParts {
  readonly intake: EventIntake
  readonly answers: AnswerLog
  readonly audit: AuditLog | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly limits: ServerLimits
}

/** Lines about a provider's bad signatures; an attacker must not fill the disk with them. */
const FAILURE_LINES = { perSecond: 0.2, burst: 10 } as const

/** What the bucket of one address holds, as a multiple of what it gains in a second. */
const ADDRESS_BURST_SECONDS = 2

export interface GivenAnswer extends StoredAnswer {
  readonly replayed?: boolean
}

/**
 * Takes one request from its headers to its answer, in numbered steps. What is refused is thrown: a Refusal, or what the ports
 * reject with.
 */
export class FrontDesk {
  readonly #parts: FrontDeskParts
  readonly #trail: AuditTrail
  readonly #bodies: BodyBudget
  readonly #webhookBodies: BodyBudget
  readonly #strangerBodies: BodyBudget
  readonly #events: Limiter
  readonly #addresses: Limiter
  readonly #failures: Limiter
  readonly #lines: Limiter

  constructor(parts: FrontDeskParts) {
    const { limits, clock } = parts
    this.#parts = parts
    this.#trail = new AuditTrail(parts)
    this.#bodies = new BodyBudget(limits.bodyBytes)
    this.#webhookBodies = new BodyBudget(limits.webhookBytes)
    this.#strangerBodies = new BodyBudget(limits.strangerBytes)
    this.#events = new Limiter(clock, limits.callers)
    this.#addresses = new Limiter(clock, limits.callers)
    this.#failures = new Limiter(clock, limits.callers)
    this.#lines = new Limiter(clock, limits.callers)
  }

  get trail(): AuditTrail {
    return this.#trail
  }

  /** Bytes of bodies that are in memory. */
  bodyBytes(): number {
    return this.#bodies.bytes + this.#webhookBodies.bytes + this.#strangerBodies.bytes
  }

  /** `POST /v1/events` */
  async events(exchange: Exchange): Promise<GivenAnswer> {
    const { raw } = exchange.request
    const held = this.#bodies.open()
    try {
      // 1. Who it is, from the headers alone: no stranger's body is read.
      const caller = this.#caller(exchange)
      const { limits, source } = caller
      checkMediaType(raw.headers)
      // 2. What it brings, within the bounds of the source.
      exchange.body = await readBody(raw, limits.bodyBytes, held)
      const body = await unpack(exchange.body, raw.headers, { limit: limits.bodyBytes, held })
      const parsed = parseJson(body)
      const found = parsed.ok ? eventsIn(parsed.value) : parsed
      this.#chargeAddress(exchange, source, limits, found)
      const events = this.#charged(source, limits, found)
      // 3. It is kept as it came, before anything is done with it.
      await this.#trail.request(exchange)
      // 4. The bus has it, or it is refused.
      const answers = await this.#take(exchange, source, events)
      const answer = answerOf(answers, this.#counted(exchange, answers))
      await this.#trail.answer(exchange, answer.status, answers)
      return answer
    } catch (error) {
      discard(raw)
      throw error
    } finally {
      held.release()
    }
  }

  /** `POST /v1/webhooks/:provider` */
  async webhook(exchange: Exchange, name: string): Promise<GivenAnswer> {
    const { raw } = exchange.request
    const provider = exchange.directory.providers.get(name)
    const held = (provider?.mayCall(callerOf(exchange)) === true ? this.#webhookBodies : this.#strangerBodies).open()
    try {
      // 1. An address that has failed too often waits: what follows costs us work for each try.
      this.#refuseOften(exchange)
      // 2. The body, which the signature is about. A stranger is read as well, so that nobody learns which names there are.
      exchange.body = await readBody(raw, this.#unknownBodyBytes(exchange), held)
      // 3. Whether the provider sent it.
      if (provider === undefined) throw this.#failed(exchange)
      const { limits, source } = provider
      exchange.source = source.name
      Object.assign(exchange, this.#admitted(exchange, provider, exchange.body))
      checkMediaType(raw.headers)
      checkSize(exchange.body, limits.bodyBytes)
      // Each call is kept whole, and a repeat costs no events: without this, one that was captured could fill the disk.
      this.#chargeCall(source, limits)
      // 4. It is kept as it came, repeats too.
      await this.#trail.request(exchange)
      // 5. It is answered once; a repeat gets that answer.
      return await this.#answerOnce(exchange, provider, { body: exchange.body, held })
    } catch (error) {
      discard(raw)
      throw error
    } finally {
      held.release()
    }
  }

  #caller(exchange: Exchange): KeySource {
    const { request, directory, receivedAt, ip } = exchange
    const presented = presentedKey(request.raw.headersDistinct, request.query)
    const caller = presented === undefined ? undefined : directory.keys.find(presented.key, receivedAt)
    if (caller === undefined || (presented?.inUrl === true && !caller.source.public)) {
      // Keys are looked up first: whoever has one is not held up by others behind the same address.
      this.#refuseOften(exchange)
      throw this.#failed(exchange)
    }
    exchange.source = caller.source.source.name
    exchange.keyId = caller.key.id
    const { allowIps, scopes } = caller.source
    if (allowIps !== undefined && !allowIps.has(ip)) throw forbidden('this key may not be used from this address')
    if (!scopes.has('events:write')) throw forbidden('this key may not send events; it has no scope events:write')
    return caller.source
  }

  /** So many may be read of anybody, whichever provider is called. */
  #unknownBodyBytes({ directory }: Exchange): number {
    const limits = [...directory.providers.values()].map((provider) => provider.limits.bodyBytes)
    return Math.max(this.#parts.limits.unknownBodyBytes, ...limits)
  }

  #chargeCall({ name }: EventSource, { eventsPerSecond, burst }: SourceLimits): void {
    const wait = this.#events.take(`calls ${name}`, { perSecond: eventsPerSecond, burst }, 1)
    if (wait > 0) throw limited(`this provider may call ${eventsPerSecond} times a second; wait`, wait)
  }

  #refuseOften({ ip }: Exchange): void {
    const wait = this.#failures.look(networkKey(ip), this.#parts.limits.failures)
    if (wait > 0) throw limited('too many requests of this address could not be authenticated; wait', wait)
  }

  /** Counts a failed attempt against its address. */
  #failed({ ip }: Exchange): Error {
    this.#failures.take(networkKey(ip), this.#parts.limits.failures, 1)
    return unauthenticated()
  }

  #admitted(exchange: Exchange, provider: Provider, body: Buffer): Pick<Exchange, 'requestId' | 'contentId'> {
    const { request, ip, receivedAt } = exchange
    const admission = provider.admit({
      ...callerOf(exchange),
      rawHeaders: request.raw.rawHeaders,
      body,
      now: receivedAt,
    })
    if (admission.ok) return { requestId: admission.requestId, contentId: admission.contentId }
    const { name } = provider.source
    const { problem, detail } = admission
    const { metrics, logger, intake } = this.#parts
    metrics.gatewaySignatureFailures.add(1, { provider: name, problem })
    if (this.#lines.take(name, FAILURE_LINES, 1) === 0) {
      logger.warn({ provider: name, problem, detail, ip, id: exchange.id }, 'somebody calls as a provider and is not')
    }
    if (problem === 'signature' || problem === 'timestamp') {
      const letter = { from: `webhook/${name}`, detail, raw: body }
      intake
        .setAside(letter)
        .catch((error: unknown) => logger.debug({ err: error }, 'it could not be set aside either'))
    }
    throw this.#failed(exchange)
  }

  async #answerOnce(
    exchange: Exchange,
    provider: Provider,
    { body, held }: { readonly body: Buffer; readonly held: Held },
  ): Promise<GivenAnswer> {
    const { source } = provider
    const { requestId = '', contentId } = exchange
    const content = hash('sha256', body, 'hex')
    let done: readonly EventAnswer[] = []
    let known = false
    const work = async (): Promise<StoredAnswer> => {
      done = await this.#mapped(exchange, provider, await this.#object(exchange, provider, { body, held }))
      return answerOf(done, this.#counted(exchange, done), requestId)
    }
    const { answers } = this.#parts
    const byRequest = { id: `${source.name}/${requestId}`, content }
    // What the signature covers comes first: whoever captured a call may send it under another id, and must not take an id with it
    // that the provider is going to give to another call. No id that a sender can choose holds a "=".
    const answer =
      contentId === undefined
        ? await answers.once(byRequest, work)
        : await answers.once({ id: `${source.name}/=${contentId}`, content }, async () => {
            const { replayed, ...first } = await answers.once(byRequest, work)
            known = replayed
            return first
          })
    const replayed = answer.replayed || known
    if (replayed) await this.#trail.replay(exchange, answer.status)
    else await this.#trail.answer(exchange, answer.status, done)
    return { ...answer, replayed }
  }

  /** What the provider's mapping makes of a body goes to the bus, and what it can make nothing of is set aside with it. */
  async #mapped(exchange: Exchange, provider: Provider, object: JsonObject): Promise<readonly EventAnswer[]> {
    const { receivedAt, requestId = '' } = exchange
    const { source, limits } = provider
    const mapped = provider.map(object, { receivedAt, requestId })
    if (!mapped.ok) {
      const { detail } = mapped
      await this.#take(exchange, source, [], [{ detail, event: object }])
      return [{ status: 'rejected', reason: 'schema', detail }]
    }
    const items = this.#charged(source, limits, { ok: true, value: mapped.events })
    const events = items.flatMap((item) => (item.ok ? [item.event] : []))
    const unmapped = items.flatMap((item) => (item.ok ? [] : [item]))
    return withUnmapped(items, await this.#take(exchange, source, events, unmapped))
  }

  async #object(
    exchange: Exchange,
    provider: Provider,
    { body, held }: { readonly body: Buffer; readonly held: Held },
  ): Promise<JsonObject> {
    const limit = provider.limits.bodyBytes
    const parsed = parseJson(await unpack(body, exchange.request.raw.headers, { limit, held }))
    if (!parsed.ok) throw malformed(parsed.detail)
    const { value } = parsed
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject
    throw malformed('the body is no JSON object')
  }

  /** Before the source's own rate, so that whoever has a key that anybody can read uses up no more than their own share of it. */
  #chargeAddress(
    { ip }: Exchange,
    { name }: EventSource,
    limits: SourceLimits,
    found: Parsed<readonly unknown[]>,
  ): void {
    const { perAddress, batch } = limits
    if (perAddress === undefined) return
    const size = { perSecond: perAddress, burst: Math.max(perAddress * ADDRESS_BURST_SECONDS, batch) }
    const amount = Math.min(Math.max(1, found.ok ? found.value.length : 1), batch)
    const wait = this.#addresses.take(`${name} ${networkKey(ip)}`, size, amount)
    if (wait > 0) throw limited(`one address may send ${perAddress} events a second; wait`, wait)
  }

  /** Takes what is sent off the source's rate: each event, or the try alone where there are none to be seen. */
  #charged<T>(source: EventSource, limits: SourceLimits, parsed: Parsed<readonly T[]>): readonly T[] {
    const batch = Math.min(limits.batch, EVENTS_MAX)
    const events = parsed.ok ? parsed.value : []
    const size = { perSecond: limits.eventsPerSecond, burst: limits.burst }
    const wait = this.#events.take(`${source.kind} ${source.name}`, size, Math.min(Math.max(1, events.length), batch))
    if (wait > 0) throw limited(`this source may send ${limits.eventsPerSecond} events a second; wait`, wait)
    if (!parsed.ok) throw malformed(parsed.detail)
    if (events.length > batch) {
      throw tooLarge(`the request has ${events.length} events, and this source may send ${batch} at once; split it`)
    }
    if (events.length === 0 && source.kind === 'key') throw malformed('the request has no event; send at least one')
    return events
  }

  async #take(
    exchange: Exchange,
    source: EventSource,
    events: readonly unknown[],
    unmapped: readonly { readonly detail: string; readonly event: JsonObject }[] = [],
  ): Promise<readonly EventAnswer[]> {
    if (events.length + unmapped.length === 0) return []
    const { ip, receivedAt } = exchange
    const facts = { ip, userAgent: userAgentOf(exchange), country: countryOf(exchange), receivedAt }
    return await this.#parts.intake.take({ source, events, facts, unmapped })
  }

  #counted({ source = '' }: Exchange, answers: readonly EventAnswer[]): AnswerCounts {
    const { metrics } = this.#parts
    const counts = countAnswers(answers)
    for (const [answer, count] of Object.entries(counts)) {
      if (count > 0) metrics.gatewayEvents.add(count, { source, answer })
    }
    if (counts.conflict > 0) metrics.gatewayConflicts.add(counts.conflict, { source })
    return counts
  }
}

/** What the connection tells of who calls. */
function callerOf({ ip, request }: Exchange): Pick<WebhookFacts, 'ip' | 'clientCertificate'> {
  return { ip, clientCertificate: clientCertificate(request.socket) }
}

/** The answers to a body's items in their order: `taken` answers those that the mapping could read. */
function withUnmapped(items: readonly MappedEvent[], taken: readonly EventAnswer[]): readonly EventAnswer[] {
  let next = 0
  return items.map((item): EventAnswer => {
    const answer = item.ok ? taken[next++] : undefined
    if (answer !== undefined) return answer
    const eventId = item.event['event_id']
    return {
      status: 'rejected',
      ...(typeof eventId === 'string' ? { event_id: eventId } : {}),
      reason: 'schema',
      detail: item.ok ? 'it was not answered' : item.detail,
    }
  })
}
