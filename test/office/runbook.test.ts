import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { COMMANDS } from '../../cli/commands.ts'
import { commandPage } from '../../cli/help.ts'
import { readFlags } from '../../cli/settings/flags.ts'

const GROUP = COMMANDS.filter(({ group }) => group === 'Rewards')

/** The words of a line as a shell sees them, as far as examples go. */
function words(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')
}

function problemsOf(line: string): string[] {
  const [, ...all] = words(line.replace(/^(\w+=\S+ )*/, ''))
  const command = [2, 1]
    .map((n) => COMMANDS.find(({ name }) => name === all.slice(0, n).join(' ')))
    .find((one) => one !== undefined)
  if (command === undefined) return [`there is no command in "${line}"`]
  return readFlags(command, all.slice(command.name.split(' ').length)).problems.map(
    ({ message }) => `${line}: ${message}`,
  )
}

test('every command of the runbook is one, with flags that it has', () => {
  const runbook = readFileSync(new URL('../../docs/RUNBOOK.md', import.meta.url), 'utf8')
  const inText = [...runbook.matchAll(/`(onceward [^`<]+)`/g)].map(([, line = '']) => line)
  expect(inText.length).toBeGreaterThan(20)
  expect(inText.filter((line) => !line.startsWith('onceward reconcile')).flatMap(problemsOf)).toEqual([])
})

test('every example of a help page is right, and each page can be laid out', () => {
  expect(GROUP.length).toBe(14)
  expect(GROUP.flatMap(({ examples }) => examples.flatMap(({ line }) => problemsOf(line)))).toEqual([])
  for (const command of GROUP) expect(commandPage(command, 100)).toContain(`Usage: onceward ${command.name}`)
})
