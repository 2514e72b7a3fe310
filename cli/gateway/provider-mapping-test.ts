import { loadSchemas } from '../../connectors/files/schemas.ts'
import { messageOf, OncewardError } from '../../core/errors.ts'
import type { Json, JsonObject } from '../../core/model/event.ts'
import { parseSchemas } from '../../operators/event-schema.ts'
import { createNormalizer, type Normalized } from '../../operators/normalize.ts'
import type { MappedBody, MappedItem } from '../../rules/mapping.ts'
import { isObject } from '../../rules/yaml-json.ts'
import type { Context } from '../command.ts'
import { EXIT } from '../report.ts'
import { readSettingFile } from '../secret-file.ts'
import { mappingOf } from './provider-mapping.ts'

interface TestSettings {
  readonly mapping: string
  readonly body: string
  readonly schemas: string | undefined
  readonly json: boolean
}

/** An item of the body, and what a worker would say of its event. */
interface Tried {
  readonly item: MappedItem
  /** Why it is no event; undefined: it is one. */
  readonly rejected: string | undefined
}

/** Shows what a mapping makes of a body. Answers the exit code: 1 where anything is rejected. */
export async function tryMapping({ settings, clock, terminal }: Context<TestSettings>): Promise<number> {
  const { mapping: file } = settings
  const mapping = mappingOf({ file, text: await readSettingFile('--mapping', file) })
  const body = parseBody(settings.body, await readSettingFile('--body', settings.body))
  const normalize = createNormalizer(parseSchemas(await loadSchemas(settings.schemas)))
  const mapped = mapping.map(body, { receivedAt: clock.now(), requestId: 'mapping_test' })
  if (!mapped.ok) {
    terminal.note(`the whole body is rejected: ${mapped.detail}`)
    return EXIT.failed
  }
  const tried = mapped.events.map((item) => ({ item, rejected: rejection(item, normalize) }))
  await terminal.print(settings.json ? eventLines(tried) : reportOf(tried))
  for (const { item } of settings.json ? tried.filter(({ rejected }) => rejected !== undefined) : []) {
    terminal.note(`${item.item} is rejected`)
  }
  terminal.note(summaryOf(mapped, tried))
  return tried.every(({ rejected }) => rejected === undefined) ? EXIT.fine : EXIT.failed
}

function parseBody(path: string, text: string): JsonObject {
  const unreadable = (why: string): OncewardError =>
    new OncewardError('ONCEWARD_E_FILE_UNREADABLE', `--body: ${path} ${why}; give it a body as the provider sends it`)
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    throw unreadable(`is no JSON: ${messageOf(error)}`)
  }
  const body = parsed as Json
  if (isObject(body)) return body
  throw unreadable('is no JSON object')
}

function rejection(item: MappedItem, normalize: (raw: Buffer) => Normalized): string | undefined {
  if (!item.ok) return item.detail
  const normalized = normalize(Buffer.from(JSON.stringify(item.event)))
  return normalized.kind === 'rejected' ? `${item.item}: a worker would not take it: ${normalized.detail}` : undefined
}

function eventLines(tried: readonly Tried[]): string {
  return tried
    .flatMap(({ item, rejected }) => (rejected === undefined ? [`${JSON.stringify(item.event)}\n`] : []))
    .join('')
}

function reportOf(tried: readonly Tried[]): string {
  return tried
    .map(({ item, rejected }) => {
      const name = typeof item.event['event_name'] === 'string' ? item.event['event_name'] : 'no event'
      const head = rejected === undefined ? `${item.item}: ${name}` : `REJECTED ${rejected}`
      const event = JSON.stringify(item.event, null, 2).replaceAll('\n', '\n  ')
      return [head, `  ${event}`, ...item.leftOut.map((what) => `  ${what}`), ''].join('\n')
    })
    .join('\n')
}

function summaryOf(mapped: MappedBody & { readonly ok: true }, tried: readonly Tried[]): string {
  const rejected = tried.filter((each) => each.rejected !== undefined).length
  const ids = new Set(tried.map(({ item }) => item.event['event_id']))
  const twice = tried.length - ids.size
  const same = twice === 0 ? '' : `; ${twice} with the event_id of another, which would be taken for repeats`
  return `${tried.length - rejected} taken, ${rejected} rejected, ${mapped.ignored} ignored${same}`
}
