import { expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import type { Ledger, Settlement } from '../../core/ports/ledger.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { createClearer } from '../../pipeline/payout/clearer.ts'
import { RETRY_POLICY } from '../../pipeline/payout/decision.ts'
import { PATIENCE, patience } from '../../pipeline/payout/patience.ts'
import { createPayer } from '../../pipeline/payout/payer.ts'
import { createSettler } from '../../pipeline/payout/settler.ts'
import { newCounters } from '../../pipeline/payout/stats.ts'
import { answering } from './bench.ts'
import { entry, eventually } from './fixtures.ts'

test('what was claimed is given back uncalled once the breaker opens, and nothing more is claimed', async () => {
  const [stopping, cutOff] = [new AbortController(), new AbortController()]
  const settled: Settlement[] = []
  let [claims, next] = [0, 0]
  const ledger: Pick<Ledger, 'claim' | 'clear' | 'settle'> = {
    claim({ limit }) {
      claims++
      const found = Array.from({ length: limit }, () => entry(next++))
      return Promise.resolve(found.map((task) => ({ taskId: task.taskId, claim: 1n, attempts: 0, task })))
    },
    clear: (some) => Promise.resolve(new Map(some.map(({ taskId }) => [taskId, { kind: 'send', again: false }]))),
    settle(settlements) {
      settled.push(...settlements)
      return Promise.resolve({ changed: new Set(settlements.map(({ taskId }) => taskId)), differing: [] })
    },
  }
  const shared = { clock: systemClock, random: () => 0.5, logger: silentLogger }
  const insistent = patience({ ...shared, policy: PATIENCE, signal: cutOff.signal })
  const wallet = answering(() => ({ kind: 'unavailable', detail: 'HTTP 503' }))
  const payer = createPayer({
    ...shared,
    ledger,
    partner: 'wallet',
    wallet,
    deadLetters: { send: () => Promise.resolve(), close: () => Promise.resolve() },
    clearer: createClearer(ledger, insistent, systemClock),
    settler: createSettler(ledger, insistent, () => undefined),
    patience: insistent,
    counters: newCounters(),
    metrics: {},
    retry: RETRY_POLICY,
    breaker: { inRowMax: 2, windowCalls: 50, failureShare: 1, waitMs: 60_000, waitMsMax: 60_000 },
    owner: 'o',
    concurrency: 2,
    leaseMs: 60_000,
    idlePollMs: 5,
    stopping: stopping.signal,
    cutOff: cutOff.signal,
  })
  const run = payer.run()
  const released = (): number => settled.filter(({ kind }) => kind === 'released').length
  await eventually('the others are given back', () => released() === next - wallet.calls.length && next > 0)
  const before = claims
  for (let n = 0; n < 5; n++) payer.wake()
  await systemClock.sleep(50)
  expect(claims).toBe(before)
  expect(wallet.calls.length).toBeLessThan(next)
  stopping.abort()
  await run
})
