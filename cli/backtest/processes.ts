import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { ERROR_KINDS, type ErrorCode, OncewardError } from '../../core/errors.ts'
import type { Job, Outcome, ShareMessage, ShareProgress } from './job.ts'

export interface ProcessesOptions {
  /** What all processes have in common. */
  readonly job: Omit<Job, 'index' | 'processes'>
  readonly processes: number
  readonly signal: AbortSignal
  /** Events so far of all processes, and the share of what is to be read. */
  readonly onProgress: (progress: ShareProgress) => void
}

/**
 * A batch outlives V8's young generation of 16 MiB; with 64 a backtest takes a third less CPU. And every account of every
 * player is kept: the default bound would end a backtest of some million players.
 */
const V8_FLAGS = ['--max-semi-space-size=64', '--max-old-space-size=8192']

/** In a build this file is JavaScript, and so is the one beside it. */
const SCRIPT = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './share-process.ts' : './share-process.js', import.meta.url),
)

/**
 * Divides the partitions among processes; players of two partitions never meet, so the outcome does not depend on how many
 * there are. Rejects with the first failure, or with the signal's reason; no process is left either way.
 */
export async function runProcesses(options: ProcessesOptions): Promise<readonly Outcome[]> {
  const { job, processes, signal, onProgress } = options
  const progress = Array.from({ length: processes }, (): ShareProgress => ({ events: 0, share: 0 }))
  const children: ChildProcess[] = []
  const run = (index: number): Promise<Outcome> => {
    const child = fork(SCRIPT, { execArgv: [...process.execArgv, ...V8_FLAGS], serialization: 'advanced' })
    children.push(child)
    child.send({ ...job, index, processes } satisfies Job)
    return outcomeOf(child, (each) => {
      progress[index] = each
      onProgress(sumOf(progress))
    })
  }
  const stopped = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
  try {
    signal.throwIfAborted()
    return await Promise.race([stopped, Promise.all(Array.from({ length: processes }, (_, index) => run(index)))])
  } finally {
    for (const child of children) child.kill('SIGKILL')
  }
}

function outcomeOf(child: ChildProcess, onProgress: (progress: ShareProgress) => void): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    child.on('message', (message: ShareMessage) => {
      if (message.kind === 'progress') onProgress(message.progress)
      else if (message.kind === 'done') resolve(message.outcome)
      else reject(errorOf(message))
    })
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      reject(new OncewardError('ONCEWARD_E_INTERNAL', `a process of the backtest has ended (${signal ?? code})`))
    })
  })
}

function errorOf({ code, message }: ShareMessage & { kind: 'failed' }): Error {
  return isErrorCode(code) ? new OncewardError(code, message) : new Error(message)
}

function isErrorCode(code: string | undefined): code is ErrorCode {
  return code !== undefined && code in ERROR_KINDS
}

function sumOf(progress: readonly ShareProgress[]): ShareProgress {
  const shares = progress.map(({ share }) => share)
  return {
    events: progress.reduce((sum, { events }) => sum + events, 0),
    share: shares.includes(undefined)
      ? undefined
      : shares.reduce((sum: number, one) => sum + (one ?? 0), 0) / shares.length,
  }
}
