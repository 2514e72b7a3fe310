import type { DlqReason } from '../../core/model/dlq.ts'
import type { Log } from '../../core/ports/log.ts'
import type { LetterCounts, LetterGroup, LetterState, LetterView } from '../../core/ports/review.ts'
import type { Topics } from '../../core/topics.ts'
import { partitionsOf } from '../replay/records.ts'

/** Counts letters by what they have in common. */
export class LetterTally {
  #letters = 0
  readonly #byState: Record<LetterState, number> = { open: 0, reprocessed: 0, fixed: 0, dropped: 0 }
  readonly #byCause: Partial<Record<DlqReason, number>> = {}
  readonly #groups = new Map<string, { readonly group: Omit<LetterGroup, 'letters'>; letters: number }>()

  add({ cause, error, state, at }: LetterView): void {
    const day = dayOf(at)
    this.#letters++
    this.#byState[state]++
    this.#byCause[cause] = (this.#byCause[cause] ?? 0) + 1
    const key = JSON.stringify([cause, error, day, state])
    const found = this.#groups.get(key)
    if (found === undefined) this.#groups.set(key, { group: { cause, error, day, state }, letters: 1 })
    else found.letters++
  }

  counts(of: Pick<LetterCounts, 'share' | 'unreadable'>): LetterCounts {
    const groups = [...this.#groups.values()].map(({ group, letters }) => ({ ...group, letters }))
    groups.sort((a, b) => b.letters - a.letters || (a.day < b.day ? -1 : 1))
    return { letters: this.#letters, byState: this.#byState, byCause: this.#byCause, groups, ...of }
  }
}

function dayOf(at: number): string {
  const time = new Date(at)
  return Number.isNaN(time.getTime()) ? 'unknown' : time.toISOString().slice(0, 10)
}

/** Of the events that still stand on the topic: how many there are, by offsets, and how to tell whether one is among them. */
export interface Standing {
  readonly events: number
  has(source: { readonly topic: string; readonly partition: number; readonly offset: number } | null): boolean
}

export async function standingEvents(log: Log, topics: Topics): Promise<Standing> {
  const info = await log.topic(topics.events)
  const ids = partitionsOf(topics.events, info?.partitions ?? 0)
  const bounds = ids.length === 0 ? [] : await log.bounds(ids)
  return {
    events: bounds.reduce((sum, { earliest, end }) => sum + end - earliest, 0),
    has: (source) => {
      if (source?.topic !== topics.events) return false
      const range = bounds[source.partition]
      return range !== undefined && source.offset >= range.earliest && source.offset < range.end
    },
  }
}
