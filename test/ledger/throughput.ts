/**
 * How many rewards a second go through the ledger alone: book, claim, clear, settle, by several ledgers at once, all from one
 * pool, on a server that syncs. `node --import tsx test/ledger/throughput.ts [rewards] [ledgers] [batch]`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../../connectors/ledger/embedded-postgres.ts'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import type { Ledger } from '../../core/ports/ledger.ts'
import { admit, book, claim, entry, paid, terms } from './fixtures.ts'

const [rewards = 40_000, count = 4, batch = 500] = process.argv.slice(2).map(Number)
const dir = mkdtempSync(join(tmpdir(), 'onceward-throughput-'))
const server = await startEmbeddedPostgres({ dir })
const spent: Record<string, number> = {}

async function timed<T>(step: string, work: Promise<T>): Promise<T> {
  const from = performance.now()
  const done = await work
  spent[step] = (spent[step] ?? 0) + performance.now() - from
  return done
}

/** One process's share: a booking, then what is claimed at once, until nothing is left. */
async function work(ledger: Ledger, from: number, to: number): Promise<void> {
  let next = from
  for (;;) {
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

const ledgers = Array.from({ length: count }, () => openPostgresLedger({ url: server.url }))
await ledgers[0]?.migrate()
let samples = 0
let done = false
const sampler = (async (): Promise<void> => {
  const eyes = openPostgresLedger({ url: server.url })
  while (!done) {
    for (const { budget, spent: out, reserved } of await eyes.budgets()) {
      if (out + reserved > (budget ?? 0n)) throw new Error('spent + reserved is above the budget')
      samples++
    }
    await new Promise((go) => setTimeout(go, 20))
  }
  await eyes.close()
})()
const from = performance.now()
const share = Math.ceil(rewards / count)
await Promise.all(ledgers.map((ledger, n) => work(ledger, n * share, Math.min(rewards, (n + 1) * share))))
const seconds = (performance.now() - from) / 1000
done = true
await sampler
process.stdout.write(
  `${Math.round(rewards / seconds)} rewards/s: ${rewards} in ${seconds.toFixed(1)} s, ${samples} samples\n`,
)
for (const [step, ms] of Object.entries(spent)) {
  process.stdout.write(`  ${step}: ${((ms / rewards) * batch).toFixed(1)} ms a batch of ${batch}\n`)
}
process.stdout.write(`${(await ledgers[0]?.totals())?.map((t) => `${t.status} ${t.count}`).join(', ')}\n`)
for (const ledger of ledgers) await ledger.close()
await server.stop()
rmSync(dir, { recursive: true, force: true })
