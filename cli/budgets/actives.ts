/** Who was active, counted from the events themselves. */
import { OncewardError } from '../../core/errors.ts'
import type { PlayerEvent } from '../../core/model/event.ts'
import type { Log } from '../../core/ports/log.ts'
import { TICK_HEADER } from '../../core/topics.ts'
import type { Normalized } from '../../operators/normalize.ts'
import { committedRecords, missingTopic, partitionsOf } from '../../pipeline/replay/records.ts'

export interface ActivesQuestion {
  readonly topic: string
  readonly normalize: (raw: Buffer | null) => Normalized
  /** Event times, ms: from (inclusive) and until (exclusive); undefined: no bound. */
  readonly from: number | undefined
  readonly until: number | undefined
  /** Most different players that are kept in memory, about 100 bytes each. */
  readonly playersMax: number
  readonly signal: AbortSignal
}

export interface Actives {
  /** Different players with an event in the time. */
  readonly actives: number
  /** Those with an event that says `payer_flag: true`. */
  readonly payers: number
}

/** An event may be this much ahead of its time of ingest (pipeline/record-reader.ts); later ones were set aside. */
const AHEAD_MS = 300_000

/** Exact, whatever repeats itself in the topic. Throws ONCEWARD_E_GAVE_UP beyond `playersMax`. */
export async function countActives(log: Log, question: ActivesQuestion): Promise<Actives> {
  const { topic, from, signal, normalize } = question
  const info = await log.topic(topic)
  if (info === undefined) throw missingTopic(topic)
  const actives = new Set<string>()
  const payers = new Set<string>()
  for (const id of partitionsOf(topic, info.partitions)) {
    const start = from === undefined ? {} : { from: await log.offsetAt(id, Math.max(0, from - AHEAD_MS)) }
    for await (const records of committedRecords(log, id, start)) {
      signal.throwIfAborted()
      for (const { value, headers } of records) {
        if (headers?.[TICK_HEADER] !== undefined) continue
        const read = normalize(value)
        if (read.kind !== 'event' || !isWithin(read.event, question)) continue
        actives.add(read.event.userId)
        if (paysOf(read.event)) payers.add(read.event.userId)
      }
      if (actives.size > question.playersMax) throw tooMany(question.playersMax)
    }
  }
  return { actives: actives.size, payers: payers.size }
}

function isWithin({ ts }: PlayerEvent, { from, until }: ActivesQuestion): boolean {
  return (from === undefined || ts >= from) && (until === undefined || ts < until)
}

function paysOf({ data }: PlayerEvent): boolean {
  const user = data['user']
  return typeof user === 'object' && user !== null && 'payer_flag' in user && user['payer_flag'] === true
}

function tooMany(playersMax: number): OncewardError {
  const message =
    `more than ${playersMax} different players were active, which is as many as are counted in memory; ` +
    'raise --players-max, or say the number with --actives and --payers'
  return new OncewardError('ONCEWARD_E_GAVE_UP', message)
}
