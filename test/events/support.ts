import * as fc from 'fast-check'
import { loadSchemas } from '../../connectors/files/schemas.ts'
import { parseSchemas, type SchemaFile } from '../../operators/event-schema.ts'
import { createNormalizer, type Normalized } from '../../operators/normalize.ts'

export const ownSchemas = await loadSchemas()

export type Normalize = (value: unknown) => Normalized

/** A normalizer that takes bytes as they are, text as UTF-8, and anything else as JSON. */
export function normalizerOf(files: readonly SchemaFile[] = ownSchemas): Normalize {
  const normalize = createNormalizer(parseSchemas(files))
  return (value) => {
    if (Buffer.isBuffer(value) || value === null) return normalize(value)
    return normalize(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)))
  }
}

export interface RawEvent {
  readonly event_id: string
  readonly event_name: string
  readonly ts: string
  readonly user: Readonly<Record<string, unknown>>
  readonly payload: Readonly<Record<string, unknown>>
  readonly [field: string]: unknown
}

const id = fc.string({ minLength: 1, maxLength: 256, unit: 'grapheme' }).filter((text) => {
  return text.length <= 256 && !text.includes('\0')
})
const amount = fc.double({ noNaN: true, noDefaultInfinity: true })
const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(value, { nil: null })
const text = fc.string()
const idLike = fc.oneof(text, fc.maxSafeInteger())

/** The fields of every payload, in the words of a sender and not of the schema files. */
const PAYLOADS: Record<
  string,
  { required: Record<string, fc.Arbitrary<unknown>>; some?: Record<string, fc.Arbitrary<unknown>> }
> = {
  login: { required: {}, some: { method: text, success: fc.boolean() } },
  session_start: { required: {} },
  session_end: { required: {}, some: { duration_s: amount } },
  bet: { required: { bet: amount }, some: { win: amount, currency: text, game_id: idLike, round_id: idLike } },
  spin: { required: {}, some: { bet: amount, win: amount, free_spin: fc.boolean() } },
  win: { required: { win: amount }, some: { currency: text } },
  deposit: { required: { amount }, some: { currency: text, first: fc.boolean() } },
  withdraw_request: { required: { amount }, some: { currency: text } },
  kyc_status_changed: { required: {}, some: { kyc_level: fc.integer(), status: text } },
  mission_view: { required: { mission_id: idLike } },
  mission_join: { required: { mission_id: idLike } },
  mission_progress: { required: { mission_id: idLike }, some: { progress: amount } },
  mission_complete: { required: { mission_id: idLike } },
  tournament_join: { required: { tournament_id: idLike } },
  tournament_score: { required: { tournament_id: idLike, score: amount } },
  tournament_update: { required: { tournament_id: idLike }, some: { rank: fc.maxSafeInteger() } },
  tournament_reward: { required: { tournament_id: idLike }, some: { amount } },
  reward_issued: { required: {}, some: { amount } },
  rg_event: { required: { type: text }, some: { until: text } },
}

export const EVENT_NAMES = Object.keys(PAYLOADS)

/** The names of the fields without which `eventName` is not valid. */
export function requiredOf(eventName: string): string[] {
  return Object.keys(PAYLOADS[eventName]?.required ?? {})
}

export const instant = fc.date({
  min: new Date('1970-01-01T00:00:00Z'),
  max: new Date('9999-12-31T23:59:59.999Z'),
  noInvalidDate: true,
})

/** Every valid event: optional fields absent, null or right, and fields nobody declared. */
export const validEvent: fc.Arbitrary<RawEvent> = fc.constantFrom(...EVENT_NAMES).chain((eventName) => {
  const { required = {}, some = {} } = PAYLOADS[eventName] ?? {}
  const nullable = Object.fromEntries(Object.entries(some).map(([name, value]) => [name, optional(value)]))
  const payload = fc
    .record({ ...required, ...nullable }, { requiredKeys: Object.keys(required) })
    .chain((declared) =>
      fc.record({ extra_1: fc.jsonValue({ maxDepth: 3 }) }).map((extra) => ({ ...extra, ...declared })),
    )
  const user = fc.record(
    {
      id,
      geo: optional(text),
      platform: optional(text),
      payer_flag: optional(fc.boolean()),
      risk_flags: optional(fc.array(text)),
    },
    { requiredKeys: ['id'] },
  )
  const context = optional(fc.record({ session_id: optional(text), ip: text, extra: fc.jsonValue({ maxDepth: 3 }) }))
  const envelope = {
    event_id: id,
    event_name: fc.constant(eventName),
    ts: instant.map((date) => date.toISOString()),
    version: optional(text),
    user,
    context,
    payload,
    source: fc.jsonValue({ maxDepth: 3 }),
  }
  return fc.record(envelope, { requiredKeys: ['event_id', 'event_name', 'ts', 'user', 'payload'] })
})

export const bet: RawEvent = {
  event_id: 'e-1',
  event_name: 'bet',
  ts: '2025-11-03T12:00:00Z',
  user: { id: 'u_1', geo: 'TR', platform: 'web', payer_flag: true, risk_flags: [] },
  context: { session_id: 's_1' },
  payload: { game_id: 'slot_wolf', bet: 0.5, win: 1.25, currency: 'EUR' },
}
