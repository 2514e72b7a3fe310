import { hash } from 'node:crypto'
import { GateBook } from './reference-gates.ts'
import { PointsGiven, type WindowName } from './reference-points.ts'

/**
 * What the rules of a simulation grant, written down a second time as plainly as it can be: no operators, no rules, no
 * state, one event after the other with Maps. Rules are hand-written functions; a zone is a fixed offset.
 */
export interface ReferenceRule {
  readonly ruleId: string
  readonly version: string
  readonly names: readonly string[]
  readonly filter?: (payload: Readonly<Record<string, number>>, lately: Lately) => boolean
  /** `since`: from which event time on what this version is the first to ask of `lately` counts, ms. */
  readonly formula: (payload: Readonly<Record<string, number>>, lately: Lately, since: number) => number
  readonly caps: { readonly event?: number; readonly minute?: number; readonly hour?: number; readonly day?: number }
  readonly zoneMs: number
  readonly thresholds: readonly number[]
  /** Hundredths that each reward takes from the pool. */
  readonly costs: readonly number[]
  readonly pool: string | null
  /** Where the pool is another for players of a country. */
  readonly poolByGeo?: Readonly<Record<string, string>>
  /** KYC level that each reward needs, by its pool where that makes a difference. */
  readonly needs: readonly number[] | Readonly<Record<string, readonly number[]>>
  /** Of the rule and of its pool: only players of these countries get its rewards. */
  readonly countries?: readonly string[]
  /** How long a frozen reward waits, ms of event time. */
  readonly expiryMs?: number
  /** Who scores such a share of a threshold within a calendar window is looked at. */
  readonly sharp?: { readonly share: number; readonly within: WindowName }
  /** Progress starts again every day. */
  readonly daily?: boolean
  readonly strict?: boolean
  /** Event time in ms; default: since ever. */
  readonly from?: number
}

/** What a rule of the strict lane can look at: all that the user has done up to the judged event, which is the last. */
export type Lately = readonly PlayerEvent[]

/** A record of the events topic. */
export interface ReferenceRecord {
  /** Ingest time, ms. */
  readonly timestamp: number
  readonly text: string
  /** Of a tick: the event time it moves to. */
  readonly tick?: number
  /** Of one that was sent again: why it was set aside each time, or that nobody can read it. */
  readonly again?: readonly string[] | 'unreadable'
}

export interface PlayerEvent {
  readonly id: string
  readonly name: string
  readonly user: string
  readonly time: number
  readonly geo?: string
  /** Numbers of the payload. */
  readonly payload: Readonly<Record<string, number>>
  /** The payload as it is. */
  readonly said: Readonly<Record<string, unknown>>
}

export interface Expected {
  events: number
  unique: number
  duplicates: number
  readonly dlq: { schema: number; future: number; late: number }
  /** By `event|user|rule`: version, points, progress, thresholds whose rewards the player's country withholds. */
  readonly scores: Map<string, string>
  /** By reward task id: `user|rule|period|threshold version event`, and what a person has to look at. */
  readonly rewards: Map<string, string>
  /** By reward task id: created at once, or frozen, and when it was released or expired. */
  readonly fates: Map<string, string>
  /** By user: what is told of KYC and restrictions, one change after the other. */
  readonly told: Map<string, string>
  /** Hundredths, by pool. */
  readonly costs: Map<string, number>
}

export interface ReferenceOptions {
  readonly rules: readonly ReferenceRule[]
  readonly windowMs: number
  readonly rememberMs: number
  /** When each version was published, ms of event time, by `rule version`. */
  readonly publishedAt: ReadonlyMap<string, number>
}

/** Every worker knows a version so long after its publication. */
const KNOWN_AFTER_MS = 310_000

export function reference(partitions: readonly (readonly ReferenceRecord[])[], options: ReferenceOptions): Expected {
  const expected: Expected = {
    events: 0,
    unique: 0,
    duplicates: 0,
    dlq: { schema: 0, future: 0, late: 0 },
    scores: new Map(),
    rewards: new Map(),
    fates: new Map(),
    told: new Map(),
    costs: new Map(),
  }
  const [progresses, given] = [new Map<string, number>(), new PointsGiven()]
  const done = new Map<string, PlayerEvent[]>()
  for (const records of partitions) {
    let watermark = Number.NEGATIVE_INFINITY
    const seen = new Map<string, number>()
    let held: PlayerEvent[] = []
    const gates = new GateBook(expected.fates)
    const release = (): void => {
      const due = held.filter(({ time }) => time < watermark - options.windowMs)
      held = held.filter(({ time }) => time >= watermark - options.windowMs)
      due.sort((a, b) => a.time - b.time || Buffer.compare(Buffer.from(a.id), Buffer.from(b.id)))
      for (const event of due) {
        const lately = done.get(event.user) ?? []
        lately.push(event)
        done.set(event.user, lately)
        score(event, { when: 'in turn', lately, options, progresses, given, expected, gates })
      }
    }
    for (const { text, timestamp, tick, again } of records) {
      if (tick !== undefined) {
        watermark = Math.max(watermark, tick)
        gates.pass(watermark)
        release()
        continue
      }
      expected.events++
      const event = read(text)
      if (event === undefined || again === 'unreadable') {
        expected.dlq.schema++
        continue
      }
      const before = seen.get(event.id)
      if (event.time > timestamp + 300_000) {
        expected.dlq.future++
        gates.hearUndated(event)
      } else if (before !== undefined && before >= watermark - options.rememberMs) expected.duplicates++
      else if (event.time < watermark - options.windowMs) {
        gates.hear(event)
        // A person wants it, and had it been scored before that would still be remembered.
        if (again?.includes('late') === true && event.time >= watermark - options.rememberMs) {
          expected.unique++
          seen.set(event.id, event.time)
          score(event, { when: 'late', lately: [], options, progresses, given, expected, gates })
        } else expected.dlq.late++
      } else {
        expected.unique++
        seen.set(event.id, event.time)
        watermark = Math.max(watermark, event.time)
        gates.pass(watermark)
        gates.hear(event)
        score(event, { when: 'at once', lately: [], options, progresses, given, expected, gates })
        held.push(event)
        release()
      }
    }
    for (const [user, told] of gates.told()) expected.told.set(user, told)
  }
  return expected
}

function read(text: string): PlayerEvent | undefined {
  try {
    const { event_id: id, event_name: name, ts, user, payload } = JSON.parse(text)
    const time = Date.parse(ts)
    const needs: Record<string, string[]> = {
      bet: ['bet'],
      deposit: ['amount'],
      login: [],
      kyc_status_changed: [],
      rg_event: [],
    }
    const fits = needs[name]?.every((field) => typeof payload[field] === 'number')
    if (typeof id !== 'string' || typeof user.id !== 'string' || Number.isNaN(time) || fits !== true) return undefined
    return { id, name, user: user.id, time, geo: user.geo, payload, said: payload }
  } catch {
    return undefined
  }
}

interface Scoring {
  /** The strict lane is judged in turn, all other rules at once; of one that comes late only they count. */
  readonly when: 'at once' | 'in turn' | 'late'
  readonly lately: Lately
  readonly options: ReferenceOptions
  /** By user, rule and period. */
  readonly progresses: Map<string, number>
  readonly given: PointsGiven
  readonly expected: Expected
  readonly gates: GateBook
}

function score(event: PlayerEvent, scoring: Scoring): void {
  const { when, lately, options, progresses, given, expected } = scoring
  for (const rule of inEffect(options.rules, event)) {
    const isStrict = rule.strict ?? false
    // None of them asks for anything of the event alone.
    if (when === 'late' && isStrict) tooLate(event, rule, scoring)
    if (isStrict !== (when === 'in turn') || rule.filter?.(event.payload, lately) === false) continue
    const raw = rule.formula(event.payload, lately, countsFrom(rule, options))
    const key = `${event.user}|${rule.ruleId}`
    const local = event.time + rule.zoneMs
    const day = new Date(local).toISOString().slice(0, 10)
    const isLate = when === 'late'
    const asked = isLate ? ('atMost' as const) : ('within' as const)
    const left = (window: WindowName, cap = Infinity): number => Math.max(0, cap - given[asked](key, window, local))
    const most = Number.isFinite(raw) ? Math.max(0, Math.min(raw, rule.caps.event ?? Infinity)) : 0
    const ofDay = Math.min(most, left('d', rule.caps.day))
    let points = Math.min(ofDay, left('h', rule.caps.hour), left('m', rule.caps.minute))
    // It may have had all of this, or none: nobody knows any more.
    const isForgotten = isLate && points < ofDay && given.fullest(key, 'h', local) > 0
    if (isForgotten) points = 0
    given.add(key, { local, points, isLate })
    const period = rule.daily === true ? day : 'all'
    const progressBefore = progresses.get(`${key}|${period}`) ?? 0
    const progress = progressBefore + points
    progresses.set(`${key}|${period}`, progress)
    const crossed = rule.thresholds.filter((threshold) => progressBefore < threshold && progress >= threshold)
    const withheld = rule.countries === undefined || rule.countries.includes(event.geo ?? '') ? [] : crossed
    const also = withheld.map((threshold) => `, ${threshold} withheld: geo`).join('')
    const forgotten = isForgotten ? ', late_window_forgotten' : ''
    const score = `${rule.version} ${points} points, progress ${progress}${also}${forgotten}`
    expected.scores.set(`${event.id}|${key}`, score)
    const { sharp } = rule
    const isSharp = (threshold: number): boolean =>
      sharp !== undefined && given[asked](key, sharp.within, local) >= sharp.share * threshold
    for (const threshold of withheld.length > 0 ? [] : crossed) {
      reward(event, { rule, period, threshold, isSharp: isSharp(threshold) }, scoring)
    }
  }
}

/** A rule of the strict lane, of an event whose turn is over: it can only say so. */
function tooLate(event: PlayerEvent, rule: ReferenceRule, { progresses, expected }: Scoring): void {
  const key = `${event.user}|${rule.ruleId}`
  expected.scores.set(
    `${event.id}|${key}`,
    `${rule.version} 0 points, progress ${progresses.get(`${key}|all`) ?? 0}, late_strict`,
  )
}

interface Crossing {
  readonly rule: ReferenceRule
  readonly period: string
  readonly threshold: number
  readonly isSharp: boolean
}

function reward(event: PlayerEvent, crossing: Crossing, { expected, gates }: Scoring): void {
  const { rule, period, threshold, isSharp } = crossing
  const { user, geo = '' } = event
  const id = `rt_${hash('sha256', JSON.stringify([user, rule.ruleId, period, threshold]), 'hex').slice(0, 32)}`
  const hold = isSharp ? ' sharp_rise' : ''
  expected.rewards.set(id, `${user}|${rule.ruleId}|${period}|${threshold} ${rule.version} ${event.id}${hold}`)
  const i = rule.thresholds.indexOf(threshold)
  const pool = rule.poolByGeo?.[geo] ?? rule.pool ?? ''
  expected.costs.set(pool, (expected.costs.get(pool) ?? 0) + (rule.costs[i] ?? 0))
  const needs = (isList(rule.needs) ? rule.needs : rule.needs[pool])?.[i] ?? 0
  gates.earn({ id, user, needs, expiryMs: rule.expiryMs })
}

function isList<T>(of: readonly T[] | Readonly<Record<string, readonly T[]>>): of is readonly T[] {
  return Array.isArray(of)
}

function countsFrom({ ruleId, version, from }: ReferenceRule, { publishedAt }: ReferenceOptions): number {
  const published = publishedAt.get(`${ruleId} ${version}`)
  if (from === undefined || published === undefined) return Number.NEGATIVE_INFINITY
  return Math.min(from, published + KNOWN_AFTER_MS)
}

/** Of each rule that looks at the event the newest version in effect at its time. */
function inEffect(rules: readonly ReferenceRule[], event: PlayerEvent): ReferenceRule[] {
  const newest = new Map<string, ReferenceRule>()
  for (const rule of rules) {
    const other = newest.get(rule.ruleId)
    const from = rule.from ?? Number.NEGATIVE_INFINITY
    if (from <= event.time && from >= (other?.from ?? Number.NEGATIVE_INFINITY)) newest.set(rule.ruleId, rule)
  }
  return [...newest.values()].filter((rule) => rule.names.includes(event.name))
}
