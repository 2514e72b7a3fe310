import type { PlayerEvent } from './reference.ts'

/**
 * What becomes of the rewards of one partition's players, written down a second time as plainly as it can be: of a player
 * everything that was ever said is kept, and what is known is worked out from all of it, each time anew.
 */
export interface EarnedByRule {
  readonly id: string
  readonly user: string
  /** KYC level that it needs. */
  readonly needs: number
  /** How long it may wait, ms of event time. */
  readonly expiryMs: number | undefined
}

/** What a record of protection says of a restriction. */
type Word = { readonly at: number; readonly id: string } & (
  | { readonly says: 'level'; readonly level: number }
  | { readonly says: 'restricted'; readonly kind: string; readonly until: number }
  | { readonly says: 'free'; readonly kind: string }
)

interface Waiting {
  readonly id: string
  readonly needs: number
  readonly expires: number
}

interface PlayerPage {
  readonly words: Word[]
  waiting: Waiting[]
  known: string
  asOf: number
  /** What is told of the player, in order. */
  readonly told: string[]
}

export class GateBook {
  readonly #pages = new Map<string, PlayerPage>()
  readonly #fates: Map<string, string>
  #now = Number.NEGATIVE_INFINITY

  /** `fates`: what becomes of each reward, by its id. */
  constructor(fates: Map<string, string>) {
    this.#fates = fates
  }

  /** What was told of each player, in order. */
  told(): [user: string, told: string][] {
    return [...this.#pages].filter(([, { told }]) => told.length > 0).map(([user, { told }]) => [user, told.join('\n')])
  }

  /** Time passes up to the watermark: restrictions end, and waits. */
  pass(watermark: number): void {
    for (const page of this.#pages.values()) {
      const ends = page.words.flatMap((word) => (word.says === 'restricted' ? [word.until] : []))
      const moments = [...ends, ...page.waiting.map(({ expires }) => expires)]
      const passed = moments.filter((at) => at > this.#now && at <= watermark).sort((a, b) => a - b)
      for (const at of passed) {
        this.#tell(page, at, 'time')
        this.#sort(page, at)
      }
    }
    this.#now = Math.max(this.#now, watermark)
  }

  /** What an event says of its player counts from now on, however late it comes. */
  hear({ id, name, user, time: at, said }: PlayerEvent): void {
    const { kyc_level: level, type, action, until } = said
    const page = this.#page(user)
    const { words } = page
    if (name === 'kyc_status_changed' && typeof level === 'number') words.push({ at, id, says: 'level', level })
    if (name === 'rg_event') {
      const about = type === 'all' ? KINDS : type === 'limit' ? ['deposit_limit'] : [String(type)]
      const end = typeof until === 'string' ? Date.parse(until) : Number.POSITIVE_INFINITY
      for (const kind of about) {
        if (action === 'lifted') words.push({ at, id, says: 'free', kind })
        else if (kind !== 'deposit_limit' || action === 'reached') {
          words.push({ at, id, says: 'restricted', kind, until: end })
        }
      }
    }
    const before = page.asOf
    page.asOf = Math.max(before, at)
    if (this.#tell(page, this.#now, id)) this.#sort(page, this.#now)
    else page.asOf = before
  }

  /** Of an event from the future only what stops rewards counts, as said now: its own time is not believed. */
  hearUndated(event: PlayerEvent): void {
    const { name, said } = event
    const stops = name === 'kyc_status_changed' ? said.kyc_level === 0 : said.action !== 'lifted'
    if (stops) this.hear({ ...event, time: Math.max(this.#now, 0) })
  }

  earn({ id, user, needs, expiryMs }: EarnedByRule): void {
    const page = this.#page(user)
    const { level, restrictions } = knownOf(page.words, this.#now)
    if (restrictions.length === 0 && (level ?? 0) >= needs) {
      this.#fates.set(id, `created, level ${level} of ${needs}`)
      return
    }
    this.#fates.set(id, `frozen at ${this.#now}, level ${level} of ${needs}`)
    page.waiting.push({ id, needs, expires: this.#now + (expiryMs ?? Number.POSITIVE_INFINITY) })
  }

  #sort(page: PlayerPage, at: number): void {
    const { level, restrictions } = knownOf(page.words, at)
    page.waiting = page.waiting.filter(({ id, needs, expires }) => {
      if (expires <= at) this.#goesOn(id, `expired at ${expires}`)
      else if (restrictions.length === 0 && (level ?? 0) >= needs) this.#goesOn(id, `released at ${at}, level ${level}`)
      else return true
      return false
    })
  }

  #goesOn(id: string, how: string): void {
    this.#fates.set(id, `${this.#fates.get(id)}, ${how}`)
  }

  /** True where something else is known than before. */
  #tell(page: PlayerPage, at: number, by: string): boolean {
    const now = JSON.stringify(knownOf(page.words, at))
    if (now === page.known) return false
    page.known = now
    page.told.push(`${page.told.length + 1} as of ${page.asOf} by ${by}: ${now}`)
    return true
  }

  #page(user: string): PlayerPage {
    let page = this.#pages.get(user)
    if (page === undefined) {
      page = { words: [], waiting: [], known: JSON.stringify(knownOf([], 0)), asOf: 0, told: [] }
      this.#pages.set(user, page)
    }
    return page
  }
}

/** In the order in which a player's restrictions are told. */
const KINDS = ['cool_off', 'deposit_limit', 'self_exclusion']

interface Known {
  readonly level: number | null
  readonly restrictions: readonly (readonly [kind: string, since: number, until: number | null])[]
}

function knownOf(words: readonly Word[], at: number): Known {
  const levels = words.flatMap((word) => (word.says === 'level' ? [word] : []))
  const restrictions = KINDS.flatMap((kind) => {
    const about = words.flatMap((word) => (word.says !== 'level' && word.kind === kind ? [word] : []))
    const last = newest(about)
    if (last?.says !== 'restricted' || last.until <= at) return []
    return [[kind, last.at, Number.isFinite(last.until) ? last.until : null] as const]
  })
  return { level: newest(levels)?.level ?? null, restrictions }
}

/** The newest word counts, in whatever order they came. */
function newest<T extends Word>(words: readonly T[]): T | undefined {
  return words.toSorted((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1)).at(-1)
}
