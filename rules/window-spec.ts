import { createHash } from 'node:crypto'
import { unreachable } from '../core/assert.ts'
import { DAY_MS } from '../core/durations.ts'
import type { PlayerEvent } from '../core/model/event.ts'
import { localMs } from './calendar.ts'
import { fieldReader } from './event-fields.ts'
import type { Expression } from './syntax-tree.ts'
import { tokenize } from './tokens.ts'
import { type Slices, slicesOf } from './window-lengths.ts'
import type { StreakUnit, WindowNode, WindowStep } from './window-syntax.ts'

/** What is remembered of a user's recent events for one function of some rule, and how an event changes it. */
export interface WindowSpec {
  /** The same for two rules that ask for the same: they share what is remembered. 16 hex digits. */
  readonly id: string
  /** The events that may count, by name. */
  readonly eventNames: readonly string[]
  /** True for events that count: of the right name, and within the filter. */
  matches(event: PlayerEvent): boolean
  readonly fold: WindowFold
}

export type WindowFold =
  | { readonly kind: 'count'; readonly slices: Slices }
  /** `value` is NaN where the field is missing or no number: such an event does not count. */
  | {
      readonly kind: 'sum' | 'avg' | 'min' | 'max'
      readonly slices: Slices
      readonly value: (event: PlayerEvent) => number
    }
  | {
      readonly kind: 'distinct'
      readonly slices: Slices
      readonly value: (event: PlayerEvent) => string | number | boolean | undefined
    }
  | { readonly kind: 'last' }
  /** `unitOf` numbers the calendar days or weeks of the rule's zone. */
  | { readonly kind: 'streak'; readonly unitOf: (ts: number) => number }
  | {
      readonly kind: 'sequence'
      readonly lengthMs: number
      /** Which events are which step, in order. */
      readonly steps: readonly ((event: PlayerEvent) => boolean)[]
    }

type EventTest = (event: PlayerEvent) => boolean

/** The expression as written, and where its dates and the days of a streak are read. */
export interface WindowContext {
  readonly zone: string
  readonly text: string
}

/** The window that a checked `node` asks for. `compileFilter` compiles conditions over one event. */
export function windowSpecOf(
  node: WindowNode,
  context: WindowContext,
  compileFilter: (filter: Expression) => EventTest,
): WindowSpec {
  const steps = node.steps.map((step) => stepTest(step, compileFilter))
  return {
    id: idOf(node, context),
    eventNames: [...new Set(node.steps.map(({ eventName }) => eventName))],
    matches: (event) => steps.some((fits) => fits(event)),
    fold: foldOf(node, context.zone, steps),
  }
}

function stepTest({ eventName, filter }: WindowStep, compileFilter: (filter: Expression) => EventTest): EventTest {
  if (filter === undefined) return (event) => event.eventName === eventName
  const holds = compileFilter(filter)
  return (event) => event.eventName === eventName && holds(event)
}

function foldOf(node: WindowNode, zone: string, steps: readonly EventTest[]): WindowFold {
  const { function: kind, path = [], lengthMs = 0 } = node
  switch (kind) {
    case 'count':
      return { kind, slices: slicesOf(lengthMs) }
    case 'sum':
    case 'avg':
    case 'min':
    case 'max': {
      const read = fieldReader(path)
      const value = (event: PlayerEvent): number => {
        const found = read(event)
        return typeof found === 'number' ? found : Number.NaN
      }
      return { kind, slices: slicesOf(lengthMs), value }
    }
    case 'distinct': {
      const read = fieldReader(path)
      const value = (event: PlayerEvent): string | number | boolean | undefined => {
        const found = read(event)
        return typeof found === 'object' ? undefined : found
      }
      return { kind, slices: slicesOf(lengthMs), value }
    }
    case 'last':
      return { kind }
    case 'streak':
      return { kind, unitOf: unitNumber(node.unit ?? 'day', zone) }
    case 'sequence':
      return { kind, lengthMs, steps }
    default:
      return unreachable(kind)
  }
}

/** Numbers calendar days since 1970-01-01, or weeks from Monday. */
function unitNumber(unit: StreakUnit, zone: string): (ts: number) => number {
  const day = (ts: number): number => Math.floor(localMs(zone, ts) / DAY_MS)
  // 1970-01-01 was a Thursday.
  return unit === 'day' ? day : (ts) => Math.floor((day(ts) + 3) / 7)
}

/**
 * Goes by the words of the text: blanks and the kind of quotes make no difference. The zone matters where days do: in a
 * streak, and maybe in a filter. Whatever changes here makes every window begin anew.
 */
function idOf(node: WindowNode, { text, zone }: WindowContext): string {
  const words = tokenize(text.slice(node.start, node.end)).map((token) => `${token.kind} ${token.text}`)
  const zoned = node.function === 'streak' || node.steps.some(({ filter }) => filter !== undefined)
  const content = JSON.stringify([words, zoned ? zone : ''])
  return createHash('sha256').update(content).digest('hex').slice(0, 16)
}

/** The windows that the expressions of one rule ask for. */
export class WindowUses {
  readonly #specs = new Map<string, WindowSpec>()

  add(spec: WindowSpec): void {
    if (!this.#specs.has(spec.id)) this.#specs.set(spec.id, spec)
  }

  get size(): number {
    return this.#specs.size
  }

  get specs(): readonly WindowSpec[] {
    return [...this.#specs.values()]
  }
}
