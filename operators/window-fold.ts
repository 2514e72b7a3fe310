import { createHash } from 'node:crypto'
import { unreachable } from '../core/assert.ts'
import type { PlayerEvent } from '../core/model/event.ts'
import { DISTINCT_VALUES_MAX, type Slices } from '../rules/window-lengths.ts'
import type { WindowFold, WindowSpec } from '../rules/window-spec.ts'
import type { WindowState } from '../state/window-state.ts'

/**
 * How an event changes what is remembered of a window, and what a window comes to when an event is judged. Events come
 * in event-time order, ties by event id (the strict lane), so what has left the window never comes back.
 *
 * `data` by function, in order of time:
 *   count         slice, events, …          sum           slice, sum, …
 *   avg           slice, events, sum, …     min, max      slice, least or greatest, …
 *   distinct      value, slice, …: each value once, with the slice it was last seen in
 *   last          the last event's time, the one before it
 *   streak        first and last day of the last run of days, and before it those of the run before
 *   sequence      by step: the latest start of a way through the steps up to this one; NEVER where there is none
 */

const NEVER = Number.MIN_SAFE_INTEGER

/** A window in which no event has counted yet. */
export function emptyWindow(): WindowState {
  return { at: NEVER, data: [] }
}

/**
 * Counts `event`, which matches the spec. Only where the reordering window was widened between two runs can it be older
 * than the one before; then it counts as of that one's time, so that slices stay in order.
 */
export function feedWindow(state: WindowState, { fold }: WindowSpec, event: PlayerEvent): void {
  const { data } = state
  const ts = Math.max(event.ts, state.at)
  state.at = ts
  switch (fold.kind) {
    case 'count':
      addTo(sliceAt(data, ts, { ...fold, width: 2 }), 1, 1)
      break
    case 'sum':
    case 'avg':
    case 'min':
    case 'max':
      feedNumber(data, fold, { value: fold.value(event), ts })
      break
    case 'distinct':
      feedDistinct(data, fold.slices, { value: fold.value(event), ts })
      break
    case 'last':
      state.data = [ts, ...data.slice(0, 1)]
      break
    case 'streak':
      feedStreak(data, fold.unitOf(event.ts))
      break
    case 'sequence':
      state.data = feedSequence(data, fold.steps, event)
      break
    default:
      unreachable(fold)
  }
}

/** What the window comes to at `event`, which has been counted if it matches. NaN: there is no value. */
export function windowValue(state: WindowState | undefined, spec: WindowSpec, event: PlayerEvent): number {
  const { fold } = spec
  const data = state?.data ?? []
  switch (fold.kind) {
    case 'count':
    case 'sum':
      return total(data, 2, firstSlice(event.ts, fold.slices))
    case 'avg': {
      const first = firstSlice(event.ts, fold.slices)
      const sum = total(data, 3, first)
      return sum / total(data, 3, first, 1)
    }
    case 'min':
    case 'max':
      return extreme(data, fold.kind, firstSlice(event.ts, fold.slices))
    case 'distinct':
      return distinctFrom(data, firstSlice(event.ts, fold.slices))
    case 'last':
      return age(data[spec.matches(event) ? 1 : 0], event.ts)
    case 'streak':
      return runUpTo(data, fold.unitOf(event.ts))
    case 'sequence': {
      // Only the event that completes it holds; what it completes was written down when it was counted.
      const completes = fold.steps.at(-1)?.(event) === true
      return completes && numberAt(data, fold.steps.length - 1) > event.ts - fold.lengthMs ? 1 : 0
    }
    default:
      return unreachable(fold)
  }
}

function numberAt(data: WindowState['data'], index: number): number {
  const value = data[index]
  return typeof value === 'number' ? value : NEVER
}

/** The first slice that still counts at `ts`. */
function firstSlice(ts: number, { sizeMs, count }: Slices): number {
  return Math.floor(ts / sizeMs) - count + 1
}

interface Shape {
  readonly slices: Slices
  /** Entries of a slice, its number included. */
  readonly width: number
}

interface Slice {
  readonly data: WindowState['data']
  readonly start: number
  readonly isNew: boolean
}

/** The newest slice, made where `ts` is the first in it; what has left the window is forgotten. */
function sliceAt(data: WindowState['data'], ts: number, { slices, width }: Shape): Slice {
  const slice = Math.floor(ts / slices.sizeMs)
  const start = data.length - width
  if (start >= 0 && data[start] === slice) return { data, start, isNew: false }
  const first = firstSlice(ts, slices)
  let gone = 0
  while (gone < data.length && numberAt(data, gone) < first) gone += width
  data.splice(0, gone)
  data.push(slice, ...Array.from({ length: width - 1 }, () => 0))
  return { data, start: data.length - width, isNew: true }
}

function addTo({ data, start }: Slice, at: number, amount: number): void {
  const sum = numberAt(data, start + at) + amount
  // JSON has no infinity, and what is stored must read as what is in memory.
  data[start + at] = Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, sum))
}

function feedNumber(
  data: WindowState['data'],
  fold: WindowFold & { kind: 'sum' | 'avg' | 'min' | 'max' },
  { value, ts }: { readonly value: number; readonly ts: number },
): void {
  if (!Number.isFinite(value)) return
  const slice = sliceAt(data, ts, { slices: fold.slices, width: fold.kind === 'avg' ? 3 : 2 })
  if (fold.kind === 'sum') addTo(slice, 1, value)
  else if (fold.kind === 'avg') {
    addTo(slice, 1, 1)
    addTo(slice, 2, value)
  } else {
    const before = slice.isNew ? value : numberAt(data, slice.start + 1)
    data[slice.start + 1] = fold.kind === 'min' ? Math.min(before, value) : Math.max(before, value)
  }
}

/** The sum of the last entry, or of entry `at`, of the slices from `first` on. */
function total(data: WindowState['data'], width: number, first: number, at = width - 1): number {
  let sum = 0
  for (let i = 0; i < data.length; i += width) if (numberAt(data, i) >= first) sum += numberAt(data, i + at)
  return sum
}

function extreme(data: WindowState['data'], kind: 'min' | 'max', first: number): number {
  let found = Number.NaN
  for (let i = 0; i < data.length; i += 2) {
    if (numberAt(data, i) < first) continue
    const value = numberAt(data, i + 1)
    if (Number.isNaN(found) || (kind === 'min' ? value < found : value > found)) found = value
  }
  return found
}

const VALUE_LENGTH_MAX = 32

/** Texts, numbers and conditions never mix; a long text is told from others by its hash. */
function nameOf(value: string | number | boolean): string {
  const name = `${typeof value === 'string' ? 't' : 'v'}${String(value)}`
  return name.length <= VALUE_LENGTH_MAX
    ? name
    : `h${createHash('sha256').update(name).digest('base64url').slice(0, 24)}`
}

/**
 * Keeps the values seen last, newest last. Where there are more than can be kept the oldest goes; all others are in the
 * window at least as long, so the count is exact up to the bound, and the bound beyond it.
 */
function feedDistinct(data: WindowState['data'], slices: Slices, { value, ts }: Seen): void {
  if (value === undefined) return
  const name = nameOf(value)
  for (let i = 0; i < data.length; i += 2) {
    if (data[i] === name) {
      data.splice(i, 2)
      break
    }
  }
  const first = firstSlice(ts, slices)
  let gone = Math.max(0, data.length - 2 * (DISTINCT_VALUES_MAX - 1))
  while (gone < data.length && numberAt(data, gone + 1) < first) gone += 2
  data.splice(0, gone)
  data.push(name, Math.floor(ts / slices.sizeMs))
}

interface Seen {
  readonly value: string | number | boolean | undefined
  readonly ts: number
}

function distinctFrom(data: WindowState['data'], first: number): number {
  let values = 0
  for (let i = 1; i < data.length; i += 2) if (numberAt(data, i) >= first) values++
  return values
}

function age(last: number | string | undefined, ts: number): number {
  return typeof last === 'number' ? Math.max(0, ts - last) : Number.NaN
}

/**
 * Where clocks are set back over midnight, the day before comes again after the day: so the run before the last one is
 * kept, too, and the two may grow together.
 */
function feedStreak(data: WindowState['data'], unit: number): void {
  const runs: [number, number][] = []
  for (let i = 0; i < data.length; i += 2) runs.push([numberAt(data, i), numberAt(data, i + 1)])
  if (runs.some(([first, last]) => first <= unit && unit <= last)) return
  runs.push([unit, unit])
  runs.sort(([a], [b]) => a - b)
  const joined: [number, number][] = []
  for (const run of runs) {
    const before = joined.at(-1)
    if (before !== undefined && before[1] + 1 === run[0]) before[1] = run[1]
    else joined.push(run)
  }
  data.splice(0, data.length, ...joined.slice(-2).flat())
}

/** Days of the run that reaches `unit` or the day before it: a streak breaks only when a whole day has passed without. */
function runUpTo(data: WindowState['data'], unit: number): number {
  for (let i = data.length - 2; i >= 0; i -= 2) {
    const [first, last] = [numberAt(data, i), Math.min(numberAt(data, i + 1), unit)]
    if (first <= last && last >= unit - 1) return last - first + 1
  }
  return 0
}

/** The way through the steps that began last is within any length of time if one is. */
function feedSequence(
  data: WindowState['data'],
  steps: readonly ((event: PlayerEvent) => boolean)[],
  event: PlayerEvent,
): number[] {
  const starts = steps.map((_, i) => numberAt(data, i))
  return starts.map((start, i) => {
    if (steps[i]?.(event) !== true) return start
    return Math.max(start, i === 0 ? event.ts : (starts[i - 1] ?? NEVER))
  })
}
