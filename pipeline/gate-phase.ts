import { askGates, decideInputs, OUTPUTS_OF_TIMER, passAll, writeDecided } from '../operators/gates.ts'
import type { BatchContext } from '../operators/operator.ts'
import type { StagedState, Timer } from '../state/staged-state.ts'

/** The timers that may go off in a batch. */
export interface DueTimers {
  readonly due: readonly Timer[]
  /** The time of the next one that was not read; undefined: all that may go off were. */
  readonly next: number | undefined
}

const NONE: DueTimers = { due: [], next: undefined }

/** Reads the timers up to `watermark`, as far as a batch may bring forth what they set free; one at least. */
export async function dueTimers(
  state: StagedState,
  { nextTimer, outputsMax }: { readonly nextTimer: number | undefined; readonly outputsMax: number },
  watermark: number | undefined,
): Promise<DueTimers> {
  if (nextTimer === undefined || watermark === undefined || nextTimer > watermark) return NONE
  const most = Math.max(1, Math.min(TIMERS_MAX, Math.floor(outputsMax / OUTPUTS_OF_TIMER)))
  return state.timersUntil(watermark, most)
}

const TIMERS_MAX = 1_000

/**
 * The second phase of a batch: the gates by player. It costs nothing where no reward was earned, no event spoke of
 * protection and no timer goes off.
 *  1. ask for the few players it is about, and load them
 *  2. decide, in the order of the log
 *  3. load the tasks of what was frozen in former batches and moves now
 *  4. write, in order
 */
export async function passGates(batch: BatchContext, { due }: DueTimers, gated: boolean): Promise<void> {
  const { state, gates, output, time } = batch
  if (!gated) return passAll(gates, output)
  if (gates.length === 0 && due.length === 0) return
  // Before the first event that counts, one from the future may have told of a protection.
  const { watermark = 0 } = time
  askGates(state, gates, due)
  await state.loadMore()
  const decided = decideInputs(state, gates, { due, watermark })
  await state.loadMore()
  writeDecided(state, decided, output)
}
