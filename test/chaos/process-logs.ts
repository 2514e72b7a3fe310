import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What the logs of all processes say, beyond right and wrong. */
export interface LogFindings {
  /** Recoveries by decision: ready, replay-tail, rebuild. */
  readonly recoveries: Readonly<Record<string, number>>
  readonly recoverySecondsMax: number
  /** Recoveries that took longer than this: `service: seconds, reason`. */
  readonly slow: readonly string[]
  /** Lines of level error, and what was written that is no line of the log: `service: text`. */
  readonly errors: readonly string[]
  /** Seconds from a partition handed over in order to the same partition recovered by the next worker, ascending. */
  readonly takeOverSeconds: readonly number[]
  /** How often a group had gone on without a member that thought to be in it. */
  readonly zombies: number
}

const SLOW_SECONDS = 5

interface Line {
  readonly level: string
  readonly time: string
  /** The statistics that a sink prints at its end have none. */
  readonly msg?: string
  readonly partition?: number
  readonly decision?: string
  readonly seconds?: number
}

export function readLogs(dir: string): LogFindings {
  const recoveries: Record<string, number> = {}
  const slow: string[] = []
  const errors: string[] = []
  const moves: Line[] = []
  let recoverySecondsMax = 0
  let zombies = 0
  for (const name of readdirSync(dir).sort()) {
    const service = name.replace(/\.log$/, '')
    for (const text of readFileSync(join(dir, name), 'utf8').split('\n')) {
      const line = parseLine(text)
      if (line === undefined) {
        if (/ONCEWARD_E_|Error|at .*\.ts:/.test(text)) errors.push(`${service}: ${text}`)
        continue
      }
      if (line.msg?.startsWith('the group went on without this member') === true) zombies++
      if (line.level === 'error') errors.push(`${service}: ${line.msg}`)
      if (line.decision !== undefined || line.msg === 'partition handed over') moves.push(line)
      if (line.decision === undefined) continue
      recoveries[line.decision] = (recoveries[line.decision] ?? 0) + 1
      const seconds = line.seconds ?? 0
      recoverySecondsMax = Math.max(recoverySecondsMax, seconds)
      if (seconds > SLOW_SECONDS)
        slow.push(`${service}: partition ${line.partition}, ${seconds.toFixed(1)} s, ${line.msg}`)
    }
  }
  return { recoveries, recoverySecondsMax, slow, errors, takeOverSeconds: takeOvers(moves), zombies }
}

function parseLine(text: string): Line | undefined {
  if (!text.startsWith('{')) return undefined
  try {
    return JSON.parse(text) as Line
  } catch {
    return undefined
  }
}

function takeOvers(moves: readonly Line[]): number[] {
  const left = new Map<number, number>()
  const seconds: number[] = []
  for (const { partition, decision, time } of moves.toSorted((a, b) => a.time.localeCompare(b.time))) {
    if (partition === undefined) continue
    const since = left.get(partition)
    if (decision === undefined) left.set(partition, Date.parse(time))
    else if (since !== undefined) {
      seconds.push((Date.parse(time) - since) / 1_000)
      left.delete(partition)
    }
  }
  return seconds.sort((a, b) => a - b)
}
