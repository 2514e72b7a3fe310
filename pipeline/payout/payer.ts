/** Pays what the outbox holds for one partner: as many at once as it allows, none while its breaker is open. */
import type { Ledger } from '../../core/ports/ledger.ts'
import { createAlarm } from './alarm.ts'
import { BREAKER_POLICY, type BreakerPolicy } from './breaker.ts'
import { createGate } from './gate.ts'
import type { Patience } from './patience.ts'
import { type Held, pay, type PaymentParts, release } from './payment.ts'

export interface PayerParts extends PaymentParts {
  readonly ledger: Pick<Ledger, 'claim' | 'settle'>
  readonly patience: Patience
  readonly owner: string
  readonly concurrency: number
  readonly leaseMs: number
  readonly idlePollMs: number
  readonly breaker?: BreakerPolicy
  /** Claim no more. */
  readonly stopping: AbortSignal
}

export interface Payer {
  /** Pays until `stopping`, then ends what is in flight. Rejects with what makes going on impossible. */
  run(): Promise<void>
  /** There may be something to claim. */
  wake(): void
  inFlight(): number
}

export function createPayer(parts: PayerParts): Payer {
  const { clock, concurrency, stopping } = parts
  const waiting: Held[] = []
  const calls = new Set<Promise<void>>()
  const alarm = createAlarm(clock)
  const failures: unknown[] = []
  const gate = createGate({ ...parts, policy: parts.breaker ?? BREAKER_POLICY })

  const start = (held: Held): void => {
    const epoch = gate.began()
    const call = pay(parts, held)
      .then((shown) => gate.ended(epoch, shown))
      .catch((error: unknown) => {
        failures.push(error)
      })
      .finally(() => {
        calls.delete(call)
        alarm.ring()
      })
    calls.add(call)
  }

  /** True where it is worth while to look again at once. */
  const round = async (): Promise<boolean> => {
    const permit = gate.permit()
    if (permit !== 'all') await release(parts, waiting.splice(0))
    const room = permit === 'trial' ? 1 : 2 * concurrency - calls.size - waiting.length
    // Claiming in handfuls would cost a statement for each call.
    const worthIt = permit === 'trial' || (permit === 'all' && room >= concurrency)
    const found = worthIt ? await claim(parts, room) : []
    waiting.push(...found)
    const most = permit === 'none' ? 0 : permit === 'trial' ? 1 : concurrency - calls.size
    let started = 0
    while (started < most) {
      const next = waiting.shift()
      if (next === undefined) break
      if (next.leaseEnds <= clock.monotonic()) continue
      start(next)
      started++
    }
    return permit === 'all' && found.length > 0 && calls.size < concurrency
  }

  const stopAlarm = (): void => alarm.ring()
  return {
    wake: () => alarm.ring(),
    inFlight: () => calls.size,
    async run() {
      stopping.addEventListener('abort', stopAlarm, { once: true })
      try {
        while (!stopping.aborted && failures.length === 0) {
          const heard = alarm.listen(parts.idlePollMs)
          if (!(await round())) await heard
        }
      } finally {
        stopping.removeEventListener('abort', stopAlarm)
        await Promise.all([...calls, release(parts, waiting)])
      }
      if (failures.length > 0) throw failures[0]
    },
  }
}

async function claim(parts: PayerParts, limit: number): Promise<Held[]> {
  return parts.patience.insist('claim tasks', async () => {
    const leaseEnds = parts.clock.monotonic() + parts.leaseMs
    const { owner, partner, leaseMs } = parts
    const claimed = await parts.ledger.claim({ owner, partner, limit, leaseMs })
    return claimed.map((task) => ({ claimed: task, leaseEnds }))
  })
}
