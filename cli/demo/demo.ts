import { OncewardError } from '../../core/errors.ts'
import { closing } from '../runtime.ts'
import { audit, type AuditFacts } from './audit.ts'
import { committedRecords } from './committed-records.ts'
import { earnedIds } from './earned.ts'
import { createGame, type Ending, type Game, type GameOptions } from './game.ts'
import { Resources } from './resources.ts'
import { createObserver } from './snapshot.ts'
import { setStage, type Stage } from './stage.ts'
import { type DemoSummary, poolsOf, rewardCounts } from './summary.ts'

export interface DemoResult {
  readonly summary: DemoSummary
  /** Sentences: counts that do not add up. */
  readonly findings: readonly string[]
  readonly data: { readonly temporary: boolean; readonly path: string }
}

/** Everything in one process, from the players to the wallet; answers what came of it once all of it has stopped. */
export async function runDemo(options: GameOptions): Promise<DemoResult> {
  const resources = new Resources()
  return closing(resources, async () => {
    const stage = await setStage(options, resources)
    const game = createGame(stage, options)
    watch(stage, game, options)
    resources.defer(() => options.display.close())
    const ending = await game.play()
    const facts = await gather(stage, ending)
    await options.display.close()
    return {
      summary: await summarize(stage, facts, { options, game }),
      findings: audit(facts),
      data: stage.folder,
    }
  })
}

function watch(stage: Stage, game: Game, { display, clock, players, rules, forMs }: GameOptions): void {
  const look = createObserver({ ...stage, clock, ingested: game.ingested })
  const { folder, metricsUrl } = stage
  const data = folder.temporary ? 'temporary, removed at the end (--data DIR keeps them)' : folder.path
  display.say(`playing; metrics on ${metricsUrl}`)
  display.watch(look, () => ({
    players,
    rules: rules.length,
    phase: game.phase(),
    stopping: game.stopping(),
    elapsedMs: game.elapsedMs(),
    forMs,
    metricsUrl,
    data,
  }))
}

/** Counts everything where it is kept, now that nothing moves any more. */
async function gather({ infrastructure, topics, tally, before }: Stage, ending: Ending): Promise<AuditFacts & Letters> {
  const { log, ledger, partner, wallet } = infrastructure
  const ids = await earnedIds(log, topics.rewards)
  const dlq: Record<string, number> = {}
  for await (const records of committedRecords(log, topics.dlq, before.dlqEnds)) {
    for (const { value } of records) {
      const reason = textField(value, 'reason')
      dlq[reason] = (dlq[reason] ?? 0) + 1
    }
  }
  const { payout: _, budget_closed: __, ...rejected } = dlq
  const { unique, duplicates, rewards: created } = tally.counts
  return {
    dlq: rejected,
    events: {
      sent: ending.sent.lines,
      carriedOver: before.unprocessed,
      unique,
      duplicates,
      deadLetters: Object.values(rejected).reduce((sum, count) => sum + count, 0),
    },
    tasks: { before: before.tasks, created, ids },
    ledger: {
      rows: await ledger.latest(ROWS_MAX),
      budgets: await ledger.budgets(),
      caughtUp: ending.sinkCaughtUp,
    },
    wallet: { paid: wallet.paid(), differingRepeats: partner.stats().differing_repeats },
  }
}

interface Letters {
  /** Dead letters of this run by reason, without those about rewards. */
  readonly dlq: Readonly<Record<string, number>>
}

/** Every row; more than a demo can earn. */
const ROWS_MAX = 100_000_000

function textField(value: Buffer | null, name: string): string {
  const record = JSON.parse(value?.toString() ?? 'null') as Record<string, unknown> | null
  const field = record?.[name]
  if (typeof field === 'string') return field
  throw new OncewardError('ONCEWARD_E_INTERNAL', `a record without ${name} stands on the log`)
}

async function summarize(
  { infrastructure, tally }: Stage,
  facts: AuditFacts & Letters,
  { options, game }: { readonly options: GameOptions; readonly game: Game },
): Promise<DemoSummary> {
  const { events, dlq } = facts
  const partner = infrastructure.partner.stats()
  return {
    seconds: Math.round(game.elapsedMs() / 100) / 10,
    players: options.players,
    rules: options.rules.length,
    events: events.sent,
    carriedOver: events.carriedOver,
    unique: events.unique,
    duplicates: events.duplicates,
    dlq,
    scores: tally.counts.scores,
    points: tally.counts.points,
    rewards: rewardCounts(facts),
    wallet: {
      distinct: facts.wallet.paid.length,
      calls: partner.calls,
      failed: partner.failed,
      timedOut: partner.timed_out,
      repeats: partner.repeats,
    },
    pools: poolsOf(await infrastructure.ledger.budgets()),
  }
}
