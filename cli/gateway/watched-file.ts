import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import type { Logger } from '../../core/ports/logger.ts'
import { readSettingFile } from '../secret-file.ts'
import { type GatewayFile, readGatewayFile } from './gateway-file.ts'

export interface WatchedFileParts {
  readonly path: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly logger: Logger
  /** How often it is looked at. Links that are exchanged whole, as Kubernetes does it, tell nothing to a watcher of files. */
  readonly everyMs: number
}

/** The gateway's file, read anew when it, or a file that it names, has changed. A broken one changes nothing. */
export class WatchedFile {
  readonly #parts: WatchedFileParts
  readonly #ended = new AbortController()
  #file: GatewayFile
  /** The texts of all that was read, the file itself first, as they were at the last try. */
  #texts: string
  #good = true
  #reading: Promise<void> = Promise.resolve()

  private constructor(parts: WatchedFileParts, file: GatewayFile, texts: string) {
    this.#parts = parts
    this.#file = file
    this.#texts = texts
  }

  /** Throws what is wrong with the file. */
  static async open(parts: WatchedFileParts): Promise<WatchedFile> {
    const texts: string[] = []
    const file = await read(parts, texts)
    return new WatchedFile(parts, file, seenAs(texts, ''))
  }

  /** As it was when it was last without fault. */
  get file(): GatewayFile {
    return this.#file
  }

  /** False: the file as it is now is broken, and an older one counts. */
  get good(): boolean {
    return this.#good
  }

  /** Looks at the file until `close`; `changed` is told of each new one that is in use from then on. */
  async watch(changed: (file: GatewayFile, before: GatewayFile) => void): Promise<void> {
    const { clock, everyMs } = this.#parts
    while (!this.#ended.signal.aborted) {
      await clock.sleep(everyMs, this.#ended.signal)
      if (!this.#ended.signal.aborted) await this.look(changed)
    }
  }

  /** Reads it now. Never rejects. One look at a time. */
  look(changed: (file: GatewayFile, before: GatewayFile) => void): Promise<void> {
    this.#reading = this.#reading.then(() => this.#look(changed))
    return this.#reading
  }

  async close(): Promise<void> {
    this.#ended.abort()
    await this.#reading
  }

  async #look(changed: (file: GatewayFile, before: GatewayFile) => void): Promise<void> {
    const { logger, path } = this.#parts
    const texts: string[] = []
    let next: GatewayFile | undefined
    let problem = ''
    try {
      next = await read(this.#parts, texts)
    } catch (error) {
      problem = messageOf(error)
    }
    const seen = seenAs(texts, problem)
    if (seen === this.#texts) return
    this.#texts = seen
    const before = this.#file
    try {
      if (next !== undefined) changed(next, before)
    } catch (error) {
      problem = messageOf(error)
    }
    this.#good = problem === ''
    if (next !== undefined && this.#good) {
      this.#file = next
      logger.warn({ path }, 'the gateway\'s file was read anew and is in use')
    } else logger.error({ path, problem }, "the gateway's file has changed and is broken: the one before stays in use")
  }
}

/** Where a file cannot be read, the others alone tell nothing: what is wrong is part of what was seen. */
function seenAs(texts: readonly string[], problem: string): string {
  return JSON.stringify([problem, ...texts])
}

function read(parts: WatchedFileParts, texts: string[]): Promise<GatewayFile> {
  const reading = async (path: string): Promise<string> => {
    const text = await readSettingFile('--gateway-file', path)
    texts.push(text)
    return text
  }
  return reading(parts.path).then((text) =>
    readGatewayFile(parts.path, text, { read: reading, environment: parts.environment }),
  )
}
