import { suggestion } from './nearest.ts'
import { type Setting, VARIABLE_PREFIX, variableOf } from './setting.ts'
import type { Configurable, Given, Problem, SourceReading } from './sources.ts'

/** Where the project's own tests find data that is not part of it. */
const NOT_SETTINGS = new Set(['ONCEWARD_SHARED'])

/** Kubernetes gives each pod such variables for every Service; one called `onceward` must not break the command line. */
const SERVICE_LINK = /_SERVICE_(HOST|PORT)(_\w+)?$|_PORT(_\d+_(TCP|UDP)(_\w+)?)?$/

/** Reads ONCEWARD_… variables. One that only other commands know is passed over: they share an environment. */
export function readEnvironment(
  command: Configurable,
  all: readonly Configurable[],
  environment: Readonly<Record<string, string | undefined>>,
): SourceReading {
  const own = new Map(command.settings.map((setting) => [variableOf(setting), setting]))
  const known = new Set(all.flatMap((other) => other.settings.map(variableOf)))
  const given = new Map<string, Given>()
  const problems: Problem[] = []
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith(VARIABLE_PREFIX) || text === undefined || isServiceLink(variable, text)) continue
    const setting: Setting | undefined = own.get(variable)
    if (setting !== undefined) given.set(setting.name, { written: text, place: variable })
    else if (!known.has(variable) && !NOT_SETTINGS.has(variable)) {
      problems.push({
        code: 'ONCEWARD_E_SETTING_UNKNOWN',
        message: `the variable ${variable} is no setting of Onceward${suggestion(variable, [...own.keys(), ...known])}`,
      })
    }
  }
  return { given, problems }
}

function isServiceLink(variable: string, text: string): boolean {
  if (!SERVICE_LINK.test(variable)) return false
  return variable.includes('_SERVICE_') || /_\d+_(TCP|UDP)/.test(variable) || /^(tcp|udp):\/\//.test(text)
}
