import { OncewardError } from '../../core/errors.ts'
import type { OutRecord } from '../../core/ports/log.ts'
import type { LetterOutcome } from '../../core/ports/review.ts'
import { RAW_BYTES_MAX } from '../../operators/dead-letter.ts'
import { type Deciding, decide, type Surroundings, type Verdict } from './decide.ts'
import type { Letter } from './letter.ts'
import type { Whole } from './letters.ts'
import type { Resent } from './resending.ts'
import { type Content, contentOf, type Decision, type ReviewRecord } from './review-record.ts'

/** A letter with the whole of what was set aside. */
export interface Opened {
  readonly letter: Letter
  readonly whole: Whole
}

/** One command on many letters. */
export interface Work {
  readonly command: Deciding
  readonly around: Surroundings
  /** Unlike that of any other command. */
  readonly commandId: string
}

export interface Planned extends Opened {
  readonly verdict: Verdict
}

export function planAll(
  work: Work,
  opened: readonly Opened[],
  { decisionOf, now }: { readonly decisionOf: (id: string) => Decision | undefined; readonly now: number },
): Planned[] {
  return opened.map(({ letter, whole }) => {
    const facts = { decision: decisionOf(letter.id), whole, now }
    return { letter, whole, verdict: decide(letter, work.command, facts, work.around) }
  })
}

/** Whether anything of it is to be written. */
export function writes({ verdict }: Planned): boolean {
  return verdict.kind === 'send' || verdict.kind === 'resend' || verdict.kind === 'drop'
}

export function tasksOf(planned: readonly Planned[]): string[] {
  return planned.flatMap(({ verdict }) => (verdict.kind === 'resend' ? [verdict.taskId] : []))
}

export type Resents = ReadonlyMap<string, Resent>

/** What a letter's verdict comes to, once the ledger has said what it makes of the rewards. */
export function outcomeOf({ letter, verdict }: Planned, commandId: string, resents: Resents): LetterOutcome {
  const { id, cause } = letter
  const refused = (detail: string): LetterOutcome => ({
    kind: 'refused',
    id,
    cause,
    code: 'ONCEWARD_E_LETTER_REFUSED',
    detail,
  })
  switch (verdict.kind) {
    case 'refuse':
      return refused(verdict.detail)
    case 'drop':
      return { kind: 'done', id, cause, to: 'dropped', notes: verdict.notes }
    case 'send':
      return { kind: 'done', id, cause, to: verdict.to, notes: verdict.notes }
    case 'resend': {
      const resent = resents.get(verdict.taskId)
      if (resent === undefined) return refused(`the ledger says nothing of ${verdict.taskId}`)
      return resent.ok ? { kind: 'done', id, cause, to: 'reprocessed', notes: [resent.text] } : refused(resent.detail)
    }
    case 'decided': {
      const { command, ...decision } = verdict.decision
      // The answer to the commit was lost, and it has come to pass all the same.
      if (command === commandId) return { kind: 'done', id, cause, to: decision.state, notes: [] }
      return { kind: 'decided', id, cause, decision }
    }
    default:
      return verdict satisfies never
  }
}

/** What is written of one letter, in the one transaction: what is sent, and the decision. Empty where nothing is. */
export function recordsOf(
  planned: Planned,
  work: Work,
  of: { readonly resents: Resents; readonly now: number },
): OutRecord[] {
  const { letter, verdict } = planned
  const outcome = outcomeOf(planned, work.commandId, of.resents)
  if (outcome.kind !== 'done' || !writes(planned)) return []
  const { command, around, commandId } = work
  const fixed = outcome.to === 'fixed'
  const bytes = planned.whole.ok ? planned.whole.bytes : Buffer.from(letter.record.raw)
  const review: ReviewRecord = {
    type: 'dlq_review',
    letter: letter.id,
    was: letter.cause,
    decision: outcome.to,
    actor: command.actor,
    at: new Date(of.now).toISOString(),
    reason: command.reason,
    command: commandId,
    before: content(bytes, fixed),
    ...(verdict.kind === 'send' ? { sent: sentOf(verdict.record, fixed) } : {}),
    ...(verdict.kind === 'resend' ? { ledger: { task: verdict.taskId, outcome: outcome.notes.join('; ') } } : {}),
  }
  const decision: OutRecord = {
    topic: around.topics.dlqReviews,
    partition: letter.partition,
    key: letter.id,
    value: JSON.stringify(review),
    timestamp: of.now,
  }
  return verdict.kind === 'send' ? [verdict.record, decision] : [decision]
}

function sentOf(record: Extract<Verdict, { kind: 'send' }>['record'], fixed: boolean): ReviewRecord['sent'] {
  return { ...content(record.value, fixed), topic: record.topic, partition: record.partition }
}

/** The text only where it was changed: otherwise the letter has it. */
function content(bytes: Buffer, fixed: boolean): Content {
  return contentOf(bytes, fixed ? bytes.subarray(0, RAW_BYTES_MAX).toString() : undefined)
}

export function unknownLetter(id: string): OncewardError {
  return new OncewardError(
    'ONCEWARD_E_LETTER_UNKNOWN',
    `there is no dead letter ${JSON.stringify(id)}, or no longer; ids look like 0-123, see onceward dlq list`,
  )
}
