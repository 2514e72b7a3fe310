import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { BatchOutput, Emitted } from '../../operators/operator.ts'
import type { CompiledRule } from '../../rules/compiled.ts'
import { eventLine, type Line, TestEngine, testRule } from '../support/engine.ts'
import { gateReference, type ReferenceRule, type Step } from './reference.ts'

const T0 = Date.parse('2025-11-03T10:00:00Z')
const SECOND = 1_000

const RULES: readonly (ReferenceRule & { readonly type: string })[] = [
  { ruleId: 'cash', type: 'bonus_cash', strict: false, required: 2, expiryMs: 150 * SECOND },
  { ruleId: 'fs', type: 'fs', strict: true, required: 1, expiryMs: null },
  { ruleId: 'loot', type: 'loot', strict: false, required: 0, expiryMs: 40 * SECOND },
]

function engineRule({ ruleId, type, strict, expiryMs }: (typeof RULES)[number]): CompiledRule {
  const thresholds = Array.from({ length: 200 }, (_, i) => i + 1)
  return testRule({
    ruleId,
    ordering: strict ? 'strict' : 'any',
    trigger: { thresholds, rewards: thresholds.map(() => ({ type, amount: 1 })), reset: 'never' },
    guardrails: expiryMs === null ? {} : { frozen_expiry_ms: expiryMs },
  })
}

const KINDS = ['self_exclusion', 'cool_off', 'deposit_limit', 'loss_limit'] as const
type Says = (Step & { kind: 'rg' })['says']

const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('login' as const), ahead: fc.nat(20) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('kyc' as const), level: fc.nat(2), ahead: fc.nat(40) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('rg' as const),
      says: fc.constantFrom<Says>('restricts', 'restricts', 'lifts', 'lifts limits', 'lifts all'),
      restriction: fc.constantFrom(...KINDS),
      /** Seconds from its own time; null: no end. */
      lasts: fc.option(fc.integer({ min: -30, max: 240 }), { freq: 3 }),
      ahead: fc.nat(40),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('tick' as const), ahead: fc.nat(300) }) },
)

/** A stream in which events are up to 100 s behind, some of them late, and some come again. */
const steps = fc
  .array(fc.tuple(step, fc.nat(1), fc.nat(100), fc.nat(9)), { maxLength: 60, size: 'max' })
  .map((drawn) => {
    let now = T0
    const made: Step[] = []
    for (const [index, [each, user, back, chance]] of drawn.entries()) {
      const again = made[index - 1 - chance]
      if (chance < 2 && again !== undefined) {
        made.push(again)
        continue
      }
      now += each.ahead * SECOND
      // Whole seconds, so that instants fall together.
      const ts = chance > 5 ? now : now - back * SECOND
      const about = { id: `e${(index * 37) % 100}-${index}`, user: `u${user}`, ts }
      if (each.kind === 'tick') made.push({ kind: 'tick', ts })
      else if (each.kind === 'login') made.push({ kind: 'login', ...about })
      else if (each.kind === 'kyc') made.push({ kind: 'kyc', ...about, level: each.level })
      else {
        const until = each.lasts === null ? null : ts + each.lasts * SECOND
        made.push({ kind: 'rg', ...about, says: each.says, restriction: each.restriction, until })
      }
    }
    return made
  })

function lineOf(each: Step): Line {
  if (each.kind === 'tick') return { value: '', tick: each.ts }
  const { id, user, ts } = each
  const line = (name: string, payload: object): Line => ({
    value: eventLine({ id, user, name, ts, payload }),
    ingestTs: ts,
  })
  if (each.kind === 'login') return line('login', {})
  if (each.kind === 'kyc') return line('kyc_status_changed', { kyc_level: each.level })
  const { says, restriction } = each
  const until = each.until === null ? null : new Date(each.until).toISOString()
  const isLimit = restriction.endsWith('_limit')
  if (says === 'restricts') return line('rg_event', { type: restriction, action: isLimit ? 'reached' : 'set', until })
  if (says === 'lifts') return line('rg_event', { type: restriction, action: 'lifted' })
  return line('rg_event', { type: says === 'lifts all' ? 'all' : 'limit_lifted', action: 'lifted' })
}

/** Each player's records in the words of the reference. */
function recordsOf({ rewards }: BatchOutput): Record<string, string[]> {
  const records: Record<string, string[]> = {}
  for (const emitted of rewards) (records[emitted.key ?? ''] ??= []).push(textOf(emitted))
  return records
}

const at = (time: string | undefined): number => Date.parse(time ?? '')

function textOf({ value, timestamp }: Emitted<BatchOutput['rewards'][number]['value']>): string {
  if (value.type === 'player.changed') {
    const until = (text: string | null): number | null => (text === null ? null : at(text))
    const restrictions = value.restrictions.map((each) => [each.kind, at(each.since), until(each.until)])
    const known = JSON.stringify([value.kyc_level, restrictions])
    return `player ${known} as of ${at(value.as_of)} seq ${value.seq} by ${value.event_id} [${timestamp}]`
  }
  const name = `${value.origin.rule_id} ${value.origin.threshold}`
  if (value.type === 'reward_task.expired') return `expired ${name} at ${at(value.expired_at)} [${timestamp}]`
  if (value.type === 'reward_task.created') {
    const released = value.released_at === undefined ? '' : ` released ${at(value.released_at)}`
    return `created ${name} level ${value.kyc?.level}${released} [${timestamp}]`
  }
  const reasons = value.reasons.map((each) =>
    each.gate === 'rg' ? each.restriction : `kyc ${each.level} of ${each.required}`,
  )
  return `frozen ${name} at ${at(value.frozen_at)}: ${reasons.join(', ')} [${timestamp}]`
}

const limits = fc.record({
  held: fc.record({ events: fc.integer({ min: 1, max: 5 }), bytes: fc.constant(1 << 20) }),
  outputs: fc.constantFrom(1, 3, 300, 30_000),
})

describe('the gates against the plain reference', () => {
  test('the same records for each player, however the log is cut into batches, and whatever is lost in between', async () => {
    const seen = { created: 0, released: 0, frozen: 0, expired: 0, players: 0, late: 0 }
    await fc.assert(
      fc.asyncProperty(steps, limits, fc.array(fc.nat(9), { maxLength: 30 }), async (made, bound, cuts) => {
        const last = made.reduce((max, { ts }) => Math.max(max, ts), 0)
        const all: Step[] = [...made, { kind: 'tick', ts: last + 400 * SECOND }]
        const engine = new TestEngine(RULES.map(engineRule), bound)
        let from = 0
        for (const cut of [...cuts, all.length]) {
          if (cut === 0) engine.restart()
          if (cut === 1) await engine.rebuild()
          await engine.feed(all.slice(from, from + cut).map(lineOf))
          from += cut
        }
        while (engine.overdue) await engine.feed([])
        const expected = gateReference(all, RULES)
        expect(recordsOf(engine.output)).toEqual(expected.records)
        const { counts } = engine.output
        expect(counts.late).toBe(expected.late)
        const texts = Object.values(expected.records).flat()
        const count = (pattern: RegExp): number => texts.filter((text) => pattern.test(text)).length
        expect(counts).toMatchObject({
          rewards: count(/^frozen/) + count(/^created(?!.*released)/),
          frozen: count(/^frozen/),
          released: count(/released/),
          expired: count(/^expired/),
        })
        seen.created += count(/^created/)
        seen.released += counts.released
        seen.frozen += counts.frozen
        seen.expired += counts.expired
        seen.players += count(/^player/)
        seen.late += counts.late
      }),
      { numRuns: 250, endOnFailure: true },
    )
    // Nothing of it is a matter of luck: each came up often.
    for (const often of Object.values(seen)) expect(often).toBeGreaterThan(200)
  }, 60_000)
})
