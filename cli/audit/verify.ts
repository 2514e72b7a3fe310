import { type VerifiedStream, verifyAudit } from '../../connectors/audit/verify.ts'
import type { Finding } from '../../core/audit/findings.ts'
import type { Context } from '../command.ts'
import { createProgress, formatCount } from '../progress.ts'
import { EXIT } from '../report.ts'
import { textTable } from '../text-table.ts'
import { type AnchorSettings, withAnchors } from './places.ts'

export type VerifySettings = AnchorSettings & {
  readonly audit: string
  readonly streams: readonly string[] | undefined
  readonly json: boolean
}

/** Answers the exit code: 1 where anything was found; undefined where it was asked to stop. */
export async function verifyCommand(context: Context<VerifySettings>): Promise<number | undefined> {
  const { settings, terminal, clock, signal } = context
  const progress = createProgress({ terminal, clock, label: 'verifying', unit: 'MB' })
  const { findings, streams } = await withAnchors(context, async (_, anchors) => {
    const found: Finding[] = []
    let printing = Promise.resolve()
    const verified = await verifyAudit({
      folder: settings.audit,
      anchors,
      streams: settings.streams,
      signal,
      progress: (done, total) => progress.update({ done: done / 1e6, share: total === 0 ? 1 : done / total }),
      report: (finding) => {
        found.push(finding)
        const line = settings.json ? JSON.stringify(finding) : findingLine(finding)
        printing = printing.then(() => terminal.print(`${line}\n`))
      },
    })
    await printing
    return { findings: found.length, streams: verified }
  })
  progress.finish(summary(streams, findings))
  if (settings.json) await terminal.print(`${JSON.stringify({ findings, streams })}\n`)
  else await terminal.print(table(streams))
  for (const note of notes(streams, settings)) terminal.note(note)
  if (signal.aborted) return undefined
  return findings > 0 ? EXIT.failed : EXIT.fine
}

/** `gateway-1/0000000000000042.audit:17 record 58 changed: …` */
export function findingLine({ stream, where, place, line, what, detail }: Finding): string {
  const at = where === undefined ? '' : `/${where}${line === undefined ? '' : `:${line}`}`
  return `${stream}${at}  ${what}: ${detail}${place === undefined ? '' : ` (${place})`}`
}

function summary(streams: readonly VerifiedStream[], findings: number): string {
  const records = streams.reduce((sum, one) => sum + one.records, 0)
  const bytes = streams.reduce((sum, one) => sum + one.bytes, 0)
  const found = findings === 0 ? 'nothing was changed' : `${formatCount(findings)} finding${findings === 1 ? '' : 's'}`
  return `${formatCount(records)} records in ${streams.length} stream${streams.length === 1 ? '' : 's'} (${formatCount(bytes / 1e6)} MB): ${found}`
}

const HEADS = ['STREAM', 'SEGMENTS', 'RECORDS', 'FIRST', 'LAST', 'ANCHORED', 'BEHIND IT', 'FINDINGS']

function table(streams: readonly VerifiedStream[]): string {
  if (streams.length === 0) return 'there is no stream\n'
  const rows = streams.map((one) => [
    one.stream,
    String(one.segments),
    formatCount(one.records),
    String(one.first),
    String(one.last),
    one.anchored === 0 ? '-' : String(one.anchored),
    String(Math.max(0, one.last - one.anchored)),
    String(one.findings),
  ])
  return textTable([HEADS, ...rows])
}

function notes(streams: readonly VerifiedStream[], { anchors, brokers }: VerifySettings): string[] {
  const told: string[] = []
  if (anchors === undefined && brokers === undefined) {
    told.push(
      'without anchors (--anchors, --brokers) a chain that was made anew as a whole, or cut at its end, cannot be told',
    )
  }
  for (const { stream, torn } of streams) {
    if (torn > 0)
      told.push(`${stream}: ${torn} bytes at the end are no line yet: it is being written, or its writer was killed`)
  }
  return told
}
