import { watch } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Gives a turn after changes of rules and tests below `path` (beside it, where it is a file), until `signal` aborts. However
 * much changes during a turn, one more follows.
 */
export async function* whenChanged(path: string, signal: AbortSignal): AsyncGenerator<void> {
  const dir = (await stat(path)).isDirectory() ? path : dirname(path)
  const watcher = watch(dir, { recursive: true })
  let changed = false
  let failure: Error | undefined
  let wake = (): void => undefined
  watcher.on('change', (_, name) => {
    if (!/\.(ya?ml|txt)$/i.test(String(name))) return
    changed = true
    wake()
  })
  watcher.on('error', (error) => {
    failure = error
    wake()
  })
  signal.addEventListener('abort', () => wake(), { once: true })
  try {
    while (!isOver(signal)) {
      if (!changed) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      if (failure !== undefined) throw failure
      if (isOver(signal)) return
      changed = false
      yield
    }
  } finally {
    watcher.close()
  }
}

/** A function and not an expression, because a signal changes while the code waits. */
function isOver(signal: AbortSignal): boolean {
  return signal.aborted
}
