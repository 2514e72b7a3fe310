import type { JsonObject } from '../../core/model/event.ts'
import {
  ANY_STATUSES,
  EVENTS_MAX,
  KEY_HEADER,
  KEY_PARAMETER,
  MEDIA_TYPES,
  PATHS,
  REPLAY_HEADER,
  REQUEST_ID_HEADER,
  STATUSES,
} from './contract.ts'

/** What each status means, for whoever calls. */
const MEANINGS: Readonly<Record<number, string>> = {
  200: 'It is there.',
  202: 'At least one event was accepted: it is on the bus. The others are told one by one, in the order of the request.',
  400: 'The request is malformed: not JSON, not UTF-8, too deep, without events, or no HTTP. Sending it again changes nothing.',
  401: 'Who sends it is not known, or its signature does not hold. The answer never says which.',
  403: 'The key is known, and may not do this, or not from this address.',
  404: 'There is no such path.',
  405: 'There is another method on this path; Allow says which.',
  408: 'The request took too long to arrive.',
  409: 'The id came before with other content: that of every event that was rejected, or that of the request.',
  413: 'The body is too large, or there are too many events in it. Split it.',
  415: 'The body is neither JSON nor text, or is encoded in another way than gzip.',
  417: 'Expect asks for something else than 100-continue.',
  422: 'No event was accepted; each says why.',
  429: 'Too much was sent; nothing of this request was taken. Send it again after Retry-After seconds.',
  431: 'The headers are too large.',
  500: 'A defect of the gateway. Send it again with the same ids.',
  503: 'The bus or the audit log cannot be written now; nothing of this request was taken. Send it again after Retry-After seconds.',
}

const WITH_ANSWERS = [202, 409, 422]
const WITH_RETRY_AFTER = [429, 503]

const ref = (name: string): JsonObject => ({ $ref: `#/components/schemas/${name}` })
const json = (schema: JsonObject): JsonObject => ({ 'application/json': { schema } })

/** The OpenAPI 3.1 document of the gateway. */
export function openApiDocument(version: string): JsonObject {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Onceward gateway',
      version,
      description: [
        'Takes events from SDKs and webhooks from providers. What is answered with 202 is on the bus. Where a connection ends',
        'without an answer nobody knows whether it is: send it again with the same ids, which never counts twice.',
        `Every path can also be answered with ${ANY_STATUSES.join(', ')}.`,
      ].join(' '),
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    paths: {
      [PATHS.events]: { post: eventsOperation() },
      [PATHS.webhooks.replace(':provider', '{provider}')]: { post: webhooksOperation() },
      [PATHS.openapi]: { get: lookOperation('openapi', 'This document', { type: 'object' }) },
      [PATHS.healthz]: { get: lookOperation('healthz', 'Whether the process is worth keeping', ref('Health')) },
      [PATHS.readyz]: { get: lookOperation('readyz', 'Whether it can take events now', ref('Health')) },
    },
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'An API key.' },
        header: { type: 'apiKey', in: 'header', name: KEY_HEADER },
        parameter: { type: 'apiKey', in: 'query', name: KEY_PARAMETER, description: 'For public keys alone.' },
      },
      schemas: schemas(),
      headers: {
        RetryAfter: { description: 'Seconds.', schema: { type: 'integer', minimum: 1 } },
        RequestId: { description: 'Under which the request stands in the audit log.', schema: { type: 'string' } },
        Replay: { description: 'The answer was given before.', schema: { type: 'string', const: 'true' } },
      },
    },
  }
}

function eventsOperation(): JsonObject {
  const schema = {
    oneOf: [
      ref('Event'),
      ref('Events'),
      { type: 'object', required: ['events'], properties: { events: ref('Events') } },
    ],
  }
  return {
    operationId: 'sendEvents',
    summary: `Sends one event, or up to ${EVENTS_MAX}`,
    description:
      'A body may be packed with Content-Encoding: gzip. Sources have bounds of their own for bytes, events and events a second.',
    security: [{ bearer: [] }, { header: [] }, { parameter: [] }],
    requestBody: {
      required: true,
      content: Object.fromEntries(MEDIA_TYPES.map((type) => [type, { schema: bodySchema(type, schema) }])),
    },
    responses: responses(STATUSES.events, ref('Answer')),
  }
}

/** What is sent as text is JSON all the same. */
function bodySchema(type: string, schema: JsonObject): JsonObject {
  return type === 'application/json' ? schema : { type: 'string', description: 'The same JSON.' }
}

function webhooksOperation(): JsonObject {
  const names = ['X-Signature, X-Request-Id and X-Timestamp', 'webhook-id, webhook-timestamp and webhook-signature']
  return {
    operationId: 'sendWebhook',
    summary: 'Sends what happened at a provider',
    description: `The body is signed as it is sent, with ${names.join(', or ')} (Standard Webhooks). A repeat of a request id gets the answer that was given before.`,
    security: [],
    parameters: [{ name: 'provider', in: 'path', required: true, schema: { type: 'string' } }],
    requestBody: {
      required: true,
      content: Object.fromEntries(MEDIA_TYPES.map((type) => [type, { schema: bodySchema(type, { type: 'object' }) }])),
    },
    responses: responses(STATUSES.webhooks, ref('WebhookAnswer')),
  }
}

function lookOperation(name: 'openapi' | 'healthz' | 'readyz', summary: string, schema: JsonObject): JsonObject {
  const answers = STATUSES[name].map((status) => [
    String(status),
    { description: status === 200 ? MEANINGS[200] : 'It is not.', content: json(schema) },
  ])
  return { operationId: name, summary, security: [], responses: Object.fromEntries(answers) as JsonObject }
}

function responses(statuses: readonly number[], answer: JsonObject): JsonObject {
  return Object.fromEntries(statuses.map((status) => [String(status), response(status, answer)]))
}

function response(status: number, answer: JsonObject): JsonObject {
  const schema =
    status === 409 ? { oneOf: [answer, ref('Error')] } : WITH_ANSWERS.includes(status) ? answer : ref('Error')
  return {
    description: MEANINGS[status] ?? '',
    headers: {
      [REQUEST_ID_HEADER]: { $ref: '#/components/headers/RequestId' },
      ...(WITH_RETRY_AFTER.includes(status) ? { 'retry-after': { $ref: '#/components/headers/RetryAfter' } } : {}),
      ...(WITH_ANSWERS.includes(status) ? { [REPLAY_HEADER]: { $ref: '#/components/headers/Replay' } } : {}),
    },
    content: json(schema),
  }
}

function schemas(): JsonObject {
  const text = { type: 'string' }
  const count = { type: 'integer', minimum: 0 }
  const counts = { accepted: count, rejected: count, events: { type: 'array', items: ref('EventAnswer') } }
  return {
    Event: {
      type: 'object',
      description: 'Which payload belongs to which event_name, the Avro schemas say.',
      required: ['event_id', 'event_name', 'ts', 'user', 'payload'],
      properties: {
        event_id: { type: 'string', minLength: 1, maxLength: 256, description: 'The same at every try.' },
        event_name: text,
        version: text,
        ts: { type: 'string', format: 'date-time' },
        user: {
          type: 'object',
          required: ['id'],
          properties: { id: { type: 'string', minLength: 1, maxLength: 256 } },
        },
        context: { type: 'object' },
        payload: { type: 'object' },
      },
    },
    Events: { type: 'array', minItems: 1, maxItems: EVENTS_MAX, items: ref('Event') },
    EventAnswer: {
      oneOf: [
        {
          type: 'object',
          required: ['status', 'event_id'],
          properties: { status: { const: 'accepted' }, event_id: text },
        },
        {
          type: 'object',
          required: ['status', 'reason', 'detail'],
          properties: {
            status: { const: 'rejected' },
            event_id: text,
            reason: { enum: ['schema', 'forbidden', 'conflict'] },
            detail: text,
          },
        },
      ],
    },
    Answer: { type: 'object', required: Object.keys(counts), properties: counts },
    WebhookAnswer: {
      type: 'object',
      required: ['request_id', ...Object.keys(counts)],
      properties: { request_id: text, ...counts },
    },
    Error: {
      type: 'object',
      required: ['error'],
      properties: {
        error: { type: 'object', required: ['code', 'message'], properties: { code: text, message: text } },
      },
    },
    Health: {
      type: 'object',
      required: ['alive', 'ready', 'reasons'],
      properties: {
        alive: { type: 'boolean' },
        ready: { type: 'boolean' },
        reasons: { type: 'array', items: text },
      },
    },
  }
}
