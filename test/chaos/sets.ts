const NAMED_MAX = 3

export function repeats(what: string, ids: readonly string[]): string[] {
  const seen = new Set<string>()
  const twice = new Set<string>()
  for (const id of ids) (seen.has(id) ? twice : seen).add(id)
  return twice.size === 0 ? [] : [`${twice.size} times a ${what} stands there more than once: ${named(twice)}`]
}

export function sameSet(what: string, expected: ReadonlySet<string>, found: ReadonlySet<string>): string[] {
  const missing = [...expected].filter((one) => !found.has(one))
  const extra = [...found].filter((one) => !expected.has(one))
  return [
    ...(missing.length === 0 ? [] : [`${what}: ${missing.length} are missing, such as ${named(missing)}`]),
    ...(extra.length === 0 ? [] : [`${what}: ${extra.length} should not be there, such as ${named(extra)}`]),
  ]
}

function named(ids: Iterable<string>): string {
  return [...ids].slice(0, NAMED_MAX).join(', ')
}
