import { assert } from '../core/assert.ts'
import type { PlayerEvent } from '../core/model/event.ts'
import type { CompiledRule, Points } from '../rules/compiled.ts'
import { ACCOUNTS, accountKey } from '../state/stores.ts'
import { strictDetail } from './late.ts'
import type { BatchContext, Lateness, Operator, Scoring, Turn } from './operator.ts'

/**
 * Finds the rules that match an event at its own time, and what their formulas give. Most rules see the event alone, so
 * this is done when state is asked for, and what matched says which accounts to read. A rule that looks at recent events
 * is judged only once they are at hand; until then it counts as one that may match.
 */
export function createScore(): Operator<Turn, Scoring> {
  return {
    name: 'score',
    ask(turn, batch) {
      turn.scorings = scoringsOf(turn, batch)
      for (const { accountKey } of turn.scorings) batch.state.ask(ACCOUNTS, accountKey)
    },
    process(turn, _batch, next) {
      let taken = NO_GROUPS
      for (const scoring of turn.scorings) {
        if (isTaken(scoring.rule, taken)) continue
        const looksBack = scoring.rule.windows !== undefined
        if (turn.isLate === true) scoring.late = latenessOf(scoring)
        else if (looksBack && !matchesNow(scoring, turn)) continue
        // Of a late one nobody knows whether it matches where the rule looks at recent events: the others say so, too.
        if (turn.isLate !== true || !looksBack) taken = withGroup(scoring.rule, taken)
        next(scoring)
      }
    },
  }
}

/** Exclusive groups of which a rule has matched the event: rules come in the order in which they are judged. */
type Groups = readonly string[]
const NO_GROUPS: Groups = []

function isTaken({ exclusiveGroup }: CompiledRule, taken: Groups): boolean {
  return exclusiveGroup !== undefined && taken.includes(exclusiveGroup)
}

function withGroup({ exclusiveGroup }: CompiledRule, taken: Groups): Groups {
  return exclusiveGroup === undefined ? taken : [...taken, exclusiveGroup]
}

const NOTHING: readonly Scoring[] = []
const NONE: readonly never[] = []
const NOT_YET: Points = { ok: true, points: 0 }

function scoringsOf({ event, ingestTs, lane }: Turn, { rules }: BatchContext): readonly Scoring[] {
  let found: Scoring[] | undefined
  let taken = NO_GROUPS
  for (const rule of rules.candidates(event)) {
    if (rule.ordering !== lane || isTaken(rule, taken) || !mayMatch(rule, event)) continue
    if (rule.windows === undefined) taken = withGroup(rule, taken)
    found ??= []
    found.push({
      event,
      ingestTs,
      rule,
      formula: rule.windows === undefined ? rule.points(event) : NOT_YET,
      accountKey: accountKey(event.userId, rule.ruleId),
      late: undefined,
      account: undefined,
      rawPoints: 0,
      points: 0,
      cutBy: null,
      progress: 0,
      period: '',
      granted: NONE,
      withheld: NONE,
      holds: NONE,
    })
  }
  return found ?? NOTHING
}

function mayMatch(rule: CompiledRule, event: PlayerEvent): boolean {
  return rule.windows === undefined ? rule.matches(event) : (rule.mayMatch?.(event) ?? true)
}

const SCORES: Lateness = {}

/** A rule of the strict lane gets its events in order, and the turn of this one is over: it can only say so. */
function latenessOf({ rule }: Scoring): Lateness {
  if (rule.ordering === 'any') return SCORES
  return { refusal: { reason: 'late_strict', detail: strictDetail(rule) } }
}

/** Judges a rule that looks at recent events; where it matches, the scoring has its formula. */
function matchesNow(scoring: Scoring, { event, windows }: Turn): boolean {
  assert(windows !== undefined, 'windows come before score')
  const judged = { ...event, windows }
  if (!scoring.rule.matches(judged)) return false
  scoring.event = judged
  scoring.formula = scoring.rule.points(judged)
  return true
}
