import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../core/clock.ts'

const MAIN = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunningCli {
  readonly child: ChildProcess
  /** What it has written so far. */
  stdout(): string
  stderr(): string
  /** Resolves once `probe` finds what it looks for in the output; rejects after `withinMs` or when the process ends. */
  until(probe: (output: { stdout: string; stderr: string }) => boolean, withinMs?: number): Promise<void>
  readonly ended: Promise<Ended>
}

export interface CliOptions {
  readonly environment?: Readonly<Record<string, string>>
  readonly stdin?: string
  readonly cwd?: string
}

/** Starts the command line from its sources, so that tests need no build. */
export function startCli(args: readonly string[], options: CliOptions = {}): RunningCli {
  return startScript(MAIN, args, options)
}

/** Starts another program of the sources in the same way. */
export function startScript(script: string, args: readonly string[], options: CliOptions = {}): RunningCli {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ONCEWARD_')))
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), script, ...args], {
    env: { ...inherited, ...options.environment },
    cwd: options.cwd,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => void (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => void (stderr += chunk.toString()))
  child.stdin.on('error', () => undefined)
  if (options.stdin !== undefined) child.stdin.end(options.stdin)
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
  return {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    async until(probe, withinMs = 20_000) {
      const giveUpAt = systemClock.monotonic() + withinMs
      while (!probe({ stdout, stderr })) {
        if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}:\n${stdout}\n${stderr}`)
        if (systemClock.monotonic() > giveUpAt) throw new Error(`not within ${withinMs} ms:\n${stdout}\n${stderr}`)
        await systemClock.sleep(20)
      }
    },
    ended,
  }
}

export function runCli(args: readonly string[], options: CliOptions = {}): Promise<Ended> {
  return startCli(args, { stdin: '', ...options }).ended
}
