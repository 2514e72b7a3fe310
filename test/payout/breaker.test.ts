import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type BreakerPolicy,
  type BreakerState,
  CLOSED,
  ended,
  permitOf,
  tried,
  unused,
} from '../../pipeline/payout/breaker.ts'

const POLICY: BreakerPolicy = { inRowMax: 3, windowCalls: 10, failureShare: 0.5, waitMs: 100, waitMsMax: 350 }

/** `.` answered, `x` not; one a millisecond. */
function after(calls: string, state: BreakerState = CLOSED): BreakerState {
  return calls
    .split('')
    .reduce((is, call, at) => ended(is, { epoch: is.epoch, at, answered: call === '.' }, POLICY), state)
}

test.each([
  ['', 'closed'],
  ['xx', 'closed'],
  ['xxx', 'open'],
  ['xx.xx.', 'closed'],
  ['.xx.xx', 'closed'],
  ['x.x.x.x.x', 'closed'],
  ['.x.x.x.x.x', 'open'],
  ['x.x.x.x.x.', 'closed'],
  ['x.x.x.x.x.x', 'open'],
  ['..........x.x.x.x.', 'closed'],
])('after %j it is %s', (calls, kind) => {
  expect(after(calls).kind).toBe(kind)
})

const OPEN = after('xxx')

test('open, it lets nothing through until its wait is over, then one call', () => {
  expect(OPEN).toMatchObject({ kind: 'open', until: 102 })
  expect([0, 101, 102, 5_000].map((at) => permitOf(OPEN, at))).toEqual(['none', 'none', 'trial', 'trial'])
  expect(permitOf(tried(OPEN), 5_000)).toBe('none')
  expect(permitOf(CLOSED, 0)).toBe('all')
})

test('an answered trial closes it, one that is not opens it for twice as long, up to a bound', () => {
  const half = tried(OPEN)
  expect(ended(half, { epoch: half.epoch, at: 200, answered: true }, POLICY)).toMatchObject({
    kind: 'closed',
    inRow: 0,
  })
  let state: BreakerState = OPEN
  const waits: number[] = []
  for (let n = 0; n < 4; n++) {
    state = tried(state)
    state = ended(state, { epoch: state.epoch, at: 1_000, answered: false }, POLICY)
    waits.push(state.kind === 'open' ? state.until - 1_000 : Number.NaN)
  }
  expect(waits).toEqual([200, 350, 350, 350])
})

test('a trial that came to nothing costs no wait', () => {
  const half = tried(OPEN)
  expect(permitOf(unused(half, half.epoch, 300), 300)).toBe('trial')
  expect(unused(CLOSED, 0, 300)).toBe(CLOSED)
})

test('what a partner asks for is waited for, within the bound', () => {
  const [wait, long] = [250, 900].map((retryAfterMs) =>
    ended(after('xx'), { epoch: 0, at: 0, answered: false, retryAfterMs }, POLICY),
  )
  expect(wait).toMatchObject({ until: 250 })
  expect(long).toMatchObject({ until: 350 })
})

test('calls that began before a change say nothing of what is after it', () => {
  const late = { epoch: 0, at: 500, answered: true }
  expect(ended(OPEN, late, POLICY)).toBe(OPEN)
  const half = tried(OPEN)
  expect(ended(half, late, POLICY)).toBe(half)
  expect(ended(half, { ...late, answered: false }, POLICY)).toBe(half)
  expect(unused(half, 0, 500)).toBe(half)
})

test('whatever happens: open lets nothing through, half-open has one call out, and it closes on an answered trial only', () => {
  const step = fc.constantFrom('pass', 'ok', 'fail', 'ask', 'unused')
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      let [state, at, trials]: [BreakerState, number, number] = [CLOSED, 0, 0]
      for (const each of steps) {
        const before = state
        if (each === 'pass') at += 40
        if (each === 'ask' && permitOf(state, at) === 'trial') [state, trials] = [tried(state), trials + 1]
        if (each === 'unused') state = unused(state, state.epoch, at)
        if (each === 'ok' || each === 'fail')
          state = ended(state, { epoch: state.epoch, at, answered: each === 'ok' }, POLICY)
        if (before.kind === 'half-open' && state.kind !== 'half-open') trials--
        expect(trials).toBe(state.kind === 'half-open' ? 1 : 0)
        if (state.kind === 'closed' && before.kind !== 'closed')
          expect([before.kind, each]).toEqual(['half-open', 'ok'])
        if (state.kind === 'open') expect(state.until - at).toBeLessThanOrEqual(POLICY.waitMsMax)
        if (state !== before && state.kind !== before.kind) expect(state.epoch).toBeGreaterThan(before.epoch)
      }
    }),
  )
})
