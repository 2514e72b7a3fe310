import type { LetterOutcome } from '../../core/ports/review.ts'
import { errorShape } from '../../pipeline/review/error-shape.ts'
import { formatCount } from '../progress.ts'
import { oneLine } from '../rewards/outcomes.ts'
import { textTable } from '../text-table.ts'

/** Letters that are shown one by one; of more, what they have in common is. */
const LISTED_MAX = 30

interface Group {
  readonly cause: string
  readonly becomes: string
  readonly text: string
  /** The first of them, to look at. */
  readonly first: string
  letters: number
}

/** Counts outcomes, and what they have in common. */
export class OutcomeTally {
  done = 0
  decided = 0
  refused = 0
  readonly #groups = new Map<string, Group>()
  readonly #shown: LetterOutcome[] = []

  get seen(): number {
    return this.done + this.decided + this.refused
  }

  add(outcomes: readonly LetterOutcome[]): void {
    for (const outcome of outcomes) {
      this[outcome.kind]++
      if (this.#shown.length <= LISTED_MAX) this.#shown.push(outcome)
      const [becomes, text] = [becomesOf(outcome), errorShape(textOf(outcome))]
      const key = JSON.stringify([outcome.cause, becomes, text])
      const group = this.#groups.get(key)
      if (group === undefined) {
        this.#groups.set(key, { cause: outcome.cause ?? '-', becomes, text, first: outcome.id, letters: 1 })
      } else group.letters++
    }
  }

  table(): string {
    if (this.seen <= LISTED_MAX) {
      const rows = this.#shown.map((one) => [one.id, one.cause ?? '-', becomesOf(one), oneLine(textOf(one))])
      return textTable([['LETTER', 'CAUSE', 'BECOMES', ''], ...rows], 'texts')
    }
    const rows = [...this.#groups.values()]
      .toSorted((a, b) => b.letters - a.letters)
      .map(({ cause, becomes, text, first, letters }) => [formatCount(letters), cause, becomes, first, oneLine(text)])
    return textTable([['LETTERS', 'CAUSE', 'BECOMES', 'SUCH AS', ''], ...rows], 'texts')
  }

  json(): Record<string, number> {
    const { seen, done, decided, refused } = this
    return { letters: seen, done, decided, refused }
  }

  summary(): string {
    const parts = [`${formatCount(this.done)} done`]
    if (this.decided > 0) parts.push(`${formatCount(this.decided)} decided by others`)
    if (this.refused > 0) parts.push(`${formatCount(this.refused)} refused`)
    return parts.join(', ')
  }
}

function becomesOf(outcome: LetterOutcome): string {
  if (outcome.kind === 'done') return outcome.to
  return outcome.kind === 'decided' ? `is ${outcome.decision.state}` : 'refused'
}

function textOf(outcome: LetterOutcome): string {
  if (outcome.kind === 'done') return outcome.notes.join('; ')
  if (outcome.kind === 'refused') return outcome.detail
  const { actor, at, reason } = outcome.decision
  return `ONCEWARD_E_LETTER_DECIDED: by ${actor} at ${at}${reason === null ? '' : `: ${reason}`}`
}
