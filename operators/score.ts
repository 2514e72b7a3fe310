import { ACCOUNTS, accountKey } from '../state/stores.ts'
import type { BatchContext, Operator, Scoring, Turn } from './operator.ts'

/**
 * Finds the rules that match an event at its own time, and what their formulas give. Rules see the event alone, so this
 * is done when state is asked for, and what matched says which accounts to read.
 */
export function createScore(): Operator<Turn, Scoring> {
  return {
    name: 'score',
    ask(turn, batch) {
      turn.scorings = scoringsOf(turn, batch)
      for (const { accountKey } of turn.scorings) batch.state.ask(ACCOUNTS, accountKey)
    },
    process(turn, _batch, next) {
      for (const scoring of turn.scorings) next(scoring)
    },
  }
}

const NOTHING: readonly Scoring[] = []
const NO_THRESHOLDS: readonly number[] = []

function scoringsOf({ event, ingestTs, lane }: Turn, { rules }: BatchContext): readonly Scoring[] {
  let found: Scoring[] | undefined
  for (const rule of rules.at(event.eventName, event.ts)) {
    if (rule.ordering !== lane || !rule.matches(event)) continue
    found ??= []
    found.push({
      event,
      ingestTs,
      rule,
      formula: rule.points(event),
      accountKey: accountKey(event.userId, rule.ruleId),
      account: undefined,
      rawPoints: 0,
      points: 0,
      cutBy: null,
      progress: 0,
      period: '',
      crossed: NO_THRESHOLDS,
    })
  }
  return found ?? NOTHING
}
