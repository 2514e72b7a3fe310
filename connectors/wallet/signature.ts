/**
 * How an order is signed, and how a signature is checked: one file for both ends. Two schemes stand side by side.
 *
 * - SPEC S4: `X-Signature: sha256=<hex HMAC-SHA256(secret, body)>` by the first secret, `X-Timestamp` beside it, unsigned.
 * - Standard Webhooks 1.0 (https://www.standardwebhooks.com): `webhook-id`, `webhook-timestamp` and `webhook-signature`, one
 *   `v1,<base64 HMAC-SHA256(key, "id.timestamp.body")>` for each secret. It signs the time and the id, so it alone stops a
 *   captured call from being sent again later or under another id.
 *
 * The key of the first is the secret's text as it stands; the key of the second is what `whsec_<base64>` decodes to, or the
 * text where it has no such prefix.
 */
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import { MINUTE_MS } from '../../core/durations.ts'
import { OncewardError } from '../../core/errors.ts'

/** Made once for each secret, which is then nowhere as a text; a KeyObject shows nothing of itself when it is printed. */
export interface SigningKey {
  readonly plain: KeyObject
  readonly standard: KeyObject
}

/** How old a signature may be, and how far ahead of us (SPEC S4). */
export const SIGNATURE_AGE_MS_MAX = 5 * MINUTE_MS

/** Of each header no more are looked at: each costs an attacker nothing and us a comparison. */
const SIGNATURES_MAX = 8

const REQUEST_ID = /^[\w-]{1,200}$/
/** Unix seconds, up to the year 5138. */
const SECONDS = /^\d{1,11}$/
const STANDARD_PREFIX = 'whsec_'
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** Throws ONCEWARD_E_PARTNERS_INVALID where there is none, one is empty, or one begins with `whsec_` and is not base64. */
export function signingKeys(secrets: readonly string[]): readonly SigningKey[] {
  if (secrets.length === 0) throw invalid('there is no secret; give one, or two while they are exchanged')
  return secrets.map((secret) => {
    if (secret === '') throw invalid('a secret is empty; write it into the file or the variable it comes from')
    return { plain: createSecretKey(Buffer.from(secret)), standard: createSecretKey(standardKey(secret)) }
  })
}

function standardKey(secret: string): Buffer {
  if (!secret.startsWith(STANDARD_PREFIX)) return Buffer.from(secret)
  const text = secret.slice(STANDARD_PREFIX.length)
  if (text !== '' && BASE64.test(text)) return Buffer.from(text, 'base64')
  throw invalid(`a secret begins with ${STANDARD_PREFIX}, but what follows is not base64; copy it again, whole`)
}

function invalid(message: string): OncewardError {
  return new OncewardError('ONCEWARD_E_PARTNERS_INVALID', message)
}

/** True for what may stand in the headers and in the signed text as an id. */
export function isRequestId(text: string): boolean {
  return REQUEST_ID.test(text)
}

export interface SigningInput {
  /** The first signs `X-Signature`. */
  readonly keys: readonly SigningKey[]
  readonly requestId: string
  /** Unix milliseconds. */
  readonly now: number
  readonly body: string
}

/** The headers of a call that say whose it is. Of the same second, id, body and secrets: the same. */
export function signatureHeaders({ keys, requestId, now, body }: SigningInput): Record<string, string> {
  const seconds = String(Math.floor(now / 1_000))
  const content = `${requestId}.${seconds}.${body}`
  const [first] = keys
  return {
    'x-signature': first === undefined ? '' : plainSignature(first, body),
    'x-request-id': requestId,
    'x-timestamp': seconds,
    'webhook-id': requestId,
    'webhook-timestamp': seconds,
    'webhook-signature': keys.map((key) => standardSignature(key, content)).join(' '),
  }
}

function plainSignature(key: SigningKey, body: Buffer | string): string {
  return `sha256=${createHmac('sha256', key.plain).update(body).digest('hex')}`
}

function standardSignature(key: SigningKey, content: Buffer | string): string {
  return `v1,${createHmac('sha256', key.standard).update(content).digest('base64')}`
}

export interface SignedCall {
  /** Names in lower case, as Node has them; a list where a header came more than once. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** The bytes as they came. */
  readonly body: Buffer
  /** Any of them may have signed. */
  readonly keys: readonly SigningKey[]
  /** Unix milliseconds. */
  readonly now: number
  /** True: a call without the Standard Webhooks headers is not trusted. Default false. */
  readonly standardOnly?: boolean
}

export type Trust = { readonly ok: true; readonly requestId: string } | { readonly ok: false; readonly problem: string }

/**
 * Whether a call is from somebody with one of the secrets, and fresh. At least one scheme must be there, and every scheme that
 * is there must hold: who can forge one gains nothing by adding the other. Signatures are compared in constant time. Never
 * throws, whatever the headers hold.
 */
export function checkSignature(call: SignedCall): Trust {
  const plain = call.headers['x-signature'] !== undefined
  const standard = call.headers['webhook-signature'] !== undefined
  if (!standard && call.standardOnly === true) return distrust('webhook-signature is missing')
  if (!plain && !standard) return distrust('X-Signature is missing')
  const problem = (plain ? plainProblem(call) : undefined) ?? (standard ? standardProblem(call) : undefined)
  if (problem !== undefined) return distrust(problem)
  const ids = [single(call, 'x-request-id'), single(call, 'webhook-id')].filter((id) => id !== undefined)
  const [id = ''] = ids
  if (!isRequestId(id))
    return distrust('X-Request-Id is missing, doubled, or has other characters than A-Z a-z 0-9 _ -')
  if (ids.some((other) => other !== id)) return distrust('X-Request-Id and webhook-id differ')
  return { ok: true, requestId: id }
}

function distrust(problem: string): Trust {
  return { ok: false, problem }
}

function plainProblem(call: SignedCall): string | undefined {
  const given = entries(call, 'x-signature', /[\s,]+/)
  if (!call.keys.some((key) => holds(plainSignature(key, call.body), given)))
    return 'X-Signature does not match the body'
  return stale(call, 'x-timestamp') ? 'X-Timestamp is not in Unix seconds within 5 minutes of now' : undefined
}

function standardProblem(call: SignedCall): string | undefined {
  const id = single(call, 'webhook-id') ?? ''
  if (!isRequestId(id)) return 'webhook-id is missing, doubled, or has other characters than A-Z a-z 0-9 _ -'
  const seconds = single(call, 'webhook-timestamp') ?? ''
  const given = entries(call, 'webhook-signature', /\s+/)
  const content = Buffer.concat([Buffer.from(`${id}.${seconds}.`), call.body])
  if (!call.keys.some((key) => holds(standardSignature(key, content), given))) {
    return 'webhook-signature does not match the id, the timestamp and the body'
  }
  return stale(call, 'webhook-timestamp')
    ? 'webhook-timestamp is not in Unix seconds within 5 minutes of now'
    : undefined
}

/** Each candidate is compared as a whole and all of them are, so that the answer's delay tells nothing of the right one. */
function holds(right: string, given: readonly string[]): boolean {
  const expected = Buffer.from(right)
  let found = false
  for (const text of given) {
    const actual = Buffer.from(text)
    if (actual.length === expected.length && timingSafeEqual(actual, expected)) found = true
  }
  return found
}

function stale(call: SignedCall, name: string): boolean {
  const seconds = single(call, name) ?? ''
  return !SECONDS.test(seconds) || Math.abs(call.now - Number(seconds) * 1_000) > SIGNATURE_AGE_MS_MAX
}

/** Undefined where it is missing or came more than once: which of two would count is not for the sender to play with. */
function single({ headers }: SignedCall, name: string): string | undefined {
  const value = headers[name]
  if (typeof value === 'string') return value.trim()
  return value?.length === 1 ? value[0]?.trim() : undefined
}

/** Node joins what came more than once with ", ", which leaves a comma at the end of a signature. */
function entries({ headers }: SignedCall, name: string, between: RegExp): readonly string[] {
  const value = headers[name] ?? ''
  const text = typeof value === 'string' ? value : value.join(' ')
  return text
    .split(between, SIGNATURES_MAX)
    .map((entry) => entry.replace(/,$/, ''))
    .filter((entry) => entry !== '')
}
