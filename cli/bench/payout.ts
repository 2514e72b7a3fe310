import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { startEmbeddedPostgres } from '../../connectors/ledger/embedded-postgres.ts'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import type { Clock } from '../../core/clock.ts'
import { messageOf, OncewardError } from '../../core/errors.ts'
import type { Cents } from '../../core/money.ts'
import type { BudgetRow, Ledger, LedgerTotal } from '../../core/ports/ledger.ts'
import type { SinkStats } from '../../pipeline/payout/stats.ts'
import { COST_CENTS, HOT_POOL, type PayoutJob, type PayoutMessage, type PayoutOrder } from './payout-job.ts'

export interface PayoutBenchOptions {
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Empty; for the server's data: the disk that is measured. */
  readonly folder: string
  readonly rewards: number
  readonly sinks: number
  /** Payments at once, of each sink. */
  readonly concurrency: number
  /** Of the rewards, the part that the budget covers. */
  readonly covered: number
  readonly onPhase: (phase: string) => void
  readonly onProgress: (done: number, share: number) => void
}

export interface PayoutFigures {
  readonly rewards: number
  readonly sinks: number
  /** From the first booking to the last settlement, as the samples saw them. */
  readonly seconds: number
  readonly budget: Cents
  readonly samples: number
  /** The most that was spent and reserved at once. */
  readonly most: Cents
  /** What the samples saw above the budget; empty where there was never anything. */
  readonly above: readonly string[]
  readonly final: BudgetRow | undefined
  readonly totals: readonly LedgerTotal[]
  readonly stats: readonly SinkStats[]
}

const LOOK_EVERY_MS = 10
/** How long nothing may move before the bench gives up. */
const STANDSTILL_MS_MAX = 60_000

/** In a build this file is JavaScript, and so is the one beside it. */
const SCRIPT = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './payout-sink-process.ts' : './payout-sink-process.js', import.meta.url),
)

/** What the budget covers of the rewards, in whole rewards. */
export function coveredRewards({ rewards, covered }: Pick<PayoutBenchOptions, 'rewards' | 'covered'>): number {
  return Math.floor(rewards * covered)
}

/**
 * Sinks as processes of their own, each with a log of its own in memory and a wallet that pays at once, all through one pool
 * of one Postgres that syncs to the disk. Another connection looks at the pool throughout. Rejects with the first failure, or
 * the signal's reason; no process is left either way.
 */
export async function runPayoutBench(options: PayoutBenchOptions): Promise<PayoutFigures> {
  const { folder, onPhase } = options
  onPhase('starting Postgres')
  const server = await startEmbeddedPostgres({ dir: folder, durable: true })
  const ledger = openPostgresLedger({ url: server.url })
  const crew = new Crew(options, server.url)
  try {
    await ledger.migrate()
    onPhase('filling the logs')
    await crew.ready()
    onPhase(`${options.sinks} sinks at work`)
    crew.tell({ kind: 'go' })
    const seen = await Promise.race([watch(ledger, options), crew.died])
    const stats = await crew.stop()
    const totals = await ledger.totals()
    const { rewards, sinks } = options
    return { rewards, sinks, ...seen, totals, stats }
  } finally {
    crew.kill()
    await ledger.close()
    await server.stop()
  }
}

type Seen = Pick<PayoutFigures, 'seconds' | 'budget' | 'samples' | 'most' | 'above' | 'final'>

/** Looks at the pool until all rewards are booked and none is to be paid, or nothing moves any more. */
async function watch(ledger: Ledger, options: PayoutBenchOptions): Promise<Seen> {
  const { clock, signal, onProgress } = options
  const budget = BigInt(coveredRewards(options)) * COST_CENTS
  const above: string[] = []
  let [samples, most, last, begunMs] = [0, 0n, '', Number.NaN]
  for (let movedMs = clock.monotonic(); ; await clock.sleep(LOOK_EVERY_MS, signal)) {
    signal.throwIfAborted()
    const row = (await ledger.budgets()).find(({ poolId }) => poolId === HOT_POOL)
    const now = clock.monotonic()
    const { spent = 0n, reserved = 0n } = row ?? {}
    samples += 1
    if (spent + reserved > most) most = spent + reserved
    if (spent + reserved > budget) above.push(`${spent} + ${reserved} of ${budget}`)
    if (spent + reserved > 0n && Number.isNaN(begunMs)) begunMs = now - LOOK_EVERY_MS
    const looked = `${spent} ${reserved}`
    if (looked !== last) movedMs = now
    last = looked
    onProgress(Number(spent / COST_CENTS), Number(spent) / Math.max(1, Number(budget)))
    const over = reserved === 0n && spent > 0n && (await allIsBooked(ledger, options))
    if (over || now - movedMs > STANDSTILL_MS_MAX) {
      return { seconds: (movedMs - begunMs) / 1000, budget, samples, most, above, final: row }
    }
  }
}

/** Only asked where nothing is reserved: it goes through the whole ledger. */
async function allIsBooked(ledger: Ledger, { rewards }: PayoutBenchOptions): Promise<boolean> {
  const booked = (await ledger.totals()).reduce((sum, { count }) => sum + count, 0)
  return booked >= rewards && (await ledger.outstanding()) === 0
}

/** The processes. */
class Crew {
  readonly #children: ChildProcess[]
  readonly #ready: Promise<unknown>
  readonly #done: Promise<SinkStats[]>
  /** Rejects where one of them cannot go on. Never resolves. */
  readonly died: Promise<never>

  constructor({ sinks, rewards, concurrency, covered }: PayoutBenchOptions, url: string) {
    const budgetCents = BigInt(coveredRewards({ rewards, covered })) * COST_CENTS
    const [ready, done, died]: [Promise<void>[], Promise<SinkStats>[], Promise<never>[]] = [[], [], []]
    this.#children = Array.from({ length: sinks }, (_, index) => {
      const child = fork(SCRIPT, { execArgv: process.execArgv, serialization: 'advanced' })
      const share = Math.floor((rewards * (index + 1)) / sinks) - Math.floor((rewards * index) / sinks)
      child.send({ url, index, rewards: share, budgetCents, concurrency } satisfies PayoutJob)
      const heard = listen(child)
      ready.push(heard.ready)
      done.push(heard.done)
      died.push(heard.died)
      return child
    })
    this.died = Promise.race(died)
    this.#ready = Promise.race([Promise.all(ready), this.died])
    this.#done = Promise.race([Promise.all(done), this.died])
    // Nobody may be waiting for them right now.
    for (const promise of [this.died, this.#ready, this.#done]) promise.catch(() => undefined)
  }

  async ready(): Promise<void> {
    await this.#ready
  }

  tell(order: PayoutOrder): void {
    for (const child of this.#children) child.send(order)
  }

  async stop(): Promise<SinkStats[]> {
    this.tell({ kind: 'stop' })
    return this.#done
  }

  kill(): void {
    for (const child of this.#children) child.kill('SIGKILL')
  }
}

function listen(child: ChildProcess): {
  readonly ready: Promise<void>
  readonly done: Promise<SinkStats>
  readonly died: Promise<never>
} {
  const ready = new Promise<void>((resolve) => {
    child.on('message', (message: PayoutMessage) => message.kind === 'ready' && resolve())
  })
  const done = new Promise<SinkStats>((resolve) => {
    child.on('message', (message: PayoutMessage) => message.kind === 'done' && resolve(message.stats))
  })
  const died = new Promise<never>((_, reject) => {
    const fail = (how: string): void =>
      reject(new OncewardError('ONCEWARD_E_GAVE_UP', `a sink of the bench ended: ${how}`))
    child.on('message', (message: PayoutMessage) => message.kind === 'failed' && fail(message.message))
    child.once('error', (error) => fail(messageOf(error)))
    child.once('exit', (code, signal) => fail(signal ?? `exit code ${code}`))
  })
  died.catch(() => undefined)
  return { ready, done, died }
}
