import type { DlqReason, DlqStep } from '../../core/model/dlq.ts'

export const T0 = Date.parse('2025-11-03T20:00:00Z')

/** What was done to a letter, `was` by `was`. */
export function stepsOf(...reasons: readonly DlqReason[]): DlqStep[] {
  return reasons.map((was, i) => ({
    letter: `0-${i}`,
    was,
    action: 'reprocess',
    actor: 'ada',
    at: '2025-11-04T09:00:00Z',
  }))
}

/** The header of a record that was sent again after it had been set aside for `reasons`. */
export function again(...reasons: readonly DlqReason[]): string {
  return JSON.stringify({ history: stepsOf(...reasons) })
}
