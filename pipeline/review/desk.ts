import { OncewardError } from '../../core/errors.ts'
import type {
  LetterFilter,
  LetterOutcome,
  LetterStory,
  LetterView,
  ReviewDesk,
  ReviewOrder,
} from '../../core/ports/review.ts'
import type { Normalized } from '../../operators/normalize.ts'
import type { RuleSet } from '../../rules/compiled.ts'
import { ruleSetOf } from '../../rules/rule-set.ts'
import { readControl } from '../publish-rules.ts'
import { LetterTally, standingEvents } from './counting.ts'
import type { Surroundings } from './decide.ts'
import { errorShape } from './error-shape.ts'
import { fixOf } from './fix.ts'
import { type Letter, placeOf } from './letter.ts'
import { allLetters, lettersAt, partitionCount } from './letters.ts'
import { unknownLetter } from './planning.ts'
import type { Whereabouts } from './prospects.ts'
import { LEDGER_TERMS, type Office, type OfficeTerms, resendingOf } from './resending.ts'
import { carryOut, forecast, type Ordered, type ReviewerParts } from './reviewer.ts'
import { Reviews } from './reviews.ts'
import { storyOf } from './story.ts'
import { watermarksOf } from './watermarks.ts'

export interface DeskOptions extends ReviewerParts {
  readonly normalize: (raw: Buffer | null) => Normalized
  /** A name that no other command has, each time. */
  readonly nextCommandId: () => string
  /** Absent: what only the ledger can do is refused. */
  readonly office?: Office | undefined
  readonly terms?: OfficeTerms | undefined
  /** As the workers have them, ms. */
  readonly reorderWindowMs: number
  readonly dedupeWindowMs: number
}

/** The log stays open: it is the caller's. */
export class Desk implements ReviewDesk {
  readonly #options: DeskOptions
  /** What was decided, as far as it was read; each look reads on. */
  #known: Reviews | undefined

  constructor(options: DeskOptions) {
    this.#options = options
  }

  async *letters(filter: LetterFilter, after?: string): AsyncGenerator<LetterView> {
    const place = after === undefined ? undefined : placeOf(after)
    if (after !== undefined && place === undefined) throw unknownLetter(after)
    const reviews = await this.#reviews()
    const fits = await this.#matcher(filter)
    for await (const letters of allLetters(this.#options, place)) {
      for (const letter of letters) {
        if (letter === undefined) continue
        const view = viewOf(letter, reviews)
        if (fits(view)) yield view
      }
    }
  }

  async count(filter: LetterFilter): ReturnType<ReviewDesk['count']> {
    const { log, topics } = this.#options
    const reviews = await this.#reviews()
    const fits = await this.#matcher(filter)
    const standing = await standingEvents(log, topics)
    const tally = new LetterTally()
    let [unreadable, onTopic] = [0, 0]
    for await (const letters of allLetters(this.#options)) {
      for (const letter of letters) {
        if (letter === undefined) unreadable++
        else {
          const view = viewOf(letter, reviews)
          if (!fits(view)) continue
          tally.add(view)
          if (standing.has(letter.record.source)) onTopic++
        }
      }
    }
    const share = standing.events === 0 ? null : { letters: onTopic, events: standing.events }
    return tally.counts({ share, unreadable })
  }

  async show(id: string): Promise<LetterStory> {
    const place = placeOf(id)
    if (place === undefined) throw unknownLetter(id)
    const reviews = await this.#reviews()
    for await (const { letter } of lettersAt(this.#options, place.partition, [place.offset])) {
      if (letter === undefined) break
      const order = { name: 'reprocess', actor: 'nobody', reason: undefined } as const
      const around = await this.#surroundings()
      return storyOf(this.#options, { letter, reviews, around, order, view: (other) => viewOf(other, reviews) })
    }
    throw unknownLetter(id)
  }

  async *forecast(order: ReviewOrder, ids: readonly string[]): AsyncGenerator<readonly LetterOutcome[]> {
    requireOneForEvent(order, ids)
    yield* forecast(this.#options, await this.#ordered(order), ids)
  }

  async *carryOut(order: ReviewOrder, ids: readonly string[]): AsyncGenerator<readonly LetterOutcome[]> {
    requireOneForEvent(order, ids)
    yield* carryOut(this.#options, await this.#ordered(order), ids)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  async #ordered(order: ReviewOrder): Promise<Ordered> {
    const { office, terms, nextCommandId } = this.#options
    if (order.name === 'drop' && (order.reason ?? '').trim() === '') {
      throw new OncewardError(
        'ONCEWARD_E_LETTER_REFUSED',
        'a drop needs a reason: it is kept in the place of what was dropped',
      )
    }
    const { actor, reason } = order
    const command = order.name === 'fix' ? { actor, reason, name: order.name, fix: fixOf(order.fix) } : order
    const resending = office === undefined ? undefined : resendingOf(office, terms ?? LEDGER_TERMS, order)
    return { command, around: await this.#surroundings(), commandId: nextCommandId(), resending }
  }

  async #surroundings(): Promise<Surroundings> {
    const { log, topics, normalize, office, reorderWindowMs, dedupeWindowMs } = this.#options
    const partitions = await partitionCount(log, topics.events)
    const rules = await this.#rules()
    const watermarks = await watermarksOf(log, { name: topics.events, partitions }, this.#options)
    const whereabouts = (partition: number): Whereabouts => {
      return { rules, reorderWindowMs, dedupeWindowMs, watermark: watermarks[partition] }
    }
    return { topics, partitions, normalize, whereabouts, ledger: office !== undefined }
  }

  /** None where there is no control topic: then no rule was ever published. */
  async #rules(): Promise<RuleSet> {
    const { log, topics, clock, logger } = this.#options
    if ((await log.topic(topics.control)) === undefined) return ruleSetOf([])
    return (await readControl({ log, topic: topics.control, clock, logger })).set
  }

  async #reviews(): Promise<Reviews> {
    this.#known ??= await Reviews.open(this.#options)
    const reviews = this.#known
    await reviews.catchUpAll()
    return reviews
  }

  async #matcher(filter: LetterFilter): Promise<(letter: LetterView) => boolean> {
    const { causes, rule, from, until, user, error, states, eventName } = filter
    const isError = error === undefined ? undefined : errorMatcher(error)
    const names = rule === undefined ? new Set<string>() : namesOf(await this.#rules(), rule)
    return (letter) =>
      (causes === undefined || causes.includes(letter.cause)) &&
      (states === undefined || states.includes(letter.state)) &&
      (from === undefined || letter.at >= from) &&
      (until === undefined || letter.at < until) &&
      (user === undefined || letter.userId === user) &&
      (eventName === undefined || letter.eventName === eventName) &&
      (isError === undefined || isError(letter)) &&
      (rule === undefined ||
        (letter.about === 'task' ? letter.ruleId === rule : letter.eventName !== null && names.has(letter.eventName)))
  }
}

/** One event in the place of many letters would be scored once, and what the others told would be gone. */
function requireOneForEvent(order: ReviewOrder, ids: readonly string[]): void {
  if (order.name !== 'fix' || order.fix.kind !== 'event' || new Set(ids).size <= 1) return
  throw new OncewardError(
    'ONCEWARD_E_LETTER_REFUSED',
    `a whole event takes the place of one letter, and ${new Set(ids).size} were named; name one, or say what is to be changed in each`,
  )
}

/**
 * Letters of the same error, or whose detail has the text in it. Of a number or an id of a reward nothing is left but what stands for any
 * of them: that alone would be nearly every letter, and whoever writes it means that one.
 */
function errorMatcher(text: string): (letter: LetterView) => boolean {
  const shape = errorShape(text)
  const says = /\p{L}/u.test(shape)
  return ({ error, detail }) => (says && error.includes(shape)) || detail.includes(text)
}

function namesOf(rules: RuleSet, ruleId: string): ReadonlySet<string> {
  return new Set(rules.versions.flatMap(({ rule }) => (rule.ruleId === ruleId ? rule.eventNames : [])))
}

function viewOf(letter: Letter, reviews: Reviews): LetterView {
  const { id, cause, about, at, error, userId, eventId, eventName, taskId, ruleId, record } = letter
  const found = reviews.of(id)
  const decision =
    found === undefined ? null : { state: found.state, actor: found.actor, at: found.at, reason: found.reason }
  const tries = record.history?.length ?? 0
  const { detail } = record
  const state = decision?.state ?? 'open'
  return { id, cause, about, state, at, detail, error, userId, eventId, eventName, taskId, ruleId, tries, decision }
}
