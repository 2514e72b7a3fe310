import { describe, expect, test } from 'vitest'
import { payoutFindings, payoutReport, type PayoutBenchFigures } from '../../cli/bench/payout-report.ts'
import { runCli } from './process.ts'

const row = { poolId: 'hot', period: 'all', budget: 9_000n, softCap: null, spent: 9_000n, reserved: 0n, overrun: 0n }
const POOL: PayoutBenchFigures['pool'] = {
  rewards: 100,
  sinks: 4,
  seconds: 0.01,
  budget: 9_000n,
  samples: 3,
  most: 9_000n,
  above: [],
  final: row,
  totals: [
    { status: 'succeeded', count: 90, cost: 9_000n },
    { status: 'held', count: 10, cost: 1_000n },
  ],
  stats: [],
}
const CALLS: PayoutBenchFigures['calls'] = { calls: 100, concurrency: 8, seconds: 0.2, paid: 100, payouts: 100 }
const GOOD: PayoutBenchFigures = { pool: POOL, calls: CALLS }

describe('what breaks an invariant is said', () => {
  test('and nothing where they hold, whether goals were met or not', () => {
    expect(payoutFindings(GOOD)).toEqual([])
    expect(payoutReport(GOOD)).toMatch(/through one pool, 4 sinks +9,000 +100 +0\.0 +met \(5,000\)/)
    expect(payoutReport(GOOD)).toMatch(/calls to a partner, 8 at once +500 +100 +0\.2 +MISSED \(1,000\)/)
  })

  test.each<[string, Partial<PayoutBenchFigures['pool']>, Partial<PayoutBenchFigures['calls']>]>([
    ['more than the budget', { above: ['1 + 2 of 2'] }, {}],
    ['91 of 100 rewards', { totals: [{ status: 'succeeded', count: 91, cost: 0n }] }, {}],
    [
      '91 were paid',
      {
        totals: [
          { status: 'succeeded', count: 91, cost: 0n },
          { status: 'held', count: 9, cost: 0n },
        ],
      },
      {},
    ],
    ['ends with 89.00 spent', { final: { ...row, spent: 8_900n } }, {}],
    ['ends with nothing', { final: undefined }, {}],
    ['99 of 100 calls', {}, { paid: 99 }],
    ['paid 101 request ids', {}, { payouts: 101 }],
  ])('%s', (says, pool, calls) => {
    const findings = payoutFindings({ pool: { ...POOL, ...pool }, calls: { ...CALLS, ...calls } })
    expect(findings.join('; ')).toContain(says)
  })
})

test('the bench pays what the budget covers, holds the rest, and prints one object', async () => {
  const flags = ['--count', '300', '--sinks', '2', '--calls', '100', '--covered', '80%', '--json']
  const { code, stdout, stderr } = await runCli(['bench', 'payout', ...flags])
  expect({ code, stderr }).toMatchObject({ code: 0 })
  const figures = JSON.parse(stdout) as Record<string, unknown>
  expect(figures).toMatchObject({
    findings: [],
    pool: { rewards: 300, budget: '240.00', final: { spent: '240.00', reserved: '0.00' } },
    calls: { paid: 100, payouts: 100 },
  })
})
