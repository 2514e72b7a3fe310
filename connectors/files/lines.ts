import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { readError } from './errors.ts'
import { LineSplitter } from './line-splitter.ts'

export interface ReadLinesOptions {
  /** Ends the reading early, without an error; the caller knows from its own signal that the end was not reached. */
  readonly signal?: AbortSignal
  /** What `-` stands for. Default: the standard input of the process. */
  readonly stdin?: Readable
}

/** Lines of a file, in chunks. To be iterated once. */
export interface LineReader extends AsyncIterable<Buffer[]> {
  /** Bytes taken from the file so far, as it lies on disk (compressed, where it is). */
  readonly bytesRead: number
  /** Size of the file in bytes; undefined where it cannot be known (standard input, pipes). */
  readonly bytesTotal: number | undefined
}

const CHUNK_BYTES = 256 * 1024
const GZIP_MAGIC = 0x1f8b
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf])

/**
 * Opens the lines of `path`, or of the standard input where it is `-`. What begins like gzip is unpacked, whatever its
 * name. Lines end with LF or CRLF and come without it; those of white space only are left out, and so is a byte order
 * mark at the beginning. A line longer than LINE_BYTES_MAX comes cut to one byte more than that, so that whoever checks
 * sizes rejects it, and no file can fill the memory. Throws ONCEWARD_E_FILE_UNREADABLE, at once where the file cannot be
 * opened and from the iteration where it is damaged.
 */
export async function readLines(path: string, options: ReadLinesOptions = {}): Promise<LineReader> {
  if (path === '-')
    return new Lines('the standard input', undefined, () => options.stdin ?? process.stdin, options.signal)
  try {
    const stats = await stat(path)
    // A directory opens without an error and only fails to be read.
    if (stats.isDirectory()) throw Object.assign(new Error('is a directory'), { code: 'EISDIR' })
    const source = createReadStream(path, { highWaterMark: CHUNK_BYTES })
    await new Promise((resolve, reject) => source.once('open', resolve).once('error', reject))
    return new Lines(path, stats.isFile() ? stats.size : undefined, () => source, options.signal)
  } catch (error) {
    throw readError(path, error)
  }
}

class Lines implements LineReader {
  bytesRead = 0
  readonly bytesTotal: number | undefined
  private readonly name: string
  private readonly open: () => Readable
  private readonly signal: AbortSignal | undefined

  constructor(name: string, bytesTotal: number | undefined, open: () => Readable, signal: AbortSignal | undefined) {
    this.name = name
    this.bytesTotal = bytesTotal
    this.open = open
    this.signal = signal
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer[], void, undefined> {
    const { signal } = this
    const source = this.open()
    const stop = (): void => void source.destroy()
    if (isAborted(signal)) stop()
    signal?.addEventListener('abort', stop, { once: true })
    try {
      const splitter = new LineSplitter()
      for await (const chunk of unpacked(this.counted(source))) {
        if (isAborted(signal)) break
        const lines = splitter.push(chunk)
        if (lines.length > 0) yield lines
      }
      const rest = isAborted(signal) ? [] : splitter.end()
      if (rest.length > 0) yield rest
    } catch (error) {
      if (!isAborted(signal)) throw readError(this.name, error)
    } finally {
      signal?.removeEventListener('abort', stop)
      source.destroy()
    }
  }

  private async *counted(source: Readable): AsyncGenerator<Buffer, void, undefined> {
    for await (const chunk of source) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : (chunk as Buffer)
      this.bytesRead += bytes.length
      yield bytes
    }
  }
}

/** A function and not an expression, because a signal changes while the code waits. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}

/** The content itself: unpacked where it begins like gzip, without its byte order mark. */
async function* unpacked(source: AsyncGenerator<Buffer, void, undefined>): AsyncGenerator<Buffer, void, undefined> {
  const [head, all] = await withHead(source, 2)
  const packed = head.length >= 2 && head.readUInt16BE(0) === GZIP_MAGIC
  yield* withoutMark(packed ? gunzipped(all) : all)
}

async function* gunzipped(source: AsyncGenerator<Buffer, void, undefined>): AsyncGenerator<Buffer, void, undefined> {
  const gunzip = createGunzip({ chunkSize: CHUNK_BYTES })
  // Its rejection reaches the loop below through the stream that it destroys. Nobody waits for it: a source that has
  // fallen silent is only released by the caller, after this.
  pipeline(source, gunzip).catch(() => undefined)
  try {
    for await (const chunk of gunzip) yield chunk as Buffer
  } finally {
    gunzip.destroy()
  }
}

async function* withoutMark(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  const [head, rest] = await withHead(source, BYTE_ORDER_MARK.length)
  let skip = head.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.length : 0
  for await (const chunk of rest) {
    yield skip === 0 ? chunk : chunk.subarray(skip)
    skip = 0
  }
}

/** At least the first `length` bytes of `source` in one piece (fewer where it ends before), and all of it again. */
async function withHead(
  source: AsyncIterable<Buffer>,
  length: number,
): Promise<[head: Buffer, all: AsyncGenerator<Buffer, void, undefined>]> {
  const iterator = source[Symbol.asyncIterator]()
  let head: Buffer = Buffer.alloc(0)
  while (head.length < length) {
    const next = await iterator.next()
    if (next.done === true) break
    head = head.length === 0 ? next.value : Buffer.concat([head, next.value])
  }
  const all = async function* (): AsyncGenerator<Buffer, void, undefined> {
    try {
      if (head.length > 0) yield head
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value
    } finally {
      await iterator.return?.()
    }
  }
  return [head, all()]
}
