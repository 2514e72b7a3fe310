import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/ports/logger.ts'
import type { Random } from '../core/random.ts'
import type { Setting, Values } from './settings/setting.ts'
import { GLOBAL_SETTINGS } from './settings/shared.ts'

/** What a command is given to work with; all that reaches outside comes through here. */
export interface Context<SettingValues> {
  readonly settings: SettingValues
  /** Aborts when the user or the orchestrator asks to stop, or when nobody reads the output any more. */
  readonly signal: AbortSignal
  /** From now on SIGHUP does not stop the command but calls `listener`. */
  readonly onHangup?: (listener: () => void) => void
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly terminal: Terminal
}

export interface Terminal {
  /** Writes to stdout; resolves once the reader has kept up. Results go here, and nothing else does. */
  readonly print: (text: string) => Promise<void>
  /** stdout shows colours. */
  readonly colours?: boolean
  /** Writes a line to stderr, for people. */
  readonly note: (line: string) => void
  /** stderr as a progress bar sees it. */
  readonly progress: { readonly isTty: boolean; readonly columns: number; write(text: string): void }
}

export type CommandGroup =
  | 'Start here'
  | 'Rules'
  | 'On Kafka'
  | 'Rewards'
  | 'Dead letters'
  | 'Look inside'
  | 'Trying out'

export interface CommandHelp {
  /** One or two words: `ingest`, `topics create`. */
  readonly name: string
  readonly group: CommandGroup
  /** One line, beginning with a verb, without a full stop. */
  readonly summary: string
  /** Paragraphs: what it does, what it prints, when it ends. */
  readonly description: string
  readonly examples: readonly { readonly line: string; readonly says: string }[]
  /** Runs until it is told to stop: then stopping is success. */
  readonly service?: boolean
}

export interface Command extends CommandHelp {
  readonly settings: readonly Setting[]
  /** Answers the exit code; nothing means 0. What it throws is reported and makes 1 (2 where the usage was wrong). */
  run(context: Context<Readonly<Record<string, unknown>>>): Promise<number | void>
}

interface CommandSpec<Settings extends readonly Setting[]> extends CommandHelp {
  readonly settings: Settings
  /**
   * Loads what it needs with `await import(...)`: the specs of all commands are loaded each time, and `--help` should
   * not wait for a Kafka client.
   */
  run(context: Context<Values<readonly [...Settings, ...typeof GLOBAL_SETTINGS]>>): Promise<number | void>
}

/** Checks a command's spec against its `run` by types, and adds the settings that every command has. */
export function command<const Settings extends readonly Setting[]>(spec: CommandSpec<Settings>): Command {
  return { ...spec, settings: [...spec.settings, ...GLOBAL_SETTINGS] }
}
