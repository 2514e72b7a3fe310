import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../command.ts'
import { createProgress, type Progress } from '../progress.ts'
import { EXIT } from '../report.ts'
import { runPayoutBench } from './payout.ts'
import { runCallsBench } from './payout-calls.ts'
import { payoutFindings, payoutJson, payoutReport } from './payout-report.ts'
import { withBenchPlace } from './place.ts'

interface PayoutBenchSettings {
  readonly count: number
  readonly sinks: number
  readonly inFlight: number
  readonly covered: number
  readonly calls: number
  readonly callers: number
  readonly dir: string | undefined
  readonly json: boolean
}

/** Answers 1 where an invariant was broken. */
export async function benchPayouts(context: Context<PayoutBenchSettings>): Promise<number> {
  const { settings, terminal, clock, signal } = context
  return withBenchPlace(context, async ({ folder }) => {
    const shared = { clock, signal }
    const database = join(folder, 'postgres')
    await mkdir(database)
    const { count: rewards, sinks, covered, inFlight, calls: count, callers } = settings
    const pool = await runPayoutBench({
      ...shared,
      ...watching(context, 'rewards'),
      folder: database,
      rewards,
      sinks,
      covered,
      concurrency: inFlight,
    })
    const calls = await runCallsBench({
      ...shared,
      ...watching(context, 'calls'),
      folder,
      calls: count,
      concurrency: callers,
    })
    const figures = { pool, calls }
    await terminal.print(settings.json ? payoutJson(figures) : payoutReport(figures))
    return payoutFindings(figures).length > 0 ? EXIT.failed : EXIT.fine
  })
}

function watching({ terminal, clock }: Context<PayoutBenchSettings>, unit: string) {
  let progress: Progress | undefined
  return {
    onPhase(phase: string) {
      terminal.note(`${phase} ...`)
      progress = undefined
    },
    onProgress(done: number, share: number) {
      progress ??= createProgress({ terminal, clock, label: 'bench', unit })
      progress.update({ done, share })
      if (share >= 1) progress.finish('done')
    },
  }
}
