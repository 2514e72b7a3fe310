import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Random } from '../../core/random.ts'

/**
 * The lines in another order, as a network delivers them: each is held back by up to `seconds` of event time, so that
 * none comes after one that is more than `seconds` younger. Repeats stay repeats; lines without a time stay in place.
 */
export function shuffleWithin(lines: readonly string[], seconds: number, random: Random): string[] {
  let time = Number.NEGATIVE_INFINITY
  const held = lines.map((line, index) => {
    const own = timeOf(line)
    if (!Number.isNaN(own)) time = own
    return { line, index, due: time + random() * seconds * 1_000 }
  })
  return held.sort((a, b) => a.due - b.due || a.index - b.index).map(({ line }) => line)
}

/** The lines with `share` of them (0 to 1) sent a second time, at most 50 lines after the first. */
export function withRepeats(lines: readonly string[], share: number, random: Random): string[] {
  const due = new Map<number, string[]>()
  const out: string[] = []
  lines.forEach((line, index) => {
    out.push(line)
    if (random() < share) {
      const at = Math.min(lines.length - 1, index + Math.floor(random() * 50))
      due.set(at, [...(due.get(at) ?? []), line])
    }
    out.push(...(due.get(index) ?? []))
  })
  return out
}

/** The lines with `count` more among them that no consumer may accept, each broken in one of the ways below. */
export function withBroken(lines: readonly string[], count: number, random: Random): string[] {
  const places = Array.from({ length: count }, () => Math.floor(random() * (lines.length + 1))).sort((a, b) => a - b)
  const out: string[] = []
  let next = 0
  for (let index = 0; index <= lines.length; index++) {
    for (; next < count && places[next] === index; next++) {
      const way = WAYS_TO_BREAK[next % WAYS_TO_BREAK.length]
      if (way !== undefined) out.push(way.broken(lines[Math.floor(random() * lines.length)] ?? '{}', random))
    }
    const line = lines[index]
    if (line !== undefined) out.push(line)
  }
  return out
}

type Fields = Record<string, unknown>

interface WayToBreak {
  readonly name: string
  /** A line that is wrong in this way, made of a right one. */
  broken(line: string, random: Random): string
}

function fieldsOf(line: string): Fields & { user: Fields; payload: Fields } {
  return JSON.parse(line) as Fields & { user: Fields; payload: Fields }
}

function changed(name: string, change: (event: Fields & { user: Fields; payload: Fields }) => unknown): WayToBreak {
  return { name, broken: (line) => JSON.stringify(change(fieldsOf(line))) }
}

function without(fields: Fields, name: string): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([key]) => key !== name))
}

/** Every way is wrong for every event name, and none leaves a line of white space only. */
export const WAYS_TO_BREAK: readonly WayToBreak[] = [
  { name: 'cut off', broken: (line, random) => line.slice(0, 1 + Math.floor(random() * (line.length - 1))) },
  { name: 'no JSON', broken: () => 'ERROR 500 upstream timed out' },
  { name: 'a bare value', broken: (_, random) => String(Math.floor(random() * 1_000)) },
  { name: 'a list around it', broken: (line) => `[${line}]` },
  { name: 'two on a line', broken: (line) => `${line}${line}` },
  ...['event_id', 'event_name', 'ts', 'user', 'payload'].map((name) => changed(`no ${name}`, (e) => without(e, name))),
  changed('no user.id', (e) => ({ ...e, user: without(e.user, 'id') })),
  changed('empty event_id', (e) => ({ ...e, event_id: '' })),
  changed('event_id a number', (e) => ({ ...e, event_id: 12 })),
  changed('user.id a number', (e) => ({ ...e, user: { ...e.user, id: 12 } })),
  changed('user null', (e) => ({ ...e, user: null })),
  changed('payload a list', (e) => ({ ...e, payload: [] })),
  changed('payload text', (e) => ({ ...e, payload: 'bet=1' })),
  changed('the number as text', (e) => ({ ...e, event_name: 'bet', payload: { bet: '0.5' } })),
  changed('the number missing', (e) => ({ ...e, event_name: 'deposit', payload: { currency: 'EUR' } })),
  changed('unknown event_name', (e) => ({ ...e, event_name: 'betted' })),
  ...[
    '2025-02-30T10:00:00Z',
    '2025-11-03T24:01:00Z',
    '2025-13-01T00:00:00Z',
    '2025-11-03T10:00:00',
    '2025-11-03T10:00:00+0100',
    '2025-11-03T10:00:00Zulu',
    '2025-11-3T10:00:00Z',
    '2025-11-03',
    '1762164000',
    'yesterday',
    '',
  ].map((ts) => changed(`ts "${ts}"`, (e) => ({ ...e, ts }))),
  changed('ts a number', (e) => ({ ...e, ts: 1_762_164_000 })),
]

function timeOf(line: string): number {
  return Date.parse(/"ts":"([^"]*)"/.exec(line)?.[1] ?? '')
}

/**
 * The folder with the shared data and rules: the environment's ONCEWARD_SHARED, or `shared` beside the project. Answers
 * undefined, and says so loudly, where it is not there: the tests that need it are then skipped.
 */
export function sharedData(): string | undefined {
  const beside = fileURLToPath(new URL('../../../shared', import.meta.url))
  const dir = process.env.ONCEWARD_SHARED ?? beside
  if (existsSync(join(dir, 'data', 'bets.ndjson.gz'))) return dir
  process.stderr.write(
    `\n!!! SKIPPED: the tests on real bets need the shared data, and ${join(dir, 'data', 'bets.ndjson.gz')} is not there.\n` +
      '!!! Put it there, or name its folder in ONCEWARD_SHARED.\n\n',
  )
  return undefined
}
