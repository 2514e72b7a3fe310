import { OncewardError } from '../../core/errors.ts'
import { readEnvironment } from './environment.ts'
import type { FlagsReading } from './flags.ts'
import { camelCase, flagOf, placeholderOf, type Setting, variableOf } from './setting.ts'
import type { Configurable, Given, Problem, SourceReading } from './sources.ts'

export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Throws as node:fs does. */
  readFile(path: string): Promise<string>
}

/**
 * The values of a command's settings, by name in camelCase: a flag wins over a variable, a variable over the file, the
 * file over the default. Throws one OncewardError that lists everything that is wrong.
 */
export async function resolveSettings(
  command: Configurable,
  all: readonly Configurable[],
  flags: FlagsReading,
  surroundings: Surroundings,
): Promise<Record<string, unknown>> {
  const environment = readEnvironment(command, all, surroundings.environment)
  const config = flags.given.get('config') ?? environment.given.get('config')
  const file = config === undefined ? undefined : await readFile(config, command, all, surroundings)
  const sources = [flags, environment, ...(file === undefined ? [] : [file])]
  const problems = sources.flatMap((source) => [...source.problems])
  const values: Record<string, unknown> = {}
  for (const setting of command.settings) {
    const given = sources.map((source) => source.given.get(setting.name)).find((found) => found !== undefined)
    if (setting.spec.eachTime === true && given !== undefined && given !== flags.given.get(setting.name)) {
      problems.push(onlyByFlag(setting, given))
      continue
    }
    const outcome = valueOf(command, setting, given)
    if ('problem' in outcome) {
      if (given !== undefined || !problems.some((known) => known.setting === setting.name))
        problems.push(outcome.problem)
    } else values[camelCase(setting.name)] = outcome.value
  }
  if (problems.length > 0) throw settingsError(command, problems)
  return values
}

async function readFile(
  config: Given,
  command: Configurable,
  all: readonly Configurable[],
  surroundings: Surroundings,
): Promise<SourceReading> {
  const path = String(config.written)
  let text: string
  try {
    text = await surroundings.readFile(path)
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    throw new OncewardError(
      'ONCEWARD_E_FILE_UNREADABLE',
      `${config.place}: the settings file ${path} cannot be read (${reason}); check the path, or leave it out`,
      { cause: error },
    )
  }
  // The YAML parser takes a tenth of a second to load; most calls have no file.
  const { readConfigFile } = await import('./config-file.ts')
  return readConfigFile(path, text, command, all)
}

function valueOf(
  command: Configurable,
  setting: Setting,
  given: Given | undefined,
): { value: unknown } | { problem: Problem } {
  const written = given?.written ?? setting.spec.default ?? (setting.spec.type === 'flag' ? false : undefined)
  if (written === undefined) {
    return setting.spec.required === true ? { problem: missing(command, setting) } : { value: undefined }
  }
  const read = setting.read(written)
  if (read.ok) return { value: read.value }
  const clause = setting.spec.secret === true ? withoutQuotes(read.problem) : read.problem
  const message = `${given?.place ?? flagOf(setting)}: ${clause}`
  return { problem: { code: 'ONCEWARD_E_SETTING_INVALID', message } }
}

function onlyByFlag(setting: Setting, { place }: Given): Problem {
  const flag = flagOf(setting)
  const message = `${place}: ${flag} is given with each call, for it would count for all that follow; take it out here and write ${flag}`
  return { code: 'ONCEWARD_E_SETTING_INVALID', message }
}

function missing(command: Configurable, setting: Setting): Problem {
  const flag = `${flagOf(setting)} ${placeholderOf(setting)}`
  const what = setting.spec.positional === true ? placeholderOf(setting) : flag
  return {
    code: 'ONCEWARD_E_USAGE',
    message: `onceward ${command.name} needs ${what} (${setting.spec.help}); or set ${variableOf(setting)}, or write "${setting.name}: ..." in the file of --config`,
  }
}

/** A secret's text must not reach a terminal or a log, not even when it is wrong. */
function withoutQuotes(problem: string): string {
  return problem.replaceAll(/".*"/g, 'the value')
}

function settingsError(command: Configurable, problems: readonly Problem[]): OncewardError {
  const [first] = problems
  const code = first?.code ?? 'ONCEWARD_E_USAGE'
  if (problems.length === 1) return new OncewardError(code, first?.message ?? '')
  const list = problems.map(({ message }) => `\n  - ${message}`).join('')
  return new OncewardError(code, `${problems.length} things are wrong with the settings of ${command.name}:${list}`)
}
