import { OncewardError } from '../../core/errors.ts'

/** Every fault there is, by the name that `--faults` takes. */
export const FAULTS = {
  crash: 'a worker or sink dies between any two of its steps, before or after an I/O',
  'commit-lost': 'the answer to a commit is lost; it was applied or it was not',
  'end-delayed': 'the end of a transaction reaches the log late, when its producer has given up on it',
  'end-repeated': 'the end of a transaction reaches the log a second time, at once or late',
  zombie: 'a process freezes, loses what it had, and goes on as if nothing had happened',
  rebalance: 'workers and sinks leave and join while batches are under way',
  'offset-out-of-range': 'a read finds its offset out of range',
  'log-down': 'calls to the log fail, before or after they had their effect',
  'stale-store': 'a worker comes back with a copy of its store from some time ago',
  'missing-store': 'a worker comes back without its store',
  'torn-store': 'a worker comes back with half of its store and no stamp',
  'foreign-store': "a worker comes back with another application's or another partition's store",
  'full-disk': "a worker's disk takes no writes for a while",
  'late-events': 'events arrive after the watermark has passed them by more than the window',
  'repeated-events': 'events arrive more than once',
  'disordered-events': 'events arrive out of order, within the window',
  'future-events': 'events are from the future',
  'malformed-events': 'records on the events topic are no events',
  'rule-version': 'a new version of a rule takes effect in the middle of the events',
  'tick-storm': 'ticks pour into the events topic',
  'wallet-timeout': 'the wallet does not answer; it has paid or it has not',
  'ledger-down': 'the ledger is gone for a while, or its answers are lost',
  compaction: 'the log applies compaction and retention between steps',
} as const

export type FaultName = keyof typeof FAULTS

export const FAULT_NAMES = Object.keys(FAULTS) as FaultName[]

/** Reads `all`, `none` or names. Throws ONCEWARD_E_SETTING_INVALID. */
export function parseFaults(names: readonly string[]): ReadonlySet<FaultName> {
  if (names.length === 1 && names[0] === 'all') return new Set(FAULT_NAMES)
  if (names.length === 1 && names[0] === 'none') return new Set()
  const found = new Set<FaultName>()
  for (const name of names) {
    const known = FAULT_NAMES.find((fault) => fault === name)
    if (known === undefined) {
      throw new OncewardError(
        'ONCEWARD_E_SETTING_INVALID',
        `--faults: there is no fault "${name}"; write all, none, or some of ${FAULT_NAMES.join(', ')}`,
      )
    }
    found.add(known)
  }
  return found
}
