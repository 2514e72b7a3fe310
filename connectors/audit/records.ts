import { createHash } from 'node:crypto'
import { open, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { firstOfName, type FooterLine, readLine, type RecordLine } from '../../core/audit/lines.ts'
import { byteLines } from './byte-lines.ts'
import { localDisk } from './disk.ts'
import { segmentsOf, unreadable } from './verify.ts'

/** A record and the line that it stands in. */
export interface StoredRecord {
  readonly record: RecordLine
  readonly segment: string
  readonly line: Buffer
}

/** All whole records of a stream in the order of its files. Lines that are none are left to verification. */
export async function* streamRecords(folder: string, stream: string): AsyncGenerator<readonly StoredRecord[]> {
  for (const segment of await segmentNames(folder, stream)) yield* segmentRecords(folder, { stream, segment })
}

export async function* segmentRecords(
  folder: string,
  { stream, segment }: { readonly stream: string; readonly segment: string },
): AsyncGenerator<readonly StoredRecord[]> {
  try {
    for await (const lines of byteLines(join(folder, stream, segment))) {
      yield lines.flatMap(({ bytes, whole }) => {
        const record = whole ? readLine(bytes) : undefined
        return record?.type === 'record' ? [{ record, segment, line: bytes }] : []
      })
    }
  } catch (error) {
    throw unreadable(folder, error)
  }
}

export async function segmentNames(folder: string, stream: string): Promise<readonly string[]> {
  const names = await localDisk.list(join(folder, stream))
  return names.filter((name) => firstOfName(name) !== undefined)
}

/** What is known of a segment by its ends alone. */
export interface SegmentFacts {
  readonly stream: string
  readonly segment: string
  readonly first: number
  readonly bytes: number
  /** When it was begun, and what it is chained to; undefined: there is no header that fits. */
  readonly begun: { readonly at: number; readonly prev: string } | undefined
  /** Its footer; undefined: it is open. */
  readonly footer: Pick<FooterLine, 'last' | 'count' | 'at' | 'hash'> | undefined
}

/** Segments of a stream in their order. */
export async function segmentFacts(folder: string, stream: string): Promise<readonly SegmentFacts[]> {
  try {
    return await Promise.all(
      (await segmentsOf(folder, stream)).map(async ({ name, first, header }) => {
        const path = join(folder, stream, name)
        const begun = header && { at: header.at, prev: header.prev }
        return { stream, segment: name, first, bytes: (await stat(path)).size, begun, footer: await footerOf(path) }
      }),
    )
  } catch (error) {
    throw unreadable(folder, error)
  }
}

/** All of a segment, and its hash in hex. */
export async function segmentContent(
  folder: string,
  { stream, segment }: Pick<SegmentFacts, 'stream' | 'segment'>,
): Promise<{ readonly content: Buffer; readonly sha256: string }> {
  try {
    const content = await readFile(join(folder, stream, segment))
    return { content, sha256: createHash('sha256').update(content).digest('hex') }
  } catch (error) {
    throw unreadable(folder, error)
  }
}

/** Longer than any footer. */
const FOOTER_BYTES_MAX = 512

async function footerOf(path: string): Promise<FooterLine | undefined> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const length = Math.min(size, FOOTER_BYTES_MAX)
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length)
    if (buffer.at(-1) !== 10) return undefined
    const line = readLine(buffer.subarray(buffer.lastIndexOf(10, -2) + 1, -1))
    return line.type === 'footer' ? line : undefined
  } finally {
    await file.close()
  }
}
