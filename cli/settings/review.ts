import { DLQ_REASONS } from '../../core/model/dlq.ts'
import { LETTER_STATES } from '../../core/ports/review.ts'
import { setting } from './setting.ts'

/** Settings of the commands on dead letters; one object each, so that they mean the same everywhere. */

const letter = setting('letter', {
  type: 'list',
  positional: true,
  placeholder: 'ID...',
  help: 'ids of dead letters: their partition and offset, such as 0-123',
  pattern: { test: /^\d+-\d+$/, right: 'the id of a dead letter; write its partition and offset, such as 0-123' },
})

export const oneLetter = setting('letter', {
  type: 'list',
  required: true,
  positional: true,
  placeholder: 'ID...',
  help: 'ids of dead letters: their partition and offset, such as 0-123',
  pattern: { test: /^\d+-\d+$/, right: 'the id of a dead letter; write its partition and offset, such as 0-123' },
})

const cause = setting('cause', {
  type: 'list',
  placeholder: 'CAUSE,...',
  help: `only those set aside for this: ${DLQ_REASONS.join(', ')}`,
  pattern: {
    test: new RegExp(`^(${DLQ_REASONS.join('|')})$`),
    right: `a cause; write one of ${DLQ_REASONS.join(', ')}`,
  },
})

const status = setting('status', {
  type: 'list',
  placeholder: 'STATUS,...',
  help: `only those that stand so: ${LETTER_STATES.join(', ')}`,
  pattern: {
    test: new RegExp(`^(${LETTER_STATES.join('|')})$`),
    right: `a status; write one of ${LETTER_STATES.join(', ')}`,
  },
})

const rule = setting('rule', {
  type: 'text',
  placeholder: 'ID',
  help: 'only rewards of this rule, and events of a name that it looks at',
})

const user = setting('user', { type: 'text', placeholder: 'ID', help: 'only those of this player' })

const eventName = setting('event-name', {
  type: 'text',
  placeholder: 'NAME',
  help: 'only events of this name, such as bet',
})

const error = setting('error', {
  type: 'text',
  placeholder: 'TEXT',
  help: 'only those with this error, or this part of it: values, times and ids in it do not count; dlq count lists them',
})

const from = setting('from', {
  type: 'text',
  placeholder: 'WHEN',
  help: "only from this day or time on (UTC), by the letters' own time",
})

const to = setting('to', { type: 'text', placeholder: 'WHEN', help: 'only before this day or time (UTC)' })

export const listLimit = setting('limit', {
  type: 'integer',
  default: '50',
  min: 1,
  max: 100_000,
  help: 'how many are listed, the newest first',
})

const limit = setting('limit', {
  type: 'integer',
  min: 1,
  max: 10_000_000,
  help: 'at most so many, those with the lowest ids first; all where it is left out',
})

export const dropReason = setting('reason', {
  type: 'text',
  required: true,
  placeholder: 'TEXT',
  help: 'why, kept with the decision in the place of what was dropped',
})

export const optionalReason = setting('reason', {
  type: 'text',
  placeholder: 'TEXT',
  help: 'why, kept with the decision',
})

/** The ledger, for letters about rewards. */
export const optionalDb = setting('db', {
  type: 'url',
  secret: true,
  protocols: ['postgres', 'postgresql'],
  placeholder: 'URL',
  help: 'Postgres of the ledger, which sends failed rewards again; without it, letters about rewards can only be dropped',
})

export const LETTER_FILTERS = [cause, status, rule, user, eventName, error, from, to] as const
/** For which letters a command is. */
export const LETTER_TARGETS = [letter, ...LETTER_FILTERS, limit] as const
