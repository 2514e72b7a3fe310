import { hash } from 'node:crypto'

/**
 * Deterministic ids (SPEC S19): SHA-256 over the JSON array of the parts, the first 32 hex digits. A JSON array and not
 * a joined text, because ("a", "bc") and ("ab", "c") must differ.
 */
export function scoringKey(eventId: string, userId: string, ruleId: string): string {
  return digest([eventId, userId, ruleId])
}

/** The id of a reward task; the same crossing always has the same id, so that a replay can never pay twice. */
export function rewardTaskId(userId: string, ruleId: string, period: string, threshold: number): string {
  return `rt_${digest([userId, ruleId, period, threshold])}`
}

/** The `X-Request-Id` of every call about a task (SPEC S4): the same on every try, on every sink. */
export function requestIdOf(taskId: string): string {
  return `rid_${digest(['request', taskId])}`
}

/** The id of a task that a person issues; the same reference for the same player is the same task. */
export function manualTaskId(userId: string, reference: string): string {
  return `rt_${digest(['manual', userId, reference])}`
}

function digest(parts: readonly (string | number)[]): string {
  return hash('sha256', JSON.stringify(parts), 'hex').slice(0, 32)
}
