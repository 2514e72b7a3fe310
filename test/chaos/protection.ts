import type { PlayerChanged } from '../../core/model/player.ts'
import type { RewardRecord } from '../../core/model/reward.ts'
import { repeats, sameSet } from './sets.ts'

/** What is said of a player: an event on the topic of events. */
interface Said {
  readonly id: string
  readonly time: number
  readonly until: number
}

/** What everything that was said of a player comes to in the end. */
export interface Standing {
  readonly verified: boolean
  /** Something is in force that ends by no time of the events so far. */
  readonly excluded: boolean
}

/** Of each player who was ever spoken of; `horizon`: up to which event time the player's partition has come, ms. */
export function standings(
  lines: readonly { readonly text: string; readonly horizon: number; readonly ingestMs: number }[],
): ReadonlyMap<string, Standing> {
  const verified = new Set<string>()
  const exclusions = new Map<string, Said & { readonly horizon: number }>()
  for (const { text, horizon, ingestMs } of lines) {
    const said = /"event_name":"(kyc_status_changed|rg_event)"/.test(text) ? JSON.parse(text) : undefined
    if (said === undefined) continue
    const { event_id: id, event_name: name, ts, user, payload } = said
    const time = Date.parse(ts)
    if (time > ingestMs + 300_000) continue
    if (name === 'kyc_status_changed') verified.add(user.id)
    else {
      const until = payload.action === 'lifted' ? 0 : payload.until === undefined ? Infinity : Date.parse(payload.until)
      const known = exclusions.get(user.id)
      // The newest word counts, in whatever order they came.
      const isNewer = known === undefined || time > known.time || (time === known.time && id > known.id)
      if (isNewer) exclusions.set(user.id, { id, time, until, horizon })
    }
  }
  const users = new Set([...verified, ...exclusions.keys()])
  return new Map(
    [...users].map((user) => {
      const { until, horizon } = exclusions.get(user) ?? { until: 0, horizon: 0 }
      return [user, { verified: verified.has(user), excluded: until > horizon }] as const
    }),
  )
}

/** Rewards for which nobody needs to be verified, by hand: `rule|threshold`. */
const FOR_ALL: ReadonlySet<string> = new Set(['r_rounds|500'])

export interface Gated {
  /** What is to be paid: ids of rewards that were created, at once or once they were released. */
  readonly payable: ReadonlySet<string>
  readonly frozen: number
  readonly released: number
  readonly differences: readonly string[]
}

/** What the gates made of the rewards, by the records on the topic in their order. */
export function gated(records: readonly (RewardRecord | PlayerChanged)[], known: ReadonlyMap<string, Standing>): Gated {
  const last = new Map<string, RewardRecord>()
  const restricted = new Set<string>()
  const differences: string[] = []
  const payable: string[] = []
  const frozen: string[] = []
  let released = 0
  for (const record of records) {
    const { user_id: user } = record
    if (record.type === 'player.changed') {
      if (record.restrictions.length > 0) restricted.add(user)
      else restricted.delete(user)
      continue
    }
    const { reward_task_id: id } = record
    const before = last.get(id)
    last.set(id, record)
    if (record.type === 'reward_task.frozen') frozen.push(id)
    if (record.type !== 'reward_task.created') continue
    payable.push(id)
    if (restricted.has(user)) differences.push(`${id} is to be paid, and ${user} is restricted`)
    if (record.released_at !== undefined) released++
    if ((record.released_at !== undefined) !== (before !== undefined)) {
      differences.push(`${id} was created ${record.released_at ?? 'at once'}, and before it was ${before?.type}`)
    }
  }
  const stillFrozen = [...last.values()].filter(({ type }) => type === 'reward_task.frozen')
  const mustBe = [...last.values()].filter((record) => {
    const { verified = false, excluded = false } = known.get(record.user_id) ?? {}
    const needsNobody = FOR_ALL.has(`${record.origin.rule_id}|${record.origin.threshold}`)
    // What was paid before its player was excluded stays paid.
    return (!verified && !needsNobody) || (excluded && !payable.includes(record.reward_task_id))
  })
  return {
    payable: new Set(payable),
    frozen: frozen.length,
    released,
    differences: [
      ...differences,
      ...repeats('reward created', payable),
      ...repeats('reward frozen', frozen),
      ...sameSet('frozen rewards', new Set(mustBe.map(idOf)), new Set(stillFrozen.map(idOf))),
    ],
  }
}

function idOf({ reward_task_id: id }: RewardRecord): string {
  return id
}
