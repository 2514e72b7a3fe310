import { createHash } from 'node:crypto'
import type { Admission, AdmissionProblem, WebhookFacts } from '../../../core/ports/gateway.ts'
import { checkSignature, type SigningKey } from '../../wallet/signature.ts'
import { type AddressList, plainAddress } from '../addresses.ts'

/** What makes a request a provider's own. All that is set must hold. */
export interface ProviderTrust {
  /** One of them has signed. */
  readonly keys: readonly SigningKey[]
  /** Only Standard Webhooks counts, which signs the id and the time. */
  readonly standardOnly: boolean
  /** Where it calls from; undefined: from anywhere. */
  readonly addresses: AddressList | undefined
  /** `sha256:` and 64 hexadecimal digits in lower case: one of them is its client certificate; undefined: none is asked for. */
  readonly certificates: ReadonlySet<string> | undefined
}

/** Node's names of the headers that say whose a call is. */
const SIGNED_HEADERS: readonly string[] = [
  'x-signature',
  'x-request-id',
  'x-timestamp',
  'webhook-id',
  'webhook-timestamp',
  'webhook-signature',
]

/**
 * Whether a request is the provider's own: from a listed address, with a listed certificate, with a signature that holds and is
 * fresh. What costs least is asked first, so that nobody else makes us hash megabytes. Never throws.
 */
export function admit(trust: ProviderTrust, facts: WebhookFacts): Admission {
  const { keys, standardOnly } = trust
  const stranger = strangeness(trust, facts)
  if (stranger !== undefined) return stranger
  const headers = signedHeaders(facts.rawHeaders)
  const { body, now } = facts
  const signature = checkSignature({ headers, body, keys, now, standardOnly })
  if (!signature.ok) return refused(signature.fault, signature.problem)
  const { requestId } = signature
  if (standardOnly) return { ok: true, requestId }
  // Where X-Signature counts, it counts alone too: who captured a call can leave out whatever else stood there. With a colon, which no
  // request id has: nobody can send it as one.
  return { ok: true, requestId, contentId: `body:${createHash('sha256').update(body).digest('hex')}` }
}

/** Whether address and certificate are listed. */
export function mayCall(trust: ProviderTrust, facts: Pick<WebhookFacts, 'ip' | 'clientCertificate'>): boolean {
  return strangeness(trust, facts) === undefined
}

function strangeness(
  { addresses, certificates }: ProviderTrust,
  facts: Pick<WebhookFacts, 'ip' | 'clientCertificate'>,
): Admission | undefined {
  if (addresses?.has(plainAddress(facts.ip) ?? '') === false)
    return refused('address', 'it comes from an address that allow_ips does not list')
  if (certificates !== undefined && !isListed(certificates, facts.clientCertificate)) {
    return refused('certificate', certificateProblem(facts))
  }
  return undefined
}

function isListed(certificates: ReadonlySet<string>, shown: string | undefined): boolean {
  return shown !== undefined && certificates.has(shown)
}

function certificateProblem({ clientCertificate }: Pick<WebhookFacts, 'clientCertificate'>): string {
  return clientCertificate === undefined
    ? 'it shows no client certificate that one of the client authorities has signed'
    : 'its client certificate is not among client_certificates'
}

function refused(problem: AdmissionProblem, detail: string): Admission {
  return { ok: false, problem, detail }
}

/** All values of each: which of two would count is not for the sender to play with. */
function signedHeaders(rawHeaders: readonly string[]): Readonly<Record<string, readonly string[]>> {
  const found: Record<string, string[]> = {}
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]?.toLowerCase() ?? ''
    if (SIGNED_HEADERS.includes(name)) (found[name] ??= []).push(rawHeaders[at + 1] ?? '')
  }
  return found
}
