import type { RewardRecord } from '../../core/model/reward.ts'
import type { ScoreRecord } from '../../core/model/score.ts'
import { murmur2 } from '../../core/partitioner.ts'
import type { Log, LogRecord, TopicPartition } from '../../core/ports/log.ts'
import type { Normalized } from '../../operators/normalize.ts'
import { compareTasks, type Difference, rewardDifference, Summary } from './differences.ts'
import { IdSet } from './id-set.ts'
import { issuable, nextOutcome, type RewardOutcome } from './outcomes.ts'
import type { PreparedReplay } from './preparation.ts'
import { committedRecords, missingTopic, partitionsOf } from './records.ts'
import type { PartitionSpan } from './span.ts'
import type { Undecided } from './undecided.ts'

/** What is read. */
export interface SourceOptions {
  readonly log: Log
  readonly replay: PreparedReplay
  readonly normalize: (raw: Buffer | null) => Normalized
  readonly signal: AbortSignal
  /** Most records whose ids are in memory at once; more are compared in several passes, by user. */
  readonly recordsMax?: number
}

export interface ComparisonOptions extends SourceOptions {
  readonly undecided: Undecided
  /** Called with each difference, in no particular order; awaited. */
  readonly found: (difference: Difference) => Promise<void> | void
  readonly onProgress?: (progress: { readonly records: number; readonly share: number }) => void
}

/** Ids of 4 million events and 4 million scores take 128 MiB. */
export const COMPARED_RECORDS_MAX = 4_000_000

/**
 * Compares what the replay wrote to its own topics with what was issued: reward tasks by their id, points by user and
 * rule. What was issued counts only where its event lies in the replayed span, which is read once more to know; that a
 * task was issued at all counts wherever its event lies. Rejects with the signal's reason where it is stopped.
 */
export async function compareReplay(options: ComparisonOptions): Promise<Summary> {
  const summary = new Summary()
  const lanes = await lanesOf(options)
  const tally = { records: 0, done: 0, all: lanes.reduce((sum, { passes, weight }) => sum + passes * weight, 0) }
  for (const lane of lanes) {
    for (let pass = 0; pass < lane.passes; pass++) {
      const read = reading(options, lane, pass, (records) => {
        tally.records += records
        options.onProgress?.({ records: tally.records, share: tally.all === 0 ? 1 : tally.done / tally.all })
      })
      await comparePass(read, summary, options)
      tally.done += lane.weight
    }
  }
  return summary
}

/**
 * Reward tasks that the replay yields and of which the real topic has no record, neither of a task that may be paid nor of
 * one that is frozen or expired; partition by partition, as they are to be issued.
 */
export async function* missingTasks(
  options: SourceOptions,
): AsyncGenerator<{ readonly partition: number; readonly key: Buffer | null; readonly task: RewardRecord }> {
  for (const lane of await lanesOf(options)) {
    for (let pass = 0; pass < lane.passes; pass++) {
      const read = reading(options, lane, pass, () => undefined)
      const issued = new IdSet()
      for await (const { task } of read.tasks(lane.issuedRewards)) issued.add(task.reward_task_id)
      const own = new Map<string, { readonly record: LogRecord; readonly outcome: RewardOutcome }>()
      for await (const { task, record } of read.tasks(lane.ownRewards)) {
        const id = task.reward_task_id
        if (issued.has(id)) continue
        const known = own.get(id)
        own.set(id, { record: known?.record ?? record, outcome: nextOutcome(known?.outcome, task) })
      }
      for (const { record, outcome } of own.values()) {
        const task = issuable(outcome.last)
        if (task !== undefined) yield { partition: record.partition, key: record.key, task }
      }
    }
  }
}

/** Partitions of all topics that belong together: what one partition of the events leads to lies in no other lane. */
interface Lane {
  readonly spans: readonly PartitionSpan[]
  readonly issuedRewards: readonly TopicPartition[]
  readonly ownRewards: readonly TopicPartition[]
  readonly issuedScores: readonly TopicPartition[]
  readonly ownScores: readonly TopicPartition[]
  /** How often everything is read, each time for another part of the users. */
  readonly passes: number
  /** Offsets that one pass goes through. */
  readonly weight: number
}

async function lanesOf({ log, replay, recordsMax = COMPARED_RECORDS_MAX }: SourceOptions) {
  const { plan, real, own } = replay
  const count = async (topic: string): Promise<number> => {
    const info = await log.topic(topic)
    if (info === undefined) throw missingTopic(topic)
    return info.partitions
  }
  const events = await count(plan.events)
  const topics = [real.rewards, own.rewards, real.scores, own.scores]
  const counts = await Promise.all(topics.map(count))
  // Fewer or more partitions than the events have: then a user's outputs may lie in any of them.
  const aligned = counts.every((each) => each === events)
  const groups = aligned ? plan.spans.map((span) => [span]) : [plan.spans]
  return Promise.all(
    groups.map(async (spans): Promise<Lane> => {
      const [issuedRewards = [], ownRewards = [], issuedScores = [], ownScores = []] = topics.map((topic, index) =>
        aligned ? spans.map(({ partition }) => ({ topic, partition })) : partitionsOf(topic, counts[index] ?? 0),
      )
      const inputs = spans.reduce((sum, { start, end }) => sum + end - start, 0)
      const rewards = (await offsets(log, issuedRewards)) + (await offsets(log, ownRewards))
      const scores = [await offsets(log, issuedScores), await offsets(log, ownScores)]
      const passes = Math.max(1, Math.ceil(Math.max(inputs, ...scores, TASK_WEIGHT * rewards) / recordsMax))
      const weight = inputs + rewards + (scores[0] ?? 0) + (scores[1] ?? 0)
      return { spans, issuedRewards, ownRewards, issuedScores, ownScores, passes, weight }
    }),
  )
}

/** A task is kept whole while it is compared: about a kilobyte, where an id takes 16 bytes. */
const TASK_WEIGHT = 40

async function offsets(log: Log, ids: readonly TopicPartition[]): Promise<number> {
  return (await log.bounds(ids)).reduce((sum, { earliest, end }) => sum + end - earliest, 0)
}

/** Everything one pass reads: of the lane's partitions, what belongs to the users of the pass. */
interface Reading {
  readonly lane: Lane
  readonly unreadable: () => number
  events(): AsyncGenerator<{ readonly eventId: string; readonly ts: number; readonly timestamp: number }>
  tasks(ids: readonly TopicPartition[]): AsyncGenerator<{ readonly task: RewardRecord; readonly record: LogRecord }>
  scores(ids: readonly TopicPartition[], sinceTs?: number): AsyncGenerator<ScoreRecord>
}

function reading(options: SourceOptions, lane: Lane, pass: number, tell: (records: number) => void): Reading {
  const { log, replay, normalize, signal } = options
  let unreadable = 0
  const mine = (userId: string): boolean => lane.passes === 1 || passOf(userId, lane.passes) === pass
  async function* records(id: TopicPartition, range: { from?: number; end?: number } = {}) {
    for await (const batch of committedRecords(log, id, range)) {
      signal.throwIfAborted()
      yield* batch
      tell(batch.length)
    }
  }
  return {
    lane,
    unreadable: () => unreadable,
    async *events() {
      for (const { partition, start, end } of lane.spans) {
        for await (const { value, timestamp } of records(
          { topic: replay.plan.events, partition },
          { from: start, end },
        )) {
          const read = normalize(value)
          if (read.kind === 'event' && mine(read.event.userId)) {
            const { eventId, ts } = read.event
            yield { eventId, ts, timestamp }
          }
        }
      }
    },
    async *tasks(ids) {
      for (const id of ids) {
        for await (const record of records(id)) {
          const task = readTask(record.value)
          if (task === undefined) unreadable++
          else if (task !== 'other' && mine(task.user_id)) yield { task, record }
        }
      }
    },
    async *scores(ids, sinceTs) {
      for (const id of ids) {
        const from = sinceTs === undefined ? {} : { from: await log.offsetAt(id, sinceTs) }
        for await (const { value } of records(id, from)) {
          const score = readScore(value)
          if (score === undefined) unreadable++
          else if (score.points > 0 && mine(score.user_id)) yield score
        }
      }
    },
  }
}

async function comparePass(
  read: Reading,
  summary: Summary,
  { found, undecided }: Pick<ComparisonOptions, 'found' | 'undecided'>,
): Promise<void> {
  const span = new IdSet()
  let oldestTs = Number.POSITIVE_INFINITY
  let replayedTo = Number.NEGATIVE_INFINITY
  for await (const { eventId, ts, timestamp } of read.events()) {
    span.add(eventId)
    replayedTo = Math.max(replayedTo, ts)
    oldestTs = Math.min(oldestTs, timestamp)
  }
  const work: PassWork = {
    summary,
    replayedTo,
    within: (eventId) => span.has(eventId),
    waits: (eventId, ruleId) => undecided.rules.has(ruleId) && undecided.events.has(eventId),
    tell: async (difference) => {
      summary.add(difference)
      await found(difference)
    },
  }
  await compareRewards(read, work)
  // An output bears the ingest time of its event: none of the span's lies before the span's oldest.
  if (Number.isFinite(oldestTs)) await comparePoints(read, work, oldestTs)
  summary.unreadable += read.unreadable()
}

interface PassWork {
  readonly summary: Summary
  /** Greatest event time of the replayed span, ms. */
  readonly replayedTo: number
  /** The event lies in the replayed span. */
  readonly within: (eventId: string) => boolean
  /** At the end of the replay the event still waits for this rule. */
  readonly waits: (eventId: string, ruleId: string) => boolean
  readonly tell: (difference: Difference) => Promise<void>
}

async function compareRewards(read: Reading, { summary, replayedTo, within, waits, tell }: PassWork): Promise<void> {
  const replayed = await outcomes(read.tasks(read.lane.ownRewards))
  for (const { first } of replayed.values()) summary.rule(first.origin.rule_id).rewards_replayed++
  const theirs = await outcomes(read.tasks(read.lane.issuedRewards))
  const knowsPlayers = read.lane.spans.every(({ start }) => start === 0)
  for (const [id, outcome] of theirs) {
    const { last: issued } = outcome
    const { rule_id: ruleId, event_id: eventId } = issued.origin
    // Tasks that others wrote may name no event.
    const inSpan = eventId !== undefined && within(eventId) && !waits(eventId, ruleId)
    if (inSpan) summary.rule(ruleId).rewards_issued++
    const ours = replayed.get(id)
    const difference =
      ours === undefined
        ? inSpan && rewardDifference('extra', { issued })
        : compareTasks({ replayed: ours, issued: outcome }, { issuedWithinSpan: inSpan, knowsPlayers, replayedTo })
    if (difference) await tell(difference)
  }
  for (const [id, { last }] of replayed) {
    if (!theirs.has(id)) await tell(rewardDifference('missing', { replayed: last }))
  }
}

/** What became of each reward, in the order of their first records. */
async function outcomes(
  tasks: AsyncIterable<{ readonly task: RewardRecord }>,
): Promise<ReadonlyMap<string, RewardOutcome>> {
  const found = new Map<string, RewardOutcome>()
  for await (const { task } of tasks) {
    found.set(task.reward_task_id, nextOutcome(found.get(task.reward_task_id), task))
  }
  return found
}

async function comparePoints(
  read: Reading,
  { summary, within, waits, tell }: PassWork,
  oldestTs: number,
): Promise<void> {
  const sums = new Map<string, Sum>()
  const sumOf = ({ user_id, rule_id }: ScoreRecord): Sum => {
    const key = `${user_id}\0${rule_id}`
    const known = sums.get(key)
    if (known !== undefined) return known
    const sum: Sum = { user_id, rule_id, issued: 0, replayed: 0 }
    sums.set(key, sum)
    return sum
  }
  for await (const score of read.scores(read.lane.ownScores)) sumOf(score).replayed += score.points
  const seen = new IdSet()
  for await (const score of read.scores(read.lane.issuedScores, oldestTs)) {
    if (!within(score.event_id) || waits(score.event_id, score.rule_id)) continue
    if (seen.add(score.scoring_key)) sumOf(score).issued += score.points
  }
  for (const { user_id, rule_id, issued, replayed } of sums.values()) {
    const rule = summary.rule(rule_id)
    rule.points_issued += issued
    rule.points_replayed += replayed
    if (issued !== replayed) await tell({ type: 'points', user_id, rule_id, issued, replayed })
  }
}

interface Sum {
  readonly user_id: string
  readonly rule_id: string
  issued: number
  replayed: number
}

/** Not the partitioner's own use of the hash, by which all users of a partition would fall into one pass. */
function passOf(userId: string, passes: number): number {
  return (Math.imul(murmur2(Buffer.from(userId)), 0x9e3779b1) >>> 8) % passes
}

const REWARD_TYPES: ReadonlySet<unknown> = new Set<RewardRecord['type']>([
  'reward_task.created',
  'reward_task.frozen',
  'reward_task.expired',
])

/** A record about a reward; `other` for one about a player, undefined for what nobody can read. */
function readTask(value: Buffer | null): RewardRecord | 'other' | undefined {
  const record = parsed(value) as { readonly type?: unknown } | undefined
  if (record?.type === 'player.changed') return 'other'
  const task = record as Partial<RewardRecord> | undefined
  if (!REWARD_TYPES.has(task?.type) || typeof task?.reward_task_id !== 'string') return undefined
  if (typeof task.user_id !== 'string' || typeof task.origin?.rule_id !== 'string') return undefined
  return typeof task.reward === 'object' && task.reward !== null ? (task as RewardRecord) : undefined
}

function readScore(value: Buffer | null): ScoreRecord | undefined {
  const score = parsed(value) as Partial<ScoreRecord> | undefined
  if (score?.type !== 'score' || typeof score.points !== 'number') return undefined
  const texts = [score.user_id, score.rule_id, score.event_id, score.scoring_key]
  return texts.every((text) => typeof text === 'string') ? (score as ScoreRecord) : undefined
}

/** undefined where it is no JSON object. */
function parsed(value: Buffer | null): unknown {
  try {
    const json = JSON.parse(value?.toString() ?? 'null') as unknown
    return typeof json === 'object' && json !== null ? json : undefined
  } catch {
    return undefined
  }
}
