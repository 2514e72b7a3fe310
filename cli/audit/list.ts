import { segmentFacts, type SegmentFacts } from '../../connectors/audit/records.ts'
import { wantedStreams } from '../../connectors/audit/verify.ts'
import type { ArchivedObject } from '../../core/ports/archive.ts'
import type { Context } from '../command.ts'
import { formatCount } from '../progress.ts'
import { textTable } from '../text-table.ts'
import { archiveKey, type ArchiveSettings, withArchive } from './places.ts'

export type ListSettings = ArchiveSettings & {
  readonly audit: string
  readonly streams: readonly string[] | undefined
  readonly json: boolean
}

interface ListedSegment extends SegmentFacts {
  /** undefined: no archive was asked. */
  readonly archived: ArchivedObject | null | undefined
}

export async function listCommand(context: Context<ListSettings>): Promise<void> {
  const { settings, terminal } = context
  const segments = await segmentsOfStreams(settings)
  const listed = await withArchive(context, async (archive) => {
    const all: ListedSegment[] = []
    for (const facts of segments) {
      const isHeld = archive !== undefined && facts.footer !== undefined
      const key = archiveKey(settings, facts.stream, facts.segment)
      const archived = isHeld ? ((await archive.look(key)) ?? null) : undefined
      all.push({ ...facts, archived })
    }
    return all
  })
  await terminal.print(settings.json ? `${JSON.stringify({ segments: listed })}\n` : listText(listed))
}

/** Segments of the streams that are asked for, or of all, in their order. */
export async function segmentsOfStreams({
  audit,
  streams,
}: Pick<ListSettings, 'audit' | 'streams'>): Promise<readonly SegmentFacts[]> {
  const names = await wantedStreams(audit, streams)
  return (await Promise.all(names.map((name) => segmentFacts(audit, name)))).flat()
}

const HEADS = ['STREAM', 'SEGMENT', 'RECORDS', 'BEGUN', 'CLOSED', 'KB', 'HEAD', 'ARCHIVED']

function listText(segments: readonly ListedSegment[]): string {
  if (segments.length === 0) return 'there is no segment\n'
  const rows = segments.map(({ stream, segment, first, footer, begun, bytes, archived }) => [
    stream,
    segment,
    footer === undefined ? `${first} to ...` : `${first} to ${footer.last}`,
    begun === undefined ? '?' : timeText(begun.at),
    footer === undefined ? 'open' : timeText(footer.at),
    formatCount(bytes / 1_000),
    footer?.hash.slice(0, 12) ?? '',
    archivedText(archived),
  ])
  return textTable([HEADS, ...rows], 'texts')
}

function archivedText(archived: ListedSegment['archived']): string {
  if (archived === undefined) return ''
  if (archived === null) return 'no'
  return archived.lockedUntil === undefined ? 'not locked' : `until ${timeText(archived.lockedUntil).slice(0, 10)}`
}

function timeText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19)
}
