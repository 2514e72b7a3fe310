import { beforeAll, describe, expect, test } from 'vitest'
import { loadNormalizer } from '../../cli/runtime.ts'
import { FAULT_NAMES, parseFaults } from '../../cli/simulate/faults.ts'
import { parseSeeds } from '../../cli/simulate/seeds.ts'
import { type SimulationResult, simulate } from '../../cli/simulate/simulation.ts'
import { runCli } from '../cli/process.ts'

const SEEDS = 40
let normalize: Awaited<ReturnType<typeof loadNormalizer>>

beforeAll(async () => {
  normalize = await loadNormalizer(undefined)
})

const run = (seed: number, faults: string, steps = 400): Promise<SimulationResult> =>
  simulate({ seed, steps, faults: parseFaults(faults.split(',')), normalize })

describe('a simulation', () => {
  test(`equals the reference with every fault, for the seeds 1 to ${SEEDS}`, async () => {
    const struck = new Set<string>()
    const sums = new Map<string, number>()
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { violation, rewards, gates, late, faults } = await run(seed, 'all')
      expect({ seed, violation }).toEqual({ seed, violation: undefined })
      expect(rewards).toBeGreaterThan(50)
      for (const name of Object.keys(faults)) struck.add(name)
      for (const [what, count] of Object.entries({ ...gates, ...late })) sums.set(what, (sums.get(what) ?? 0) + count)
    }
    // So that what is compared is there in numbers: also the rare self-exclusion between a reward and its call.
    for (const [what, least] of [
      ['frozen', 1_000],
      ['released', 500],
      ['expired', 200],
      ['stopped', 10],
      ['late_strict', 500],
      ['late_window_forgotten', 15],
    ] as const) {
      expect({ what, enough: (sums.get(what) ?? 0) >= least }).toEqual({ what, enough: true })
    }
    expect([...struck].sort()).toEqual(FAULT_NAMES.filter((name) => !name.endsWith('-events')).sort())
  }, 240_000)

  test.each(['none', ...FAULT_NAMES])('equals the reference with the fault %s alone', async (fault) => {
    expect(await run(7, fault, 150)).toMatchObject({ violation: undefined, events: 150 })
  })

  test('does the same for the same seed, byte for byte, and something else for another', async () => {
    const [first, second, other] = [await run(3, 'all'), await run(3, 'all'), await run(4, 'all')]
    expect(second.trace).toBe(first.trace)
    expect(other.trace).not.toBe(first.trace)
  })

  test('does the same in another process, and ends with 0', async () => {
    const args = ['simulate', '--seed', '3', '--steps', '200', '--trace']
    const [first, second, here] = [await runCli(args), await runCli(args), await run(3, 'all', 200)]
    expect(first.code).toBe(0)
    expect(second.stdout).toBe(first.stdout)
    expect(first.stdout).toBe(`seed 3\n${here.trace}`)
  })
})

describe('the command', () => {
  test('runs a range on several processes, each seed once', async () => {
    const { code, stdout } = await runCli(['simulate', '--seed', '5..10', '--jobs', '3', '--steps', '40', '--json'])
    const lines = stdout.trim().split('\n')
    expect(code).toBe(0)
    const seeds = lines.map((line) => (JSON.parse(line) as { seed: number }).seed)
    expect(seeds.sort((a, b) => a - b)).toEqual([5, 6, 7, 8, 9, 10])
  })

  test('says how many seeds, events, rewards and faults there were', async () => {
    const { stderr } = await runCli(['simulate', '--seed', '1..2', '--jobs', '1', '--steps', '40'])
    expect(stderr).toMatch(
      /^2 seeds, 80 events, \d+ rewards, \d+ faults in [\d.]+ s, [\d.]+ seeds\/s: no difference\n$/,
    )
  })

  test('names a fault that does not exist, and a range that is none', async () => {
    const { code, stderr } = await runCli(['simulate', '--faults', 'crash,gremlins'])
    expect([code, stderr]).toEqual([2, expect.stringContaining('there is no fault "gremlins"')])
    expect(() => parseSeeds('9..3')).toThrow('the range 9..3 is empty')
    expect((await runCli(['simulate', '--seed', 'x'])).code).toBe(2)
  })
})
