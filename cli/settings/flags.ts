import { parseArgs } from 'node:util'
import { suggestion } from './nearest.ts'
import { flagOf, placeholderOf, type Setting } from './setting.ts'
import type { Configurable, Given, Problem, SourceReading } from './sources.ts'

export interface FlagsReading extends SourceReading {
  /** `--help` or `-h` was among them: nothing else counts then. */
  readonly help: boolean
}

/** Reads `--x=y`, `--x y`, `--flag`, `--no-flag` and plain arguments. A flag that is given twice: the last one counts, lists add up. */
export function readFlags(command: Configurable, argv: readonly string[]): FlagsReading {
  const byName = new Map(command.settings.map((setting) => [setting.name, setting]))
  const reader = new FlagReader(command, byName)
  const { tokens } = parseArgs({
    args: [...argv],
    options: {
      ...Object.fromEntries([...byName].map(([name, { spec }]) => [name, { type: parseType(spec.type) }])),
      help: { type: 'boolean', short: 'h' },
    },
    // Its own messages know neither settings nor neighbours; the tokens say all that is needed to write better ones.
    strict: false,
    allowPositionals: true,
    allowNegative: true,
    tokens: true,
  })
  for (const token of tokens) {
    if (token.kind === 'option') reader.option(token)
    else if (token.kind === 'positional') reader.positional(token.value)
  }
  return reader
}

function parseType(type: string): 'boolean' | 'string' {
  return type === 'flag' ? 'boolean' : 'string'
}

interface OptionToken {
  readonly name: string
  readonly rawName: string
  readonly value?: string | undefined
  readonly inlineValue?: boolean | undefined
}

class FlagReader implements FlagsReading {
  readonly given = new Map<string, Given>()
  readonly problems: Problem[] = []
  help = false
  private readonly command: Configurable
  private readonly byName: ReadonlyMap<string, Setting>
  private readonly positionals: Setting[]
  /** A word behind an unknown flag is most likely its value: one mistake, one message. */
  private afterUnknown = false

  constructor(command: Configurable, byName: ReadonlyMap<string, Setting>) {
    this.command = command
    this.byName = byName
    this.positionals = command.settings.filter((setting) => setting.spec.positional === true)
  }

  option(token: OptionToken): void {
    this.afterUnknown = false
    if (token.name === 'help') {
      this.help = true
      return
    }
    const negated = this.byName.get(token.name.replace(/^no-/, ''))
    const setting = this.byName.get(token.name) ?? (negated?.spec.type === 'flag' ? negated : undefined)
    if (setting === undefined) return this.unknown(token)
    if (setting.spec.type === 'flag') return this.flag(setting, token)
    this.value(setting, token)
  }

  positional(text: string): void {
    if (this.afterUnknown) {
      this.afterUnknown = false
      return
    }
    const [setting] = this.positionals
    if (setting !== undefined) {
      // A list takes all that follow.
      if (setting.spec.type !== 'list') this.positionals.shift()
      const before = this.given.get(setting.name)?.written
      const written = setting.spec.type === 'list' && before !== undefined ? `${String(before)},${text}` : text
      this.given.set(setting.name, { written, place: placeholderOf(setting) })
      return
    }
    this.problems.push({
      code: 'ONCEWARD_E_USAGE',
      message: `"${text}" is one argument too many for onceward ${this.command.name}; settings begin with --, see onceward help ${this.command.name}`,
    })
  }

  private unknown(token: OptionToken): void {
    const names = [...this.byName.values()].map(flagOf)
    this.problems.push({
      code: 'ONCEWARD_E_SETTING_UNKNOWN',
      message: `onceward ${this.command.name} has no flag ${token.rawName}${suggestion(token.rawName, [...names, '--help'])}`,
    })
    this.afterUnknown = token.inlineValue !== true
  }

  private flag(setting: Setting, token: OptionToken): void {
    const place = token.rawName
    // With `--no-x` the token keeps its raw name; with `--x=false` it carries a value.
    const negative = token.rawName === `--no-${setting.name}`
    if (negative && token.value !== undefined) {
      this.problems.push({
        code: 'ONCEWARD_E_SETTING_INVALID',
        message: `${place} takes no value; write it alone`,
        setting: setting.name,
      })
      return
    }
    this.given.set(setting.name, { written: negative ? false : (token.value ?? true), place })
  }

  private value(setting: Setting, token: OptionToken): void {
    const place = flagOf(setting)
    const { value } = token
    const nextFlag = token.inlineValue === false && value !== undefined && /^-[^\d.]/.test(value)
    if (value === undefined || nextFlag) {
      this.problems.push({
        code: 'ONCEWARD_E_SETTING_INVALID',
        message: `${place} needs a value: ${place} ${placeholderOf(setting)}${nextFlag ? ` (one that begins with a dash is written ${place}=${value})` : ''}`,
        setting: setting.name,
      })
      return
    }
    const before = this.given.get(setting.name)?.written
    this.given.set(setting.name, { written: together(setting, before, value), place })
  }
}

/** What a flag says that was given before: of most the last one counts. */
function together({ spec }: Setting, before: Given['written'] | undefined, value: string): Given['written'] {
  if (spec.type === 'texts') return typeof before === 'object' ? [...before, value] : [value]
  return spec.type === 'list' && before !== undefined ? `${String(before)},${value}` : value
}
