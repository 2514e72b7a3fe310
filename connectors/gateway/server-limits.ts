/** What the server grants to anybody who connects, whoever it is. */
export interface ServerLimits {
  /** Open connections; a further one is closed at once. */
  readonly connections: number
  /** Bytes of headers of one request; more is answered with 431. */
  readonly headerBytes: number
  /** From the first byte to the last of the headers; slower ones are answered with 408. */
  readonly headersMs: number
  /** The same to the last byte of the body. */
  readonly requestMs: number
  /** How often both are looked at. */
  readonly checkMs: number
  /** Between two requests of one connection. Longer than load balancers keep theirs, or they would send into a closed one. */
  readonly keepAliveMs: number
  /** A connection on which nothing at all moves, at whatever point. Longer than the bus may take. */
  readonly silenceMs: number
  /** Requests of one connection; then it is closed, so that load spreads over new gateways. */
  readonly requestsPerConnection: number
  /** All bodies together that are in memory, of callers with a key. */
  readonly bodyBytes: number
  /** The same of webhooks, whose bodies must be read before it is known who sent them: strangers cannot fill the other. */
  readonly webhookBytes: number
  /** The same of webhooks that are surely not their provider's: whoever sends slowly holds memory without ever failing. */
  readonly strangerBytes: number
  /**
   * Of one webhook, at least, before it is known who sent it; more where some provider may send more. The same for each, or what is
   * too large would tell which providers there are.
   */
  readonly unknownBodyBytes: number
  /** Failed attempts of one client address, as a bucket. */
  readonly failures: { readonly perSecond: number; readonly burst: number }
  /** Client addresses and sources that are remembered. */
  readonly callers: number
  /** How long requests that are under way may take once the server is to stop. */
  readonly drainMs: number
}

export const SERVER_LIMITS: ServerLimits = {
  connections: 10_000,
  headerBytes: 16_384,
  headersMs: 10_000,
  requestMs: 30_000,
  checkMs: 1_000,
  keepAliveMs: 72_000,
  silenceMs: 90_000,
  requestsPerConnection: 100_000,
  bodyBytes: 128 * 1_024 * 1_024,
  webhookBytes: 64 * 1_024 * 1_024,
  strangerBytes: 16 * 1_024 * 1_024,
  unknownBodyBytes: 262_144,
  failures: { perSecond: 1, burst: 30 },
  callers: 10_000,
  drainMs: 15_000,
}
