import { readdirSync, readFileSync } from 'node:fs'

/**
 * Milliseconds that the threads of a process have been ready to run while the machine had no CPU for them, so far (Linux:
 * the second field of schedstat). Threads that have ended are not in it. 0 where the system does not tell, or the process
 * is gone.
 */
export function cpuWaitMs(pid: number): number {
  try {
    const threads = readdirSync(`/proc/${pid}/task`).map((thread) => waitedNs(`/proc/${pid}/task/${thread}/schedstat`))
    return threads.reduce((sum, ns) => sum + ns, 0) / 1e6
  } catch {
    return 0
  }
}

function waitedNs(file: string): number {
  try {
    return Number(readFileSync(file, 'utf8').split(' ')[1])
  } catch {
    return 0
  }
}
