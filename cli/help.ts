import type { Command, CommandGroup } from './command.ts'
import { placeholderOf, type Setting, variableOf } from './settings/setting.ts'
import { rangeText } from './settings/kinds.ts'

const GROUPS: readonly CommandGroup[] = [
  'Start here',
  'Rules',
  'On Kafka',
  'Rewards',
  'Dead letters',
  'Look inside',
  'Trying out',
]

/** The page of `onceward --help`. `columns`: the width to wrap at. */
export function overview(commands: readonly Command[], columns: number): string {
  const width = Math.max(...commands.map(({ name }) => name.length))
  const groups = GROUPS.map((group) => {
    const lines = commands
      .filter((command) => command.group === group)
      .map(({ name, summary }) => hang(`  ${name.padEnd(width)}  `, summary, columns))
    return lines.length === 0 ? '' : `${group}\n${lines.join('\n')}\n`
  })
  return [
    wrap('Onceward turns what players do into what they are owed, each reward exactly once.', columns, ''),
    'Usage: onceward <command> [settings]',
    ...beginWith(commands),
    groups.filter((text) => text !== '').join('\n'),
    wrap('onceward help <command> tells all about one: what it does, its settings, examples.', columns, ''),
    wrap(
      'A setting is a flag (--log-level info), a variable (ONCEWARD_LOG_LEVEL=info) or a line in a YAML file given with --config (log-level: info); the first of these counts.',
      columns,
      '',
    ),
    'Exit codes: 0 fine, 1 failed, 2 wrong usage.\n',
  ].join('\n\n')
}

function beginWith(commands: readonly Command[]): string[] {
  const first = commands
    .filter((command) => command.group === 'Start here')
    .flatMap(({ examples }) => examples[0] ?? [])
  if (first.length === 0) return []
  const lines = first.map(({ line, says }) => `  ${line}\n      ${says}`)
  return [`${first.length === 2 ? 'Two commands' : 'A command'} to begin with:\n${lines.join('\n')}`]
}

/** The page of `onceward help <command>`. */
export function commandPage(command: Command, columns: number): string {
  const own = command.settings.filter(({ name }) => name !== 'config' && name !== 'log-level')
  const common = command.settings.filter((setting) => !own.includes(setting))
  return [
    wrap(`onceward ${command.name}: ${command.summary}`, columns, ''),
    `Usage: ${usage(command)}`,
    command.description
      .trim()
      .split(/\n\s*\n/)
      .map((paragraph) => wrap(paragraph, columns, ''))
      .join('\n\n'),
    settingsTable('Settings', own, columns),
    settingsTable('Settings of every command', common, columns),
    examplesText(command),
  ]
    .filter((part) => part !== '')
    .join('\n\n')
}

/** One line: the arguments, the settings that must be there, and that there are more. */
export function usage(command: Command): string {
  const required = command.settings.filter(({ spec }) => spec.required === true)
  const words = required.map((setting) =>
    setting.spec.positional === true ? placeholderOf(setting) : `--${setting.name} ${placeholderOf(setting)}`,
  )
  const optional = command.settings.some(({ spec }) => spec.required !== true) ? ['[settings]'] : []
  return ['onceward', command.name, ...words, ...optional].join(' ')
}

function settingsTable(title: string, settings: readonly Setting[], columns: number): string {
  if (settings.length === 0) return ''
  const rows = settings.map((setting) => ({ left: leftOf(setting), right: rightOf(setting) }))
  const width = Math.min(34, Math.max(...rows.map(({ left }) => left.length)))
  return `${title}\n${rows.map(({ left, right }) => hang(`  ${left.padEnd(width)}  `, right, columns)).join('\n')}`
}

function leftOf(setting: Setting): string {
  const word = placeholderOf(setting)
  if (setting.spec.positional === true) return word
  return word === '' ? `--${setting.name}` : `--${setting.name} ${word}`
}

function rightOf(setting: Setting): string {
  const { spec } = setting
  const range = spec.type === 'integer' || spec.type === 'number' ? rangeText(spec) : ''
  const notes = [
    ...(spec.required === true ? ['required'] : []),
    ...(range === '' ? [] : [range.trim()]),
    ...(spec.default === undefined ? [] : [`default ${spec.default}`]),
    spec.eachTime === true ? 'with each call anew' : variableOf(setting),
  ]
  return `${spec.help} (${notes.join('; ')})`
}

function examplesText(command: Command): string {
  if (command.examples.length === 0) return ''
  return `Examples\n${command.examples.map(({ line, says }) => `  ${line}\n      ${says}`).join('\n')}\n`
}

/** `text` behind `head`, its further lines indented as far as `head` is long. */
function hang(head: string, text: string, columns: number): string {
  return head + wrap(text, Math.max(30, columns - head.length), ' '.repeat(head.length))
}

/** Breaks `text` into lines of at most `columns`; each but the first begins with `indent`. */
export function wrap(text: string, columns: number, indent: string): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/).filter((part) => part !== '')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line)
      line = ''
    }
    line = line === '' ? word : `${line} ${word}`
  }
  lines.push(line)
  return lines.join(`\n${indent}`)
}
