import type { OrderedKv } from '../../core/ports/ordered-kv.ts'
import type { RuleSet } from '../../rules/compiled.ts'
import { prefixRange } from '../../state/store.ts'
import { HELD, parseHeldKey } from '../../state/stores.ts'
import { IdSet } from './id-set.ts'
import type { PartitionSpan } from './span.ts'

/**
 * What the replay could not decide: at its end, events wait in the strict lane for a watermark that only later events
 * bring. A live application that went on has decided them by now, so they are left out of the comparison.
 */
export interface Undecided {
  /** Ids of the events that wait. */
  readonly events: IdSet
  /** The rules that ask for the strict lane. */
  readonly rules: ReadonlySet<string>
}

/** Reads what waits in the stores of a replay that has come to its end. */
export async function readUndecided(
  rules: RuleSet,
  spans: readonly PartitionSpan[],
  openStore: (partition: number) => Promise<OrderedKv>,
): Promise<Undecided> {
  const strict = rules.versions.filter(({ rule }) => rule.ordering === 'strict').map(({ rule }) => rule.ruleId)
  const undecided = { events: new IdSet(), rules: new Set(strict) }
  if (strict.length === 0) return undecided
  for (const { partition } of spans) {
    const kv = await openStore(partition)
    try {
      for await (const [key] of kv.range(prefixRange(HELD.prefix))) {
        undecided.events.add(parseHeldKey(key.toString().slice(HELD.prefix.length)).eventId)
      }
    } finally {
      await kv.close()
    }
  }
  return undecided
}
