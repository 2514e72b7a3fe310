/**
 * How many rewards a second go through the ledger alone: book, claim, clear, settle, by several ledgers at once, all from one
 * pool. The budget is sampled all the while.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import type { Ledger } from '../../core/ports/ledger.ts'
import { admit, book, claim, entry, paid, terms } from './fixtures.ts'

export interface Load {
  readonly url: string
  readonly rewards: number
  readonly ledgers: number
  readonly batch: number
  readonly allowNonDurable?: boolean
}

export interface Throughput {
  readonly perSecond: number
  readonly samples: number
  /** Milliseconds of the mean call, by step. */
  readonly stepMs: Readonly<Record<string, number>>
}

/** Throws where a sample shows `spent + reserved` above the budget. */
export async function throughput({ url, rewards, ledgers, batch, allowNonDurable = false }: Load): Promise<Throughput> {
  const open = Array.from({ length: ledgers + 1 }, () => openPostgresLedger({ url, allowNonDurable }))
  const [eyes, ...workers] = open
  if (eyes === undefined) throw new Error('nothing to look with')
  await eyes.migrate()
  const times = new Map<string, number[]>()
  const share = Math.ceil(rewards / ledgers)
  const from = performance.now()
  const sampler = sampling(eyes)
  const all = workers.map((ledger, n) =>
    work({ ledger, from: n * share, to: Math.min(rewards, (n + 1) * share), batch, times }),
  )
  await Promise.all(all)
  const seconds = (performance.now() - from) / 1000
  const samples = await sampler.stop()
  for (const ledger of open) await ledger.close()
  const mean = (list: readonly number[]): number => list.reduce((sum, ms) => sum + ms, 0) / list.length
  const stepMs = Object.fromEntries([...times].map(([step, list]) => [step, mean(list)]))
  return { perSecond: rewards / seconds, samples, stepMs }
}

interface Share {
  readonly ledger: Ledger
  readonly from: number
  readonly to: number
  readonly batch: number
  readonly times: Map<string, number[]>
}

/** One process's share: a booking, then what is claimed at once, until nothing is left. */
async function work({ ledger, from, to, batch, times }: Share): Promise<void> {
  const timed = async <T>(step: string, done: Promise<T>): Promise<T> => {
    const start = performance.now()
    const result = await done
    times.set(step, [...(times.get(step) ?? []), performance.now() - start])
    return result
  }
  for (let next = from; ; ) {
    if (next < to) {
      const size = Math.min(batch, to - next)
      const tasks = Array.from({ length: size }, (_, n) => entry(next + n, { terms: terms({ budget: 10n ** 12n }) }))
      await timed('book', book(ledger, tasks, admit))
      next += size
    }
    const claimed = await timed('claim', claim(ledger, batch))
    if (claimed.length === 0 && next >= to) return
    await timed('clear', ledger.clear(claimed))
    await timed('settle', ledger.settle(claimed.map(({ taskId }) => paid(taskId))))
  }
}

function sampling(eyes: Ledger): { stop(): Promise<number> } {
  const state = { working: true }
  let samples = 0
  const looking = (async (): Promise<void> => {
    while (state.working) {
      for (const { budget, spent, reserved } of await eyes.budgets()) {
        if (spent + reserved > (budget ?? 0n)) throw new Error('spent + reserved is above the budget')
        samples++
      }
      await sleep(20)
    }
  })()
  return {
    async stop() {
      state.working = false
      await looking
      return samples
    },
  }
}
