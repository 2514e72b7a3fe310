import { OncewardError } from '../../core/errors.ts'
import type { Log } from '../../core/ports/log.ts'
import { readControl } from '../../pipeline/publish-rules.ts'
import { timelineOf } from '../../rules/control-change.ts'
import { rfc3339 } from '../../rules/control-instant.ts'
import type { ControlState } from '../../rules/control.ts'
import { versionKey } from '../../rules/load.ts'
import type { Context } from '../command.ts'
import { instantOf } from '../settings/rules-control.ts'
import { changeText } from './change.ts'
import { type VersionView, viewOf } from './overview.ts'
import { controlOf, type ControlSettings } from './publisher.ts'

export interface ShowSettings extends ControlSettings {
  readonly id: string
  readonly at: string | undefined
  readonly ruleVersion: string | undefined
  readonly json: boolean
}

/** The files of the versions in effect at an event time, or of the one that is named, and what was said of the rule. */
export async function showRule(log: Log, context: Context<ShowSettings>): Promise<void> {
  const { settings, clock, terminal } = context
  const known = await readControl(controlOf(log, context))
  const at = instantOf(settings.at) ?? clock.now()
  const { versions } = timelineOf(known, settings.id)
  const view = viewOf(known, settings.id, at)
  const { ruleVersion } = settings
  const shown = view.versions.filter(({ version, status }) =>
    ruleVersion === undefined ? status !== 'scheduled' && status !== 'replaced' : version === ruleVersion,
  )
  if (ruleVersion !== undefined && shown.length === 0) {
    const names = versions.map(({ rule }) => rule.version).join(', ')
    const message = `rule ${settings.id} has no version ${ruleVersion}; published are ${names}`
    throw new OncewardError('ONCEWARD_E_RULE_NOT_PUBLISHED', message)
  }
  if (settings.json) {
    const files = shown.map((each) => ({ ...each, content: contentOf(known, settings.id, each) }))
    return terminal.print(`${JSON.stringify({ at: rfc3339(at), ...view, shown: files })}\n`)
  }
  // The newest first, as it is judged.
  const texts = shown.toReversed().map((each) => `${headOf(settings.id, each)}${contentOf(known, settings.id, each)}`)
  const none = `# no version of ${settings.id} is in effect at ${rfc3339(at)}\n`
  const said = view.changes.map((record) => `# ${changeText(record)}${whyOf(record)}\n`)
  await terminal.print([...(texts.length === 0 ? [none] : texts), ...said].join('\n'))
}

/** Comments of YAML, so that what is printed can be kept as a rule file. */
function headOf(ruleId: string, view: VersionView): string {
  const since = view.effective_from === null ? 'in effect since ever' : `in effect from ${view.effective_from} on`
  const players = view.status === 'active' && view.players < 100 ? `, for ${view.players} % of the players` : ''
  const head = `# ${ruleId} ${view.version}: ${view.status}, ${since}${players}`
  return `${head}\n# published ${view.published_at}${whyOf(view)}\n`
}

function whyOf({ published_by, reason }: { published_by?: string | null; reason?: string | null }): string {
  const who = typeof published_by === 'string' ? ` by ${published_by}` : ''
  return `${who}${typeof reason === 'string' ? `: ${reason}` : ''}`
}

function contentOf({ published }: ControlState, ruleId: string, { version }: VersionView): string {
  const content = published.get(versionKey(ruleId, version))?.record.content ?? ''
  return content.endsWith('\n') ? content : `${content}\n`
}
