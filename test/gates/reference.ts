/**
 * The gates by player, written down a second time as plainly as they can be: nothing is kept of a player but what was
 * said, in full, and everything is worked out anew each time. One partition, one record after the other.
 */
export type Step =
  | { readonly kind: 'login'; readonly id: string; readonly user: string; readonly ts: number }
  | { readonly kind: 'kyc'; readonly id: string; readonly user: string; readonly ts: number; readonly level: number }
  | {
      readonly kind: 'rg'
      readonly id: string
      readonly user: string
      readonly ts: number
      /** What it means: the kind that is restricted or lifted, or what is lifted altogether. */
      readonly says: 'restricts' | 'lifts' | 'lifts limits' | 'lifts all'
      readonly restriction: string
      readonly until: number | null
    }
  | { readonly kind: 'tick'; readonly ts: number }

type Said = Exclude<Step, { kind: 'login' | 'tick' }>

/** A reward for every login. */
export interface ReferenceRule {
  readonly ruleId: string
  readonly strict: boolean
  readonly required: number
  readonly expiryMs: number | null
}

interface Waiting {
  readonly name: string
  readonly required: number
  readonly expires: number
}

interface Player {
  said: Said[]
  waiting: Waiting[]
  progress: Map<string, number>
  known: string
  asOf: number
  seq: number
  log: string[]
}

const WINDOW = 60_000

/** What each player's records on the topic are, in order. */
export function gateReference(
  steps: readonly Step[],
  rules: readonly ReferenceRule[],
): { records: Record<string, string[]>; late: number } {
  const partition = new Partition(rules)
  for (const step of steps) partition.take(step)
  return { records: partition.records(), late: partition.late }
}

class Partition {
  late = 0
  private readonly rules: readonly ReferenceRule[]
  private readonly players = new Map<string, Player>()
  private readonly seen = new Set<string>()
  private queue: { user: string; ts: number; id: string }[] = []
  private watermark = -Infinity

  constructor(rules: readonly ReferenceRule[]) {
    this.rules = rules
  }

  records(): Record<string, string[]> {
    return Object.fromEntries(
      [...this.players].filter(([, { log }]) => log.length > 0).map(([user, { log }]) => [user, log] as const),
    )
  }

  take(step: Step): void {
    if (step.kind === 'tick') {
      this.advance(step.ts)
      this.release()
      return
    }
    if (this.seen.has(step.id)) return
    const isLate = step.ts < this.watermark - WINDOW
    if (isLate) this.late++
    else this.seen.add(step.id)
    this.advance(step.ts)
    if (step.kind !== 'login') this.hear(step)
    else if (!isLate) {
      for (const rule of this.rules) if (!rule.strict) this.judge(rule, step)
      this.queue.push(step)
    }
    this.release()
  }

  private of(user: string): Player {
    const fresh = { said: [], waiting: [], progress: new Map(), known: show(known([], 0)), asOf: 0, seq: 0, log: [] }
    const player = this.players.get(user) ?? fresh
    this.players.set(user, player)
    return player
  }

  private advance(ts: number): void {
    const from = this.watermark
    this.watermark = Math.max(from, ts)
    for (const player of this.players.values()) {
      const ends = player.said.flatMap((said) => (said.kind === 'rg' && said.until !== null ? [said.until] : []))
      const all = [...ends, ...player.waiting.map(({ expires }) => expires)]
      const passed = all.filter((at) => at > from && at <= this.watermark).sort((a, b) => a - b)
      for (const at of new Set(passed)) {
        tell(player, at, { event: null, stamp: at })
        move(player, at, at)
      }
    }
  }

  private hear(said: Said): void {
    const player = this.of(said.user)
    player.said.push(said)
    const before = player.asOf
    player.asOf = Math.max(before, said.ts)
    if (tell(player, this.watermark, { event: said.id, stamp: said.ts })) move(player, this.watermark, said.ts)
    else player.asOf = before
  }

  private release(): void {
    const due = this.queue.filter(({ ts }) => ts < this.watermark - WINDOW)
    this.queue = this.queue.filter(({ ts }) => ts >= this.watermark - WINDOW)
    due.sort((a, b) => a.ts - b.ts || (a.id < b.id ? -1 : 1))
    for (const event of due) for (const rule of this.rules) if (rule.strict) this.judge(rule, event)
  }

  private judge(rule: ReferenceRule, { user, ts }: { user: string; ts: number }): void {
    const player = this.of(user)
    const count = (player.progress.get(rule.ruleId) ?? 0) + 1
    player.progress.set(rule.ruleId, count)
    const name = `${rule.ruleId} ${count}`
    const { level, restrictions } = known(player.said, this.watermark)
    const low = (level ?? 0) < rule.required
    if (restrictions.length === 0 && !low) {
      player.log.push(`created ${name} level ${level} [${ts}]`)
      return
    }
    const reasons = [...restrictions.map(([kind]) => kind), ...(low ? [`kyc ${level} of ${rule.required}`] : [])]
    player.log.push(`frozen ${name} at ${this.watermark}: ${reasons.join(', ')} [${ts}]`)
    player.waiting.push({ name, required: rule.required, expires: this.watermark + (rule.expiryMs ?? Infinity) })
  }
}

function move(player: Player, at: number, stamp: number): void {
  const { level, restrictions } = known(player.said, at)
  player.waiting = player.waiting.filter(({ name, required, expires }) => {
    if (expires <= at) player.log.push(`expired ${name} at ${expires} [${stamp}]`)
    else if (restrictions.length === 0 && (level ?? 0) >= required) {
      player.log.push(`created ${name} level ${level} released ${at} [${stamp}]`)
    } else return true
    return false
  })
}

function tell(player: Player, at: number, by: { event: string | null; stamp: number }): boolean {
  const now = show(known(player.said, at))
  if (now === player.known) return false
  player.known = now
  player.seq++
  player.log.push(`player ${now} as of ${player.asOf} seq ${player.seq} by ${by.event} [${by.stamp}]`)
  return true
}

type Known = { level: number | null; restrictions: [kind: string, since: number, until: number | null][] }

/** From everything that was ever said: the newest word on each counts. */
function known(said: readonly Said[], at: number): Known {
  const newest = <T extends Said>(of: readonly T[]): T | undefined =>
    [...of].sort((a, b) => a.ts - b.ts || (a.id < b.id ? -1 : 1)).at(-1)
  const kyc = newest(said.flatMap((each) => (each.kind === 'kyc' ? [each] : [])))
  const rg = said.flatMap((each) => (each.kind === 'rg' ? [each] : []))
  const kinds = [...new Set(rg.filter(({ says }) => says === 'restricts').map(({ restriction }) => restriction))].sort()
  const restrictions = kinds.flatMap((kind): Known['restrictions'] => {
    const about = rg.filter(
      ({ says, restriction }) =>
        says === 'lifts all' ||
        (says === 'lifts limits' && kind.endsWith('_limit')) ||
        ((says === 'restricts' || says === 'lifts') && restriction === kind),
    )
    const last = newest(about)
    if (last === undefined || last.says !== 'restricts') return []
    return last.until !== null && last.until <= at ? [] : [[kind, last.ts, last.until]]
  })
  return { level: kyc?.level ?? null, restrictions }
}

function show({ level, restrictions }: Known): string {
  return JSON.stringify([level, restrictions])
}
