import { once } from 'node:events'
import type { Terminal } from './command.ts'

/** Why the command's signal was aborted. */
export type Interruption = { readonly kind: 'signal'; readonly exitCode: number } | { readonly kind: 'output-closed' }

export interface Interruptible {
  readonly signal: AbortSignal
  /** undefined until it was interrupted. */
  interruption(): Interruption | undefined
  /** From now on SIGHUP does not stop but calls `listener`: what has a file to read anew reads it. */
  readonly onHangup: (listener: () => void) => void
}

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

/** The first signal asks to stop, the second one stops at once. A reader of stdout that is gone asks to stop as well. */
export function watchInterruptions(): Interruptible {
  const controller = new AbortController()
  let seen: Interruption | undefined
  let hangup: (() => void) | undefined
  for (const [name, exitCode] of Object.entries(SIGNALS)) {
    process.on(name, () => {
      if (name === 'SIGHUP' && hangup !== undefined) return hangup()
      if (seen !== undefined) process.exit(exitCode)
      seen = { kind: 'signal', exitCode }
      if (process.stderr.isTTY) process.stderr.write('\nStopping; press Ctrl-C again to stop at once.\n')
      controller.abort(new Error(`stopped by ${name}`))
    })
  }
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    seen ??= { kind: 'output-closed' }
    controller.abort(new Error('nobody reads the output any more'))
  })
  // A log that nobody reads is no reason to stop working.
  process.stderr.on('error', () => undefined)
  return { signal: controller.signal, interruption: () => seen, onHangup: (listener) => void (hangup = listener) }
}

/** stdout and stderr of this process. Printing stops quietly once `signal` has aborted because the reader is gone. */
export function processTerminal(signal: AbortSignal): Terminal {
  return {
    print: async (text) => {
      if (process.stdout.destroyed || process.stdout.write(text)) return
      await once(process.stdout, 'drain', { signal }).catch((error: unknown) => {
        if (!signal.aborted) throw error
      })
    },
    colours: process.stdout.isTTY && process.env['NO_COLOR'] === undefined,
    note: (line) => void process.stderr.write(`${line}\n`),
    progress: {
      get isTty() {
        return process.stderr.isTTY
      },
      get columns() {
        return process.stderr.columns ?? 80
      },
      write: (text) => void process.stderr.write(text),
    },
  }
}
