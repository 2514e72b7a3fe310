import { createReadStream } from 'node:fs'
import { LINE_BYTES_MAX } from '../../core/audit/lines.ts'

const LF = 10
const CHUNK_BYTES = 1_048_576

/** A line of a file as it stands there. */
export interface ByteLine {
  /** Without its line end; cut to LINE_BYTES_MAX + 1 where it is longer. May share memory with its neighbours. */
  readonly bytes: Buffer
  /** From 1. */
  readonly number: number
  /** Of the file, up to and with its line end. */
  readonly end: number
  /** False: the file ends without a line end here. */
  readonly whole: boolean
}

export interface ByteRange {
  /** Where to begin, default 0: the beginning of a line. */
  readonly from?: number
  /** Where to end, exclusive; default the end of the file as it is when it is reached. */
  readonly to?: number
}

/** Lines of a file in order, some at a time; holds one line and one chunk in memory. Errors are the system's own. */
export async function* byteLines(path: string, { from = 0, to }: ByteRange = {}): AsyncGenerator<ByteLine[]> {
  if (to !== undefined && to <= from) return
  const source = createReadStream(path, {
    highWaterMark: CHUNK_BYTES,
    start: from,
    ...(to === undefined ? {} : { end: to - 1 }),
  })
  let number = 0
  let end = from
  let parts: Buffer[] = []
  let held = 0
  const hold = (part: Buffer): void => {
    const room = LINE_BYTES_MAX + 1 - held
    if (room > 0) parts.push(part.subarray(0, room))
    held += part.length
  }
  const finish = (whole: boolean): ByteLine => {
    const bytes = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts)
    end += held + (whole ? 1 : 0)
    number += 1
    parts = []
    held = 0
    return { bytes, number, end, whole }
  }
  for await (const chunk of source as AsyncIterable<Buffer>) {
    const lines: ByteLine[] = []
    let start = 0
    for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, start)) {
      hold(chunk.subarray(start, at))
      lines.push(finish(true))
      start = at + 1
    }
    if (start < chunk.length) hold(chunk.subarray(start))
    if (lines.length > 0) yield lines
  }
  if (held > 0) yield [finish(false)]
}
