import { type Bounds, type Kind, type KindValues, READERS, type Read, type Written } from './kinds.ts'

/** Everything there is to say about one setting: its help, its default, its type and bounds, in one object. */
export interface SettingSpec extends Bounds {
  readonly type: Kind
  /** One sentence without a full stop, beginning in lower case. */
  readonly help: string
  /** As a user would write it. */
  readonly default?: string
  readonly required?: boolean
  /** What stands for the value in help: `HOST:PORT`. */
  readonly placeholder?: string
  /** Never shown in a message. */
  readonly secret?: boolean
  /** Agrees to something: only a flag says it, each time anew, and never a variable or a file that is there for good. */
  readonly eachTime?: boolean
  /** May also be written as a plain argument, in the order of the command's settings. */
  readonly positional?: boolean
}

export interface Setting<Name extends string = string, Value = unknown> {
  /** kebab-case: the flag is `--name`, the variable ONCEWARD_NAME, the key in the file `name`. */
  readonly name: Name
  readonly spec: SettingSpec
  read(written: Written): Read<Value>
}

type ValueOf<Spec extends SettingSpec> = Spec extends { choices: readonly (infer Choice)[] }
  ? Choice
  : KindValues[Spec['type']]

type Given<Spec extends SettingSpec> = Spec extends { default: string } | { required: true } | { type: 'flag' }
  ? ValueOf<Spec>
  : ValueOf<Spec> | undefined

export function setting<const Name extends string, const Spec extends SettingSpec>(
  name: Name,
  spec: Spec,
): Setting<Name, Given<Spec>> {
  const reader: (written: Written, bounds: Bounds) => Read<unknown> = READERS[spec.type]
  return {
    name,
    spec,
    // The table gives each type its reader; the type system cannot follow an index that is itself a type parameter.
    read: (written) => reader(written, spec) as Read<Given<Spec>>,
  }
}

type CamelCase<Text extends string> = Text extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Text

/** What a command gets: each setting's value under its name in camelCase. */
export type Values<Settings extends readonly Setting[]> = {
  readonly [S in Settings[number] as CamelCase<S['name']>]: S extends Setting<string, infer Value> ? Value : never
}

export function camelCase(name: string): string {
  return name.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
}

export function flagOf(setting: Setting): string {
  return `--${setting.name}`
}

export const VARIABLE_PREFIX = 'ONCEWARD_'

export function variableOf(setting: Setting): string {
  return VARIABLE_PREFIX + setting.name.replaceAll('-', '_').toUpperCase()
}

/** The word that stands for the value in help; empty for flags. */
export function placeholderOf(setting: Setting): string {
  const { spec } = setting
  if (spec.type === 'flag') return ''
  if (spec.placeholder !== undefined) return spec.placeholder
  if (spec.choices !== undefined) return spec.choices.join('|')
  const words: Record<Kind, string> = {
    text: 'TEXT',
    list: 'A,B,...',
    texts: 'TEXT',
    integer: 'N',
    number: 'X',
    rate: 'SHARE',
    duration: 'DURATION',
    flag: '',
    path: 'PATH',
    url: 'URL',
    choice: 'NAME',
  }
  return words[spec.type]
}
