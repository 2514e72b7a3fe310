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
  /** Ends that have been told: a restriction that ended stays ended, whatever is said of others. */
  log: string[]
}

const WINDOW = 60_000

/** What each player's records on the topic are, in order. */
export function gateReference(
  steps: readonly Step[],
  rules: readonly ReferenceRule[],
): { records: Record<string, string[]>; late: number } {
  const players = new Map<string, Player>()
  const seen = new Set<string>()
  let queue: { user: string; ts: number; id: string }[] = []
  let watermark = -Infinity
  let late = 0

  const of = (user: string): Player => {
    const player = players.get(user) ?? {
      said: [],
      waiting: [],
      progress: new Map(),
      known: show(known([], 0)),
      asOf: 0,
      seq: 0,
      log: [],
    }
    players.set(user, player)
    return player
  }

  const move = (player: Player, at: number, stamp: number): void => {
    const { level, restrictions } = known(player.said, at)
    player.waiting = player.waiting.filter(({ name, required, expires }) => {
      if (expires <= at) player.log.push(`expired ${name} at ${expires} [${stamp}]`)
      else if (restrictions.length === 0 && (level ?? 0) >= required) {
        player.log.push(`created ${name} level ${level} released ${at} [${stamp}]`)
      } else return true
      return false
    })
  }
  const tell = (player: Player, at: number, by: { event: string | null; stamp: number }): boolean => {
    const now = show(known(player.said, at))
    if (now === player.known) return false
    player.known = now
    player.seq++
    player.log.push(`player ${now} as of ${player.asOf} seq ${player.seq} by ${by.event} [${by.stamp}]`)
    return true
  }
  const pass = (from: number, to: number): void => {
    for (const player of players.values()) {
      const ends = player.said.flatMap((said) => (said.kind === 'rg' && said.until !== null ? [said.until] : []))
      const instants = [...ends, ...player.waiting.map(({ expires }) => expires)].filter((at) => at > from && at <= to)
      for (const at of [...new Set(instants)].sort((a, b) => a - b)) {
        tell(player, at, { event: null, stamp: at })
        move(player, at, at)
      }
    }
  }
  const judge = (rule: ReferenceRule, { user, ts }: { user: string; ts: number }): void => {
    const player = of(user)
    const count = (player.progress.get(rule.ruleId) ?? 0) + 1
    player.progress.set(rule.ruleId, count)
    const name = `${rule.ruleId} ${count}`
    const { level, restrictions } = known(player.said, watermark)
    const low = (level ?? 0) < rule.required
    if (restrictions.length === 0 && !low) player.log.push(`created ${name} level ${level} [${ts}]`)
    else {
      const reasons = [...restrictions.map(([kind]) => kind), ...(low ? [`kyc ${level} of ${rule.required}`] : [])]
      player.log.push(`frozen ${name} at ${watermark}: ${reasons.join(', ')} [${ts}]`)
      player.waiting.push({ name, required: rule.required, expires: watermark + (rule.expiryMs ?? Infinity) })
    }
  }
  const advance = (ts: number): void => {
    const before = watermark
    watermark = Math.max(watermark, ts)
    pass(before, watermark)
  }
  const release = (): void => {
    const due = queue.filter(({ ts }) => ts < watermark - WINDOW)
    queue = queue.filter(({ ts }) => ts >= watermark - WINDOW)
    due.sort((a, b) => a.ts - b.ts || (a.id < b.id ? -1 : 1))
    for (const event of due) for (const rule of rules) if (rule.strict) judge(rule, event)
  }

  for (const step of steps) {
    if (step.kind === 'tick') {
      advance(step.ts)
      release()
      continue
    }
    if (seen.has(step.id)) continue
    const isLate = step.ts < watermark - WINDOW
    if (isLate) late++
    else seen.add(step.id)
    advance(step.ts)
    if (step.kind !== 'login') {
      const player = of(step.user)
      player.said.push(step)
      const before = player.asOf
      player.asOf = Math.max(before, step.ts)
      if (tell(player, watermark, { event: step.id, stamp: step.ts })) move(player, watermark, step.ts)
      else player.asOf = before
    } else if (!isLate) {
      for (const rule of rules) if (!rule.strict) judge(rule, step)
      queue.push(step)
    }
    release()
  }
  const records = [...players].filter(([, { log }]) => log.length > 0).map(([user, { log }]) => [user, log] as const)
  return { records: Object.fromEntries(records), late }
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
