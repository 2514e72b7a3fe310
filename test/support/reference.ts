/**
 * What SPEC S19 says, written down a second time as plainly as it can be, to compare the engine with. It shares no code
 * with it (no operators, no rules, no core): rules are hand-written functions, state is Maps, time zones are Intl's.
 */
export interface ReferenceRule {
  readonly ruleId: string
  readonly eventName: string
  readonly matches?: (event: ReferenceEvent) => boolean
  /** What the formula gives, not rounded. Not finite: scores nothing. */
  readonly formula: (event: ReferenceEvent) => number
  readonly caps?: { perBet?: number; perMinute?: number; perHour?: number; perDay?: number }
  /** Default: UTC. */
  readonly timeZone?: string
  readonly thresholds?: readonly number[]
  readonly reset?: 'never' | 'daily' | 'weekly' | 'monthly'
  /** Event time in ms; of the entries with one ruleId the newest in effect counts. Default: since ever. */
  readonly effectiveFrom?: number
}

export type ReferenceEvent = {
  event_id: string
  event_name: string
  ts: string
  user: { id: string; [field: string]: unknown }
  payload: Record<string, unknown>
  /** Event time, ms. */
  time: number
}

export interface ReferenceOptions {
  readonly rules: readonly ReferenceRule[]
  /** Which partition a user's events are on. Default: all on one. */
  readonly partitionOf?: (userId: string) => number
  /** Default 60,000. */
  readonly windowMs?: number
  /** How far ahead of its ingest time an event may be. Default 300,000. */
  readonly futureMs?: number
  /** How long event ids are remembered, in event time. Default 24 h. */
  readonly rememberMs?: number
  /** The ingest time of the event on line `index`, in ms. Default: its own time. */
  readonly ingestTime?: (index: number) => number
}

export interface ReferenceResult {
  /** Everything that came in. */
  events: number
  /** Passed every check, whether a rule looked at it or not. */
  unique: number
  duplicates: number
  dlq: { schema: number; future: number; late: number }
  /** Scores above zero. */
  scores: number
  /** By `user|rule`; only those above zero. */
  points: Record<string, number>
  /** `user|rule|threshold`, or `user|rule|period|threshold` where the progress is reset; sorted. */
  rewards: string[]
}

const HOUR = 3_600_000

export function reference(lines: Iterable<string | Buffer>, options: ReferenceOptions): ReferenceResult {
  const { rules, partitionOf = () => 0, windowMs = 60_000, futureMs = 300_000, rememberMs = 24 * HOUR } = options
  const result: ReferenceResult = {
    events: 0,
    unique: 0,
    duplicates: 0,
    dlq: { schema: 0, future: 0, late: 0 },
    scores: 0,
    points: {},
    rewards: [],
  }
  const partitions = new Map<number, { watermark: number; seen: Map<string, number> }>()
  const scorer = new Scorer(result)
  for (const line of lines) {
    const index = result.events++
    const event = readEvent(line.toString())
    if (event === undefined) {
      result.dlq.schema++
      continue
    }
    if (event.time > (options.ingestTime?.(index) ?? event.time) + futureMs) {
      result.dlq.future++
      continue
    }
    const number = partitionOf(event.user.id)
    const partition = partitions.get(number) ?? { watermark: -Infinity, seen: new Map<string, number>() }
    partitions.set(number, partition)
    const seenAt = partition.seen.get(event.event_id)
    if (seenAt !== undefined && seenAt >= partition.watermark - rememberMs) {
      result.duplicates++
      continue
    }
    if (event.time < partition.watermark - windowMs) {
      result.dlq.late++
      continue
    }
    partition.seen.set(event.event_id, event.time)
    partition.watermark = Math.max(partition.watermark, event.time)
    result.unique++
    for (const rule of inEffect(rules, event)) scorer.score(event, rule)
  }
  result.rewards.sort()
  return result
}

const NAMES = new Set(
  'login session_start session_end bet spin win deposit withdraw_request kyc_status_changed mission_view mission_join'
    .concat(' mission_progress mission_complete tournament_join tournament_score tournament_update tournament_reward')
    .concat(' reward_issued rg_event')
    .split(' '),
)
/** Numbers that an event cannot be without. */
const NUMBERS: Record<string, string[]> = {
  bet: ['bet'],
  win: ['win'],
  deposit: ['amount'],
  withdraw_request: ['amount'],
}
const RFC_3339 = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i

function readEvent(line: string): ReferenceEvent | undefined {
  let event: Omit<ReferenceEvent, 'time'>
  try {
    event = JSON.parse(line)
  } catch {
    return undefined
  }
  const text = (value: unknown): boolean => typeof value === 'string' && value !== ''
  if (typeof event !== 'object' || event === null || !text(event.event_id)) return undefined
  if (!NAMES.has(event.event_name)) return undefined
  if (typeof event.user !== 'object' || event.user === null || !text(event.user.id)) return undefined
  if (typeof event.payload !== 'object' || event.payload === null || Array.isArray(event.payload)) return undefined
  if (typeof event.ts !== 'string' || !RFC_3339.test(event.ts)) return undefined
  const time = Date.parse(event.ts)
  // Date.parse rolls 30 February over into March.
  if (
    Number.isNaN(time) ||
    new Date(`${event.ts.slice(0, 10)}T00:00:00Z`).toISOString().slice(0, 10) !== event.ts.slice(0, 10)
  ) {
    return undefined
  }
  if (NUMBERS[event.event_name]?.some((name) => typeof event.payload[name] !== 'number')) return undefined
  return { ...event, time }
}

function inEffect(rules: readonly ReferenceRule[], event: ReferenceEvent): ReferenceRule[] {
  const newest = new Map<string, ReferenceRule>()
  for (const rule of rules) {
    const from = rule.effectiveFrom ?? -Infinity
    const other = newest.get(rule.ruleId)
    if (from <= event.time && from >= (other?.effectiveFrom ?? -Infinity)) newest.set(rule.ruleId, rule)
  }
  return [...newest.values()].filter((rule) => rule.eventName === event.event_name)
}

class Scorer {
  private readonly result: ReferenceResult
  private readonly given = new Map<string, number>()
  private readonly progress = new Map<string, number>()

  constructor(result: ReferenceResult) {
    this.result = result
  }

  score(event: ReferenceEvent, rule: ReferenceRule): void {
    if (rule.matches?.(event) === false) return
    const raw = rule.formula(event)
    if (!Number.isFinite(raw)) return
    const local = localTime(event.time, rule.timeZone ?? 'UTC')
    const { perBet = Infinity, perMinute = Infinity, perHour = Infinity, perDay = Infinity } = rule.caps ?? {}
    const key = `${event.user.id}|${rule.ruleId}`
    const windows: [string, number][] = [
      [`${key}|${local.minute}`, perMinute],
      [`${key}|${local.hour}`, perHour],
      [`${key}|${local.day}`, perDay],
    ]
    let points = Math.min(Math.max(0, floor(raw)), perBet)
    for (const [window, cap] of windows) points = Math.max(0, Math.min(points, cap - (this.given.get(window) ?? 0)))
    if (points === 0) return
    for (const [window] of windows) this.given.set(window, (this.given.get(window) ?? 0) + points)
    this.result.scores++
    this.result.points[key] = (this.result.points[key] ?? 0) + points
    this.reward(key, rule, points, local)
  }

  private reward(key: string, rule: ReferenceRule, points: number, local: LocalTime): void {
    const period = { never: '', daily: local.day, weekly: local.week, monthly: local.month }[rule.reset ?? 'never']
    const where = period === '' ? key : `${key}|${period}`
    const before = this.progress.get(where) ?? 0
    this.progress.set(where, before + points)
    for (const threshold of rule.thresholds ?? []) {
      if (before < threshold && before + points >= threshold) this.result.rewards.push(`${where}|${threshold}`)
    }
  }
}

/** A whole number within 1e-12 relative counts as that number. */
function floor(x: number): number {
  const nearest = Math.round(x)
  return Math.abs(x - nearest) <= 1e-12 * Math.max(Math.abs(x), Math.abs(nearest)) ? nearest : Math.floor(x)
}

interface LocalTime {
  readonly minute: string
  readonly hour: string
  readonly day: string
  readonly week: string
  readonly month: string
}

const formats = new Map<string, Intl.DateTimeFormat>()
const minutes = new Map<string, LocalTime>()

/** Labels of the calendar windows around an instant. An hour that the clock repeats in autumn has one label. */
function localTime(time: number, timeZone: string): LocalTime {
  const cacheKey = `${Math.floor(time / 60_000)}|${timeZone}`
  const cached = minutes.get(cacheKey)
  if (cached !== undefined) return cached
  const format =
    formats.get(timeZone) ??
    new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
    })
  formats.set(timeZone, format)
  const parts = Object.fromEntries(format.formatToParts(time).map(({ type, value }) => [type, value]))
  const day = `${parts.year}-${parts.month}-${parts.day}`
  const hour = `${day}T${parts.hour}`
  const local = { minute: `${hour}:${parts.minute}`, hour, day, week: isoWeek(day), month: day.slice(0, 7) }
  minutes.set(cacheKey, local)
  return local
}

/** ISO 8601: the week belongs to the year that has its Thursday. */
function isoWeek(day: string): string {
  const thursday = new Date(`${day}T00:00:00Z`)
  thursday.setUTCDate(thursday.getUTCDate() + 3 - ((thursday.getUTCDay() + 6) % 7))
  const newYear = Date.UTC(thursday.getUTCFullYear(), 0, 1)
  const week = 1 + Math.floor((thursday.getTime() - newYear) / (7 * 24 * HOUR))
  return `${thursday.getUTCFullYear()}-W${String(week).padStart(2, '0')}`
}
