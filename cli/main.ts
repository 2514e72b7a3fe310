#!/usr/bin/env -S node --max-semi-space-size=32
// The flag: batches outlive V8's default young generation of 16 MiB while they are committed; 32 saves a tenth of the CPU.
import { readFile } from 'node:fs/promises'
import { setTimeout as forceAfter } from 'node:timers'
import { systemClock } from '../core/clock.ts'
import { OncewardError } from '../core/errors.ts'
import { type Logger, silentLogger } from '../core/ports/logger.ts'
import { systemRandom } from '../core/random.ts'
import type { Command } from './command.ts'
import { COMMANDS } from './commands.ts'
import { commandPage, overview } from './help.ts'
import { processTerminal, watchInterruptions } from './interruption.ts'
import { errorReport, EXIT, exitCodeOf } from './report.ts'
import { type FlagsReading, readFlags } from './settings/flags.ts'
import { suggestion } from './settings/nearest.ts'
import { resolveSettings } from './settings/resolve.ts'
import { productVersion } from './version.ts'

/** How long open handles may keep the process once the command has ended, and once it has ended early because it was told to. */
const LINGER_MS = 3_000
const LINGER_ABORTED_MS = 200

const columns = Math.min(110, process.stdout.columns ?? 100)
const watch = watchInterruptions()
const terminal = processTerminal(watch.signal)

async function main(argv: readonly string[]): Promise<number> {
  const [first] = argv
  if (first === '--version' || first === '-V' || first === 'version') return print(`${await productVersion()}\n`)
  if (first === undefined || first === '--help' || first === '-h') return overviewPage(first !== undefined)
  if (first === 'help') return helpPage(argv.slice(1))
  const found = findCommand(argv)
  if (found === undefined) throw unknownCommand(argv)
  try {
    const flags = readFlags(found.command, found.rest)
    return flags.help ? print(commandPage(found.command, columns)) : await execute(found.command, flags)
  } catch (error) {
    process.stderr.write(errorReport(error, found.command.name))
    return exitCodeOf(error)
  }
}

async function execute(command: Command, flags: FlagsReading): Promise<number> {
  const settings = await resolveSettings(command, COMMANDS, flags, {
    environment: process.env,
    readFile: (path) => readFile(path, 'utf8'),
  })
  const context = {
    settings,
    signal: watch.signal,
    onHangup: watch.onHangup,
    clock: systemClock,
    random: systemRandom,
    logger: await openLogger(settings.logLevel),
    terminal,
  }
  try {
    const code = await command.run(context)
    return code ?? codeAfter(command)
  } catch (error) {
    // What a command throws because it was asked to stop is no failure; an error of its own still is.
    if (watch.signal.aborted && isAbort(error, watch.signal)) return codeAfter(command)
    throw error
  }
}

function codeAfter(command: Command): number {
  const interruption = watch.interruption()
  if (interruption?.kind !== 'signal' || command.service === true) return EXIT.fine
  return interruption.exitCode
}

function isAbort(error: unknown, signal: AbortSignal): boolean {
  return error === signal.reason || (error instanceof Error && error.name === 'AbortError')
}

/** Loaded late: help should not wait for the logging library. */
async function openLogger(level: unknown): Promise<Logger> {
  const { createLogger, LOG_LEVELS } = await import('../connectors/observe/logger.ts')
  const known = LOG_LEVELS.find((candidate) => candidate === level)
  return known === undefined || known === 'silent' ? silentLogger : createLogger({ level: known, clock: systemClock })
}

interface Found {
  readonly command: Command
  readonly rest: readonly string[]
}

function findCommand(argv: readonly string[]): Found | undefined {
  for (const words of [2, 1]) {
    const name = argv.slice(0, words).join(' ')
    const command = COMMANDS.find((candidate) => candidate.name === name)
    if (command !== undefined) return { command, rest: argv.slice(words) }
  }
  return undefined
}

function unknownCommand(argv: readonly string[]): OncewardError {
  const names = COMMANDS.map(({ name }) => name)
  const [first = '', second] = argv
  const family = names.filter((name) => name.startsWith(`${first} `))
  if (family.length > 0) {
    return new OncewardError('ONCEWARD_E_USAGE', `onceward ${first} needs one word more: ${family.join(', ')}`)
  }
  const written = second === undefined || second.startsWith('-') ? first : `${first} ${second}`
  const hint = suggestion(written, names) || suggestion(first, names)
  const kind = first.startsWith('-') ? 'the first word must be a command, and' : 'there is no command'
  return new OncewardError('ONCEWARD_E_USAGE', `${kind} ${first}${first.startsWith('-') ? ' is none' : ''}${hint}`)
}

function overviewPage(asked: boolean): Promise<number> | number {
  const page = overview(COMMANDS, columns)
  if (asked) return print(page)
  process.stderr.write(page)
  return EXIT.usage
}

function helpPage(words: readonly string[]): Promise<number> {
  if (words.length === 0) return print(overview(COMMANDS, columns))
  const found = findCommand(words)
  if (found === undefined) throw unknownCommand(words)
  return print(commandPage(found.command, columns))
}

async function print(text: string): Promise<number> {
  await terminal.print(text)
  return EXIT.fine
}

function bug(error: unknown): void {
  process.stderr.write(errorReport(error))
  process.exit(EXIT.failed)
}

process.on('unhandledRejection', bug)
process.on('uncaughtException', bug)

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(errorReport(error))
  process.exitCode = exitCodeOf(error)
}
// A handle that somebody forgot must not keep a finished command from ending.
forceAfter(() => process.exit(), watch.signal.aborted ? LINGER_ABORTED_MS : LINGER_MS).unref()
