/** Lines in order, more of them than memory holds: sorted runs on disk, merged. */
import { createReadStream, type ReadStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeError } from '../../connectors/files/errors.ts'

/** Characters of one run; what a spool holds in memory at most, twice while it is sorted and written. */
const RUN_CHARACTERS = 16 << 20
const CHUNK_BYTES = 128 << 10
const LINES_AT_ONCE = 1_000

export interface SortedSpool {
  /** Takes a line, which must not hold an end of line. Await it. Throws ONCEWARD_E_FILE_UNWRITABLE. */
  add(line: string): Promise<void> | void
  readonly lines: number
  /** All lines by code units, some at a time; once, and nothing may be added after. */
  sorted(): AsyncIterable<readonly string[]>
}

/** `dir` must be there; who made it takes it away. */
export function createSortedSpool(dir: string, runCharacters = RUN_CHARACTERS): SortedSpool {
  const runs: string[] = []
  let buffer: string[] = []
  let characters = 0
  let lines = 0
  const spill = async (): Promise<void> => {
    const path = join(dir, `run-${runs.length}`)
    const text = buffer.sort().join('\n')
    buffer = []
    characters = 0
    await writeFile(path, `${text}\n`).catch((error: unknown) => {
      throw writeError(path, error)
    })
    runs.push(path)
  }
  return {
    add(line) {
      lines += 1
      buffer.push(line)
      characters += line.length
      return characters < runCharacters ? undefined : spill()
    },
    get lines() {
      return lines
    },
    async *sorted() {
      const rest = buffer.sort()
      buffer = []
      yield* runs.length === 0 ? pieces(rest) : merged([memoryRun(rest), ...runs.map((path) => fileRun(path))])
    },
  }
}

/** A sorted run: its lines one after the other, waiting only where the disk has to be asked. */
interface Run {
  head: string | undefined
  /** Moves on; what it answers is to be awaited. */
  next(): Promise<void> | void
  close(): void
}

async function* merged(runs: readonly Run[]): AsyncGenerator<readonly string[]> {
  try {
    for (const run of runs) await run.next()
    let out: string[] = []
    for (;;) {
      const least = leastOf(runs)
      if (least?.head === undefined) break
      out.push(least.head)
      const waiting = least.next()
      if (waiting !== undefined) await waiting
      if (out.length < LINES_AT_ONCE) continue
      yield out
      out = []
    }
    if (out.length > 0) yield out
  } finally {
    for (const run of runs) run.close()
  }
}

/** There are few runs (a million rewards are some twenty), so each is looked at. */
function leastOf(runs: readonly Run[]): Run | undefined {
  let least: Run | undefined
  for (const run of runs) {
    if (run.head !== undefined && (least?.head === undefined || run.head < least.head)) least = run
  }
  return least
}

function memoryRun(lines: readonly string[]): Run {
  let at = -1
  return {
    head: undefined,
    next() {
      at += 1
      this.head = lines[at]
    },
    close: () => undefined,
  }
}

function fileRun(path: string): Run {
  const stream: ReadStream = createReadStream(path, { encoding: 'utf8', highWaterMark: CHUNK_BYTES })
  const chunks = stream[Symbol.asyncIterator]()
  let lines: string[] = []
  let at = 0
  let cut = ''
  const fill = async (run: Run): Promise<void> => {
    for (;;) {
      const chunk = await chunks.next()
      if (chunk.done === true) {
        run.head = undefined
        return
      }
      lines = (cut + String(chunk.value)).split('\n')
      cut = lines.pop() ?? ''
      at = 0
      if (lines.length === 0) continue
      run.head = lines[0]
      return
    }
  }
  return {
    head: undefined,
    next() {
      at += 1
      if (at >= lines.length) return fill(this)
      this.head = lines[at]
      return undefined
    },
    close: () => void stream.destroy(),
  }
}

function* pieces(lines: readonly string[]): Generator<readonly string[]> {
  for (let at = 0; at < lines.length; at += LINES_AT_ONCE) yield lines.slice(at, at + LINES_AT_ONCE)
}
