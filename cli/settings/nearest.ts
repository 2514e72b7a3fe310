/** The candidate closest to what was written, for "did you mean"; undefined where none is close. */
export function nearest(written: string, candidates: Iterable<string>): string | undefined {
  const wanted = simple(written)
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(wanted, simple(candidate))
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Letter case and the choice of `-`, `_` or nothing between words are no difference worth counting. */
function simple(name: string): string {
  return name.toLowerCase().replaceAll(/[-_ ]/g, '')
}

/** Levenshtein's distance, a swap of two neighbours counting one. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let value = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + cost)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) value = Math.min(value, (beforeLast[j - 2] ?? 0) + 1)
      row.push(value)
    }
    beforeLast = last
    last = row
  }
  return last[b.length] ?? 0
}

/** `; did you mean X?`, or nothing where no candidate is close. `show` turns the candidate into what one would write. */
export function suggestion(
  written: string,
  candidates: Iterable<string>,
  show: (name: string) => string = (n) => n,
): string {
  const found = nearest(written, candidates)
  return found === undefined ? '' : `; did you mean ${show(found)}?`
}
