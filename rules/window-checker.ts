import { DAY_MS, SECOND_MS } from '../core/durations.ts'
import type { Fault } from './problem.ts'
import { type ArithmeticNode, childrenOf, type Expression, type FieldNode } from './syntax-tree.ts'
import { SEQUENCE_STEPS_MAX, WINDOW_LENGTH_MS_MAX, WINDOW_LENGTH_MS_MIN } from './window-lengths.ts'
import { WINDOW_SIGNATURES, type WindowNode } from './window-syntax.ts'

/** Checks what is said of one kind of event; each answers or notes the faults it finds. */
export interface StepChecks {
  condition(filter: Expression): readonly Fault[]
  /** The type of a field of the event. */
  field(node: FieldNode): { readonly type: string; readonly faults: readonly Fault[] }
}

const EVENT_NAME = /^[A-Za-z0-9][\w.:-]{0,127}$/
/** Functions that have no value where no event counted. */
export const MAY_BE_MISSING: readonly string[] = ['min', 'max', 'avg', 'last']
const NEEDS_NUMBERS: readonly string[] = ['sum', 'avg', 'min', 'max']

export interface WindowCheck {
  readonly type: 'number' | 'boolean' | 'duration'
  readonly faults: readonly Fault[]
}

/** Checks a function over recent events. `last` gives a length of time, `sequence` a condition. */
export function checkWindow(node: WindowNode, checksOf: (eventName: string) => StepChecks): WindowCheck {
  const faults: Fault[] = [...lengthFaults(node), ...stepFaults(node)]
  for (const { eventName, filter, start } of node.steps) {
    if (!EVENT_NAME.test(eventName)) {
      const message = `"${eventName.slice(0, 40)}" is no name of an event`
      faults.push(wrongValue(start, message, 'an event name has letters, digits, _, ., : and -'))
    }
    if (filter !== undefined) faults.push(...checksOf(eventName).condition(filter))
  }
  const [first] = node.steps
  if (node.path !== undefined && first !== undefined)
    faults.push(...fieldFaults(node, node.path, checksOf(first.eventName)))
  const type = node.function === 'sequence' ? 'boolean' : node.function === 'last' ? 'duration' : 'number'
  return { type, faults }
}

function fieldFaults(node: WindowNode, path: readonly string[], checks: StepChecks): readonly Fault[] {
  const { start, end } = node.steps[0] ?? node
  const { type, faults } = checks.field({ kind: 'field', path, start, end })
  const allowed = NEEDS_NUMBERS.includes(node.function) ? ['number', 'any'] : ['number', 'text', 'boolean', 'any']
  if (allowed.includes(type)) return faults
  const message = `${node.function} cannot be taken of ${path.join('.')}, which holds a ${type}`
  const hint = `write ${WINDOW_SIGNATURES[node.function]}`
  return [...faults, { code: 'ONCEWARD_E_RULE_WRONG_TYPE', start, message, hint }]
}

function lengthFaults({ lengthMs, start }: WindowNode): readonly Fault[] {
  if (lengthMs === undefined || (lengthMs >= WINDOW_LENGTH_MS_MIN && lengthMs <= WINDOW_LENGTH_MS_MAX)) return []
  const [least, most] = [WINDOW_LENGTH_MS_MIN / SECOND_MS, WINDOW_LENGTH_MS_MAX / DAY_MS]
  const message = `a window is at least ${least}s and at most ${most}d long`
  return [wrongValue(start, message, `write a length within these bounds, such as ${most}d`)]
}

function stepFaults({ function: called, steps: { length }, start }: WindowNode): readonly Fault[] {
  if (called !== 'sequence' || (length >= 2 && length <= SEQUENCE_STEPS_MAX)) return []
  const message = `a sequence has 2 to ${SEQUENCE_STEPS_MAX} steps, this one has ${length}`
  return [wrongValue(start, message, 'write sequence(deposit, bet, 1h)')]
}

function wrongValue(start: number, message: string, hint: string): Fault {
  return { code: 'ONCEWARD_E_RULE_WRONG_VALUE', start, message, hint }
}

/** True where some part of the expression looks at recent events. */
export function looksBack(node: Expression): boolean {
  return node.kind === 'window' || childrenOf(node).some(looksBack)
}

/** Two lengths of time divided give a number: `last(login) / 1d`. */
export function isRatioOfDurations({ operator, left, right }: ArithmeticNode): boolean {
  return operator === '/' && isDuration(left) && isDuration(right)
}

/** True where the value is a length of time, as far as the text tells. */
export function isDuration(node: Expression): boolean {
  return node.kind === 'duration' || (node.kind === 'window' && node.function === 'last')
}
