/**
 * Numbers as SPEC S19 compares them: two are equal within 1e-12 of the greater one, so that `floor((0.7+0.1)*10)` is 8.
 * NaN stands for "no number" (a missing field): it is equal to nothing, and nothing is below or above it.
 */
export const RELATIVE_TOLERANCE = 1e-12

export function numbersEqual(a: number, b: number): boolean {
  if (a === b) return true
  const difference = Math.abs(a - b)
  return difference <= RELATIVE_TOLERANCE * Math.max(Math.abs(a), Math.abs(b)) && difference !== Infinity
}

/** The integer that `x` is equal to, or else the next one below. */
export function tolerantFloor(x: number): number {
  const nearest = Math.round(x)
  return numbersEqual(x, nearest) ? nearest : Math.floor(x)
}

/** The integer that `x` is equal to, or else the next one above. */
export function tolerantCeil(x: number): number {
  const nearest = Math.round(x)
  return numbersEqual(x, nearest) ? nearest : Math.ceil(x)
}
