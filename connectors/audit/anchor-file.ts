import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type AnchorLine, GENESIS, readLine, STREAM_NAME, writeAnchor } from '../../core/audit/lines.ts'
import type { AnchorChain, AnchorPlace, AnchorReader, AuditHead } from '../../core/ports/audit.ts'
import { type ByteLine, byteLines } from './byte-lines.ts'
import { type AuditDisk, type AuditFile, localDisk } from './disk.ts'
import { broken, codeOf, unwritable } from './failures.ts'

const SUFFIX = '.anchors'

/** Anchors in a folder: a file for each stream, an anchor a line, each chained to the one before. */
export function anchorFolder(folder: string, disk: AuditDisk = localDisk): AnchorPlace {
  return {
    name: folder,
    unbroken: true,
    async open(stream) {
      const path = join(folder, `${stream}${SUFFIX}`)
      try {
        await disk.makeFolder(folder)
        const known = (await disk.list(folder)).includes(`${stream}${SUFFIX}`)
        const end = known ? await endOf(path) : { newest: undefined, wholeBytes: 0 }
        const file = known ? await disk.open(path) : await disk.create(path)
        if (!known) await disk.syncFolder(folder)
        return new FileChain(path, file, end)
      } catch (error) {
        throw unwritable(path, error)
      }
    },
  }
}

export function anchorFolderReader(folder: string, disk: AuditDisk = localDisk): AnchorReader {
  return {
    name: folder,
    unbroken: true,
    async snapshot() {
      const names = (await disk.list(folder)).filter((name) => name.endsWith(SUFFIX))
      const sizes = new Map<string, number>()
      for (const name of names) {
        const stream = name.slice(0, -SUFFIX.length)
        if (STREAM_NAME.test(stream)) sizes.set(stream, (await stat(join(folder, name))).size)
      }
      return {
        streams: [...sizes.keys()],
        async *lines(stream) {
          const to = sizes.get(stream)
          if (to === undefined) return
          for await (const lines of byteLines(join(folder, `${stream}${SUFFIX}`), { to })) {
            // What has no line end is being written, or was never finished.
            yield lines.filter(({ whole }) => whole).map(({ bytes, number }) => ({ bytes, place: `line ${number}` }))
          }
        },
      }
    },
  }
}

interface FileEnd {
  readonly newest: AnchorLine | undefined
  readonly wholeBytes: number
}

/** Much longer than an anchor: the last one is found without reading years of them. */
const END_BYTES = 16_384

/** The last whole anchor of a file. */
async function endOf(path: string): Promise<FileEnd> {
  const from = Math.max(0, (await stat(path)).size - END_BYTES)
  let last: ByteLine | undefined
  for await (const lines of byteLines(path, { from })) last = lines.findLast(({ whole }) => whole) ?? last
  if (last === undefined) return { newest: undefined, wholeBytes: 0 }
  const newest = readLine(last.bytes)
  if (newest.type !== 'anchor') throw broken(`the last line of the anchors ${path} was changed`)
  return { newest, wholeBytes: last.end }
}

class FileChain implements AnchorChain {
  readonly #path: string
  readonly #file: AuditFile
  #newest: FileEnd['newest']
  #bytes: number

  constructor(path: string, file: AuditFile, { newest, wholeBytes }: FileEnd) {
    this.#path = path
    this.#file = file
    this.#newest = newest
    this.#bytes = wholeBytes
  }

  newest(): AnchorLine | undefined {
    return this.#newest
  }

  async write(head: AuditHead, at: number): Promise<void> {
    const number = (this.#newest?.number ?? 0) + 1
    const { line } = writeAnchor({ number, ...head, at }, this.#newest?.hash ?? GENESIS)
    const bytes = Buffer.from(`${line}\n`)
    try {
      // What an earlier try has left behind the last whole line.
      if (this.#file.size() > this.#bytes) await this.#file.truncate(this.#bytes)
      await this.#file.write(bytes, this.#bytes)
      await this.#file.sync()
    } catch (error) {
      throw unwritable(this.#path, error)
    }
    const written = readLine(bytes.subarray(0, -1))
    if (written.type !== 'anchor') throw broken(`the anchors ${this.#path} cannot be written`)
    this.#newest = written
    this.#bytes += bytes.length
  }

  async close(): Promise<void> {
    await this.#file.close().catch((error: unknown) => {
      if (codeOf(error) !== 'EBADF') throw unwritable(this.#path, error)
    })
  }
}
