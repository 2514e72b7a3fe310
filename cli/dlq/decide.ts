/**
 * The way of every command that decides: first what it would do, counted; after a yes it is carried out, in transactions of
 * bounded size. What was decided before is told, so that the same command again goes on where it was stopped.
 */
import { outcomeJson } from '../../core/letter-json.ts'
import type { LetterOutcome, ReviewDesk, ReviewOrder } from '../../core/ports/review.ts'
import type { Context } from '../command.ts'
import { createProgress, formatCount } from '../progress.ts'
import { agreed } from '../replay/confirmation.ts'
import { EXIT } from '../report.ts'
import { mandateOf } from '../rewards/mandate.ts'
import { type DeskSettings, withDesk } from './connection.ts'
import { OutcomeTally } from './outcomes.ts'
import { type TargetSettings, targetsOf } from './targets.ts'

export type DecideSettings = DeskSettings &
  TargetSettings & {
    readonly as: string | undefined
    readonly actor: string | undefined
    readonly reason: string | undefined
    readonly yes: boolean
    readonly json: boolean
  }

type By = Pick<ReviewOrder, 'actor' | 'reason'>

/** Answers the exit code: 1 where anything was refused or decided by others; undefined where it was asked to stop. */
export async function decideLetters(
  context: Context<DecideSettings>,
  make: (by: By) => Promise<ReviewOrder>,
): Promise<number | undefined> {
  const { settings, terminal, signal } = context
  const order = await make({ actor: mandateOf(settings, undefined).actor, reason: settings.reason })
  return withDesk(context, async (desk) => {
    const ids = await targetsOf(desk, settings, signal)
    if (signal.aborted) return undefined
    if (ids.length === 0) {
      const none = settings.json
        ? JSON.stringify({ phase: 'forecast', letters: 0 })
        : 'there are no such letters: nothing to do'
      await terminal.print(`${none}\n`)
      return EXIT.fine
    }
    const forecast = new OutcomeTally()
    await through(context, { phase: 'forecast', tally: forecast, outcomes: desk.forecast(order, ids) })
    if (signal.aborted) return undefined
    await tell(context, 'forecast', forecast)
    if (forecast.done === 0) return exitOf(forecast)
    if (!(await agreed(settings, questionOf(order, forecast.done), signal))) {
      terminal.note('nothing was changed; with --yes it is carried out')
      return exitOf(forecast)
    }
    return carryOut(context, { desk, order, ids })
  })
}

async function carryOut(
  context: Context<DecideSettings>,
  { desk, order, ids }: { readonly desk: ReviewDesk; readonly order: ReviewOrder; readonly ids: readonly string[] },
): Promise<number | undefined> {
  const { terminal } = context
  const progress = createProgress({ ...context, label: order.name, unit: 'letters' })
  const result = new OutcomeTally()
  const end = async (): Promise<void> => {
    progress.finish(`${order.name}: ${result.summary()}`)
    await tell(context, 'done', result)
    if (result.seen === ids.length) return
    const [done, all] = [formatCount(result.seen), formatCount(ids.length)]
    terminal.note(`stopped after ${done} of ${all} letters; the same command again goes on`)
  }
  try {
    await through(context, {
      phase: 'done',
      tally: result,
      outcomes: desk.carryOut(order, ids),
      advance: (done) => progress.update({ done, share: done / ids.length }),
    })
  } catch (error) {
    // What was done before stands, whatever has come in between.
    await end()
    throw error
  }
  await end()
  return result.seen < ids.length ? undefined : exitOf(result)
}

interface Pass {
  readonly phase: 'forecast' | 'done'
  readonly tally: OutcomeTally
  readonly outcomes: AsyncIterable<readonly LetterOutcome[]>
  readonly advance?: (done: number) => void
}

/** Between two transactions it may be stopped. */
async function through(
  { settings, signal, terminal }: Context<DecideSettings>,
  { phase, tally, outcomes, advance }: Pass,
): Promise<void> {
  for await (const some of outcomes) {
    tally.add(some)
    if (settings.json) {
      await terminal.print(some.map((one) => `${JSON.stringify({ phase, ...outcomeJson(one) })}\n`).join(''))
    }
    advance?.(tally.seen)
    if (signal.aborted) break
  }
}

async function tell(
  { settings, terminal }: Context<DecideSettings>,
  phase: 'forecast' | 'done',
  tally: OutcomeTally,
): Promise<void> {
  if (settings.json) return terminal.print(`${JSON.stringify({ phase, ...tally.json() })}\n`)
  const news = phase === 'forecast' || tally.decided + tally.refused > 0
  const head = phase === 'forecast' ? `\ndry run: ${tally.summary()}\n` : ''
  if (news) await terminal.print(`${tally.table()}${head}`)
}

function questionOf({ name }: ReviewOrder, letters: number): string {
  return `${name} ${letters === 1 ? '1 letter' : `${formatCount(letters)} letters`}?`
}

function exitOf({ refused, decided }: OutcomeTally): number {
  return refused + decided > 0 ? EXIT.failed : EXIT.fine
}
