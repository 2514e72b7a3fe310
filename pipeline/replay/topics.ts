import type { Log, TopicSpec } from '../../core/ports/log.ts'
import { changelogTopic, type Topics, topicNames } from '../../core/topics.ts'
import { outputPartitions, prepareWorkerTopics } from '../worker-topics.ts'

/** The topics of a replay: the real events, everything else its own, named after its application. */
export function replayTopics(application: string, real: Topics): Topics {
  return { ...topicNames(`${application}.`), events: real.events }
}

/** Holds the plan: that it is there is what tells a replay's application from any other. */
export function planTopic(application: string): string {
  return `${application}.replay`
}

/** A dead letter carries an event of at most 1 MiB as JSON text, escaped, and once more in base64. */
const RECORD_BYTES_MAX = 8 * 1_048_576

/** Creates the topics that the plan is written to. */
export async function createPlanTopics(log: Log, application: string, own: Topics): Promise<void> {
  await log.createTopics([
    { topic: planTopic(application), partitions: 1, cleanup: 'delete' },
    { topic: own.control, partitions: 1, cleanup: 'compact' },
  ])
}

/**
 * Creates the changelog and the outputs. The outputs have as many partitions as the real ones, so that what belongs
 * together lies in partitions of the same number, and no retention: their records bear the old events' times.
 */
export async function createOutputTopics(
  log: Log,
  application: string,
  { own, real }: { own: Topics; real: Topics },
): Promise<void> {
  const counts = await outputPartitions(log, real)
  const kept = (topic: string, partitions: number): TopicSpec => ({
    topic,
    partitions,
    cleanup: 'delete',
    maxRecordBytes: RECORD_BYTES_MAX,
  })
  await log.createTopics([
    kept(own.scores, counts.scores),
    kept(own.rewards, counts.rewards),
    kept(own.dlq, counts.dlq),
  ])
  await prepareWorkerTopics({ log, application, topics: own })
}

/** Every topic that exists only because of a replay under this name. */
export function topicsOfReplay(application: string, own: Topics): readonly string[] {
  return [planTopic(application), own.control, own.scores, own.rewards, own.dlq, changelogTopic(application)]
}
