import type { PlayerChanged } from '../../core/model/player.ts'
import { partitionOf } from '../../core/partitioner.ts'
import type { OutRecord } from '../../core/ports/log.ts'
import type { Chance } from './chance.ts'

/** Players who exclude themselves for some seconds, told on the topic of reward tasks as the stream tells it. */
export class Protection {
  readonly #chance: Chance
  #changes = 0

  constructor(chance: Chance) {
    this.#chance = chance
  }

  next(place: { readonly topic: string; readonly partitions: number; readonly now: number }): OutRecord {
    const { topic, partitions, now } = place
    const user = `u_${this.#chance.between(0, 5)}`
    const time = (ms: number): string => new Date(ms).toISOString()
    const lifted = this.#chance.is(0.3)
    const until = now + this.#chance.between(500, 8_000)
    const change: PlayerChanged = {
      type: 'player.changed',
      user_id: user,
      kyc_level: null,
      restrictions: lifted ? [] : [{ kind: 'self_exclusion', since: time(now), until: time(until) }],
      as_of: time(now),
      seq: ++this.#changes,
      event_id: null,
    }
    const value = JSON.stringify(change)
    return { topic, partition: partitionOf(user, partitions), key: user, value, timestamp: now }
  }
}
