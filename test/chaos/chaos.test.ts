import { afterAll, describe, expect, test } from 'vitest'
import { type RunningCli, startScript } from '../cli/process.ts'
import { kafkaForTests } from '../support/kafka.ts'
import { ALL_FAULTS, planFaults } from './faults.ts'
import { feedOf } from './workload.ts'
import { fileURLToPath } from 'node:url'
import { seededRandom } from '../../core/random.ts'

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))
const running: RunningCli[] = []

function chaos(...args: string[]): RunningCli {
  const cli = startScript(MAIN, args, { stdin: '' })
  running.push(cli)
  return cli
}

afterAll(async () => {
  for (const { child } of running) child.kill('SIGTERM')
  await Promise.all(running.map(({ ended }) => ended))
})

describe('the plan of a run', () => {
  test('is the same for one seed, and has every kind once before any comes again', () => {
    const plan = (seed: number): unknown[] => {
      const faults = planFaults(ALL_FAULTS, seededRandom(seed), [1_000, 2_000])
      return Array.from({ length: 3 * ALL_FAULTS.length }, () => faults.next().value)
    }
    expect(plan(1)).toEqual(plan(1))
    expect(plan(1)).not.toEqual(plan(2))
    const kinds = plan(5).map((fault) => (fault as { kind: string }).kind)
    for (let at = 0; at < kinds.length; at += ALL_FAULTS.length) {
      expect(new Set(kinds.slice(at, at + ALL_FAULTS.length))).toEqual(new Set(ALL_FAULTS))
    }
  })

  test('feeds the same events for one seed', () => {
    const first = (seed: number): unknown[] => {
      const feed = feedOf(seed)
      return Array.from({ length: 500 }, () => feed.next().value)
    }
    expect(first(3)).toEqual(first(3))
    expect(first(3)).not.toEqual(first(4))
  })

  test('wrong usage ends with 2 and says what is right', async () => {
    const { code, stderr } = await chaos('--faults', 'kill-wroker').ended
    expect(code).toBe(2)
    expect(stderr).toContain('kill-worker')
  })
})

describe.skipIf(!kafkaForTests().available)('the whole system, broken while events flow', () => {
  test('gives what the plain reference gives, after each kind of fault', async () => {
    const { code, stdout, stderr } = await chaos('--minutes', '0.75', '--seed', '7', '--gap', '2.5').ended
    expect({ code, report: code === 0 ? '' : stdout + stderr }).toEqual({ code: 0, report: '' })
    for (const kind of ALL_FAULTS) expect(stdout).toMatch(new RegExp(`^${kind} +[1-9]`, 'm'))
    expect(stdout).toMatch(/^differences +0$/m)
  }, 240_000)
})
