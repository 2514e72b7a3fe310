import type { Clock } from '../../core/clock.ts'
import type { Log, OutRecord } from '../../core/ports/log.ts'
import { changelogTopic, type Topics } from '../../core/topics.ts'
import { partitionOf } from '../../core/partitioner.ts'
import type { Normalized } from '../../operators/normalize.ts'
import { missingTasks } from './comparison.ts'
import type { IdSet } from './id-set.ts'
import type { PreparedReplay } from './preparation.ts'
import { firstRecord, missingTopic } from './records.ts'
import { planTopic } from './topics.ts'

/** Header of a reward task that a replay issued: its value is the replay's application. */
export const ISSUED_BY_HEADER = 'onceward-issued-by'

/** Most tasks in one transaction. */
const TASKS_A_COMMIT = 500

/** Where no live application has come to the end of what is replayed. */
export interface Behind {
  readonly partition: number
  /** The application that is furthest, and where it stands. */
  readonly application: string
  readonly position: number
  readonly end: number
}

export interface IssueFacts {
  /** Tasks that were shown as missing. */
  readonly missing: number
  readonly behind: readonly Behind[]
  /** --yes was given, or somebody at the terminal agreed; undefined where nobody can be asked. */
  readonly consent: 'given' | 'refused' | 'to be asked' | undefined
}

export type IssueDecision =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'issue' }
  | { readonly kind: 'ask' }
  | { readonly kind: 'leave' }
  | {
      readonly kind: 'refuse'
      readonly reason: string
      readonly code: 'ONCEWARD_E_REPLAY_REFUSED' | 'ONCEWARD_E_USAGE'
    }

/** Whether the missing tasks are issued. Pure. */
export function decideIssue({ missing, behind, consent }: IssueFacts): IssueDecision {
  if (missing === 0) return { kind: 'nothing' }
  const [first] = behind
  if (first !== undefined) {
    return {
      kind: 'refuse',
      code: 'ONCEWARD_E_REPLAY_REFUSED',
      reason: `"${first.application}" stands at offset ${first.position} of partition ${first.partition}, and the replay went on to ${first.end}: what it has yet to issue would seem missing. Wait for it (onceward lag --application ${first.application} --wait), then start the command again`,
    }
  }
  if (consent === 'given') return { kind: 'issue' }
  if (consent === 'refused') return { kind: 'leave' }
  if (consent === 'to be asked') return { kind: 'ask' }
  return {
    kind: 'refuse',
    code: 'ONCEWARD_E_USAGE',
    reason: 'nothing was issued: nobody can be asked here. Look at the list above, then give --yes as well',
  }
}

/** The partitions of the replay whose end no live application has reached; empty where there is no live application. */
export async function behindOf(log: Log, { plan }: PreparedReplay): Promise<readonly Behind[]> {
  const ids = plan.spans.map(({ partition }) => ({ topic: plan.events, partition }))
  const live: { readonly application: string; readonly positions: readonly (number | undefined)[] }[] = []
  for (const application of await liveApplications(log, plan.application)) {
    const positions = await log.committed(application, ids)
    if (positions.some((offset) => offset !== undefined)) live.push({ application, positions })
  }
  const behind: Behind[] = []
  for (const [index, { partition, end }] of plan.spans.entries()) {
    const places = live.map(({ application, positions }) => ({ application, position: positions[index] ?? 0 }))
    const [furthest] = places.sort((a, b) => b.position - a.position)
    if (furthest === undefined || furthest.position >= end) continue
    // Only markers may be left.
    const left = await firstRecord(log, { topic: plan.events, partition }, { from: furthest.position, end })
    if (left !== undefined) behind.push({ partition, end, ...furthest })
  }
  return behind
}

/** Every application that keeps state and is no replay. */
async function liveApplications(log: Log, own: string): Promise<readonly string[]> {
  const topics = await log.listTopics()
  const known = new Set(topics)
  const ending = changelogTopic('')
  return topics
    .filter((topic) => topic.endsWith(ending) && topic.length > ending.length)
    .map((topic) => topic.slice(0, -ending.length))
    .filter((application) => application !== own && !known.has(planTopic(application)))
}

export interface IssueOptions {
  readonly log: Log
  readonly clock: Clock
  readonly replay: PreparedReplay
  readonly normalize: (raw: Buffer | null) => Normalized
  /** Ids of the tasks that were shown: nothing else is issued. */
  readonly shown: IdSet
  readonly signal: AbortSignal
  readonly onIssued?: (count: number) => void
}

export interface Issued {
  /** Tasks written. */
  readonly issued: number
  /** Of these, those that the gates of the replay have stopped: written as frozen. */
  readonly frozen: number
}

/**
 * Issues the tasks that were shown and are still missing.
 *  1. open the transactional id that all replays of this installation share: whoever else was issuing is fenced, and what
 *     they issued is there to be read
 *  2. read the real topic once more, so that nothing is issued that is there by now
 *  3. write the rest as the replay has it, at most TASKS_A_COMMIT a transaction
 * A stop in between leaves whole transactions; the next time, what they hold is not missing any more. What a live
 * application issues at the same moment is known to the sink by its id (UNIQUE in the ledger).
 */
export async function issueMissing(options: IssueOptions): Promise<Issued> {
  const { log, replay, shown, signal } = options
  const { real } = replay
  const info = await log.topic(real.rewards)
  if (info === undefined) throw missingTopic(real.rewards)
  let issued = 0
  let frozen = 0
  let records: OutRecord[] = []
  const producer = await log.transactional(issuerId(real))
  const flush = async (): Promise<void> => {
    if (records.length === 0) return
    await producer.commit({ records })
    issued += records.length
    records = []
    options.onIssued?.(issued)
  }
  try {
    for await (const { partition, key, task } of missingTasks(options)) {
      signal.throwIfAborted()
      if (!shown.has(task.reward_task_id)) continue
      if (task.type === 'reward_task.frozen') frozen++
      records.push({
        topic: real.rewards,
        partition: partition < info.partitions ? partition : partitionOf(task.user_id, info.partitions),
        key,
        value: JSON.stringify(task),
        // Now, not the event's time: retention counts from here, and the sink must have the time to read it.
        timestamp: options.clock.now(),
        headers: { [ISSUED_BY_HEADER]: Buffer.from(replay.plan.application) },
      })
      if (records.length === TASKS_A_COMMIT) await flush()
    }
    await flush()
  } finally {
    await producer.close()
  }
  return { issued, frozen }
}

/** One for all replays of an installation. */
function issuerId(real: Topics): string {
  return `${real.rewards}.issuer`
}
