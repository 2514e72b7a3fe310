import type { ErrorCode } from '../../core/errors.ts'
import type { Setting } from './setting.ts'
import type { Written } from './kinds.ts'

/** A value and the place where it was written, as a message would name it: `--brokers`, `ONCEWARD_BROKERS`, `a.yaml:3:9: brokers`. */
export interface Given {
  readonly written: Written
  readonly place: string
}

/** Something wrong with the settings: a whole sentence that names its place. */
export interface Problem {
  readonly code: Extract<ErrorCode, 'ONCEWARD_E_USAGE' | 'ONCEWARD_E_SETTING_UNKNOWN' | 'ONCEWARD_E_SETTING_INVALID'>
  readonly message: string
  /** The setting it is about, where there is one: it was meant to be given, so it does not count as missing too. */
  readonly setting?: string
}

/** What one source says: values by setting name, and what is wrong with it. */
export interface SourceReading {
  readonly given: ReadonlyMap<string, Given>
  readonly problems: readonly Problem[]
}

/** A command, as far as its settings go. */
export interface Configurable {
  readonly name: string
  readonly settings: readonly Setting[]
}
