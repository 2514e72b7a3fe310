/** All that pays: one payer for each partner, and whoever lets go on what was stopped. */
import { createClearer } from './clearer.ts'
import type { DeadLetters } from './dead-letters.ts'
import { RETRY_POLICY } from './decision.ts'
import type { Patience } from './patience.ts'
import { createPayer, type Payer } from './payer.ts'
import { type Routes, routesOf } from './routing.ts'
import { createSettler, type Differing } from './settler.ts'
import type { SinkOptions } from './sink.ts'
import type { Counters, SinkMetrics } from './stats.ts'
import { createThawer } from './thawer.ts'

export interface Desk {
  /** Pay until `stopping`; each rejects with what makes going on impossible. */
  run(): readonly Promise<void>[]
  /** Rewards were queued. */
  readonly queued: () => void
  /** Something that was stopped may go on. */
  readonly playersChanged: () => void
  inFlight(): number
}

export interface DeskParts extends Omit<SinkOptions, 'patience'> {
  readonly counters: Counters
  readonly deadLetters: DeadLetters
  readonly patience: Patience
  readonly metrics: SinkMetrics
  readonly stopping: AbortSignal
  readonly cutOff: AbortSignal
}

/** The schema first; then what waits for a partner that is gone goes to the one that pays its type now. */
export async function prepareLedger(
  { ledger, logger }: Pick<SinkOptions, 'ledger' | 'logger'>,
  routes: Routes,
  insistent: Patience,
): Promise<void> {
  await insistent.insist('bring the schema up to date', () => ledger.migrate())
  const moved = await insistent.insist('route rewards', () => ledger.reroute({ known: routes.known }, routes.byType))
  if (moved > 0) logger.warn({ rewards: moved }, 'rewards of partners that are no longer configured go to others')
}

export function openDesk(parts: DeskParts): Desk {
  const payers = createPayers(parts)
  const queued = (): void => {
    for (const payer of payers) payer.wake()
  }
  const thawer = createThawer({
    ...parts,
    byType: routesOf(parts.partners).byType,
    pollMs: parts.thawPollMs ?? 5_000,
    queued,
  })
  return {
    run: () => [thawer.run(), ...payers.map((payer) => payer.run())],
    queued,
    playersChanged: () => thawer.wake(),
    inFlight: () => payers.reduce((sum, payer) => sum + payer.inFlight(), 0),
  }
}

/** One for each partner, so that one that is slow or down holds up no other; what they ask of the ledger goes together. */
function createPayers(parts: DeskParts): readonly Payer[] {
  const { ledger, patience, clock, counters, logger, metrics } = parts
  const alarm = (differing: readonly Differing[]): void => {
    counters.differing += differing.length
    metrics.differing?.(differing.length)
    for (const { taskId, first, now } of differing) {
      logger.error({ task: taskId, first, now }, 'a partner answered a repeated request id in another way than before')
    }
  }
  const shared = {
    ...parts,
    clearer: createClearer(ledger, patience, clock),
    settler: createSettler(ledger, patience, alarm),
    retry: parts.retry ?? RETRY_POLICY,
    owner: `${parts.group}-${Math.floor(parts.random() * 2 ** 32).toString(16)}`,
    idlePollMs: parts.idlePollMs ?? 250,
  }
  return parts.partners.map(({ name, wallet, concurrency, leaseMs }) =>
    createPayer({ ...shared, partner: name, wallet, concurrency, leaseMs }),
  )
}
