import { isActive } from '../../core/gates.ts'
import { type Player, UNKNOWN_PLAYER } from '../../core/model/player.ts'
import type { PlayerChange } from '../../core/ports/ledger.ts'

/** What the ledger was told of players, each change once, and when: for the audit, apart from what it makes of it. */
export class Hearing {
  readonly #heard = new Map<string, { readonly at: number; readonly seq: number; readonly player: Player }[]>()

  add({ userId, seq, player }: PlayerChange, at: number): void {
    const heard = this.#heard.get(userId) ?? []
    if (heard.every((each) => each.seq < seq)) heard.push({ at, seq, player })
    this.#heard.set(userId, heard)
  }

  /** Whether by what was told at some instant from `since` to `now`, ms, nothing restricts the player now. */
  wasFree(userId: string, since: number, now: number): boolean {
    const heard = this.#heard.get(userId) ?? []
    const before = heard.findLast(({ at }) => at <= since)?.player ?? UNKNOWN_PLAYER
    const after = heard.filter(({ at }) => at > since).map(({ player }) => player)
    return [before, ...after].some(({ restrictions }) => restrictions.every((each) => !isActive(each, now)))
  }
}
