import { groupLag } from '../../cli/log-tools/lag.ts'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import { systemClock as clock } from '../../core/clock.ts'
import { partitionOf } from '../../core/partitioner.ts'
import type { Feeder } from './feeder.ts'
import { type Installation, PARTITIONS } from './installation.ts'
import { closingEvents } from './workload.ts'

/** How long nothing may move before it counts as stuck, ms: a bound on standstill, not on how long it all takes. */
const STILL_MS_MAX = 180_000
const LOOK_EVERY_MS = 500
/** How many looks in a row must find nothing: a commit may be readable some milliseconds after it counts. */
const QUIET_LOOKS = 3

export interface Watching {
  readonly signal: AbortSignal
  readonly looked: (text: string) => void
}

/**
 * Time is data: the strict lane's last events get their turn once later ones have come. In two rounds, for what a batch
 * holds back itself has its turn with the next one. Throws where the workers stand still.
 */
export async function closeStrictLane(
  { log, workerGroup, topics }: Installation,
  options: Watching & { readonly seed: number; readonly feeder: Feeder; readonly given: Set<string> },
): Promise<void> {
  const { seed, feeder, given } = options
  for (const round of [1, 2]) {
    const events = closingEvents({ seed, fed: feeder.fed, round, users: oneUserOfEach() })
    for (const { line } of events) given.add(line)
    await feeder.send(events)
    await untilNothingIsLeft(options, async () => {
      const records = (await groupLag(log, workerGroup, topics.events))?.records ?? 0
      return { left: records, state: `the workers lag by ${records}` }
    })
  }
}

/** Waits until nothing is left to do: no lag of workers and sinks, nothing unpaid in the ledger. Throws where all stands still. */
export async function untilQuiet(installation: Installation, watching: Watching): Promise<void> {
  const { log, postgres, workerGroup, sinkGroup, topics } = installation
  const ledger = openPostgresLedger({ url: postgres.url })
  try {
    await untilNothingIsLeft(watching, async () => {
      // The workers first: what they had done when they were asked is on the topic of reward tasks when the sinks are.
      const events = (await groupLag(log, workerGroup, topics.events))?.records ?? 0
      const rewards = (await groupLag(log, sinkGroup, topics.rewards))?.records ?? 0
      const unpaid = await ledger.outstanding()
      const state = `the workers lag by ${events}, the sinks by ${rewards}; ${unpaid} rewards are unpaid`
      return { left: events + rewards + unpaid, state }
    })
  } finally {
    await ledger.close()
  }
}

async function untilNothingIsLeft(
  { signal, looked }: Watching,
  look: () => Promise<{ readonly left: number; readonly state: string }>,
): Promise<void> {
  let before = ''
  let movedMs = clock.monotonic()
  for (let quiet = 0; quiet < QUIET_LOOKS && !signal.aborted; ) {
    const { left, state } = await look()
    looked(state)
    quiet = left === 0 ? quiet + 1 : 0
    if (state !== before) movedMs = clock.monotonic()
    if (clock.monotonic() - movedMs > STILL_MS_MAX)
      throw new Error(`nothing has moved for ${STILL_MS_MAX} ms: ${state}`)
    before = state
    await clock.sleep(LOOK_EVERY_MS, signal)
  }
}

function oneUserOfEach(): readonly string[] {
  const homes = new Map<number, string>()
  for (let n = 0; homes.size < PARTITIONS; n++) homes.set(partitionOf(`closing_${n}`, PARTITIONS), `closing_${n}`)
  return [...homes.values()]
}
