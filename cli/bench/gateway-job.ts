/** What the process that makes the load is sent, and what it says. */
export interface GatewayJob {
  readonly port: number
  readonly key: string
  /** Begins the ids of its events. */
  readonly run: string
  readonly phases: readonly GatewayPhase[]
}

export type GatewayPhase =
  | { readonly kind: 'singles'; readonly rate: number; readonly warmUpSeconds: number; readonly seconds: number }
  | {
      readonly kind: 'batches'
      readonly size: number
      /** Requests at once. */
      readonly atOnce: number
      readonly warmUpSeconds: number
      readonly seconds: number
    }

export interface PhaseFigures {
  readonly kind: GatewayPhase['kind']
  /** Requests that were measured, and the events in them. */
  readonly requests: number
  readonly events: number
  readonly seconds: number
  /** Milliseconds from the instant at which a request was due until its answer was there. */
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly greatest: number
  /** Of all that was sent, warm-up included: what was not answered 202 with every event accepted, by what it was answered. */
  readonly errors: Readonly<Record<string, number>>
  /** Of all that was sent, warm-up included. */
  readonly accepted: number
}

export type GatewayMessage =
  | { readonly kind: 'phase'; readonly phase: GatewayPhase['kind'] }
  | { readonly kind: 'measured'; readonly figures: PhaseFigures }
  | { readonly kind: 'failed'; readonly message: string }
