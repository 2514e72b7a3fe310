import { join } from 'node:path'
import { type AnchorLine, GENESIS, readLine, STREAM_NAME, writeAnchor } from '../../core/audit/lines.ts'
import type { AnchorChain, AnchorPlace, AnchorReader, AuditHead } from '../../core/ports/audit.ts'
import { byteLines } from './byte-lines.ts'
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
    async streams() {
      const names = (await disk.list(folder)).filter((name) => name.endsWith(SUFFIX))
      return names.map((name) => name.slice(0, -SUFFIX.length)).filter((name) => STREAM_NAME.test(name))
    },
    async *lines(stream) {
      if (!(await this.streams()).includes(stream)) return
      for await (const lines of byteLines(join(folder, `${stream}${SUFFIX}`))) {
        // What has no line end is being written, or was never finished.
        yield lines.filter(({ whole }) => whole).map(({ bytes, number }) => ({ bytes, place: `line ${number}` }))
      }
    },
  }
}

interface FileEnd {
  readonly newest: AnchorLine | undefined
  readonly wholeBytes: number
}

/** The last whole anchor of a file. The file is read from its beginning: it is short beside its stream. */
async function endOf(path: string): Promise<FileEnd> {
  let newest: AnchorLine | undefined
  let wholeBytes = 0
  for await (const lines of byteLines(path)) {
    const last = lines.findLast(({ whole }) => whole)
    if (last === undefined) continue
    const line = readLine(last.bytes)
    if (line.type !== 'anchor') throw broken(`line ${last.number} of the anchors ${path} was changed`)
    newest = line
    wholeBytes = last.end
  }
  return { newest, wholeBytes }
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
