import type { Command } from './command.ts'

/** Every command there is, in the order of the help page. A new one is added here and nowhere else. */
export const COMMANDS: readonly Command[] = []
