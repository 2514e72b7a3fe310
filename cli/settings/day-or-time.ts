import { OncewardError } from '../../core/errors.ts'
import { parseTimestamp } from '../../operators/timestamp.ts'

/** An event time in ms; a day is its first instant, UTC. Throws ONCEWARD_E_SETTING_INVALID. */
export function dayOrTime(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const ms = parseTimestamp(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text)
  if (!Number.isNaN(ms)) return ms
  throw new OncewardError(
    'ONCEWARD_E_SETTING_INVALID',
    `${flag}: "${text}" is no day or time of events; write 2025-11-03 or 2025-11-03T12:00:00Z`,
  )
}
