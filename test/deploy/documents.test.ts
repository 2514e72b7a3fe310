import { readdirSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { describe, expect, test } from 'vitest'
import { COMMANDS } from '../../cli/commands.ts'
import { readFlags } from '../../cli/settings/flags.ts'
import type { Setting } from '../../cli/settings/setting.ts'
import { ERROR_KINDS } from '../../core/errors.ts'
import { FOLDERS } from '../repo/source-files.ts'
import { invocationOf } from './command-line.ts'
import { commandsIn, linksIn, mentionsIn, oncewardArguments, pathsIn } from './documents.ts'
import { logLines, readinessReasons } from './log-lines.ts'
import { isThere, PROJECT, textOf } from './project.ts'

const markdownIn = (folder: string): string[] =>
  readdirSync(join(PROJECT, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => posix.join(folder, name))
const documents = ['.', 'docs', 'docs/decisions', 'examples'].flatMap(markdownIn)

test('there are the documents that a newcomer looks for', () => {
  expect(documents).toEqual(
    expect.arrayContaining([
      'README.md',
      'docs/ARCHITECTURE.md',
      'docs/OPERATIONS.md',
      'docs/RULES.md',
      'docs/errors.md',
    ]),
  )
})

describe.each(documents)('%s', (path) => {
  const text = textOf(path)
  const place = (line: number, what: string): string => `${path}:${line}: ${what}`

  test('its commands are ones that the command line accepts, and their files are there', async () => {
    const problems: string[] = []
    for (const { line, text: command } of commandsIn(text)) {
      const argv = oncewardArguments(command)
      if (argv === undefined) continue
      try {
        const { settings } = await invocationOf(argv)
        const files = [settings['rules'], settings['events'], settings['config']]
        for (const file of files) {
          const ours = typeof file === 'string' && file.startsWith('examples/')
          if (ours && !isThere(file)) problems.push(place(line, `there is no ${file}`))
        }
      } catch (error) {
        problems.push(place(line, String(error)))
      }
    }
    expect(problems).toEqual([])
  })

  test('commands that it mentions exist, with the flags that it gives them', () => {
    const problems = mentionsIn(text).flatMap(({ line, text: mention }) => {
      const argv = oncewardArguments(mention) ?? []
      const found = [2, 1].flatMap((words) =>
        COMMANDS.filter(({ name }) => name === argv.slice(0, words).join(' ')).map((command) => ({ command, words })),
      )[0]
      if (found === undefined) return argv[0] === 'help' ? [] : [place(line, `there is no command ${mention}`)]
      const { problems: wrong } = readFlags(found.command, argv.slice(found.words))
      return wrong.map(({ message }) => place(line, message))
    })
    expect(problems).toEqual([])
  })

  test('its links and the files that it names lead somewhere', () => {
    const links = linksIn(text).filter(({ text: target }) => !isThere(posix.join(dirname(path), target)))
    const paths = pathsIn(text, FOLDERS).filter(
      ({ text: named }) => !isThere(named) && !isThere(posix.join(dirname(path), named)),
    )
    expect([...links, ...paths].map(({ line, text: target }) => place(line, `there is no ${target}`))).toEqual([])
  })

  test('the error codes that it names exist', () => {
    const codes = [...text.matchAll(/\bONCEWARD_E_[A-Z_]+[A-Z]\b/g)].map(([code]) => code)
    expect(codes.filter((code) => !(code in ERROR_KINDS))).toEqual([])
  })
})

describe('docs/OPERATIONS.md', () => {
  const settings = new Map<string, Setting>(
    COMMANDS.flatMap((command) => command.settings.map((one) => [one.name, one])),
  )
  const rows = [...textOf('docs/OPERATIONS.md').matchAll(/^\| (sink )?`--([\w-]+)` \|([^|]*)\|/gm)]

  test.each(rows.map(([, , name = '', cell = '']) => ({ name, cell: cell.trim() })))(
    '--$name has the default that it says',
    ({ name, cell }) => {
      const wanted = settings.get(name)?.spec.default
      expect(settings.has(name)).toBe(true)
      expect(cell).toBe(wanted === undefined ? (cell === 'none' ? 'none' : '') : `\`${wanted}\``)
    },
  )

  test('it tells of every setting that a worker or a sink has of its own', () => {
    const told = new Set([...textOf('docs/OPERATIONS.md').matchAll(/`--([\w-]+)`/g)].map(([, name]) => name))
    const running = COMMANDS.filter(({ name }) => name === 'worker' || name === 'sink').flatMap((one) => one.settings)
    const untold = [...new Set(running.map(({ name }) => name))].filter((name) => !told.has(name))
    expect(untold).toEqual([])
  })

  const section = (title: string): string =>
    textOf('docs/OPERATIONS.md').split(`\n## ${title}\n`)[1]?.split('\n## ')[0] ?? ''
  /** `…` in either stands for anything. */
  const matches = (one: string, other: string): boolean => {
    const pattern = one.split('…').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    return new RegExp(`^${pattern.join('.+')}$`).test(other)
  }

  test('it explains each line that a worker or a sink logs, with its level, and no other', () => {
    const rows = [...section('Lines in the log').matchAll(/^\| `([^`]+)` \| (info|warn|error) \|/gm)]
    const told = rows.map(([, message = '', level = '']) => ({ message, level }))
    const said = logLines()
    const same = (line: { message: string; level: string }, row: { message: string; level: string }): boolean =>
      line.level === row.level && matches(line.message, row.message)
    expect(said.filter((line) => !told.some((row) => same(line, row)))).toEqual([])
    expect(told.filter((row) => !said.some((line) => same(line, row)))).toEqual([])
  })

  test('it explains each reason for which /readyz says no, and no other', () => {
    const told = [...section('Health').matchAll(/^\| (?:worker|sink|gateway) \| `([^`]+)` \|/gm)].map(
      ([, reason = '']) => reason,
    )
    expect(told.toSorted()).toEqual(readinessReasons().toSorted())
  })
})
