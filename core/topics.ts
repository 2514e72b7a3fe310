/** The names of the topics; every one can be prefixed so that several installations share a cluster. */
export interface Topics {
  readonly events: string
  readonly control: string
  readonly scores: string
  readonly rewards: string
  readonly dlq: string
}

export function topicNames(prefix = ''): Topics {
  return {
    events: `${prefix}events.raw`,
    control: `${prefix}rules.control`,
    scores: `${prefix}scores`,
    rewards: `${prefix}reward.tasks`,
    dlq: `${prefix}dlq`,
  }
}

/** The compacted topic that mirrors the state of `application`. */
export function changelogTopic(application: string): string {
  return `${application}.changelog`
}

/** Header of a record on the events topic that is no event but moves the watermark: its value is the event time in ms. */
export const TICK_HEADER = 'onceward-tick'
