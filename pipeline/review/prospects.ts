import type { PlayerEvent } from '../../core/model/event.ts'
import { forecastLate } from '../../operators/late-forecast.ts'
import { isAboutProtection } from '../../operators/protection-event.ts'
import type { RuleSet } from '../../rules/compiled.ts'

/** What is known of the workers and of where they are. */
export interface Whereabouts {
  readonly rules: RuleSet
  /** As the workers have them, ms. */
  readonly reorderWindowMs: number
  readonly dedupeWindowMs: number
  /** An event time that the partition's watermark has certainly reached, ms; undefined: nothing is known of it. */
  readonly watermark: number | undefined
}

export type Prospects =
  /** Worth sending; what is to be known of it. */
  | { readonly ok: true; readonly notes: readonly string[] }
  /** A sentence. */
  | { readonly ok: false; readonly detail: string }

/** What workers will make of an event that was dead-lettered as late, once it is sent again. */
export function prospectsOfLate(event: PlayerEvent, { rules, watermark, dedupeWindowMs }: Whereabouts): Prospects {
  // That it was late says more of the watermark than a bound from below: only that it is too old by now can be told by it.
  const tooOld = watermark !== undefined && event.ts < watermark - dedupeWindowMs
  const forecast = forecastLate(event, rules, tooOld ? { watermark, dedupeWindowMs } : { dedupeWindowMs })
  if (forecast.event === 'too_old') {
    const detail = `ts ${timeText(event.ts)} is too old to be counted: workers remember ids of ${hoursText(dedupeWindowMs)}, so that it could not be told from an event that was scored. Give what is owed with onceward rewards issue`
    return { ok: false, detail }
  }
  const texts = forecast.rules.map(({ ruleId, outcome, detail, points }) => {
    if (outcome !== 'scores' && outcome !== 'may_score') return `not scored by ${ruleId}: ${detail}`
    const given = points === undefined ? '' : ` (${points} points before caps)`
    return `${outcome === 'scores' ? 'scored' : 'may be scored'} by ${ruleId}${given}: ${detail}`
  })
  if (forecast.rules.some(({ outcome }) => outcome === 'scores' || outcome === 'may_score'))
    return { ok: true, notes: texts }
  const none = `no rule in effect at ${timeText(event.ts)} matches it`
  const heard = isAboutProtection(event) ? ['what it says of its player counted when it came, late as it was'] : []
  return {
    ok: false,
    detail: [`no rule would score it: ${texts.length === 0 ? none : texts.join('; ')}`, ...heard].join('; '),
  }
}

/** Of an event that was set aside for another cause, and is late by now: it takes a second look to let it count. */
export function prospectsOfOthers(event: PlayerEvent, { watermark, reorderWindowMs }: Whereabouts): readonly string[] {
  if (watermark === undefined || event.ts >= watermark - reorderWindowMs) return []
  return [
    `ts ${timeText(event.ts)} is late by now, so that it comes back as a letter with the cause late, which can be reprocessed once more`,
  ]
}

function timeText(ms: number): string {
  return new Date(ms).toISOString()
}

function hoursText(ms: number): string {
  return `${Math.round(ms / 3_600_000)} hours`
}
