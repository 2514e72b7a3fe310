import { readDate } from '../../rules/dates.ts'
import { OncewardError } from '../../core/errors.ts'
import { setting } from './setting.ts'

/** Settings of the commands around published rules; one object each, so that they mean the same everywhere. */

export const ruleId = setting('id', {
  type: 'text',
  required: true,
  positional: true,
  placeholder: 'ID',
  help: 'the rule_id of a published rule',
})

export const rulesDir = setting('dir', {
  type: 'path',
  required: true,
  positional: true,
  placeholder: 'DIR',
  help: 'folder with rule files and segments (*.yaml)',
})

export const by = setting('by', {
  type: 'text',
  placeholder: 'NAME',
  help: 'who publishes, kept for ever; the user of the operating system where it is left out',
})

export const reason = setting('reason', {
  type: 'text',
  placeholder: 'TEXT',
  help: 'why, kept for ever and shown by rules list and rules show',
})

export const effectiveAt = setting('at', {
  type: 'text',
  placeholder: 'TIME',
  help: 'event time from which on it holds, such as 2025-12-01 or 2025-12-01T18:00:00Z (UTC without an offset); as soon as it can, 5 minutes and 10 seconds from now, where it is left out',
})

export const lookAt = setting('at', {
  type: 'text',
  placeholder: 'TIME',
  help: 'event time to look at, such as 2025-12-01 or 2025-12-01T18:00:00Z (UTC without an offset); now where it is left out',
})

export const ruleVersion = setting('rule-version', {
  type: 'text',
  placeholder: 'VERSION',
  help: 'one version of the rule rather than the newest',
})

export const json = setting('json', { type: 'flag', help: 'print JSON' })

/** The instant that `--at` stands for, ms; undefined where it was left out. Throws ONCEWARD_E_SETTING_INVALID. */
export function instantOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const reading = readDate(text, 'UTC')
  if (reading.ok) return reading.range.from
  throw new OncewardError('ONCEWARD_E_SETTING_INVALID', `--at: ${reading.message}; ${reading.hint}`)
}
