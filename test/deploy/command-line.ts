import type { Command } from '../../cli/command.ts'
import { COMMANDS } from '../../cli/commands.ts'
import { readFlags } from '../../cli/settings/flags.ts'
import { resolveSettings } from '../../cli/settings/resolve.ts'

export interface Invocation {
  readonly command: Command
  readonly settings: Readonly<Record<string, unknown>>
}

/** Nothing but what the arguments themselves say. */
export const BARE = {
  environment: {} as Readonly<Record<string, string | undefined>>,
  readFile: (path: string): Promise<string> => Promise.reject(new Error(`there is no ${path}`)),
}

/** Reads the words behind `onceward` as the command line would, without running anything. Throws what a user would see. */
export async function invocationOf(argv: readonly string[], surroundings = BARE): Promise<Invocation> {
  for (const words of [2, 1]) {
    const name = argv.slice(0, words).join(' ')
    const command = COMMANDS.find((candidate) => candidate.name === name)
    if (command === undefined) continue
    const flags = readFlags(command, argv.slice(words))
    return { command, settings: await resolveSettings(command, COMMANDS, flags, surroundings) }
  }
  throw new Error(`onceward has no command ${argv.slice(0, 2).join(' ')}`)
}
