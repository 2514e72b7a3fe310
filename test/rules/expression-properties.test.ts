import * as fc from 'fast-check'
import { all, create } from 'mathjs'
import { describe, expect, it } from 'vitest'
import { checkExpression } from '../../rules/checker.ts'
import { compileCondition, compileNumber } from '../../rules/expression.ts'
import { parseExpression } from '../../rules/parser.ts'
import { eventOf, faultsOf, numberOf, truthOf } from './expressions.ts'
import { arithmeticTexts, events, noise, trees } from './generators.ts'
import { interpret } from './interpreter.ts'

if (all === undefined) throw new Error('mathjs has changed its exports')
const math = create(all, { relTol: 1e-12, absTol: 0 })

describe('expressions', () => {
  it('agree with mathjs wherever mathjs gives a real number by real numbers', () => {
    let compared = 0
    fc.assert(
      fc.property(arithmeticTexts, (text) => {
        const expected = realValue(text)
        if (expected === undefined || faultsOf(text, 'number').length > 0) return
        compared++
        const found = numberOf(text, eventOf())
        if (Number.isNaN(expected)) expect(found).toBeNaN()
        else expect(Math.abs(found - expected)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(expected)))
      }),
      { numRuns: 5_000 },
    )
    expect(compared).toBeGreaterThan(2_000)
  })

  it('are refused by both, or by neither, where implicit multiplication is in doubt', () => {
    for (const text of [
      '2 3',
      'payload.win 3',
      '(1) 3',
      '2^2 3',
      '-payload.win 3',
      '2 (3)',
      '1/2 payload.win',
      '1/2(3)',
      '1/2/3 payload.win',
      '(1)/2 payload.win',
      '--1/2 payload.win',
      '+1/2 payload.win',
      '-+1/2 payload.win',
      '++1/2 payload.win',
      '+payload.win 3',
      '+(1) 3',
      '-(1) 3',
      '-1 payload.win',
    ]) {
      const refused = faultsOf(text, 'number').length > 0
      expect([text, refused]).toEqual([text, realValue(text) === undefined])
      if (!refused) expect(numberOf(text)).toBeCloseTo(realValue(text) ?? 0, 12)
    }
  })

  it('compile to what a plain interpreter says: conditions', () => {
    fc.assert(
      fc.property(trees.condition, events, (text, event) => {
        const parsed = parseExpression(text)
        expect(parsed.ok).toBe(true)
        if (!parsed.ok) return
        // Two literals of different kinds may meet; the checker refuses that.
        if (checkExpression(parsed.expression, 'condition', 'UTC').length > 0) return
        const truth = interpret(parsed.expression, event)
        expect(truthOf(text, event)).toBe(typeof truth === 'boolean' ? truth : undefined)
      }),
      { numRuns: 10_000 },
    )
  })

  it('compile to what a plain interpreter says: numbers, and explain exactly those that are not finite', () => {
    fc.assert(
      fc.property(trees.numeric, events, (text, event) => {
        const parsed = parseExpression(text)
        if (!parsed.ok || checkExpression(parsed.expression, 'number', 'UTC').length > 0) return
        const found = interpret(parsed.expression, event)
        const expected = typeof found === 'number' ? found : Number.NaN
        const code = compileNumber(parsed.expression, { zone: 'UTC', text })
        expect(code.value(event) + 0).toBe(expected + 0)
        expect(code.explain(event) === undefined).toBe(Number.isFinite(expected))
      }),
      { numRuns: 5_000 },
    )
  })

  it('are compiled or refused with a place inside the text, whatever the text', () => {
    fc.assert(
      fc.property(noise, fc.constantFrom('condition', 'number'), (text, wanted) => {
        const faults = faultsOf(text, wanted)
        for (const { start, message } of faults) {
          expect(start).toBeGreaterThanOrEqual(0)
          expect(start).toBeLessThanOrEqual(text.length)
          expect(message).not.toBe('')
        }
        const parsed = parseExpression(text)
        if (faults.length > 0 || !parsed.ok) return
        const context = { zone: 'UTC', text }
        if (wanted === 'number') expect(compileNumber(parsed.expression, context).value(eventOf())).toBeTypeOf('number')
        else expect(compileCondition(parsed.expression, true, context)(eventOf())).toBeTypeOf('boolean')
      }),
      { numRuns: 20_000 },
    )
  })

  it.each([
    ['nested ranges', nest('if($ between 1 and 2, 1, 2)', 'payload.bet', 30) + ' > 0'],
    ['nested choices', nest('if($ > 1, 1, 2)', 'payload.bet', 30) + ' > 0'],
    ['nested minima', nest('min($, 1)', 'payload.bet', 60) + ' > 0'],
    ['nested negation', nest('not ($)', 'payload.gone > 1', 31)],
    ['a long chain', Array.from({ length: 200 }, (_, i) => `payload.f${i} > ${i}`).join(' or ')],
  ])('take time in proportion to their size: %s', (_, text) => {
    const expression = parseExpression(text)
    if (!expression.ok) throw new Error(expression.fault.message)
    const condition = compileCondition(expression.expression, true, { zone: 'UTC', text })
    const event = eventOf()
    for (let i = 0; i < 1_000; i++) condition(event)
  })
})

function nest(around: string, inner: string, levels: number): string {
  return levels === 0 ? inner : around.replace('$', () => nest(around, inner, levels - 1))
}

/** What mathjs gives, or undefined where it refuses, leaves the real numbers, or computes a doubtful remainder on the way. */
function realValue(text: string): number | undefined {
  try {
    const node = math.parse(text)
    const scope = { payload: { win: 1.25, bet: 0.5 } }
    let real = true
    node.traverse((part) => {
      if (!('fn' in part) && part.type !== 'ParenthesisNode') return
      const value: unknown = part.evaluate(scope)
      if (typeof value !== 'number' || !Number.isFinite(value) || Math.abs(value) > 1e12 || doubtful(part, scope))
        real = false
    })
    const value: unknown = node.evaluate(scope)
    return real && typeof value === 'number' ? value : undefined
  } catch {
    return undefined
  }
}

/** A remainder of nothing, of a multiple (Onceward leaves exactly 0), or of so much that only rounding is left of it. */
function doubtful(
  part: { type: string; op?: string; args?: { evaluate(scope: object): unknown }[] },
  scope: object,
): boolean {
  if (part.type !== 'OperatorNode' || part.op !== '%') return false
  const [x, y] = part.args?.map((arg) => Number(arg.evaluate(scope))) ?? []
  const quotient = (x ?? 0) / (y ?? 0)
  return !(Math.abs(quotient) < 1e6) || Math.abs(quotient - Math.round(quotient)) < 1e-9
}
