import type { PlayerChanged } from '../../core/model/player.ts'
import type { RewardRecord } from '../../core/model/reward.ts'
import { Violation } from './violation.ts'

/** What stands on the topic of rewards, in the words of the reference; and what must hold of it record by record. */
export class Told {
  /** By reward task id: what it is. */
  readonly rewards = new Map<string, string>()
  /** By reward task id: what became of it. */
  readonly fates = new Map<string, string>()
  readonly #players = new Map<string, string[]>()
  readonly #restricted = new Map<string, string>()

  /** By user: what is told of KYC and restrictions, one change after the other. */
  players(): Map<string, string> {
    return new Map([...this.#players].map(([user, told]) => [user, told.join('\n')]))
  }

  /** By user: how many changes were told. */
  counts(): Map<string, number> {
    return new Map([...this.#players].map(([user, told]) => [user, told.length]))
  }

  /** The next record of its partition. Throws a Violation. */
  take(record: RewardRecord | PlayerChanged): void {
    if (record.type === 'player.changed') this.#player(record)
    else this.#reward(record)
  }

  #player({ user_id: user, kyc_level: level, restrictions, as_of, seq, event_id }: PlayerChanged): void {
    const inForce = restrictions.map(({ kind, since, until }) => [
      kind,
      msOf(since),
      until === null ? null : msOf(until),
    ])
    const told = this.#players.get(user) ?? []
    told.push(
      `${seq} as of ${msOf(as_of)} by ${event_id ?? 'time'}: ${JSON.stringify({ level, restrictions: inForce })}`,
    )
    this.#players.set(user, told)
    this.#restricted.set(user, restrictions.map(({ kind }) => kind).join(', '))
  }

  #reward(record: RewardRecord): void {
    const { reward_task_id: id, user_id: user, origin, kyc, holds = [] } = record
    const { rule_id, period, threshold, rule_version, event_id } = origin
    const looks = holds.map(({ by }) => ` ${by}`).join('')
    const content = `${user}|${rule_id}|${period}|${threshold} ${rule_version} ${event_id}${looks}`
    const before = this.rewards.get(id)
    if (before !== undefined && before !== content) {
      throw new Violation(`the reward ${id} was committed as ${before}, and then as ${content}`)
    }
    this.rewards.set(id, content)
    const restricted = this.#restricted.get(user) ?? ''
    if (record.type === 'reward_task.created' && restricted !== '') {
      throw new Violation(`the reward ${id} is to be paid, and its player ${user} is under ${restricted}`)
    }
    const fate = this.fates.get(id)
    const next = fateOf(record, `level ${kyc?.level} of ${kyc?.required}`, kyc?.level)
    // One that goes on was frozen before, and nothing else has become of it.
    const fits = next.goesOn
      ? fate?.startsWith('frozen') === true && !/released|expired/.test(fate)
      : fate === undefined
    if (!fits) throw new Violation(`the reward ${id} was committed twice: ${fate ?? 'nothing'}, then ${next.how}`)
    this.fates.set(id, next.goesOn ? `${fate}, ${next.how}` : next.how)
  }
}

function fateOf(record: RewardRecord, kyc: string, level: number | null | undefined): { goesOn: boolean; how: string } {
  switch (record.type) {
    case 'reward_task.frozen':
      return { goesOn: false, how: `frozen at ${msOf(record.frozen_at)}, ${kyc}` }
    case 'reward_task.expired':
      return { goesOn: true, how: `expired at ${msOf(record.expired_at)}` }
    case 'reward_task.created':
      return record.released_at === undefined
        ? { goesOn: false, how: `created, ${kyc}` }
        : { goesOn: true, how: `released at ${msOf(record.released_at)}, level ${level}` }
    default:
      return record satisfies never
  }
}

function msOf(time: string): number {
  return Date.parse(time)
}
