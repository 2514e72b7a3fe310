import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ChainCheck, type ChainSummary } from '../../core/audit/chain-check.ts'
import type { Finding, Report } from '../../core/audit/findings.ts'
import { firstOfName, type HeaderLine, type Line, readLine, STREAM_NAME } from '../../core/audit/lines.ts'
import { RETENTION_STREAM, RETIRED, type RetiredSegment, retiredOf } from '../../core/audit/retirement.ts'
import { type FoundSegment, planSegments, type SegmentPlan } from '../../core/audit/segment-plan.ts'
import { OncewardError } from '../../core/errors.ts'
import type { JsonObject } from '../../core/model/event.ts'
import type { AnchorReader, AnchorSnapshot } from '../../core/ports/audit.ts'
import { AnchorMatch, type Passed } from './anchor-match.ts'
import { byteLines } from './byte-lines.ts'
import { localDisk } from './disk.ts'
import { codeOf } from './failures.ts'

export interface VerifyOptions {
  readonly folder: string
  readonly anchors: readonly AnchorReader[]
  /** Only these; all where it is left out. */
  readonly streams?: readonly string[] | undefined
  readonly report: Report
  /** Told some times a second how far it is, in bytes. */
  readonly progress?: (done: number, total: number) => void
  readonly signal?: AbortSignal
}

export interface VerifiedStream extends ChainSummary {
  readonly stream: string
  readonly segments: number
  readonly bytes: number
  /** The last record that an anchor fits, over all places; 0: none. */
  readonly anchored: number
  readonly findings: number
}

interface Place {
  readonly reader: AnchorReader
  readonly snapshot: AnchorSnapshot
}

/**
 * Reads all streams of a folder and holds them to their chains and anchors. A writer may go on meanwhile: anchors are taken
 * before the segments are listed. Throws ONCEWARD_E_FILE_UNREADABLE where a file cannot be read.
 */
export async function verifyAudit(options: VerifyOptions): Promise<readonly VerifiedStream[]> {
  try {
    await stat(options.folder)
    const places: Place[] = []
    for (const reader of options.anchors) places.push({ reader, snapshot: await reader.snapshot() })
    const found = await streamsOf(options.folder)
    const anchored = places.flatMap(({ snapshot }) => snapshot.streams)
    const names = chosen([...new Set([...found, ...anchored])], options.streams)
    // First what says which segments of the others were dropped.
    names.sort((a, b) => Number(b === RETENTION_STREAM) - Number(a === RETENTION_STREAM) || (a < b ? -1 : 1))
    const retired = await retiredSegments(options.folder)
    const bytes = await Promise.all(names.map((name) => bytesOf(options.folder, name)))
    const progress = counter(
      options,
      bytes.reduce((sum, each) => sum + each, 0),
    )
    const verified: VerifiedStream[] = []
    for (const stream of names) {
      if (options.signal?.aborted === true) break
      const own = retired.filter((one) => one.stream === stream)
      verified.push(await verifyStream(stream, { ...options, places, retired: own, progress }))
    }
    return verified
  } catch (error) {
    throw unreadable(options.folder, error)
  }
}

/** A name that is misspelt must not pass as a stream in which nothing was found. */
function chosen(all: readonly string[], wanted: readonly string[] | undefined): string[] {
  const unknown = wanted?.find((name) => !all.includes(name))
  if (unknown === undefined) return all.filter((name) => wanted?.includes(name) ?? true)
  const known = all.length === 0 ? 'there is none' : `there are ${all.join(', ')}`
  throw new OncewardError('ONCEWARD_E_SETTING_INVALID', `--streams: there is no stream ${unknown}; ${known}`)
}

/**
 * Those of the folder's streams that are asked for; undefined: all. Throws ONCEWARD_E_FILE_UNREADABLE where there is no such folder,
 * ONCEWARD_E_SETTING_INVALID where there is no such stream.
 */
export async function wantedStreams(folder: string, wanted: readonly string[] | undefined): Promise<readonly string[]> {
  try {
    await stat(folder)
    return chosen(await streamsOf(folder), wanted)
  } catch (error) {
    throw unreadable(folder, error)
  }
}

/** Names of the streams in a folder. */
async function streamsOf(folder: string): Promise<readonly string[]> {
  const names = (await localDisk.list(folder)).filter((name) => STREAM_NAME.test(name))
  const streams: string[] = []
  for (const name of names) {
    const entries = await localDisk.list(join(folder, name)).catch(() => [])
    if (entries.some((entry) => firstOfName(entry) !== undefined)) streams.push(name)
  }
  return streams
}

/** Segment files of a stream in the order of their names. */
export async function segmentsOf(folder: string, stream: string): Promise<readonly FoundSegment[]> {
  const path = join(folder, stream)
  const found: FoundSegment[] = []
  for (const name of await localDisk.list(path)) {
    const first = firstOfName(name)
    if (first !== undefined) found.push({ name, first, header: await headerOf(join(path, name)) })
  }
  return found
}

/** What the retention stream says was dropped, of all streams; what stands in it is verified with the others. */
export async function retiredSegments(folder: string): Promise<readonly RetiredSegment[]> {
  const retired: RetiredSegment[] = []
  for (const { name } of await segmentsOf(folder, RETENTION_STREAM)) {
    for await (const lines of byteLines(join(folder, RETENTION_STREAM, name))) {
      for (const { bytes } of lines) {
        const line = readLine(bytes)
        if (line.type !== 'record' || line.kind !== RETIRED) continue
        const one = retiredOf(JSON.parse(line.body) as JsonObject)
        if (one !== undefined) retired.push(one)
      }
    }
  }
  return retired
}

export function unreadable(folder: string, error: unknown): OncewardError {
  if (error instanceof OncewardError) return error
  const code = codeOf(error)
  if (code === '') throw error
  const message = `the audit log in ${folder} cannot be read (${code}); check the path and its permissions`
  return new OncewardError('ONCEWARD_E_FILE_UNREADABLE', message, { cause: error })
}

/** Longer than any header. */
const HEADER_BYTES_MAX = 1_024

async function headerOf(path: string): Promise<HeaderLine | undefined> {
  const file = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER_BYTES_MAX), 0, HEADER_BYTES_MAX, 0)
    const end = buffer.subarray(0, bytesRead).indexOf('\n')
    const line: Line | undefined = end === -1 ? undefined : readLine(buffer.subarray(0, end))
    return line?.type === 'header' ? line : undefined
  } finally {
    await file.close()
  }
}

interface StreamOptions extends Pick<VerifyOptions, 'folder' | 'report' | 'signal'> {
  readonly places: readonly Place[]
  readonly retired: readonly RetiredSegment[]
  readonly progress: (bytes: number) => void
}

async function verifyStream(stream: string, options: StreamOptions): Promise<VerifiedStream> {
  const { folder, retired, places } = options
  let findings = 0
  const report = (finding: Finding): void => {
    findings += 1
    options.report(finding)
  }
  const events: Passed[] = []
  const check = new ChainCheck({
    stream,
    retired,
    report,
    passed: (seq, hashes, segment) => events.push({ type: 'record', seq, hashes, segment }),
    footer: (seq, hash, segment) => events.push({ type: 'footer', seq, hashes: [hash], segment }),
    header: (header) => events.push({ type: 'header', header }),
  })
  const matches = places.map((place) => new AnchorMatch(stream, place, { report, explained: () => findings > 0 }))
  const plan = planSegments(stream, await segmentsOf(folder, stream))
  plan.findings.forEach(report)
  const bytes = await readSegments(plan, check, {
    ...options,
    path: join(folder, stream),
    passed: async () => {
      for (const match of matches) await match.pass(events)
      events.length = 0
    },
  })
  const summary = check.finish()
  const newest = plan.order.at(-1)?.name
  if (options.signal?.aborted !== true) for (const match of matches) await match.end(summary.last, newest)
  const anchored = Math.max(0, ...matches.map(({ matched }) => matched))
  return { stream, ...summary, segments: plan.order.length, bytes, anchored, findings }
}

interface Reading extends StreamOptions {
  readonly path: string
  readonly passed: () => Promise<void>
}

async function readSegments({ order }: SegmentPlan, check: ChainCheck, reading: Reading): Promise<number> {
  let bytes = 0
  for (const [index, { name, first }] of order.entries()) {
    check.beginSegment(name, first)
    for await (const lines of byteLines(join(reading.path, name))) {
      if (reading.signal?.aborted === true) return bytes
      for (const line of lines) check.take(readLine(line.bytes), line.bytes.length, line.whole)
      await reading.passed()
      const read = lines.reduce((sum, line) => sum + line.bytes.length + 1, 0)
      bytes += read
      reading.progress(read)
    }
    check.endSegment(index === order.length - 1)
    await reading.passed()
  }
  return bytes
}

async function bytesOf(folder: string, stream: string): Promise<number> {
  const path = join(folder, stream)
  const names = (await localDisk.list(path)).filter((name) => firstOfName(name) !== undefined)
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(path, name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

function counter({ progress }: VerifyOptions, total: number): (bytes: number) => void {
  let done = 0
  return (bytes) => {
    done += bytes
    progress?.(done, total)
  }
}
