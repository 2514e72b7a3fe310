/** The names of the topics; every one can be prefixed so that several installations share a cluster. */
export interface Topics {
  readonly events: string
  readonly control: string
  readonly scores: string
  readonly rewards: string
  readonly dlq: string
  /** What people decided on dead letters; its key is the letter's id (core/model/dlq.ts). */
  readonly dlqReviews: string
  /** What gateways have answered, so that a repeat gets the same answer from any of them. */
  readonly gatewayAnswers: string
  /** Compacted, by user id: the players of whom a gateway has seen a deposit. */
  readonly payers: string
  /** Heads of the audit log's chains, kept for ever. */
  readonly auditHeads: string
}

export function topicNames(prefix = ''): Topics {
  return {
    events: `${prefix}events.raw`,
    control: `${prefix}rules.control`,
    scores: `${prefix}scores`,
    rewards: `${prefix}reward.tasks`,
    dlq: `${prefix}dlq`,
    dlqReviews: `${prefix}dlq.reviews`,
    gatewayAnswers: `${prefix}gateway.answers`,
    payers: `${prefix}gateway.payers`,
    auditHeads: `${prefix}audit.heads`,
  }
}

/** The compacted topic that mirrors the state of `application`. */
export function changelogTopic(application: string): string {
  return `${application}.changelog`
}

/** Header of a record on the events topic that is no event but moves the watermark: its value is the event time in ms. */
export const TICK_HEADER = 'onceward-tick'

/**
 * Header of a record that somebody has sent back to where it came from after it was dead-lettered: a `Reprocessed` as JSON
 * (core/model/dlq.ts).
 */
export const REPROCESSED_HEADER = 'onceward-reprocessed'
