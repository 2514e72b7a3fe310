import type { EventAnswer, StoredAnswer } from '../../core/ports/gateway.ts'

/** How many of a request's events were answered in which way. */
export interface AnswerCounts {
  readonly accepted: number
  readonly schema: number
  readonly forbidden: number
  readonly conflict: number
}

export function countAnswers(answers: readonly EventAnswer[]): AnswerCounts {
  const counts = { accepted: 0, schema: 0, forbidden: 0, conflict: 0 }
  for (const answer of answers) counts[answer.status === 'accepted' ? 'accepted' : answer.reason]++
  return counts
}

/**
 * 202 where an event was taken, or there was none to take; 409 where all came before with other content; 422 where none was
 * taken for any other reason.
 */
export function statusOf(counts: AnswerCounts): 202 | 409 | 422 {
  if (counts.accepted > 0 || counts.schema + counts.forbidden + counts.conflict === 0) return 202
  return counts.schema + counts.forbidden === 0 ? 409 : 422
}

/** What is sent for `answers`; `requestId`: the webhook's own. */
export function answerOf(answers: readonly EventAnswer[], counts: AnswerCounts, requestId?: string): StoredAnswer {
  const { accepted } = counts
  const status = statusOf(counts)
  const body = JSON.stringify({
    ...(requestId === undefined ? {} : { request_id: requestId }),
    accepted,
    rejected: answers.length - accepted,
    events: answers,
  })
  return { status, body }
}
