import { letterJson, timeText } from '../../core/letter-json.ts'
import type { LetterView } from '../../core/ports/review.ts'
import type { Context } from '../command.ts'
import { oneLine } from '../rewards/outcomes.ts'
import { textTable } from '../text-table.ts'
import { type DeskSettings, withDesk } from './connection.ts'
import { type FilterSettings, filterOf } from './targets.ts'

export type ListSettings = DeskSettings & FilterSettings & { readonly limit: number; readonly json: boolean }

/** The newest letters that fit. */
export async function listLetters(context: Context<ListSettings>): Promise<void> {
  const { settings, terminal } = context
  const filter = filterOf(settings)
  const { shown, fitting } = await withDesk(context, async (desk) => {
    const newest = new Newest(settings.limit)
    for await (const letter of desk.letters(filter)) {
      if (context.signal.aborted) break
      newest.add(letter)
    }
    return { shown: newest.all(), fitting: newest.seen }
  })
  const more = fitting > shown.length
  if (settings.json) await terminal.print(`${JSON.stringify({ letters: shown.map(letterJson), more })}\n`)
  else await terminal.print(listText(shown))
  if (more) terminal.note(`${shown.length} of ${fitting} shown; raise --limit, or ask for fewer with filters`)
}

/** Keeps the newest of what it is given, and little else. */
class Newest {
  seen = 0
  #kept: LetterView[] = []
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  add(letter: LetterView): void {
    this.seen++
    this.#kept.push(letter)
    if (this.#kept.length >= 2 * this.#limit + 1_000) this.#cut()
  }

  all(): readonly LetterView[] {
    this.#cut()
    return this.#kept
  }

  #cut(): void {
    this.#kept = this.#kept.toSorted((a, b) => b.at - a.at).slice(0, this.#limit)
  }
}

const HEADS = ['LETTER', 'TIME', 'CAUSE', 'WHAT', 'PLAYER', 'STATUS', 'BY', 'WHY']
const DETAIL_LENGTH_MAX = 160

export function listText(letters: readonly LetterView[]): string {
  if (letters.length === 0) return 'there are no such letters\n'
  const rows = letters.map((letter) => [
    letter.id,
    timeText(letter.at),
    letter.cause,
    whatText(letter),
    letter.userId ?? '-',
    letter.state,
    letter.decision?.actor ?? '-',
    shortened(letter.detail),
  ])
  return textTable([HEADS, ...rows.map((row) => row.map(oneLine))], 'texts')
}

/** The event's name, or the reward's id, or what else it is. */
export function whatText({ about, eventName, taskId }: LetterView): string {
  return eventName ?? taskId ?? about
}

function shortened(text: string): string {
  return text.length <= DETAIL_LENGTH_MAX ? text : `${text.slice(0, DETAIL_LENGTH_MAX)}…`
}
