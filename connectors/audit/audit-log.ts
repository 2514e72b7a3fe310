import { join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import { firstOfName, GENESIS, STREAM_NAME, writeHeader, writeRecord } from '../../core/audit/lines.ts'
import { decideReopening, type SegmentEnd } from '../../core/audit/reopening.ts'
import { assert } from '../../core/assert.ts'
import type { AnchorPlace, AuditHead } from '../../core/ports/audit.ts'
import { type Logger, silentLogger } from '../../core/ports/logger.ts'
import { anchored, Anchoring } from './anchoring.ts'
import { type AuditStream, type ChainEnd, ChainWriter } from './chain-writer.ts'
import { type AuditDisk, localDisk } from './disk.ts'
import { broken, unwritable } from './failures.ts'
import { type Lock, lockFolder } from './lock.ts'
import { segmentEnd } from './segment-end.ts'
import { Tape } from './tape.ts'

export interface AuditLogOptions {
  /** The folder of all streams; this one's is below it. It is made where it is missing. */
  readonly folder: string
  /** `gateway-1`, `collector`: letters, digits, `.`, `_`, `-`. One process at a time writes it. */
  readonly stream: string
  readonly clock: Clock
  readonly logger?: Logger
  /** Second places for the heads; at least one is advised. Segments' headers say how far a folder's anchors had come. */
  readonly anchors?: readonly AnchorPlace[]
  /** How long what was acknowledged may be in memory only, where a loss of power takes it; 0: never. Default 1,000. */
  readonly syncMs?: number
  /** How often a head that has moved is anchored; default 1,000. */
  readonly anchorMs?: number
  /** A segment ends once it has so many bytes (default 64 MiB), or is so old (default a day). */
  readonly segmentBytesMax?: number
  readonly segmentMsMax?: number
  /** Closed segments lose the right to be written; default true. */
  readonly readOnly?: boolean
  readonly disk?: AuditDisk
}

/**
 * Opens one stream for writing and repairs what a killed writer has left. Throws ONCEWARD_E_STATE_LOCKED where another
 * process writes it, ONCEWARD_E_AUDIT_BROKEN where it was changed, ONCEWARD_E_AUDIT_UNWRITABLE where the disk will not.
 */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditStream> {
  const { stream, clock, disk = localDisk, logger = silentLogger, anchors = [] } = options
  assert(STREAM_NAME.test(stream), `"${stream}" is a name of an audit stream`)
  const folder = join(options.folder, stream)
  const lock = await lockOf(folder, disk, clock)
  const anchoring: Anchoring[] = []
  try {
    let anchor: AuditHead | undefined
    for (const place of anchors) {
      const chain = await place.open(stream)
      const newest = chain.newest()
      if (newest !== undefined && newest.seq > (anchor?.seq ?? 0)) anchor = newest
      anchoring.push(new Anchoring(place, chain, { clock, logger }))
    }
    const end = await reopen(folder, { disk, stream, anchor, anchoring, clock, logger })
    return new ChainWriter(
      {
        folder,
        stream,
        clock,
        logger,
        disk,
        lock,
        anchoring,
        syncMs: options.syncMs ?? 1_000,
        anchorMs: options.anchorMs ?? 1_000,
        segmentBytesMax: options.segmentBytesMax ?? 64 * 1_048_576,
        segmentMsMax: options.segmentMsMax ?? 86_400_000,
        readOnly: options.readOnly ?? true,
      },
      end,
    )
  } catch (error) {
    for (const one of anchoring) await one.close().catch(() => undefined)
    await lock.release().catch(() => undefined)
    throw unwritable(folder, error)
  }
}

async function lockOf(folder: string, disk: AuditDisk, clock: Clock): Promise<Lock> {
  try {
    await disk.makeFolder(folder)
    return await lockFolder(folder, clock)
  } catch (error) {
    throw unwritable(folder, error)
  }
}

interface Place {
  readonly disk: AuditDisk
  readonly stream: string
  /** The newest that any place holds. */
  readonly anchor: AuditHead | undefined
  readonly anchoring: readonly Anchoring[]
  readonly clock: Clock
  readonly logger: Logger
}

/** Where the stream goes on; what a killed writer has left is mended. */
async function reopen(folder: string, place: Place): Promise<ChainEnd> {
  const names = (await place.disk.list(folder)).filter((name) => firstOfName(name) !== undefined)
  const name = names.at(-1)
  const newest = name === undefined ? undefined : await segmentEnd(folder, { ...place, name })
  const decision = decideReopening({ newest, anchor: place.anchor, genesis: GENESIS })
  switch (decision.action) {
    case 'refuse':
      throw broken(`the audit stream ${place.stream} cannot be continued: ${decision.why}`)
    case 'begin':
      return { seq: decision.first - 1, hash: decision.prev, segment: undefined }
    case 'continue':
      return repair(folder, decision.segment, { place, hash: decision.segment.head ?? GENESIS })
    case 'repair': {
      const hash = decision.segment.head ?? (await headBefore(folder, names, place))
      return repair(folder, decision.segment, { place, hash })
    }
  }
}

/** What the header is chained to that a killed writer has not finished. */
async function headBefore(folder: string, names: readonly string[], place: Place): Promise<string> {
  const name = names.at(-2)
  if (name === undefined) return GENESIS
  const before = await segmentEnd(folder, { ...place, name })
  const decision = decideReopening({ newest: before, anchor: undefined, genesis: GENESIS })
  if (decision.action === 'begin') return decision.prev
  throw broken(`the audit stream ${place.stream} cannot be continued: ${name} does not end as it should`)
}

/**
 * Takes the file over. What was torn off is overwritten by the record that tells of it, and only then is the file cut to its
 * length: there is no instant at which it is gone and nothing says so. Afterwards all of the file is on the disk.
 */
async function repair(
  folder: string,
  segment: SegmentEnd,
  { place, hash: before }: { readonly place: Place; readonly hash: string },
): Promise<ChainEnd> {
  const { name, first, last, rest, wholeBytes, openedAt = place.clock.now() } = segment
  const path = join(folder, name)
  const file = await place.disk.open(path)
  try {
    let end = { seq: last, hash: before }
    let bytes = wholeBytes
    if (rest !== undefined) {
      const mended = recoveryLines(segment, place, before)
      await file.write(mended.bytes, wholeBytes)
      bytes += mended.bytes.length
      await file.truncate(bytes)
      end = { seq: last + 1, hash: mended.hash }
      const told = { stream: place.stream, segment: name, bytes: rest.bytes }
      place.logger.warn(told, 'a writer of the audit log was killed in the middle of a record, which was cut')
    }
    await file.sync()
    return { ...end, segment: { first, tape: new Tape(path, file, bytes), openedAt } }
  } catch (error) {
    await file.close().catch(() => undefined)
    throw error
  }
}

function recoveryLines(
  { name, first, last, head, rest }: SegmentEnd,
  { clock, stream, anchoring }: Place,
  before: string,
): { readonly bytes: Buffer; readonly hash: string } {
  const at = clock.now()
  const header = head === undefined ? writeHeader({ stream, first, at, ...anchored(anchoring) }, before) : undefined
  const body = JSON.stringify({ segment: name, bytes: rest?.bytes, sha256: rest?.hash })
  const record = writeRecord({ seq: last + 1, at, kind: 'recovery', body }, header?.hash ?? before)
  return { bytes: Buffer.from(`${header === undefined ? '' : `${header.line}\n`}${record.line}\n`), hash: record.hash }
}
