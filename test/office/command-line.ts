/** Runs a command's own `run` in this process: settings as main reads them, output kept. */
import type { Command } from '../../cli/command.ts'
import { COMMANDS } from '../../cli/commands.ts'
import { readFlags } from '../../cli/settings/flags.ts'
import { resolveSettings } from '../../cli/settings/resolve.ts'
import { systemClock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { systemRandom } from '../../core/random.ts'
import type { Office } from './office.ts'

export interface Ran {
  readonly code: number | undefined
  readonly stdout: string
  readonly notes: string
  readonly error: OncewardError | undefined
}

export interface RunOptions {
  readonly environment?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
  /** Called with what was printed. */
  readonly onPrint?: (text: string) => void
}

/** `line` without `onceward` and without --db. */
export async function runLine(
  { url }: Pick<Office, 'url'>,
  line: readonly string[],
  options: RunOptions = {},
): Promise<Ran> {
  const command = commandOf(line)
  const own = line.slice(command.name.split(' ').length)
  let stdout = ''
  let notes = ''
  const write = (text: string): void => void (notes += text)
  try {
    const flags = readFlags(command, [...own, '--db', url, '--allow-non-durable-db'])
    const environment = { ONCEWARD_ACTOR: 'ann', ...options.environment }
    const settings = await resolveSettings(command, COMMANDS, flags, {
      environment,
      readFile: () => Promise.reject(new Error('no file of settings')),
    })
    const code = await command.run({
      settings,
      signal: options.signal ?? new AbortController().signal,
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      terminal: {
        print: (text) => {
          stdout += text
          options.onPrint?.(text)
          return Promise.resolve()
        },
        note: (text) => write(`${text}\n`),
        progress: { isTty: false, columns: 80, write },
      },
    })
    return { code: code ?? undefined, stdout, notes, error: undefined }
  } catch (error) {
    if (error instanceof OncewardError) return { code: undefined, stdout, notes, error }
    throw error
  }
}

function commandOf(line: readonly string[]): Command {
  for (const words of [2, 1]) {
    const found = COMMANDS.find(({ name }) => name === line.slice(0, words).join(' '))
    if (found !== undefined) return found
  }
  throw new Error(`there is no command ${line.join(' ')}`)
}
