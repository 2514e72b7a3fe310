import type { JsonObject, PlayerEvent } from '../../core/model/event.ts'
import { checkExpression } from '../../rules/checker.ts'
import { compileCondition, compileNumber } from '../../rules/expression.ts'
import { parseExpression } from '../../rules/parser.ts'
import type { Fault } from '../../rules/problem.ts'
import type { Expression } from '../../rules/syntax-tree.ts'

export const NOW = '2025-11-10T12:00:00.000Z'

/** A bet by a player in Turkey, with whatever the test adds. */
export function eventOf(payload: JsonObject = {}, ts: string = NOW): PlayerEvent {
  const data = {
    event_id: 'e1',
    event_name: 'bet',
    version: '1.2.0',
    ts,
    user: { id: 'u1', geo: 'TR', payer_flag: true, risk_flags: ['vpn'] },
    context: { device: { os: 'ios' } },
    payload: { bet: 0.5, win: 1.25, ...payload },
  }
  return { eventId: 'e1', eventName: 'bet', userId: 'u1', ts: Date.parse(ts), data }
}

export function faultsOf(text: string, wanted: 'condition' | 'number' = 'condition', zone = 'UTC'): readonly Fault[] {
  const parsed = parseExpression(text)
  return parsed.ok ? checkExpression(parsed.expression, wanted, zone) : [parsed.fault]
}

export function checked(text: string, wanted: 'condition' | 'number', zone = 'UTC'): Expression {
  const parsed = parseExpression(text)
  if (!parsed.ok) throw new Error(`${text}: ${parsed.fault.message}`)
  const [fault] = checkExpression(parsed.expression, wanted, zone)
  if (fault !== undefined) throw new Error(`${text}: ${fault.message}`)
  return parsed.expression
}

/** true, false or undefined (unknown). */
export function truthOf(text: string, event: PlayerEvent = eventOf(), zone = 'UTC'): boolean | undefined {
  const expression = checked(text, 'condition', zone)
  const yes = compileCondition(expression, true, { zone, text })(event)
  const no = compileCondition(expression, false, { zone, text })(event)
  if (yes && no) throw new Error(`${text} is both true and false`)
  return yes ? true : no ? false : undefined
}

export function numberOf(text: string, event: PlayerEvent = eventOf()): number {
  return compileNumber(checked(text, 'number'), { zone: 'UTC', text }).value(event)
}

export function explanationOf(text: string, event: PlayerEvent = eventOf()): string | undefined {
  return compileNumber(checked(text, 'number'), { zone: 'UTC', text }).explain(event)
}
