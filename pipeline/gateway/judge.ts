import type { JsonObject, PlayerEvent } from '../../core/model/event.ts'
import type { EventAnswer, EventSource } from '../../core/ports/gateway.ts'
import type { EventSchemas } from '../../operators/event-schema.ts'
import { createValueNormalizer, type Normalized, tooManyBytes } from '../../operators/normalize.ts'
import { isObject } from '../../operators/type-checks.ts'
import { compilePrivacy, type Scrub } from './privacy.ts'

export type Rejection = Extract<EventAnswer, { readonly status: 'rejected' }>

export interface Refusal {
  readonly kind: 'refused'
  readonly answer: Rejection
  readonly userId?: string | undefined
}

/** What the gateway makes of what one source sends. Throws nothing. */
export interface Judge {
  /** The event, or why it is none that this source may send. */
  judge(value: unknown): { readonly kind: 'event'; readonly event: PlayerEvent } | Refusal
  /** What stands on the bus for `event`, of which `data` was made, or why nothing does. */
  write(event: PlayerEvent, data: JsonObject): { readonly kind: 'bytes'; readonly bytes: Buffer } | Refusal
}

export interface JudgeParts {
  readonly schemas: EventSchemas
  /** Of one event as it stands on the bus. */
  readonly eventBytesMax: number
}

/** A judge for each source, compiled once. Throws ONCEWARD_E_GATEWAY_INVALID where the source's privacy cannot be kept. */
export function createJudges(parts: JudgeParts): (source: EventSource) => Judge {
  const normalize = createValueNormalizer(parts.schemas)
  const judges = new WeakMap<EventSource, Judge>()
  return (source) => {
    let judge = judges.get(source)
    if (judge === undefined) {
      const scrub = compilePrivacy(source.privacy, parts.schemas)
      judges.set(source, (judge = judgeOf(source, { normalize, scrub, eventBytesMax: parts.eventBytesMax })))
    }
    return judge
  }
}

interface Compiled {
  readonly normalize: (value: unknown) => Normalized
  readonly scrub: Scrub | undefined
  readonly eventBytesMax: number
}

function judgeOf(source: EventSource, { normalize, scrub, eventBytesMax }: Compiled): Judge {
  return {
    judge: (value) => {
      // What it may not send is not looked at more closely.
      const name = isObject(value) ? value.event_name : undefined
      if (source.events !== undefined && typeof name === 'string' && !source.events.has(name)) {
        return forbidden(source, source.events, value)
      }
      const result = normalize(value)
      if (result.kind !== 'event') return refusal('schema', result.detail, result)
      const owner = ownerOf(result.event.eventId, source)
      if (owner === undefined) return result
      const detail = `an event_id that begins with "${owner}:" is of ${owner}; give the event an id of its own`
      return refusal('forbidden', detail, result.event)
    },
    write: (event, data) => {
      const left = scrub === undefined ? data : scrub(data, event.eventName)
      if (scrub !== undefined) {
        const checked = normalize(left)
        if (checked.kind === 'rejected') return refusal('schema', `${NOT_WHOLE}: ${checked.detail}`, event)
      }
      const bytes = Buffer.from(JSON.stringify(left))
      if (bytes.length > eventBytesMax) return refusal('schema', tooManyBytes(eventBytesMax), event)
      return { kind: 'bytes', bytes }
    },
  }
}

function ownerOf(eventId: string, { reserved = [] }: EventSource): string | undefined {
  const end = eventId.indexOf(':')
  return end === -1 ? undefined : reserved.find((name) => name.length === end && eventId.startsWith(name))
}

/** The caller can do nothing about it, but is told; whoever runs the gateway sees the letter. */
const NOT_WHOLE = 'what may pass of this event is no valid event any more'
const NAMES_SHOWN_MAX = 20

interface Known {
  readonly eventId?: string
  readonly userId?: string
}

function refusal(reason: Rejection['reason'], detail: string, { eventId, userId }: Known): Refusal {
  const id = eventId === undefined ? {} : { event_id: eventId }
  return { kind: 'refused', answer: { status: 'rejected', ...id, reason, detail }, userId }
}

function forbidden({ name }: EventSource, events: ReadonlySet<string>, value: unknown): Refusal {
  const shown = [...events].slice(0, NAMES_SHOWN_MAX).join(', ')
  const more = events.size > NAMES_SHOWN_MAX ? ` and ${events.size - NAMES_SHOWN_MAX} more` : ''
  const eventId = isObject(value) && typeof value.event_id === 'string' ? { eventId: value.event_id.slice(0, 256) } : {}
  return refusal(
    'forbidden',
    `the source ${name} may not send events of this name; it may send ${shown}${more}`,
    eventId,
  )
}
