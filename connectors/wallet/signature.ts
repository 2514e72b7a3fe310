/**
 * How an order is signed, and how a signature is checked: one file for both ends. Two schemes stand side by side.
 *
 * - SPEC S4: `X-Signature: sha256=<hex HMAC-SHA256(secret, body)>` by the first secret, `X-Timestamp` beside it, unsigned.
 * - Standard Webhooks 1.0 (https://www.standardwebhooks.com): `webhook-id`, `webhook-timestamp` and `webhook-signature`, one
 *   `v1,<base64 HMAC-SHA256(key, "id.timestamp.body")>` for each secret. It signs the time and the id, so it alone stops a
 *   captured call from being sent again later or under another id.
 *
 * The key of the first is the secret's text as it stands; the key of the second is what `whsec_<base64>` decodes to, or the
 * text where it has no such prefix. Libraries of Standard Webhooks take secrets without the prefix as base64 too: where one is
 * that, and long enough to be meant so, what it decodes to is trusted beside the text.
 */
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import { MINUTE_MS } from '../../core/durations.ts'
import { OncewardError } from '../../core/errors.ts'

/** Made once for each secret, which is then nowhere as a text; a KeyObject shows nothing of itself when it is printed. */
export interface SigningKey {
  readonly plain: KeyObject
  readonly standard: KeyObject
  /** What else may have signed by Standard Webhooks; nothing is signed with it here. */
  readonly decoded?: KeyObject
}

/** How old a signature may be, and how far ahead of us (SPEC S4). */
export const SIGNATURE_AGE_MS_MAX = 5 * MINUTE_MS

/** Of each header no more are looked at: each costs an attacker nothing and us a comparison. */
const SIGNATURES_MAX = 8

const REQUEST_ID = /^[\w-]{1,200}$/
/** Unix seconds, up to the year 5138. */
const SECONDS = /^\d{1,11}$/
const STANDARD_PREFIX = 'whsec_'
/** Bytes of a secret, at least, as the specification has it. */
const STANDARD_BYTES_MIN = 24
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** Throws ONCEWARD_E_PARTNERS_INVALID where there is none, one is empty, or one begins with `whsec_` and is not base64. */
export function signingKeys(secrets: readonly string[]): readonly SigningKey[] {
  if (secrets.length === 0) throw invalid('there is no secret; give one, or two while they are exchanged')
  return secrets.map((secret) => {
    if (secret === '') throw invalid('a secret is empty; write it into the file or the variable it comes from')
    const decoded = decodedKey(secret)
    return {
      plain: createSecretKey(Buffer.from(secret)),
      standard: createSecretKey(standardKey(secret)),
      ...(decoded === undefined ? {} : { decoded: createSecretKey(decoded) }),
    }
  })
}

/** Of a secret that is base64 without saying so. */
function decodedKey(secret: string): Buffer | undefined {
  const bytes = BASE64.test(secret) ? Buffer.from(secret, 'base64') : Buffer.alloc(0)
  return bytes.length >= STANDARD_BYTES_MIN ? bytes : undefined
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

function standardSignature({ standard }: Pick<SigningKey, 'standard'>, content: Buffer | string): string {
  return `v1,${createHmac('sha256', standard).update(content).digest('base64')}`
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
  /** True: the Standard Webhooks headers alone count, and the others are not looked at. Default false. */
  readonly standardOnly?: boolean
}

/** What of a call does not hold. */
export type SignatureFault = 'signature' | 'timestamp' | 'request_id'

export type Trust =
  | { readonly ok: true; readonly requestId: string }
  /** `problem`: a sentence that holds nothing of the call. */
  | { readonly ok: false; readonly fault: SignatureFault; readonly problem: string }

/** Undefined: nothing. */
type Finding = Extract<Trust, { ok: false }> | undefined

/**
 * Whether a call is from somebody with one of the secrets, and fresh. At least one scheme must be there, and every scheme that
 * is there must hold: who can forge one gains nothing by adding the other. Signatures are compared in constant time. Never
 * throws, whatever the headers hold.
 */
export function checkSignature(call: SignedCall): Trust {
  const plain = call.standardOnly !== true && call.headers['x-signature'] !== undefined
  const standard = call.headers['webhook-signature'] !== undefined
  if (!plain && !standard) {
    const name = call.standardOnly === true ? 'webhook-signature' : 'X-Signature'
    return distrust('signature', `${name} is missing`)
  }
  const finding = (plain ? plainFinding(call) : undefined) ?? (standard ? standardFinding(call) : undefined)
  if (finding !== undefined) return finding
  const [plainId, standardId] = [single(call, 'x-request-id'), single(call, 'webhook-id')]
  // Proxies give each try an X-Request-Id of their own: without X-Signature it is not the sender's, and says nothing.
  if (plain && standard && plainId !== standardId) return distrust('request_id', 'X-Request-Id and webhook-id differ')
  return { ok: true, requestId: (standard ? standardId : plainId) ?? '' }
}

function distrust(fault: SignatureFault, problem: string): Extract<Trust, { ok: false }> {
  return { ok: false, fault, problem }
}

function plainFinding(call: SignedCall): Finding {
  const given = entries(call, 'x-signature', /[\s,]+/)
  if (!call.keys.some((key) => holds(plainSignature(key, call.body), given))) {
    return distrust('signature', 'X-Signature does not match the body')
  }
  return staleness(call, 'x-timestamp', 'X-Timestamp') ?? wrongId(call, 'x-request-id', 'X-Request-Id')
}

function standardFinding(call: SignedCall): Finding {
  const problem = wrongId(call, 'webhook-id', 'webhook-id')
  if (problem !== undefined) return problem
  const id = single(call, 'webhook-id') ?? ''
  const seconds = single(call, 'webhook-timestamp') ?? ''
  const given = entries(call, 'webhook-signature', /\s+/)
  const content = Buffer.concat([Buffer.from(`${id}.${seconds}.`), call.body])
  const keys = call.keys.flatMap(({ standard, decoded }) => (decoded === undefined ? [standard] : [standard, decoded]))
  if (!keys.some((standard) => holds(standardSignature({ standard }, content), given))) {
    return distrust('signature', 'webhook-signature does not match the id, the timestamp and the body')
  }
  return staleness(call, 'webhook-timestamp', 'webhook-timestamp')
}

function wrongId(call: SignedCall, header: string, name: string): Finding {
  if (isRequestId(single(call, header) ?? '')) return undefined
  return distrust('request_id', `${name} is missing, doubled, or has other characters than A-Z a-z 0-9 _ -`)
}

function staleness(call: SignedCall, header: string, name: string): Finding {
  const seconds = single(call, header) ?? ''
  const fresh = SECONDS.test(seconds) && Math.abs(call.now - Number(seconds) * 1_000) <= SIGNATURE_AGE_MS_MAX
  return fresh ? undefined : distrust('timestamp', `${name} is not in Unix seconds within 5 minutes of now`)
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
