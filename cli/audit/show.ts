import { streamRecords } from '../../connectors/audit/records.ts'
import { wantedStreams } from '../../connectors/audit/verify.ts'
import type { RecordLine } from '../../core/audit/lines.ts'
import type { JsonObject } from '../../core/model/event.ts'
import type { Context } from '../command.ts'
import { dayOrTime } from '../settings/day-or-time.ts'
import { mentions } from './mentions.ts'

export interface ShowSettings {
  readonly audit: string
  readonly streams: readonly string[] | undefined
  readonly kind: readonly string[] | undefined
  readonly user: string | undefined
  readonly request: string | undefined
  readonly from: string | undefined
  readonly until: string | undefined
  readonly raw: boolean
  readonly limit: number
}

const USER = new Set(['user_id', 'userId'])
const REQUEST = new Set(['request_id', 'reward_task_id', 'event_id', 'subject', 'id'])

/** Prints what fits, stream by stream. */
export async function showCommand({ settings, terminal, signal }: Context<ShowSettings>): Promise<void> {
  const fits = filterOf(settings)
  const streams = await wantedStreams(settings.audit, settings.streams)
  let printed = 0
  for (const stream of streams) {
    for await (const records of streamRecords(settings.audit, stream)) {
      for (const { record, line } of records) {
        if (!fits(record)) continue
        if (printed === settings.limit)
          return terminal.note(`there are more than ${settings.limit}; raise --limit, or ask for fewer`)
        await terminal.print(`${settings.raw ? line.toString() : recordText(stream, record)}\n`)
        printed += 1
      }
      if (signal.aborted) return
    }
  }
  if (printed === 0) terminal.note('there is no such record')
}

function filterOf(settings: ShowSettings): (record: RecordLine) => boolean {
  const from = dayOrTime('--from', settings.from) ?? Number.NEGATIVE_INFINITY
  const until = dayOrTime('--until', settings.until) ?? Number.POSITIVE_INFINITY
  const { kind, user, request } = settings
  return (record) => {
    if (record.at < from || record.at >= until) return false
    if (kind !== undefined && !kind.includes(record.kind)) return false
    if (user === undefined && request === undefined) return true
    const body = JSON.parse(record.body) as JsonObject
    if (user !== undefined && !mentions(body, USER, user)) return false
    return request === undefined || mentions(body, REQUEST, request)
  }
}

function recordText(stream: string, { seq, at, kind, body }: RecordLine): string {
  const time = Math.abs(at) <= 8.64e15 ? new Date(at).toISOString() : at
  return `{"stream":"${stream}","seq":${seq},"at":${JSON.stringify(time)},"kind":"${kind}","body":${escaped(body)}}`
}

/** What strangers have sent cannot tell a terminal what to do; it stays the same JSON. */
function escaped(json: string): string {
  return json.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  )
}
