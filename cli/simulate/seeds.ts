import { type ChildProcess, spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { createInterface } from 'node:readline'
import { messageOf, OncewardError } from '../../core/errors.ts'
import type { Context } from '../command.ts'
import { createProgress, formatCount } from '../progress.ts'
import { loadNormalizer } from '../runtime.ts'
import { parseFaults } from './faults.ts'
import { type SimulationResult, simulate } from './simulation.ts'

export interface SimulateSettings {
  readonly seed: string
  readonly steps: number
  readonly faults: readonly string[]
  readonly trace: boolean
  readonly json: boolean
  readonly jobs: number | undefined
}

interface Seeds {
  readonly from: number
  readonly to: number
}

type Verdict = Pick<SimulationResult, 'seed' | 'violation' | 'events' | 'rewards' | 'faults'>

/** Runs one seed or a range of them; answers the exit code. */
export async function runSeeds(context: Context<SimulateSettings>): Promise<number> {
  const { settings, terminal, clock } = context
  const faults = parseFaults(settings.faults)
  const seeds = parseSeeds(settings.seed)
  const count = seeds.to - seeds.from + 1
  const jobs = Math.min(settings.jobs ?? availableParallelism(), count)
  const tally = new Tally()
  const startedMs = clock.monotonic()
  const progress = createProgress({ terminal, clock, label: 'simulating', unit: 'seeds' })
  const take = async (verdict: Verdict): Promise<void> => {
    tally.add(verdict)
    progress.update({ done: tally.seeds, share: tally.seeds / count })
    if (settings.json) await terminal.print(`${JSON.stringify(verdict)}\n`)
  }
  if (jobs === 1) await runHere(seeds, { context, faults, take })
  else await Promise.all(shares(seeds, jobs).map((share) => runThere(share, { context, take })))
  const seconds = (clock.monotonic() - startedMs) / 1000
  if (!settings.json) progress.finish(tally.summary(seconds))
  if (context.signal.aborted) return 1
  if (tally.first === undefined) return 0
  if (!settings.json) await explain(tally.first.seed, context)
  return 1
}

/** Reads `7` or `1..500`. Throws ONCEWARD_E_SETTING_INVALID. */
export function parseSeeds(text: string): Seeds {
  const [from = 0, to = from] = text.split('..').map(Number)
  if (to < from) {
    throw new OncewardError(
      'ONCEWARD_E_SETTING_INVALID',
      `--seed: the range ${text} is empty; write the lower end first`,
    )
  }
  return { from, to }
}

interface Local {
  readonly context: Context<SimulateSettings>
  readonly faults: ReturnType<typeof parseFaults>
  readonly take: (verdict: Verdict) => Promise<void>
}

async function runHere({ from, to }: Seeds, { context, faults, take }: Local): Promise<void> {
  const { settings, terminal, signal } = context
  const normalize = await loadNormalizer(undefined)
  for (let seed = from; seed <= to && !signal.aborted; seed++) {
    const { trace, ...verdict } = await simulate({ seed, steps: settings.steps, faults, normalize })
    if (settings.trace) await terminal.print(`seed ${seed}\n${trace}`)
    await take(verdict)
  }
}

/** Runs a share of the seeds in a process of its own: this very command line, with one job. */
async function runThere({ from, to }: Seeds, { context, take }: Pick<Local, 'context' | 'take'>): Promise<void> {
  const { settings, signal } = context
  const [, script = ''] = process.argv
  const args = ['simulate', '--seed', `${from}..${to}`, '--steps', String(settings.steps)]
  args.push('--faults', settings.faults.join(','), '--jobs', '1', '--json')
  const child = spawn(process.execPath, [...process.execArgv, script, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const stop = (): void => void child.kill('SIGKILL')
  signal.addEventListener('abort', stop, { once: true })
  const ended = endOf(child)
  let last = from - 1
  for await (const line of createInterface({ input: child.stdout })) {
    const verdict = JSON.parse(line) as Verdict
    last = verdict.seed
    await take(verdict)
  }
  const code = await ended
  signal.removeEventListener('abort', stop)
  if (last < to && !signal.aborted) {
    throw new OncewardError(
      'ONCEWARD_E_INTERNAL',
      `the process for the seeds ${from}..${to} ended with ${code} after seed ${last}`,
    )
  }
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(messageOf(error)))
    child.once('close', (code, signal) => resolve(String(code ?? signal)))
  })
}

/** Consecutive seeds for each job, as even as can be. */
function shares({ from, to }: Seeds, jobs: number): Seeds[] {
  const count = to - from + 1
  return Array.from({ length: jobs }, (_, job) => ({
    from: from + Math.floor((count * job) / jobs),
    to: from + Math.floor((count * (job + 1)) / jobs) - 1,
  }))
}

/** Runs the failed seed once more, for its trace. */
async function explain(seed: number, context: Context<SimulateSettings>): Promise<void> {
  const { settings, terminal } = context
  const normalize = await loadNormalizer(undefined)
  const faults = parseFaults(settings.faults)
  const { trace, violation } = await simulate({ seed, steps: settings.steps, faults, normalize })
  if (!settings.trace) await terminal.print(trace)
  await terminal.print(`seed ${seed} failed: ${violation ?? 'not when it was run again, which must not be'}\n`)
  const options = `--seed ${seed} --steps ${settings.steps} --faults ${settings.faults.join(',')}`
  await terminal.print(`run it again with: onceward simulate ${options} --trace\n`)
}

class Tally {
  seeds = 0
  failed = 0
  first: Verdict | undefined
  #events = 0
  #rewards = 0
  #faults = 0

  add(verdict: Verdict): void {
    this.seeds++
    this.#events += verdict.events
    this.#rewards += verdict.rewards
    for (const count of Object.values(verdict.faults)) this.#faults += count
    if (verdict.violation === undefined) return
    this.failed++
    if (this.first === undefined || verdict.seed < this.first.seed) this.first = verdict
  }

  summary(seconds: number): string {
    const rate = seconds > 0 ? `, ${(this.seeds / seconds).toFixed(1)} seeds/s` : ''
    const outcome = this.failed === 0 ? 'no difference' : `${this.failed} of them failed`
    return (
      `${formatCount(this.seeds)} seeds, ${formatCount(this.#events)} events, ${formatCount(this.#rewards)} rewards, ` +
      `${formatCount(this.#faults)} faults in ${seconds.toFixed(1)} s${rate}: ${outcome}`
    )
  }
}
