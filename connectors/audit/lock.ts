import { randomUUID } from 'node:crypto'
import { open, readdir, readFile, unlink, utimes, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'
import { codeOf } from './failures.ts'

/**
 * One writer for each stream, also where several containers share the folder. Whoever holds the lock has the file
 * `lock.<n>` with the highest n. A lock whose holder is gone is taken over by making `lock.<n+1>`, which only one can:
 * nothing of others is ever replaced. Whether a holder is gone, its process says where it ran on this host; elsewhere, that
 * the file's time stands still.
 */
export interface Lock {
  /** False once somebody else has the folder, or the file is gone. */
  held(): boolean
  release(): Promise<void>
}

const BEAT_MS = 2_000
/** A holder on another host that has not moved for so long is gone. */
const SILENT_MS = 10_000
const LOOK_MS = 500
const LOCK = /^lock\.(\d+)$/

interface Holder {
  readonly pid: number
  readonly host: string
  /** When its process began, in a measure of the system's own; empty where that cannot be known. */
  readonly started: string
  readonly token: string
}

/** Throws ONCEWARD_E_STATE_LOCKED where somebody else has it; errors of the disk are the system's own. */
export async function lockFolder(folder: string, clock: Clock): Promise<Lock> {
  const stale = await newestLock(folder)
  if (stale !== undefined && !(await isGone(folder, stale, clock))) throw await locked(folder, stale)
  const number = (stale ?? 0) + 1
  const path = join(folder, nameOf(number))
  await make(folder, number)
  const others = (await locksOf(folder)).filter((other) => other !== number && other !== stale)
  if (others.length > 0) {
    await unlink(path)
    throw await locked(folder, others[0] ?? 0)
  }
  if (stale !== undefined) await remove(join(folder, nameOf(stale)))
  return beating(path, clock)
}

function nameOf(number: number): string {
  return `lock.${number}`
}

async function locksOf(folder: string): Promise<number[]> {
  return (await readdir(folder)).flatMap((name) => {
    const match = LOCK.exec(name)
    return match === null ? [] : [Number(match[1])]
  })
}

async function newestLock(folder: string): Promise<number | undefined> {
  const all = await locksOf(folder)
  return all.length === 0 ? undefined : Math.max(...all)
}

async function make(folder: string, number: number): Promise<void> {
  const holder: Holder = {
    pid: process.pid,
    host: hostname(),
    started: await startOf(process.pid),
    token: randomUUID(),
  }
  try {
    const file = await open(join(folder, nameOf(number)), 'wx', 0o640)
    await file.writeFile(JSON.stringify(holder)).finally(() => file.close())
  } catch (error) {
    throw codeOf(error) === 'EEXIST' ? await locked(folder, number) : error
  }
}

/** A lock whose text is not there yet, or is no lock's, has a holder that only its silence can tell of. */
async function isGone(folder: string, number: number, clock: Clock): Promise<boolean> {
  const path = join(folder, nameOf(number))
  const holder = await holderOf(path)
  if (holder?.host === hostname()) return !isRunning(holder.pid) || (await startOf(holder.pid)) !== holder.started
  const began = await movedAt(path)
  for (let waited = 0; waited < SILENT_MS; waited += LOOK_MS) {
    await clock.sleep(LOOK_MS)
    if ((await movedAt(path)) !== began) return false
  }
  return true
}

async function holderOf(path: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Holder
  } catch {
    return undefined
  }
}

async function movedAt(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.mtimeMs
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

/** Tells a process from a later one with the same number. The command's name before it may hold spaces and brackets. */
async function startOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}

async function locked(folder: string, number: number): Promise<OncewardError> {
  const holder = await holderOf(join(folder, nameOf(number)))
  const who = holder === undefined ? 'another process' : `process ${holder.pid} on ${holder.host}`
  return new OncewardError(
    'ONCEWARD_E_STATE_LOCKED',
    `the audit stream ${folder} is being written by ${who}; stop it, or give this process a stream of its own`,
  )
}

function beating(path: string, clock: Clock): Lock {
  const stop = new AbortController()
  let held = true
  const beat = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await clock.sleep(BEAT_MS, stop.signal)
      if (stop.signal.aborted) return
      const seconds = clock.now() / 1_000
      await utimes(path, seconds, seconds).catch((error: unknown) => {
        if (codeOf(error) === 'ENOENT') held = false
      })
    }
  }
  const beats = beat()
  return {
    held: () => held,
    async release() {
      stop.abort()
      await beats
      await remove(path)
    },
  }
}

async function remove(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error
  })
}
