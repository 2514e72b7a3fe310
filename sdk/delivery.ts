/** What the gateway says of one event. */
export interface EventAnswer {
  readonly status: 'accepted' | 'rejected'
  readonly reason?: string
  readonly detail?: string
}

/** What is known of one request: the answer, or that there was none. */
export type Facts =
  | { readonly status: number; readonly retryAfter: string | null; readonly text: string }
  | { readonly failure: string }

/** What becomes of the events of one request. */
export type Outcome =
  /** One answer for each event, in their order. Each is final. */
  | { readonly kind: 'answered'; readonly answers: readonly EventAnswer[] }
  /** One of them spoils the others, or they are too many: again in smaller parts. */
  | { readonly kind: 'split'; readonly tooLarge: boolean }
  /** Nobody will ever take this one event. */
  | { readonly kind: 'refused'; readonly reason: 'malformed' | 'too_large'; readonly detail: string }
  /** Nothing that is sent will be taken before somebody changes something; the events are not at fault. */
  | { readonly kind: 'stop'; readonly detail: string }
  /** Again, with the same ids. `afterMs`: not before, says the gateway. */
  | { readonly kind: 'retry'; readonly detail: string; readonly afterMs: number | undefined }

/** Longer than this no answer can silence a client; beyond 2^31 ms a timer would fire at once. */
const RETRY_AFTER_MS_MAX = 3_600_000

/**
 * Decides by what is known of a request of `count` events. What is no answer of a gateway (a captive portal that says 200 to
 * everything) is taken as none: an event is gone from the queue only once the gateway has spoken of it.
 */
export function decide(facts: Facts, count: number, now: number): Outcome {
  if ('failure' in facts) return { kind: 'retry', detail: facts.failure, afterMs: undefined }
  const { status } = facts
  const body = parsed(facts.text)
  const detail = `${status}${body.error?.message === undefined ? '' : `: ${body.error.message}`}`
  if (status === 202 || status === 409 || status === 422) {
    const answers = body.events
    if (Array.isArray(answers) && answers.length === count && answers.every(isAnswer))
      return { kind: 'answered', answers }
  }
  if (status === 413 || status === 400 || status === 409 || status === 422) {
    const tooLarge = status === 413
    if (count > 1) return { kind: 'split', tooLarge }
    return { kind: 'refused', reason: tooLarge ? 'too_large' : 'malformed', detail }
  }
  if (status >= 400 && status < 500 && status !== 408 && status !== 425 && status !== 429)
    return { kind: 'stop', detail }
  return { kind: 'retry', detail, afterMs: waitOf(facts.retryAfter, now) }
}

function isAnswer(value: unknown): value is EventAnswer {
  const status = (value as EventAnswer | null)?.status
  return status === 'accepted' || status === 'rejected'
}

interface Body {
  readonly events?: unknown
  readonly error?: { readonly message?: string }
}

function parsed(text: string): Body {
  try {
    return (JSON.parse(text) as Body | null) ?? {}
  } catch {
    return {}
  }
}

/** Seconds or a date, as HTTP has it. */
function waitOf(retryAfter: string | null, now: number): number | undefined {
  if (!retryAfter) return undefined
  const seconds = Number(retryAfter)
  const ms = Number.isNaN(seconds) ? Date.parse(retryAfter) - now : seconds * 1000
  return ms > 0 ? Math.min(ms, RETRY_AFTER_MS_MAX) : undefined
}

/** `base` for the first failure, doubled for each further one up to `max`, and of that 0.5 to 1 by chance. */
export function backoffMs(failures: number, random: number, base: number, max: number): number {
  return Math.min(max, base * 2 ** (failures - 1)) * (0.5 + random / 2)
}
