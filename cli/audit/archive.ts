import { join } from 'node:path'
import { segmentContent, type SegmentFacts } from '../../connectors/audit/records.ts'
import { segmentEnd } from '../../connectors/audit/segment-end.ts'
import { DAY_MS } from '../../core/durations.ts'
import { hasCode, OncewardError } from '../../core/errors.ts'
import type { Archive } from '../../core/ports/archive.ts'
import type { Context } from '../command.ts'
import { EXIT } from '../report.ts'
import { segmentsOfStreams } from './list.ts'
import { archiveKey, type ArchiveSettings, withArchive } from './places.ts'

export type ArchiveCommandSettings = ArchiveSettings & {
  readonly audit: string
  readonly streams: readonly string[] | undefined
  readonly archiveRetain: number
  readonly json: boolean
}

/** Answers the exit code: 1 where a segment could not be copied. */
export async function archiveCommand(context: Context<ArchiveCommandSettings>): Promise<number | undefined> {
  const { settings, terminal, signal } = context
  const closed = (await segmentsOfStreams(settings)).filter(({ footer }) => footer !== undefined)
  return withArchive(context, async (archive) => {
    if (archive === undefined) throw new OncewardError('ONCEWARD_E_USAGE', 'name the archive: --archive-bucket NAME')
    let failed = 0
    for (const facts of closed) {
      if (signal.aborted) return undefined
      const outcome = await copied(archive, facts, context)
      if (outcome.outcome === 'failed') failed += 1
      const { stream, segment } = facts
      const told = { stream, segment, ...outcome }
      await terminal.print(
        settings.json
          ? `${JSON.stringify(told)}\n`
          : `${stream}/${segment}  ${outcome.outcome}${outcome.detail === undefined ? '' : `: ${outcome.detail}`}\n`,
      )
    }
    if (closed.length === 0) terminal.note('there is no closed segment')
    return failed > 0 ? EXIT.failed : EXIT.fine
  })
}

interface Copied {
  readonly outcome: 'stored' | 'known' | 'failed'
  readonly detail?: string
}

/** What does not hold together is not copied as if it did. Throws what would fail for all others, too. */
async function copied(
  archive: Archive,
  facts: SegmentFacts,
  { settings, clock }: Context<ArchiveCommandSettings>,
): Promise<Copied> {
  const { stream, segment: name, footer } = facts
  const end = await segmentEnd(join(settings.audit, stream), { name, stream, anchor: undefined })
  if (!end.closed || end.misfit !== undefined) {
    return {
      outcome: 'failed',
      detail: `line ${end.misfit?.line ?? 0} does not belong there; see onceward audit verify`,
    }
  }
  const { content, sha256 } = await segmentContent(settings.audit, { stream, segment: name })
  // No archive takes a lock that has ended already.
  const lockUntil = Math.max((footer?.at ?? 0) + settings.archiveRetain, clock.now() + DAY_MS)
  try {
    const key = archiveKey(settings, stream, name)
    return { outcome: await archive.store({ key, content, sha256, lockUntil }) }
  } catch (error) {
    if (hasCode(error, 'ONCEWARD_E_ARCHIVE_REFUSED')) return { outcome: 'failed', detail: error.message }
    throw error
  }
}
