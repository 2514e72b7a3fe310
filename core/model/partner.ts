import { inspect } from 'node:util'

/** Stands in the outbox for "whoever pays this type": a sink gives it to the partner of its routing. No partner is called so. */
export const UNROUTED = '?'

/** Who pays which rewards, and how it is called. Read from the sink's own configuration; secrets come from files or variables. */
export interface PartnerSpec {
  /** Letters, digits, `_` and `-`; stands in the ledger. */
  readonly name: string
  /** Where to POST; without a path, `/wallet/credit` of that host. */
  readonly url: string
  /**
   * One secret, or two while they are exchanged. The first signs `X-Signature`; the Standard Webhooks header carries a
   * signature by each.
   */
  readonly secrets: readonly string[]
  /** Reward types that go there; `*`: all that no other partner is named for. */
  readonly types: readonly string[]
  /** Calls at once, for each sink. */
  readonly concurrency: number
  /** One player's orders one after the other. */
  readonly orderedByPlayer: boolean
  /** For the whole call, answer included, ms. */
  readonly timeoutMs: number
  /** Host names and addresses that may be called although they are private, loopback or link-local. */
  readonly allowHosts: readonly string[]
  /** PEM texts. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string }
}

/**
 * The same spec, whose secrets and keys say `[hidden]` where it is printed, logged or written as JSON, however deep it stands
 * in something else, and in copies of it, too. Whoever reads partners from a configuration hands out these. `tls.key` is there to
 * be read by its name, and not listed among the fields, which loggers copy one by one.
 */
export function hideSecrets(spec: PartnerSpec): PartnerSpec {
  const { tls, ...rest } = spec
  const secrets = hidden([...spec.secrets])
  if (tls === undefined) return { ...rest, secrets }
  const { key, ...listed } = tls
  if (key !== undefined) Object.defineProperty(listed, 'key', { value: key, enumerable: false })
  return { ...rest, secrets, tls: hidden(listed) }
}

function hidden<Value extends object>(value: Value): Value {
  const say = { value: () => '[hidden]', enumerable: false }
  return Object.defineProperties(value, { toJSON: say, toString: say, [inspect.custom]: say })
}
