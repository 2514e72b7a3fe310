import { OncewardError } from '../../core/errors.ts'
import type { Ledger } from '../../core/ports/ledger.ts'
import type { SimulatedProcess } from './process.ts'

/** The ledger as one sink reaches it; `down.until` is the virtual time until which it answers nobody. */
export function reachLedger(ledger: Ledger, process: SimulatedProcess, down: { until: number }): Ledger {
  const call = <T>(name: string, run: () => Promise<T>): Promise<T> =>
    process.io(`ledger ${name}`, async () => {
      if (down.until > process.clock.monotonic()) throw unavailable(name)
      if (!process.strikes('ledger-down', `ledger ${name}`)) return run()
      const applied = process.world.chance.is(0.5)
      process.note(`ledger ${name} was ${applied ? '' : 'not '}applied`)
      if (applied) await run()
      throw unavailable(name)
    })
  return {
    migrate: () => call('migrate', () => ledger.migrate()),
    book: (arrivals, admit) => call('book', () => ledger.book(arrivals, admit)),
    players: (changes) => call('players', () => ledger.players(changes)),
    claim: (request) => call('claim', () => ledger.claim(request)),
    clear: (claims) => call('clear', () => ledger.clear(claims)),
    settle: (settlements) => call('settle', () => ledger.settle(settlements)),
    thaw: (admit, limit) => call('thaw', () => ledger.thaw(admit, limit)),
    reroute: (which, route) => call('reroute', () => ledger.reroute(which, route)),
    outstanding: () => call('outstanding', () => ledger.outstanding()),
    waiting: () => call('waiting', () => ledger.waiting()),
    totals: () => call('totals', () => ledger.totals()),
    budgets: () => call('budgets', () => ledger.budgets()),
    latest: (limit) => call('latest', () => ledger.latest(limit)),
    close: () => Promise.resolve(),
  }
}

function unavailable(name: string): OncewardError {
  return new OncewardError('ONCEWARD_E_LEDGER_UNAVAILABLE', `the ledger did not answer ${name} (a simulated fault)`)
}
