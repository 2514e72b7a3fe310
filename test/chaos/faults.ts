import type { Random } from '../../core/random.ts'

/** Every kind of fault, with what it does. */
export const FAULT_KINDS = {
  'kill-worker': 'SIGKILL of a worker, started again on its own state',
  'kill-sink': 'SIGKILL of a sink, started again',
  'freeze-worker': 'SIGSTOP of a worker until its group has gone on without it, then SIGCONT: a zombie',
  'freeze-sink': 'SIGSTOP of a sink until its group has gone on without it, then SIGCONT: a zombie',
  'term-worker': 'SIGTERM of a worker, started again: hands over and exits with 0 within 5 s',
  'term-sink': 'SIGTERM of a sink, started again: exits with 0 within 5 s',
  'kafka-kill': 'kill -9 of the Kafka broker, started again',
  'kafka-restart': 'orderly restart of the Kafka broker',
  'kafka-freeze': 'SIGSTOP of the Kafka broker for some seconds, then SIGCONT',
  'postgres-kill': 'immediate shutdown of Postgres (as a crash), started again',
  'postgres-restart': 'orderly restart of Postgres',
  'corrupt-worker': 'SIGKILL of a worker, garbage in the files of one of its stores, started again',
  scale: 'workers 1, then 3, then 2, by SIGTERM and new processes',
} as const

export type FaultKind = keyof typeof FAULT_KINDS

export const ALL_FAULTS = Object.keys(FAULT_KINDS).filter((name): name is FaultKind => name in FAULT_KINDS)

export interface PlannedFault {
  readonly kind: FaultKind
  /** Milliseconds after the one before began. */
  readonly afterMs: number
  /** In [0, 1): which of those that it could hit. */
  readonly target: number
}

/** An endless plan, the same for one seed: every kind once before any comes again, in an order drawn anew each round. */
export function* planFaults(
  kinds: readonly FaultKind[],
  random: Random,
  gapMs: [number, number],
): Generator<PlannedFault> {
  for (;;) {
    const round = [...kinds]
    while (round.length > 0) {
      const [kind] = round.splice(Math.floor(random() * round.length), 1)
      const afterMs = gapMs[0] + random() * (gapMs[1] - gapMs[0])
      if (kind !== undefined) yield { kind, afterMs, target: random() }
    }
  }
}
