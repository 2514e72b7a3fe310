/** Audit logs for tests: made by the real writer, on a disk that does not sync, with anchors in a folder and in memory. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { chmodSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { retainCommand, type RetainSettings } from '../../cli/audit/retain.ts'
import { systemClock } from '../../core/clock.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { seededRandom } from '../../core/random.ts'
import { GENESIS, readLine, writeAnchor } from '../../core/audit/lines.ts'
import type { Finding } from '../../core/audit/findings.ts'
import type { AnchorPlace, AnchorReader, AuditEntry } from '../../core/ports/audit.ts'
import { anchorFolder, anchorFolderReader } from '../../connectors/audit/anchor-file.ts'
import { type AuditLogOptions, openAuditLog } from '../../connectors/audit/audit-log.ts'
import type { AuditStream } from '../../connectors/audit/chain-writer.ts'
import { type AuditDisk, localDisk } from '../../connectors/audit/disk.ts'
import { type VerifiedStream, verifyAudit } from '../../connectors/audit/verify.ts'
import { ManualClock } from '../support/clocks.ts'

/** Nothing here outlives a loss of power. */
export const quickDisk: AuditDisk = {
  ...localDisk,
  create: async (path) => ({ ...(await localDisk.create(path)), sync: () => Promise.resolve() }),
  open: async (path) => {
    chmodSync(path, 0o640)
    return { ...(await localDisk.open(path)), sync: () => Promise.resolve() }
  },
  syncFolder: () => Promise.resolve(),
}

/** A place out of reach, as a topic is. */
export class AnchorsFarAway implements AnchorPlace, AnchorReader {
  readonly name = 'far away'
  readonly unbroken = false
  readonly lines: { readonly stream: string; readonly bytes: Buffer }[] = []

  open(stream: string): ReturnType<AnchorPlace['open']> {
    let newest: { number: number; hash: string } | undefined
    return Promise.resolve({
      newest: () => undefined,
      write: async (head, at) => {
        const number = (newest?.number ?? 0) + 1
        const { line, hash } = writeAnchor({ number, ...head, at }, newest?.hash ?? GENESIS)
        newest = { number, hash }
        this.lines.push({ stream, bytes: Buffer.from(line) })
      },
      close: () => Promise.resolve(),
    })
  }

  snapshot(): ReturnType<AnchorReader['snapshot']> {
    const held = [...this.lines]
    return Promise.resolve({
      streams: [...new Set(held.map(({ stream }) => stream))],
      async *lines(of: string) {
        const own = held.filter(({ stream }) => stream === of)
        yield own.map(({ bytes }, index) => ({ bytes, place: `offset ${index}` }))
      },
    })
  }
}

/** Everything that is closed, at once. */
const RETAIN_ALL: Omit<RetainSettings, 'audit' | 'anchors'> = {
  olderThan: 0,
  as: 'ann',
  actor: undefined,
  yes: true,
  json: false,
  brokers: undefined,
  prefix: undefined,
  archiveBucket: undefined,
  archiveEndpoint: undefined,
  archiveRegion: 'us-east-1',
  archivePrefix: undefined,
  archiveKeyId: undefined,
  archiveSecretFile: undefined,
  kafkaTls: false,
  kafkaCaFile: undefined,
  kafkaCertFile: undefined,
  kafkaKeyFile: undefined,
  kafkaSasl: undefined,
  kafkaUser: undefined,
  kafkaPasswordFile: undefined,
}

export interface Verification {
  readonly findings: readonly Finding[]
  readonly streams: readonly VerifiedStream[]
}

export class MadeLog {
  readonly folder: string
  readonly anchors: string
  readonly farAway = new AnchorsFarAway()
  readonly clock = new ManualClock(1_700_000_000_000)

  private constructor(folder: string) {
    this.folder = join(folder, 'log')
    this.anchors = join(folder, 'anchors')
  }

  static async begin(): Promise<MadeLog> {
    return new MadeLog(await mkdtemp(join(tmpdir(), 'onceward-audit-')))
  }

  open(stream: string, options: Partial<AuditLogOptions> = {}): Promise<AuditStream> {
    const { folder, clock } = this
    const anchors = [anchorFolder(this.anchors, quickDisk), this.farAway]
    return openAuditLog({ folder, stream, clock, anchors, disk: quickDisk, ...options })
  }

  /** Lets the time pass after which a head is anchored, and waits until it is. */
  async anchored(log: AuditStream): Promise<void> {
    for (let looks = 0; looks < 10_000; looks += 1) {
      // Again and again: whoever is to be woken may not be asleep yet.
      this.clock.advance(1_000)
      const { seq, anchors } = log.state()
      if (anchors.every((one) => one.seq === seq)) return
      await systemClock.sleep(1)
    }
    throw new Error('the head was not anchored')
  }

  async verify(places: readonly ('file' | 'far')[] = ['file', 'far']): Promise<Verification> {
    const findings: Finding[] = []
    const readers = { file: anchorFolderReader(this.anchors), far: this.farAway }
    const streams = await verifyAudit({
      folder: this.folder,
      anchors: places.map((place) => readers[place]),
      report: (finding) => findings.push(finding),
    })
    return { findings, streams }
  }

  /** Runs `audit retain` on everything that is closed. Answers what it said, and its exit code. */
  async retire(options: Partial<RetainSettings> = {}): Promise<{ readonly code: unknown; readonly said: string }> {
    this.clock.advance(1)
    const settings = { ...RETAIN_ALL, audit: this.folder, anchors: this.anchors, ...options }
    const said: string[] = []
    const code = await retainCommand({
      settings,
      signal: new AbortController().signal,
      clock: this.clock,
      random: seededRandom(1),
      logger: silentLogger,
      terminal: {
        print: async (text) => void said.push(text),
        note: (line) => void said.push(`${line}\n`),
        progress: { isTty: false, columns: 80, write: () => undefined },
      },
    })
    return { code, said: said.join('') }
  }

  path(stream: string, segment: string): string {
    return join(this.folder, stream, segment)
  }

  anchorFile(stream: string): string {
    return join(this.anchors, `${stream}.anchors`)
  }

  async segments(stream: string): Promise<string[]> {
    const names = await readdir(join(this.folder, stream)).catch(() => [])
    return names.filter((name) => name.endsWith('.audit')).sort()
  }

  async remove(): Promise<void> {
    await rm(join(this.folder, '..'), { recursive: true, force: true })
  }
}

export function entryOf(n: number, length: number): AuditEntry {
  return {
    at: 1_700_000_000_000 + n,
    kind: n % 7 === 0 ? 'refusal' : 'request',
    body: { n, text: 'ä"\n'.repeat(length) },
  }
}

export async function readLines(path: string): Promise<string[]> {
  return (await readFile(path, 'utf8')).split('\n').slice(0, -1)
}

export async function writeLines(path: string, lines: readonly string[]): Promise<void> {
  chmodSync(path, 0o640)
  await writeFile(path, lines.map((line) => `${line}\n`).join(''))
}

/** The numbers of a segment's records, by line (from 0); undefined: a header or a footer. */
export function numbersOf(lines: readonly string[]): (number | undefined)[] {
  return lines.map((text) => {
    const line = readLine(Buffer.from(text))
    return line.type === 'record' ? line.seq : undefined
  })
}

/** Where a collected record comes from. */
export function sourceOf(body: string): {
  readonly topic?: string
  readonly partition?: number
  readonly offset?: number
  readonly table?: string
  readonly id?: number
} {
  return (JSON.parse(body) as { source: object }).source
}
