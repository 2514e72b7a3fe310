import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../core/durations.ts'

/** A window is a whole number of slices of time: the one that the judged event falls in, and those right before it. */
export interface Slices {
  readonly sizeMs: number
  readonly count: number
}

export const WINDOW_LENGTH_MS_MIN = SECOND_MS
export const WINDOW_LENGTH_MS_MAX = 35 * DAY_MS

/** Slice size by greatest window length. An edge is thus off by less than 2 % of all but the shortest windows. */
const SLICE_SIZES: readonly (readonly [lengthMsMax: number, sizeMs: number])[] = [
  [5 * MINUTE_MS, SECOND_MS],
  [HOUR_MS, 10 * SECOND_MS],
  [6 * HOUR_MS, MINUTE_MS],
  [DAY_MS, 5 * MINUTE_MS],
  [7 * DAY_MS, 30 * MINUTE_MS],
  [WINDOW_LENGTH_MS_MAX, 2 * HOUR_MS],
]

/** Most slices that a window has, and so the most that is kept of it for one user. */
export const WINDOW_SLICES_MAX = 420

/** The slices of a window of `lengthMs`, which lies within the bounds. It never reaches further back than `lengthMs`. */
export function slicesOf(lengthMs: number): Slices {
  const [, sizeMs = HOUR_MS] = SLICE_SIZES.find(([max]) => lengthMs <= max) ?? []
  return { sizeMs, count: Math.floor(lengthMs / sizeMs) }
}

/** Most steps of a `sequence`, and so the most instants kept of one for one user. */
export const SEQUENCE_STEPS_MAX = 10
/** Most values that `distinct` tells apart: it counts up to here, exactly, and no further. */
export const DISTINCT_VALUES_MAX = 128
/** Most different windows of one rule. */
export const WINDOWS_PER_RULE_MAX = 20
