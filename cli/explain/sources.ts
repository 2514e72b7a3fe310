import { join } from 'node:path'
import { readLines } from '../../connectors/files/lines.ts'
import { messageOf, OncewardError } from '../../core/errors.ts'
import type { DlqRecord } from '../../core/model/dlq.ts'
import type { PlayerChanged } from '../../core/model/player.ts'
import type { RewardRecord } from '../../core/model/reward.ts'
import type { ScoreRecord } from '../../core/model/score.ts'
import type { Log, LogRecord } from '../../core/ports/log.ts'
import { partitionOf } from '../../core/partitioner.ts'
import type { Topics } from '../../core/topics.ts'
import { committedRecords, missingTopic, partitionsOf } from '../../pipeline/replay/records.ts'
import { type ControlEntry, foldControl } from '../../rules/control.ts'
import type { RuleVersion } from '../../rules/compiled.ts'
import type { RewardLine } from '../run/reward-line.ts'
import type { PlayerRecords } from './explanation.ts'

/** What `onceward run` wrote of a player. Throws ONCEWARD_E_FILE_UNREADABLE. */
export async function recordsOfRun(dir: string, userId: string, signal: AbortSignal): Promise<PlayerRecords> {
  const read = async <T>(name: string): Promise<T[]> => {
    const path = join(dir, name)
    const found: T[] = []
    // Most lines are other players': a look for the id spares parsing them.
    const needle = JSON.stringify(userId)
    for await (const chunk of await readLines(path, { signal })) {
      for (const line of chunk) if (line.includes(needle)) found.push(parse(line, path) as T)
    }
    signal.throwIfAborted()
    return found
  }
  const scores = await read<ScoreRecord>('scores.ndjson')
  const rewards = await read<RewardLine>('rewards.ndjson')
  return { scores, rewards, deadLetters: await read<DlqRecord>('dlq.ndjson') }
}

/** What the topics say of a player, and the published rules. Throws ONCEWARD_E_LOG_TOPIC_MISSING. */
export async function recordsOnLog(
  log: Log,
  topics: Topics,
  userId: string,
): Promise<{ readonly records: PlayerRecords; readonly versions: readonly RuleVersion[] }> {
  const read = async <T>(topic: string): Promise<T[]> => {
    const found: T[] = []
    for (const partition of await partitionsOfPlayer(log, topics, { topic, userId })) {
      for await (const records of committedRecords(log, { topic, partition })) {
        for (const { key, value, offset } of records) {
          if (key?.toString() === userId && value !== null)
            found.push(parse(value, `${topic}[${partition}]@${offset}`) as T)
        }
      }
    }
    return found
  }
  const scores = await read<ScoreRecord>(topics.scores)
  const rewards = await read<RewardRecord | PlayerChanged>(topics.rewards)
  const deadLetters = await read<DlqRecord>(topics.dlq)
  const entries: ControlEntry[] = []
  for await (const records of committedRecords(log, { topic: topics.control, partition: 0 })) {
    entries.push(...records.map(({ value }: LogRecord) => ({ value, place: topics.control })))
  }
  return { records: { scores, rewards, deadLetters }, versions: foldControl(entries).set.versions }
}

/** A worker writes to the partition of its input where the topic has it, otherwise to the key's own (pipeline/outputs.ts). */
async function partitionsOfPlayer(
  log: Log,
  topics: Topics,
  { topic, userId }: { readonly topic: string; readonly userId: string },
): Promise<number[]> {
  const [events, own] = [await log.topic(topics.events), await log.topic(topic)]
  if (own === undefined) throw missingTopic(topic)
  // Whoever sets a payout or an unreadable event aside may write anywhere, and dead letters are few.
  if (topic === topics.dlq) return partitionsOf(topic, own.partitions).map(({ partition }) => partition)
  const input = events === undefined ? undefined : partitionOf(userId, events.partitions)
  return [input !== undefined && input < own.partitions ? input : partitionOf(userId, own.partitions)]
}

function parse(bytes: Buffer, place: string): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch (error) {
    const problem = `${place} holds what Onceward did not write there: ${messageOf(error)}`
    throw new OncewardError('ONCEWARD_E_FILE_UNREADABLE', problem, { cause: error })
  }
}
