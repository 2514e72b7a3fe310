import { DLQ_REASONS, type DlqReason, type DlqRecord, letterId } from '../../core/model/dlq.ts'
import type { JsonObject } from '../../core/model/event.ts'
import type { LogRecord } from '../../core/ports/log.ts'
import type { LetterSubject } from '../../core/ports/review.ts'
import { TICK_HEADER, type Topics } from '../../core/topics.ts'
import { errorShape } from './error-shape.ts'

/** A letter as it stands on the topic, with what its text tells at a glance. */
export interface Letter {
  readonly id: string
  readonly partition: number
  readonly offset: number
  /** Unix ms. */
  readonly at: number
  readonly record: DlqRecord
  readonly cause: DlqReason
  readonly about: LetterSubject
  readonly error: string
  readonly userId: string | null
  readonly eventId: string | null
  readonly eventName: string | null
  readonly taskId: string | null
  readonly ruleId: string | null
}

/** Reads a record of the topic of dead letters; undefined where it is none. Never throws, whatever stands there. */
export function readLetter(record: LogRecord, topics: Topics): Letter | undefined {
  const letter = jsonOf(record.value)
  if (letter === undefined || !isDlqRecord(letter)) return undefined
  const about = subjectOf(letter, topics)
  const raw = about === 'event' || about === 'task' ? jsonOf(letter.raw) : undefined
  const origin = isObject(raw?.['origin']) ? raw['origin'] : {}
  const user = isObject(raw?.['user']) ? raw['user'] : {}
  return {
    id: letterId(record),
    partition: record.partition,
    offset: record.offset,
    at: record.timestamp,
    record: letter,
    cause: letter.reason,
    about,
    error: errorShape(letter.detail),
    userId: letter.user_id ?? textOf(user['id']),
    eventId: letter.event_id ?? textOf(raw?.['event_id']),
    eventName: textOf(raw?.['event_name']),
    taskId: about === 'task' ? textOf(raw?.['reward_task_id']) : null,
    ruleId: about === 'task' ? textOf(origin['rule_id']) : null,
  }
}

/** The partition and offset of a letter's id; undefined where it is none. */
export function placeOf(id: string): { readonly partition: number; readonly offset: number } | undefined {
  const match = /^(\d{1,9})-(\d{1,15})$/.exec(id)
  if (match === null) return undefined
  const [partition, offset] = [Number(match[1]), Number(match[2])]
  // One letter has one spelling, or it could be decided once under each.
  return letterId({ partition, offset }) === id ? { partition, offset } : undefined
}

function subjectOf({ reason, source, detail }: DlqRecord, topics: Topics): LetterSubject {
  if (reason === 'signature') return 'call'
  if (reason === 'payout' || reason === 'budget_closed' || source?.topic === topics.rewards) return 'task'
  return detail.startsWith(`the header ${TICK_HEADER} `) || detail.startsWith('the tick to ') ? 'tick' : 'event'
}

function isDlqRecord(value: JsonObject): value is JsonObject & DlqRecord {
  const { type, reason, detail, raw, raw_base64: exact, raw_bytes: bytes, source, history } = value
  return (
    type === 'dlq' &&
    DLQ_REASONS.some((known) => known === reason) &&
    typeof detail === 'string' &&
    typeof raw === 'string' &&
    isOptional(value['event_id'], 'string') &&
    isOptional(value['user_id'], 'string') &&
    isOptional(exact, 'string') &&
    isOptional(bytes, 'number') &&
    (source === null || isSource(source)) &&
    (history === undefined || (Array.isArray(history) && history.every(isStep)))
  )
}

function isSource(value: unknown): boolean {
  if (!isObject(value)) return false
  const { topic, partition, offset } = value
  return typeof topic === 'string' && Number.isSafeInteger(partition) && Number.isSafeInteger(offset)
}

function isStep(value: unknown): boolean {
  if (!isObject(value)) return false
  return ['letter', 'was', 'action', 'actor', 'at'].every((key) => typeof value[key] === 'string')
}

function isOptional(value: unknown, type: 'string' | 'number'): boolean {
  return value === undefined || typeof value === type
}

/** The JSON object in `text`; undefined where it is none. */
export function jsonOf(text: Buffer | string | null): JsonObject | undefined {
  if (text === null) return undefined
  try {
    const value: unknown = JSON.parse(text.toString())
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
