import { storyJson, timeText } from '../../core/letter-json.ts'
import type { LetterStory, LetterView } from '../../core/ports/review.ts'
import type { Context } from '../command.ts'
import { oneLine } from '../rewards/outcomes.ts'
import { textTable } from '../text-table.ts'
import { type DeskSettings, withDesk } from './connection.ts'
import { whatText } from './list.ts'

export type ShowSettings = DeskSettings & { readonly letter: readonly string[]; readonly json: boolean }

export async function showLetters(context: Context<ShowSettings>): Promise<void> {
  const { settings, terminal } = context
  await withDesk(context, async (desk) => {
    for (const [index, id] of settings.letter.entries()) {
      const story = await desk.show(id)
      const text = settings.json ? `${JSON.stringify(storyJson(story))}\n` : storyText(story)
      await terminal.print(index > 0 && !settings.json ? `\n${text}` : text)
    }
  })
}

export function storyText({ letter, record, before, review, after, source, prospect }: LetterStory): string {
  const { decision } = letter
  const facts = [
    ['letter', letter.id],
    ['set aside', timeText(letter.at)],
    ['cause', letter.cause],
    ['about', whatText(letter)],
    ['player', letter.userId ?? 'unknown'],
    ['event', letter.eventId ?? 'unknown'],
    ['why', letter.detail],
    ['came from', source],
    ['status', letter.state],
    ...(decision === null
      ? []
      : [['decided', `${decision.at} by ${decision.actor}: ${decision.reason ?? 'no reason given'}`]]),
    ...(letter.state === 'open' ? [['now', prospect]] : []),
  ]
  return [
    textTable(
      facts.map((row) => row.map(oneLine)),
      'texts',
    ),
    lettersText('it was before', before),
    review === null ? '' : `\ndecision\n${indented(JSON.stringify(review, null, 2))}`,
    lettersText('it has become', after),
    `\nwhat came\n${indented(pretty(record.raw))}`,
  ].join('')
}

function lettersText(title: string, letters: readonly LetterView[]): string {
  if (letters.length === 0) return ''
  const rows = letters.map(({ id, at, cause, state, detail }) => [id, timeText(at), cause, state, oneLine(detail)])
  return `\n${title}\n${indented(textTable(rows, 'texts').trimEnd())}`
}

function pretty(raw: string): string {
  try {
    return JSON.stringify(JSON.parse(raw), null, 2)
  } catch {
    return raw
  }
}

/** What others wrote cannot tell a terminal what to do. */
function indented(text: string): string {
  return text
    .split('\n')
    .map((line) => `  ${oneLine(line)}\n`)
    .join('')
}
