import { assert } from '../core/assert.ts'
import { decideGates } from '../core/gates.ts'
import type { HoldReason, FrozenRewardTask, RewardTask, RewardTaskBase } from '../core/model/reward.ts'
import type { PlayerChanged } from '../core/model/player.ts'
import { FROZEN_MAX, type PlayerState } from '../state/player-state.ts'
import type { StagedState, Timer } from '../state/staged-state.ts'
import { FROZEN, PLAYERS } from '../state/stores.ts'
import { unfrozen } from './earned.ts'
import type { BatchOutput } from './operator.ts'
import { applyChange, type Moved, newPlayer, nextInstant, playerOf, settle, timeText } from './player-fold.ts'
import { LAST_INSTANT, type ProtectionChange } from './protection-event.ts'
import type { EarnedReward } from './reward-task.ts'

/**
 * The gates by player (SPEC S7), which stand between a reward that was earned and its task. They are asked once for a
 * batch, after its last event: few events have anything to do with them, and all others must not pay for a look at the
 * player. The line collects what they are asked in the order of the log, and they decide in that order.
 *
 * I13 (order): what becomes of a player's rewards is a function of the partition's records in their order. Before a
 * player is touched at watermark W, what time alone brings up to W is settled by the state before it; so neither where
 * the log is cut into batches nor when a timer is looked at makes any difference.
 */

/** What the line hands to the gates. `at`: the watermark after the record, ms; all that is known by then counts. */
export type GateInput = {
  readonly userId: string
  readonly at: number
  /** Ingest time of the event, ms: the timestamp of what it brings forth. */
  readonly timestamp: number
} & (
  | { readonly kind: 'earned'; readonly reward: EarnedReward }
  /** `ts` is the event's own time. */
  | { readonly kind: 'protection'; readonly change: ProtectionChange; readonly eventId: string; readonly ts: number }
)

/** What one timer that goes off may bring forth: all that its player's end of a restriction sets free. */
export const OUTPUTS_OF_TIMER = FROZEN_MAX + 1

/** What the gates have decided, in order; the task of what was frozen in former batches is yet to be read. */
export type GateDecided = { readonly userId: string; readonly timestamp: number } & (
  | { readonly kind: 'record'; readonly record: RewardTask | PlayerChanged }
  | { readonly kind: 'frozen'; readonly record: FrozenRewardTask }
  | Exclude<Moved, { readonly kind: 'changed' }>
)

/** Announces the players. Their state is then to be loaded. */
export function askGates(state: StagedState, inputs: readonly GateInput[], due: readonly Timer[]): void {
  for (const { userId } of inputs) state.ask(PLAYERS, userId)
  for (const { userId } of due) state.ask(PLAYERS, userId)
}

/**
 * Decides over all inputs in order, then lets time pass for whoever was touched or is due. Stages the players and their
 * timers, and announces the tasks that `writeDecided` needs.
 */
export function decideInputs(
  state: StagedState,
  inputs: readonly GateInput[],
  { due, watermark }: { readonly due: readonly Timer[]; readonly watermark: number },
): readonly GateDecided[] {
  const players = new Map<string, PlayerState>()
  const playerAt = (userId: string): PlayerState => {
    let player = players.get(userId)
    if (player === undefined) {
      player = state.get(PLAYERS, userId) ?? newPlayer()
      players.set(userId, player)
    }
    return player
  }
  const decided: GateDecided[] = []
  const changed = new Set<string>()
  const add = (moved: readonly Moved[], about: { readonly userId: string; readonly timestamp?: number }): void => {
    if (moved.length > 0) changed.add(about.userId)
    for (const each of moved) decided.push(told(each, about))
  }
  for (const input of inputs) {
    const { userId, at, timestamp } = input
    const player = playerAt(userId)
    add(settle(player, userId, at), { userId })
    if (input.kind === 'protection') {
      const { change, eventId, ts } = input
      const moved = applyChange(player, change, { userId, said: { at: ts, id: eventId }, watermark: at })
      // Also where nothing changes that is known now: what was said last counts against what arrives later.
      changed.add(userId)
      add(moved, { userId, timestamp })
    } else {
      const outcome = judge(player, input.reward, at)
      if (outcome.kind === 'frozen') changed.add(userId)
      decided.push({ ...outcome, userId, timestamp })
    }
  }
  for (const { userId, at } of due) {
    // It stands for nothing: were it kept, it would be due for ever.
    if (playerAt(userId).timer !== at) state.setTimer({ at, userId }, false)
  }
  for (const [userId, player] of players) add(settle(player, userId, watermark), { userId })
  for (const userId of changed) stage(state, userId, playerAt(userId))
  for (const each of decided) {
    if (each.kind === 'frozen') state.ask(FROZEN, each.record.reward_task_id)
    else if (each.kind !== 'record') state.ask(FROZEN, each.ref.id)
  }
  return decided
}

/** Writes what was decided, once the tasks that it names are at hand. */
export function writeDecided(state: StagedState, decided: readonly GateDecided[], output: BatchOutput): void {
  const { rewards, counts } = output
  for (const each of decided) {
    const { userId: key, timestamp } = each
    if (each.kind === 'record') {
      rewards.push({ key, timestamp, value: each.record })
      continue
    }
    if (each.kind === 'frozen') {
      state.put(FROZEN, each.record.reward_task_id, each.record)
      counts.frozen++
      rewards.push({ key, timestamp, value: each.record })
      continue
    }
    const { ref, at, level } = each
    const frozen = state.get(FROZEN, ref.id)
    assert(frozen !== undefined, `the task of a frozen reward is kept: ${ref.id}`)
    state.delete(FROZEN, ref.id)
    counts[each.kind]++
    const base = baseOf(frozen, level)
    rewards.push({
      key,
      timestamp,
      value:
        each.kind === 'released'
          ? { type: 'reward_task.created', ...base, status: 'pending', released_at: timeText(at) }
          : { type: 'reward_task.expired', ...base, status: 'expired', expired_at: timeText(at) },
    })
  }
}

/** Without the gates: everything that was earned goes out. For backtests, which ask what rules give. */
export function passAll(inputs: readonly GateInput[], { rewards }: BatchOutput): void {
  for (const input of inputs) {
    if (input.kind !== 'earned') continue
    const value = { type: 'reward_task.created', ...input.reward.task, status: 'pending' } as const
    rewards.push({ key: input.userId, timestamp: input.timestamp, value })
  }
}

/** What time alone brings about bears its own instant: nobody's event is its cause. */
function told(
  moved: Moved,
  { userId, timestamp }: { readonly userId: string; readonly timestamp?: number },
): GateDecided {
  const about = { userId, timestamp: timestamp ?? moved.at }
  return moved.kind === 'changed' ? { ...about, kind: 'record', record: moved.record } : { ...about, ...moved }
}

function judge(
  player: PlayerState,
  { task, required, unknown, expiryMs }: EarnedReward,
  at: number,
): { kind: 'record'; record: RewardTask } | { kind: 'frozen'; record: FrozenRewardTask } {
  const known = playerOf(player)
  const decision = decideGates({ player: known, kycRequired: required, kycUnknown: unknown, at })
  const kyc = { required, level: known.kycLevel }
  if (decision.kind === 'pass') {
    return { kind: 'record', record: { type: 'reward_task.created', ...task, kyc, status: 'pending' } }
  }
  if (player.frozen.length >= FROZEN_MAX) {
    const holds = [...(task.holds ?? []), FROZEN_FULL]
    return { kind: 'record', record: { type: 'reward_task.created', ...task, kyc, holds, status: 'pending' } }
  }
  const expiresAt = expiryMs === undefined || at + expiryMs > LAST_INSTANT ? null : at + expiryMs
  player.frozen.push({ id: task.reward_task_id, required, unknown, expiresAt })
  return {
    kind: 'frozen',
    record: {
      type: 'reward_task.frozen',
      ...task,
      kyc,
      status: 'frozen',
      reasons: decision.reasons,
      frozen_at: timeText(at),
      ...(expiresAt === null ? {} : { expires_at: timeText(expiresAt) }),
    },
  }
}

const FROZEN_FULL: HoldReason = {
  by: 'frozen_limit',
  detail: `KYC or a restriction of the player stands against it, and ${FROZEN_MAX} rewards of the player wait already`,
}

/** What the frozen task says of the reward, with the player's level as it is now. */
function baseOf(frozen: FrozenRewardTask, level: number | null): RewardTaskBase {
  const { kyc, ...base } = unfrozen(frozen)
  return { ...base, ...(kyc === undefined ? {} : { kyc: { required: kyc.required, level } }) }
}

function stage(state: StagedState, userId: string, player: PlayerState): void {
  const next = nextInstant(player)
  if (next !== player.timer) {
    if (player.timer !== null) state.setTimer({ at: player.timer, userId }, false)
    if (next !== null) state.setTimer({ at: next, userId }, true)
    player.timer = next
  }
  state.put(PLAYERS, userId, player)
}
