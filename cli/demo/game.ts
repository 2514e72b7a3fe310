import type { Clock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'
import { seededRandom } from '../../core/random.ts'
import { syntheticPlayers } from '../../pipeline/synthetic-players.ts'
import { ingest, type IngestCounts } from '../log-tools/ingest.ts'
import { groupLag } from '../log-tools/lag.ts'
import { untilAborted } from '../runtime.ts'
import { APPLICATION, SINK_GROUP } from './crew.ts'
import { playedLines } from './players.ts'
import type { Stage, StageOptions } from './stage.ts'

export interface GameOptions extends StageOptions {
  readonly players: number
  /** Events a second. */
  readonly rate: number
  /** undefined: until `signal` aborts. */
  readonly forMs: number | undefined
  /** Begins the ids of this run's events; no other run's. */
  readonly runId: string
}

export interface Game {
  readonly ingested: () => IngestCounts
  phase(): string
  /** Play is over. */
  stopping(): boolean
  /** Since the first player came, until play ended. */
  elapsedMs(): number
  /** Plays until the time is over or the signal aborts, then waits for what is under way. */
  play(): Promise<Ending>
}

export interface Ending {
  readonly sent: IngestCounts
  /** False where the sink had not read all tasks when the patience was over. */
  readonly sinkCaughtUp: boolean
}

/** Events on the log ahead of the workers, at most: a rate beyond the machine must not fill the disk. */
const EVENTS_AHEAD_MAX = 20_000
/** The share of the players who are verified: what the others earn is frozen. */
const VERIFIED = 0.9
const POLL_MS = 50
/** The workers are waited for as long as they get on. */
const STANDSTILL_MS_MAX = 30_000
/** For what is pending once all is scored: many times what a few retries take. */
const PAYING_MS_MAX = 15_000

export function createGame(stage: Stage, options: GameOptions): Game {
  const { clock, signal, forMs } = options
  const { crew } = stage
  const startedMs = clock.monotonic()
  let endedMs: number | undefined
  let phase = 'playing'
  let sent: IngestCounts = { lines: 0, events: 0, rejected: 0 }
  return {
    ingested: () => sent,
    phase: () => phase,
    stopping: () => endedMs !== undefined,
    elapsedMs: () => (endedMs ?? clock.monotonic()) - startedMs,
    async play() {
      const over = new AbortController()
      const stop = AbortSignal.any([signal, over.signal])
      const ingesting = startPlayers(stage, options, {
        signal: stop,
        sent: () => sent,
        onProgress: (counts) => {
          sent = counts
        },
      })
      const end = forMs === undefined ? untilAborted(stop) : clock.sleep(forMs, stop)
      try {
        await Promise.race([end, ingesting, crew.failed])
      } finally {
        over.abort()
        endedMs = clock.monotonic()
        // Whether it went wrong is told by the next line, unless something else went wrong before.
        await ingesting.catch(() => undefined)
      }
      await ingesting
      phase = 'finishing: scoring what was sent'
      await Promise.race([scored(stage, clock), crew.failed])
      phase = 'finishing: paying what is pending'
      await Promise.race([paid(stage, clock), crew.failed])
      phase = 'finishing: stopping'
      await crew.close()
      return { sent, sinkCaughtUp: (await lagOf(stage, SINK_GROUP, 'rewards')) === 0 }
    },
  }
}

interface Feeding {
  readonly signal: AbortSignal
  readonly sent: () => IngestCounts
  readonly onProgress: (counts: IngestCounts) => void
}

function startPlayers(stage: Stage, options: GameOptions, feeding: Feeding): Promise<IngestCounts> {
  const { clock, players, rate, seed, runId, normalize } = options
  const { topics, infrastructure, tally, before } = stage
  const { signal, sent, onProgress } = feeding
  const ahead = (): number => sent().events + before.unprocessed - tally.counts.events
  const room = async (): Promise<void> => {
    while (!signal.aborted && ahead() > EVENTS_AHEAD_MAX) await clock.sleep(POLL_MS, signal)
  }
  const next = syntheticPlayers({ seed: runId, players, random: seededRandom(seed), verified: VERIFIED })
  const lines = playedLines({ clock, signal, next, perSecond: rate, room })
  const ingesting = ingest(lines, { log: infrastructure.log, topics, clock, normalize, signal, onProgress })
  ingesting.catch(() => undefined)
  return ingesting
}

async function lagOf({ infrastructure, topics }: Stage, group: string, topic: 'events' | 'rewards'): Promise<number> {
  return (await groupLag(infrastructure.log, group, topics[topic]))?.records ?? 0
}

/** Until the workers have processed everything. Throws ONCEWARD_E_GAVE_UP where they do not get on. */
async function scored(stage: Stage, clock: Clock): Promise<void> {
  let least = Number.POSITIVE_INFINITY
  let movedMs = clock.monotonic()
  for (;;) {
    const lag = await lagOf(stage, APPLICATION, 'events')
    if (lag === 0) return
    if (lag < least) movedMs = clock.monotonic()
    least = Math.min(least, lag)
    if (clock.monotonic() - movedMs > STANDSTILL_MS_MAX) {
      throw new OncewardError(
        'ONCEWARD_E_GAVE_UP',
        `the workers have stood still for ${STANDSTILL_MS_MAX / 1_000} s with ${lag} events to go; run again with --log-level info to see why`,
      )
    }
    await clock.sleep(POLL_MS)
  }
}

/** Until every reward is paid or has failed, or the patience is over. */
async function paid(stage: Stage, clock: Clock): Promise<void> {
  const endMs = clock.monotonic() + PAYING_MS_MAX
  while (clock.monotonic() < endMs) {
    const open = (await lagOf(stage, SINK_GROUP, 'rewards')) + (await stage.infrastructure.ledger.outstanding())
    if (open === 0) return
    await clock.sleep(POLL_MS)
  }
}
