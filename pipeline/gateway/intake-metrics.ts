/** What became of one event of a request. */
export type IntakeOutcome = 'accepted' | 'repeated' | 'schema' | 'forbidden' | 'conflict'

/** What the intake tells about itself. Called once a request or a send, not once an event. */
export interface IntakeMetrics {
  /** Events of a source that were answered alike. */
  answered(source: string, outcome: IntakeOutcome, events: number): void
  /** One send that the bus acknowledged, and the seconds it took. */
  sent(records: number, seconds: number): void
  /** Requests with a bad signature that were not kept because too many came, or the bus did not take them. */
  notSetAside(letters: number): void
  /** Ids that other gateways will not hear of: their topic was behind for too long. */
  notShared(ids: number): void
}

const nothing = (): void => undefined

export const silentIntakeMetrics: IntakeMetrics = {
  answered: nothing,
  sent: nothing,
  notSetAside: nothing,
  notShared: nothing,
}
