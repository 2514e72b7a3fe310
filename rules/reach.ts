import { DAY_MS } from '../core/durations.ts'
import type { Caps, Reset } from './compiled.ts'
import { readDate } from './dates.ts'
import type { Expression } from './syntax-tree.ts'

/** When a rule can match, ms of event time: `until` is exclusive. */
export interface Period {
  readonly from: number
  readonly until: number
}

const ALWAYS: Period = { from: -Infinity, until: Infinity }

/** What conditions, all of which must hold, leave of time. Dates are read in `zone`. */
export function periodOfConditions(conditions: readonly Expression[], zone: string): Period {
  return conditions.map((condition) => periodOf(condition, zone)).reduce(overlap, ALWAYS)
}

export function overlap(a: Period, b: Period): Period {
  return { from: Math.max(a.from, b.from), until: Math.min(a.until, b.until) }
}

function periodOf(condition: Expression, zone: string): Period {
  if (condition.kind === 'logic') {
    return condition.operator === 'and'
      ? overlap(periodOf(condition.left, zone), periodOf(condition.right, zone))
      : ALWAYS
  }
  if (condition.kind === 'between') {
    if (condition.operand.kind !== 'now' || condition.negated) return ALWAYS
    return { from: dateOf(condition.low, zone).from, until: dateOf(condition.high, zone).until }
  }
  if (condition.kind === 'compare') {
    if (condition.left.kind === 'now') return compared(condition.operator, dateOf(condition.right, zone))
    if (condition.right.kind === 'now') {
      return compared(MIRRORED[condition.operator] ?? '!=', dateOf(condition.left, zone))
    }
    return ALWAYS
  }
  return ALWAYS
}

const MIRRORED: Readonly<Record<string, string>> = { '<': '>', '<=': '>=', '>': '<', '>=': '<=', '==': '==' }

function compared(operator: string, { from, until }: Period): Period {
  switch (operator) {
    case '==':
      return { from, until }
    case '<':
      return { from: -Infinity, until: from }
    case '<=':
      return { from: -Infinity, until }
    case '>':
      return { from: until, until: Infinity }
    case '>=':
      return { from, until: Infinity }
    default:
      return ALWAYS
  }
}

function dateOf(node: Expression, zone: string): Period {
  const date = node.kind === 'text' ? readDate(node.value, zone) : undefined
  return date?.ok === true ? date.range : ALWAYS
}

/** Most points of one event that a rule can give, without its caps. */
export type PointsMax = number

const DAYS: Readonly<Record<Reset, number>> = { daily: 1, weekly: 7, monthly: 31, never: Infinity }

/** Most progress that a user can come to before it is reset; Infinity where nothing bounds it. */
export function progressMax(
  { caps, reset, period }: { readonly caps: Caps; readonly reset: Reset; readonly period: Period },
  pointsMax: PointsMax,
): number {
  if (Math.min(pointsMax, caps.perBet ?? Infinity) <= 0) return 0
  const perDay = Math.min(caps.perDay ?? Infinity, 24 * (caps.perHour ?? Infinity), 1440 * (caps.perMinute ?? Infinity))
  // A period of the calendar that begins within a day touches one day more.
  const days = Math.min(DAYS[reset], Math.ceil((period.until - period.from) / DAY_MS) + 1)
  return perDay === 0 ? 0 : perDay * days
}
