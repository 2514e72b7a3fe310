/** Dead letters as programs read them: what the command line prints with --json, and what the HTTP interface answers. */
import type { JsonObject } from './model/event.ts'
import type { LetterCounts, LetterOutcome, LetterStory, LetterView } from './ports/review.ts'

export function letterJson(letter: LetterView): JsonObject {
  const { id, cause, about, state, at, detail, error, userId, eventId, eventName, taskId, ruleId, tries, decision } =
    letter
  return {
    id,
    at: timeText(at),
    cause,
    about,
    status: state,
    detail,
    error,
    user_id: userId,
    event_id: eventId,
    event_name: eventName,
    reward_task_id: taskId,
    rule_id: ruleId,
    tries,
    decision: decision === null ? null : { by: decision.actor, at: decision.at, reason: decision.reason },
  }
}

export function countsJson({ letters, byState, byCause, groups, share, unreadable }: LetterCounts): JsonObject {
  return {
    letters,
    by_status: byState,
    by_cause: byCause,
    groups: groups.map(({ state, ...group }) => ({ ...group, status: state })),
    share: share === null ? null : { ...share },
    unreadable,
  }
}

export function storyJson({
  letter,
  record,
  before,
  review,
  after,
  source,
  prospect,
}: LetterStory): Record<string, unknown> {
  return {
    letter: letterJson(letter),
    record,
    before: before.map(letterJson),
    review,
    after: after.map(letterJson),
    source,
    prospect,
  }
}

export function outcomeJson(outcome: LetterOutcome): JsonObject {
  const { kind, id, cause } = outcome
  if (kind === 'done') return { kind, id, cause, status: outcome.to, notes: outcome.notes }
  if (kind === 'refused') return { kind, id, cause, code: outcome.code, detail: outcome.detail }
  const { state, actor, at, reason } = outcome.decision
  return { kind, id, cause, code: 'ONCEWARD_E_LETTER_DECIDED', status: state, by: actor, at, reason }
}

/** RFC 3339; `unknown` for what is no time. */
export function timeText(at: number): string {
  const time = new Date(at)
  return Number.isNaN(time.getTime()) ? 'unknown' : time.toISOString()
}
