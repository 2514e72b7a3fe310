import { assert } from '../../core/assert.ts'
import { systemClock } from '../../core/clock.ts'
import { messageOf, OncewardError } from '../../core/errors.ts'
import type { Job, ShareMessage } from './job.ts'
import { runShare } from './share.ts'

/** A process of a backtest: is sent its job, tells how far it is and what came out, and ends. */
function main(): void {
  const send = process.send?.bind(process)
  assert(send !== undefined, 'this file is started by cli/backtest/processes.ts')
  // Ctrl-C reaches every process of a terminal; who started this one decides, and its end ends it too.
  process.on('SIGINT', () => undefined)
  process.once('disconnect', () => process.exit())
  process.once('message', (job: Job) => {
    work(job, (message) => void send(message)).catch((error: unknown) => {
      throw error
    })
  })
}

async function work(job: Job, send: (message: ShareMessage) => void): Promise<void> {
  const { signal } = new AbortController()
  try {
    const outcome = await runShare(job, {
      clock: systemClock,
      signal,
      onProgress: (progress) => send({ kind: 'progress', progress }),
    })
    send({ kind: 'done', outcome })
  } catch (error) {
    const code = error instanceof OncewardError ? error.code : undefined
    send({ kind: 'failed', code, message: messageOf(error) })
  }
}

main()
