/** What players of an experiment are told apart by when it is analysed; null where the event does not say. */
export interface Stratum {
  readonly payer: boolean | null
  readonly geo: string | null
  readonly platform: string | null
}

/** Where a player of an experiment was put; on scores and reward tasks. */
export interface Assignment {
  readonly experiment: string
  readonly arm: string
  /** At the time of the event. */
  readonly stratum: Stratum
}
