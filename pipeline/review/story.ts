import type { LetterStory, LetterView } from '../../core/ports/review.ts'
import type { Deciding, Surroundings } from './decide.ts'
import { decide } from './decide.ts'
import { type Letter, placeOf } from './letter.ts'
import { allLetters, lettersAt, RecordsAt, wholeOf } from './letters.ts'
import type { ReviewerParts } from './reviewer.ts'
import { reviewOf, type Reviews } from './reviews.ts'

export interface StoryOptions {
  readonly letter: Letter
  readonly reviews: Reviews
  readonly around: Surroundings
  /** The command whose outcome is told ahead. */
  readonly order: Deciding
  readonly view: (letter: Letter) => LetterView
}

/** All that is known of one letter. What it became later is looked for through the whole topic. */
export async function storyOf(parts: ReviewerParts, options: StoryOptions): Promise<LetterStory> {
  const { letter, view } = options
  const before: LetterView[] = []
  for (const step of letter.record.history ?? []) {
    const place = placeOf(step.letter)
    if (place === undefined) continue
    for await (const found of lettersAt(parts, place.partition, [place.offset])) {
      if (found.letter !== undefined) before.push(view(found.letter))
    }
  }
  const after: LetterView[] = []
  if (view(letter).decision !== null) {
    for await (const letters of allLetters(parts)) {
      for (const other of letters) {
        if (other?.record.history?.some((step) => step.letter === letter.id) === true) after.push(view(other))
      }
    }
  }
  return {
    letter: view(letter),
    record: letter.record,
    before,
    review: (await reviewOf(parts, letter)) ?? null,
    after: after.toSorted((a, b) => a.tries - b.tries || a.at - b.at),
    source: await sourceText(parts, letter),
    prospect: await prospectText(parts, options),
  }
}

async function sourceText({ log }: ReviewerParts, { record: { source, from } }: Letter): Promise<string> {
  if (source === null)
    return `it did not come from the log, but from ${from ?? 'somewhere that the letter does not say'}`
  const { topic, partition, offset } = source
  const at = new RecordsAt(log, { topic, partition })
  try {
    const found = await at.record(offset)
    const place = `${topic}[${partition}]@${offset}`
    if (found === undefined) return `${place}, which the log no longer holds`
    return `${place}, written ${new Date(found.timestamp).toISOString()}`
  } finally {
    await at.close()
  }
}

async function prospectText(parts: ReviewerParts, { letter, reviews, around, order }: StoryOptions): Promise<string> {
  const whole = await wholeOf(parts.log, letter)
  if (whole.ok) await parts.learn?.([{ value: whole.bytes }])
  const facts = { decision: reviews.of(letter.id), whole, now: parts.clock.now() }
  const verdict = decide(letter, order, facts, around)
  switch (verdict.kind) {
    case 'decided':
      return 'nothing: it is decided'
    case 'refuse':
      return `reprocessing it is refused: ${verdict.detail}`
    case 'resend':
      return `reprocessing it has the ledger send reward ${verdict.taskId} again`
    case 'send': {
      const { topic, partition } = verdict.record
      return [`reprocessing it sends it to ${topic}[${partition}] as it is`, ...verdict.notes].join('; ')
    }
    case 'drop':
      return 'it can be dropped'
    default:
      return verdict satisfies never
  }
}
