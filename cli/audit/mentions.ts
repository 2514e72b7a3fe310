import type { Json, JsonObject } from '../../core/model/event.ts'

/** Deeper than anything that is recorded on purpose; what a stranger has nested further is not looked into. */
const DEPTH_MAX = 32

/**
 * Whether a record names `id` under one of `names`: at any depth, also within texts that are JSON, and within bytes (names that
 * end in `_base64`) that are.
 */
export function mentions(body: JsonObject, names: ReadonlySet<string>, id: string): boolean {
  return within(body, { names, id, depth: 0 })
}

interface Search {
  readonly names: ReadonlySet<string>
  readonly id: string
  readonly depth: number
}

function within(value: Json | undefined, search: Search): boolean {
  if (search.depth > DEPTH_MAX) return false
  const deeper = { ...search, depth: search.depth + 1 }
  if (typeof value === 'string') return inText(value, deeper)
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return value.some((item) => within(item as Json, deeper))
  return Object.entries(value).some(([name, member]) => {
    if (search.names.has(name) && member === search.id) return true
    const text = name.endsWith('_base64') && typeof member === 'string'
    return text ? inText(Buffer.from(member, 'base64').toString(), deeper) : within(member, deeper)
  })
}

function inText(text: string, search: Search): boolean {
  // What does not hold the id needs no parsing; escaped it is found by its parts at least where it is plain ASCII.
  if (!/^\s*[{[]/.test(text) || !(text.includes(search.id) || text.includes('\\'))) return false
  try {
    return within(JSON.parse(text) as Json, search)
  } catch {
    return false
  }
}
