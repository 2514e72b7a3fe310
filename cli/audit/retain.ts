import { join } from 'node:path'
import { openAuditLog } from '../../connectors/audit/audit-log.ts'
import { localDisk } from '../../connectors/audit/disk.ts'
import { segmentContent } from '../../connectors/audit/records.ts'
import { retiredSegments, verifyAudit } from '../../connectors/audit/verify.ts'
import { type Dropping, decideRetention } from '../../core/audit/retention.ts'
import { RETENTION_STREAM, RETIRED } from '../../core/audit/retirement.ts'
import type { Archive } from '../../core/ports/archive.ts'
import type { AnchorPlace, AnchorReader, AuditLog } from '../../core/ports/audit.ts'
import type { Context } from '../command.ts'
import { agreed } from '../replay/confirmation.ts'
import { EXIT } from '../report.ts'
import { publisherOf } from '../rules-control/publisher.ts'
import { closing } from '../runtime.ts'
import { segmentsOfStreams } from './list.ts'
import { type AnchorSettings, archiveKey, type ArchiveSettings, withAnchors, withArchive } from './places.ts'
import { findingLine } from './verify.ts'

export type RetainSettings = AnchorSettings &
  ArchiveSettings & {
    readonly audit: string
    readonly olderThan: number
    readonly as: string | undefined
    readonly actor: string | undefined
    readonly yes: boolean
    readonly json: boolean
  }

interface Plan {
  readonly drop: readonly Dropping[]
  /** Sentences: why something that is old enough stays. */
  readonly stays: readonly string[]
}

/** Answers the exit code: 1 where something that is old enough has to stay; undefined where it was asked to stop. */
export async function retainCommand(context: Context<RetainSettings>): Promise<number | undefined> {
  const { settings, terminal, signal } = context
  const { publishedBy: actor } = publisherOf({
    by: settings.as ?? settings.actor,
    reason: undefined,
    prefix: undefined,
  })
  return withAnchors(context, (places, readers) =>
    withArchive(context, async (archive) => {
      const { drop, stays } = await plan(context, readers, archive)
      if (signal.aborted) return undefined
      const code = stays.length > 0 ? EXIT.failed : EXIT.fine
      for (const why of stays) terminal.note(why)
      await tell(context, 'forecast', drop)
      if (drop.length === 0) return code
      if (!(await agreed(settings, `drop ${segmentsText(drop.length)}?`, signal))) {
        terminal.note('nothing was dropped; with --yes it is carried out')
        return code
      }
      await carryOut(context, { drop, places, actor, archive })
      await tell(context, 'done', drop)
      return code
    }),
  )
}

/** Nothing of a stream with a finding goes, and nothing that the archive does not hold as it is here. */
async function plan(
  { settings, clock, signal }: Context<RetainSettings>,
  anchors: readonly AnchorReader[],
  archive: Archive | undefined,
): Promise<Plan> {
  const { audit: folder, olderThan } = settings
  const retired = await retiredSegments(folder)
  const segments = await segmentsOfStreams({ audit: folder, streams: undefined })
  const streams = [...new Set(segments.map(({ stream }) => stream))].filter((name) => name !== RETENTION_STREAM)
  const drop: Dropping[] = []
  const stays: string[] = []
  for (const stream of streams) {
    const own = segments.filter((one) => one.stream === stream).map((one) => ({ ...one, prev: one.begun?.prev }))
    const of = retired.filter((one) => one.stream === stream)
    const due = decideRetention(own, { before: clock.now() - olderThan, retired: of })
    if (due.length === 0) continue
    let finding: string | undefined
    await verifyAudit({
      folder,
      anchors,
      streams: [stream],
      signal,
      report: (found) => {
        finding ??= findingLine(found)
      },
    })
    if (finding !== undefined) {
      stays.push(`${stream}: nothing is dropped, for it does not hold together: ${finding}`)
      continue
    }
    for (const dropping of due) {
      const why = archive === undefined ? undefined : await notArchived(archive, dropping, settings)
      if (why !== undefined) {
        stays.push(why)
        break
      }
      drop.push(dropping)
    }
  }
  return { drop, stays }
}

async function notArchived(
  archive: Archive,
  { segment: facts }: Dropping,
  settings: RetainSettings,
): Promise<string | undefined> {
  const { stream, segment } = facts
  const held = await archive.look(archiveKey(settings, stream, segment))
  if (held === undefined)
    return `${stream}/${segment} stays: it is not in the archive; run onceward audit archive first`
  const { content, sha256 } = await segmentContent(settings.audit, { stream, segment })
  const same = held.bytes === content.length && (held.sha256 === undefined || held.sha256 === sha256)
  if (!same) return `${stream}/${segment} stays: the archive holds something else`
  return held.lockedUntil === undefined ? `${stream}/${segment} stays: the archive holds it without a lock` : undefined
}

interface Work {
  readonly drop: readonly Dropping[]
  readonly places: readonly AnchorPlace[]
  readonly actor: string
  readonly archive: Archive | undefined
}

/** First the record, on the disk, then the file: whoever is stopped between the two leaves a file too many, which the next run removes. */
async function carryOut(context: Context<RetainSettings>, { drop, places, actor, archive }: Work): Promise<void> {
  const { settings, clock, logger, signal } = context
  const { audit: folder } = settings
  const log: AuditLog = await openAuditLog({
    folder,
    stream: RETENTION_STREAM,
    clock,
    logger,
    anchors: places,
    syncMs: 0,
  })
  await closing(log, async () => {
    for (const dropping of drop) {
      if (signal.aborted) return
      const { stream, segment } = dropping.segment
      if (dropping.action === 'retire') {
        const { sha256 } = await segmentContent(folder, { stream, segment })
        const archived =
          archive === undefined ? null : { archive: archive.name, key: archiveKey(settings, stream, segment) }
        const body = { ...dropping.record, sha256, archived, actor }
        await log.append([{ at: clock.now(), kind: RETIRED, body }])
      }
      await localDisk.remove(join(folder, stream, segment))
      await localDisk.syncFolder(join(folder, stream))
    }
  })
}

async function tell(
  { settings, terminal }: Context<RetainSettings>,
  phase: 'forecast' | 'done',
  drop: readonly Dropping[],
): Promise<void> {
  const segments = drop.map(({ segment: { stream, segment, first, footer } }) => ({
    stream,
    segment,
    first,
    last: footer?.last ?? first,
  }))
  if (settings.json) return terminal.print(`${JSON.stringify({ phase, segments })}\n`)
  const verb = phase === 'done' ? 'dropped' : 'would be dropped'
  const lines = segments.map(
    ({ stream, segment, first, last }) => `${stream}/${segment}  records ${first} to ${last}\n`,
  )
  await terminal.print(`${lines.join('')}${segmentsText(drop.length)} ${verb}\n`)
}

function segmentsText(count: number): string {
  return `${count} segment${count === 1 ? '' : 's'}`
}
