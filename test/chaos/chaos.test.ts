import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { afterAll, describe, expect, test, vi } from 'vitest'
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

/** The brokers of others are not ours to break. */
describe.skipIf(!kafkaForTests().available || process.env['KAFKA_BROKERS'] !== undefined)('the whole system', () => {
  test('broken while events flow, by one fault after the other, gives what the plain reference gives', async () => {
    const { code, stdout, stderr } = await chaos('--rounds', '1', '--seed', '7', '--rate', '100', '--gap', '0.5').ended
    expect({ code, report: code === 0 ? '' : stdout + stderr }).toEqual({ code: 0, report: '' })
    for (const kind of ALL_FAULTS) expect(numberIn(stdout, kind)).toBe(1)
    expect(numberIn(stdout, 'differences')).toBe(0)
    for (const row of ['events', 'scores', 'rewards', 'frozen', 'released'])
      expect(numberIn(stdout, row)).toBeGreaterThan(0)
    // a worker and a sink that slept past their session, woke up, and were told
    expect(numberIn(stdout, 'zombies that their group had left behind')).toBeGreaterThanOrEqual(2)
    expect(stdout).not.toContain('waited in vain')
  }, 1_800_000)

  test('is stopped by Ctrl-C with everything that was started', async () => {
    const run = chaos('--minutes', '60', '--seed', '3', '--gap', '1')
    await run.until(({ stderr }) => /[1-9]\d* faults/.test(stderr), 300_000)
    const started = descendantsOf(run.child.pid)
    expect(started.length).toBeGreaterThan(5)
    run.child.kill('SIGINT')
    const { code, stderr } = await run.ended
    expect(code).toBe(130)
    expect(stderr).toContain('seed 3; the logs of all processes are in ')
    await vi.waitFor(() => expect(started.filter(isAlive)).toEqual([]), 60_000)
    const folder = /logs of all processes are in (\S+)\/logs/.exec(stderr)?.[1]
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  }, 600_000)
})

function numberIn(table: string, row: string): number {
  return Number(new RegExp(`^ *${row} +(\\d+)`, 'm').exec(table)?.[1])
}

/** Processes by pid, with the time at which each began: a pid may come again. */
interface Seen {
  readonly pid: number
  readonly began: string
}

/** Source: proc_pid_stat(5); state and parent follow the name in brackets, the start time is the 20th after it. */
function statOf(pid: number): { readonly state: string; readonly parent: number; readonly began: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0] ?? '', parent: Number(fields[1]), began: fields[19] ?? '' }
  } catch {
    return undefined
  }
}

function isAlive({ pid, began }: Seen): boolean {
  const stat = statOf(pid)
  return stat !== undefined && stat.began === began && stat.state !== 'Z'
}

function descendantsOf(root: number | undefined): Seen[] {
  const pids = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []))
  const all = pids.flatMap((pid) => {
    const stat = statOf(pid)
    return stat === undefined ? [] : [{ pid, ...stat }]
  })
  const family = new Set([root])
  for (let before = 0; before < family.size; ) {
    before = family.size
    for (const { pid, parent } of all) if (family.has(parent)) family.add(pid)
  }
  return all.filter(({ pid }) => pid !== root && family.has(pid))
}
