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
