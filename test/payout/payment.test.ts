import { expect, test } from 'vitest'
import { type Clock, systemClock } from '../../core/clock.ts'
import type { Clearance, ClaimedTask, Ledger, Settlement } from '../../core/ports/ledger.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import type { CreditOutcome, Wallet } from '../../core/ports/wallet.ts'
import { createClearer } from '../../pipeline/payout/clearer.ts'
import { RETRY_POLICY } from '../../pipeline/payout/decision.ts'
import { PATIENCE, patience } from '../../pipeline/payout/patience.ts'
import { CLEARED_MS_MAX, pay, type PaymentParts } from '../../pipeline/payout/payment.ts'
import { createSettler } from '../../pipeline/payout/settler.ts'
import { newCounters } from '../../pipeline/payout/stats.ts'
import { entry } from './fixtures.ts'

const SEND: Clearance = { kind: 'send', again: false }
const PAID: CreditOutcome = { kind: 'paid', payoutId: 'po', status: 'ok' }

interface Stand {
  readonly parts: PaymentParts
  readonly steps: string[]
  readonly settled: Settlement[]
  readonly cutOff: AbortController
}

/** `clear` answers one after the other; the last one again and again. */
function stand(
  change: { clear?: readonly (() => Promise<Clearance>)[]; outcome?: CreditOutcome; clock?: Clock } = {},
): Stand {
  const clock = change.clock ?? systemClock
  const steps: string[] = []
  const settled: Settlement[] = []
  const cutOff = new AbortController()
  const answers = [...(change.clear ?? [() => Promise.resolve(SEND)])]
  const ledger: Pick<Ledger, 'clear' | 'settle'> = {
    async clear(claims) {
      steps.push(`clear ${claims.length}`)
      const answer = answers.length > 1 ? answers.shift() : answers[0]
      const clearance = await answer?.()
      return new Map(claims.map(({ taskId }) => [taskId, clearance ?? SEND]))
    },
    settle(settlements) {
      steps.push(...settlements.map(({ kind }) => kind))
      settled.push(...settlements)
      return Promise.resolve({ changed: new Set(settlements.map(({ taskId }) => taskId)), differing: [] })
    },
  }
  const insistent = patience({
    policy: PATIENCE,
    clock: systemClock,
    random: () => 0.5,
    logger: silentLogger,
    signal: cutOff.signal,
  })
  const parts: PaymentParts = {
    ledger,
    partner: 'wallet',
    wallet: {
      credit: ({ requestId }) => {
        steps.push(`call ${requestId.slice(0, 4)}`)
        return Promise.resolve(change.outcome ?? PAID)
      },
      close: () => Promise.resolve(),
    },
    deadLetters: {
      send: (letters) => {
        steps.push(`letter ${letters[0]?.reason}`)
        return Promise.resolve()
      },
      close: () => Promise.resolve(),
    },
    clearer: createClearer(ledger, insistent, clock),
    settler: createSettler(ledger, insistent, () => undefined),
    clock,
    random: () => 0.5,
    logger: silentLogger,
    counters: newCounters(),
    metrics: {},
    retry: RETRY_POLICY,
    cutOff: cutOff.signal,
  }
  return { parts, steps, settled, cutOff }
}

/** A clock on which time passes when it is told to. */
function slowClock(): { readonly clock: Clock; pass(ms: number): void } {
  let passed = 0
  return {
    clock: { ...systemClock, monotonic: () => systemClock.monotonic() + passed },
    pass: (ms) => {
      passed += ms
    },
  }
}

function held(n = 1, attempts = 0): { claimed: ClaimedTask; leaseEnds: number } {
  const task = entry(n)
  return { claimed: { taskId: task.taskId, claim: 1n, attempts, task }, leaseEnds: systemClock.monotonic() + 60_000 }
}

test('it is cleared directly before it is called, under a request id of its own, and booked after', async () => {
  const { parts, steps } = stand()
  expect(await pay(parts, held())).toEqual({ answered: true })
  expect(steps).toEqual(['clear 1', 'call rid_', 'succeeded'])
})

test('a player who is protected by now is not paid: no call, no letter, nothing to settle', async () => {
  const reasons = [{ gate: 'rg', restriction: 'self_exclusion', until: null }] as const
  const { parts, steps } = stand({ clear: [() => Promise.resolve({ kind: 'frozen', reasons })] })
  expect(await pay(parts, held())).toBeNull()
  expect(steps).toEqual(['clear 1'])
  expect(parts.counters).toMatchObject({ stopped: 1, calls: 0, deadLettered: 0 })
})

test('what is another claim by now is left alone', async () => {
  const { parts, steps } = stand({ clear: [() => Promise.resolve({ kind: 'lost' })] })
  expect(await pay(parts, held())).toBeNull()
  expect(steps).toEqual(['clear 1'])
  expect(parts.counters).toMatchObject({ superseded: 1, calls: 0 })
})

test('an answer of the ledger that took too long is asked for again; it is we who sent it since', async () => {
  const slow = slowClock()
  const late = (): Promise<Clearance> => {
    slow.pass(CLEARED_MS_MAX + 1)
    return Promise.resolve(SEND)
  }
  const { parts, steps, settled } = stand({
    clock: slow.clock,
    clear: [late, () => Promise.resolve({ kind: 'send', again: true })],
    outcome: { kind: 'refused', detail: 'no' },
  })
  await pay(parts, held())
  expect(steps).toEqual(['clear 1', 'clear 1', 'call rid_', 'letter payout', 'failed'])
  expect(settled).toMatchObject([{ inDoubt: false }])
})

test('an exclusion that came in while the ledger was slow stops it', async () => {
  const slow = slowClock()
  const late = (): Promise<Clearance> => {
    slow.pass(CLEARED_MS_MAX + 1)
    return Promise.resolve(SEND)
  }
  const { parts, steps } = stand({
    clock: slow.clock,
    clear: [late, () => Promise.resolve({ kind: 'frozen', reasons: [] })],
  })
  await pay(parts, held())
  expect(steps).toEqual(['clear 1', 'clear 1'])
})

test('a lease that has ended meanwhile ends it: another sink may be calling', async () => {
  const { parts, steps } = stand()
  expect(await pay(parts, { ...held(), leaseEnds: systemClock.monotonic() })).toBeNull()
  expect(steps).toEqual(['clear 1'])
})

test('what is refused after an earlier call that nobody booked is in doubt', async () => {
  const { parts, settled } = stand({
    clear: [() => Promise.resolve({ kind: 'send', again: true })],
    outcome: { kind: 'refused', detail: 'HTTP 409' },
  })
  expect(await pay(parts, held())).toEqual({ answered: true })
  expect(settled).toMatchObject([{ kind: 'failed', inDoubt: true }])
})

test('a call that was abandoned because the sink stops is given back and counts as none', async () => {
  const { parts, steps, cutOff } = stand({ outcome: { kind: 'unavailable', detail: 'abandoned' } })
  const wallet: Wallet = {
    credit: (request) => {
      cutOff.abort()
      return parts.wallet.credit(request)
    },
    close: () => Promise.resolve(),
  }
  expect(await pay({ ...parts, wallet }, held())).toBeNull()
  expect(steps).toEqual(['clear 1', 'call rid_', 'released'])
})

test('a hundred that begin together are cleared in one statement', async () => {
  const { parts, steps } = stand()
  await Promise.all(Array.from({ length: 100 }, (_, n) => pay(parts, held(n))))
  expect(steps.filter((step) => step.startsWith('clear'))).toEqual(['clear 100'])
})

test('of two claims of one task in one group, the later alone is asked for, and the earlier is lost', async () => {
  const asked: bigint[] = []
  const ledger: Pick<Ledger, 'clear'> = {
    clear: (claims) => {
      asked.push(...claims.map(({ claim }) => claim))
      return Promise.resolve(new Map(claims.map(({ taskId }) => [taskId, SEND])))
    },
  }
  const signal = new AbortController().signal
  const insistent = patience({ policy: PATIENCE, clock: systemClock, random: () => 0.5, logger: silentLogger, signal })
  const clearer = createClearer(ledger, insistent, systemClock)
  const answers = await Promise.all([4n, 5n, 3n].map((claim) => clearer.clear({ taskId: 'rt_1', claim })))
  expect(asked).toEqual([5n])
  expect(answers.map(({ clearance }) => clearance.kind)).toEqual(['lost', 'send', 'lost'])
})
