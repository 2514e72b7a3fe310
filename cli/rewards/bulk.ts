/**
 * The way of every command on rewards: first what it would do, one reward after the other, with what it costs and what is
 * left then; after a yes it is carried out, in transactions of bounded size. What was done before is unchanged or decided,
 * so that the same command again goes on where it was stopped.
 */
import { formatMoney } from '../../core/money.ts'
import { COMMAND_TARGETS_MAX, type Outcome, type PoolPositions } from '../../core/ports/back-office.ts'
import type { Context } from '../command.ts'
import { createProgress } from '../progress.ts'
import { agreed } from '../replay/confirmation.ts'
import { EXIT } from '../report.ts'
import { textTable } from '../text-table.ts'
import { jsonOf, OutcomeTally } from './outcomes.ts'

export interface BulkSettings {
  readonly yes: boolean
  readonly json: boolean
}

export interface Bulk<T> {
  /** What is done, as a heading says it: `approve`. */
  readonly verb: string
  readonly targets: readonly T[]
  forecast(some: readonly T[], positions: PoolPositions): Promise<readonly Outcome[]>
  carryOut(some: readonly T[]): Promise<readonly Outcome[]>
}

/** Answers the exit code: 1 where anything was refused; undefined where it was asked to stop. */
export async function runBulk<T>(bulk: Bulk<T>, context: Context<BulkSettings>): Promise<number | undefined> {
  const { settings, terminal, signal } = context
  const { verb, targets } = bulk
  if (targets.length === 0) {
    await terminal.print(
      settings.json
        ? `${JSON.stringify({ phase: 'forecast', rewards: 0 })}\n`
        : 'there is no such reward: nothing to do\n',
    )
    return EXIT.fine
  }
  const positions: PoolPositions = new Map()
  const forecast = await through(bulk, context, { phase: 'forecast', work: (some) => bulk.forecast(some, positions) })
  if (signal.aborted) return undefined
  await print(context, { phase: 'forecast', tally: forecast, positions })
  if (forecast.done === 0) return forecast.refused > 0 ? EXIT.failed : EXIT.fine
  if (!(await agreed(settings, `${verb} ${plural(forecast.done)}?`, signal))) {
    terminal.note('nothing was changed; with --yes it is carried out')
    return forecast.refused > 0 ? EXIT.failed : EXIT.fine
  }
  const progress = createProgress({ ...context, label: verb, unit: 'rewards' })
  const result = await through(bulk, context, {
    phase: 'done',
    work: (some) => bulk.carryOut(some),
    tell: (done) => progress.update({ done, share: done / targets.length }),
  })
  progress.finish(`${verb}: ${summary(result)}`)
  await print(context, { phase: 'done', tally: result })
  if (result.seen < targets.length) {
    terminal.note(`stopped after ${result.seen} of ${plural(targets.length)}; the same command again goes on`)
    return undefined
  }
  return result.refused > 0 ? EXIT.failed : EXIT.fine
}

interface Pass<T> {
  readonly phase: 'forecast' | 'done'
  readonly work: (some: readonly T[]) => Promise<readonly Outcome[]>
  readonly tell?: (done: number) => void
}

/** Between two transactions it may be stopped. */
async function through<T>(
  { targets }: Bulk<T>,
  { settings, signal, terminal }: Context<BulkSettings>,
  { phase, work, tell }: Pass<T>,
): Promise<OutcomeTally> {
  const tally = new OutcomeTally()
  for (let at = 0; at < targets.length && !signal.aborted; at += COMMAND_TARGETS_MAX) {
    const outcomes = await work(targets.slice(at, at + COMMAND_TARGETS_MAX))
    tally.add(outcomes)
    if (settings.json) {
      await terminal.print(outcomes.map((outcome) => `${JSON.stringify({ phase, ...jsonOf(outcome) })}\n`).join(''))
    }
    tell?.(Math.min(at + COMMAND_TARGETS_MAX, targets.length))
  }
  return tally
}

async function print(
  { settings, terminal }: Context<BulkSettings>,
  of: { readonly phase: 'forecast' | 'done'; readonly tally: OutcomeTally; readonly positions?: PoolPositions },
): Promise<void> {
  const { phase, tally, positions } = of
  if (settings.json) {
    await terminal.print(
      `${JSON.stringify({ phase, ...tally.json(), ...(positions === undefined ? {} : { pools: tally.pools(positions) }) })}\n`,
    )
    return
  }
  if (positions === undefined) return
  const head = `dry run: ${summary(tally)}\n`
  await terminal.print([tally.table(), '\n', head, poolTable(tally, positions)].join(''))
}

function summary(tally: OutcomeTally): string {
  const { done, unchanged, refused } = tally
  const parts = [
    `${done} done`,
    ...(unchanged > 0 ? [`${unchanged} so already`] : []),
    ...(refused > 0 ? [`${refused} refused`] : []),
  ]
  return `${parts.join(', ')}${tally.overrun > 0n ? `; ${formatMoney(tally.overrun)} above the budget` : ''}`
}

function poolTable(tally: OutcomeTally, positions: PoolPositions): string {
  const pools = tally.pools(positions)
  if (pools.length === 0) return ''
  const rows = pools.map(({ pool, period, reserves, left }) => [pool, period, reserves, left ?? 'unbounded'])
  return `\n${textTable([['POOL', 'PERIOD', 'RESERVES', 'LEFT THEN'], ...rows])}`
}

function plural(count: number): string {
  return count === 1 ? '1 reward' : `${count} rewards`
}
