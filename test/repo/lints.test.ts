import { describe, expect, test } from 'vitest'
import { boundaryFindings } from './boundaries.ts'
import type { Finding, SourceFile } from './source-files.ts'
import { ambientFindings, leftoverFindings, namingFindings, sizeFindings } from './tidiness.ts'
import { errorsDocFindings, folderMapFindings, orphanFindings } from './whole-repo.ts'

const file = (path: string, text: string): SourceFile => ({ path, text })
const lines = (findings: readonly Finding[]): number[] => findings.map(({ line }) => line)

describe('boundaries', () => {
  test.each([
    ['core/a.ts', "import { x } from '../rules/compiled.ts'"],
    ['core/a.ts', "import { readFile } from 'node:fs'"],
    ['state/a.ts', "export type { X } from '../rules/compiled.ts'"],
    ['state/codec.ts', "import { readFile } from 'node:fs/promises'"],
    ['operators/a.ts', "import type { Clock } from '../core/clock.ts'"],
    ['rules/a.ts', "import { systemRandom } from '../core/random.ts'"],
    ['operators/a.ts', "import { x } from '../pipeline/line.ts'"],
    ['pipeline/a.ts', "const x = await import('../connectors/log/kafka/log.ts')"],
    ['connectors/wallet/a.ts', "import { x } from '../../state/store.ts'"],
    ['connectors/wallet/a.ts', "import { x } from '../ledger/ledger.ts'"],
    ['connectors/ledger/a.ts', "import { Kafka } from 'kafkajs'"],
    ['state/store.ts', "import rocksdb from 'rocksdb'"],
    ['connectors/wallet/a.ts', "import pg from '@databases/pg'"],
    ['operators/a.ts', "import { parse } from 'yaml'"],
    ['pipeline/a.ts', "let x: import('../test/support/kafka.ts').Kafka"],
    ['cli/a.ts', "import leftPad from 'left-pad'"],
    ['sdk/a.ts', "import { x } from '../core/ids.ts'"],
    ['sdk/a.ts', "import { readFile } from 'node:fs'"],
  ])('%s may not say: %s', (path, text) => {
    expect(lines(boundaryFindings(file(path, `\n${text}\n`)))).toEqual([2])
  })

  test.each([
    ['core/ids.ts', "import { createHash } from 'node:crypto'"],
    ['operators/a.ts', "import { x } from '../state/store.ts'\nimport type { y } from '../rules/compiled.ts'"],
    [
      'connectors/log/kafka/a.ts',
      "import { Kafka } from 'kafkajs'\nimport type { Clock } from '../../../core/clock.ts'",
    ],
    ['cli/a.ts', "import { parse } from 'yaml'\nimport { x } from '../connectors/ledger/ledger.ts'"],
    ['connectors/partner/a.ts', "import { sign } from '../wallet/signature.ts'"],
    ['sdk/node/a.ts', "import { readFile } from 'node:fs'"],
    ['test/log/a.test.ts', "import { Kafka } from 'kafkajs'\nimport { x } from '../../rules/compiled.ts'"],
  ])('%s may say: %s', (path, text) => {
    expect(boundaryFindings(file(path, text))).toEqual([])
  })
})

describe('sizes', () => {
  const body = (count: number): string => `{\n${'  void 0\n'.repeat(count)}}`

  test('a file over the limit is found, one at the limit is not', () => {
    expect(lines(sizeFindings(file('core/a.ts', 'let a = 1\n'.repeat(401).replaceAll('a', 'b'))))).toEqual([1])
    expect(sizeFindings(file('core/a.ts', '// \n'.repeat(400)))).toEqual([])
  })

  test('a long function is found wherever it stands', () => {
    expect(lines(sizeFindings(file('core/a.ts', `\nexport function a() ${body(69)}`)))).toEqual([2])
    expect(lines(sizeFindings(file('core/a.ts', `export const a = () => ${body(69)}`)))).toEqual([1])
    expect(lines(sizeFindings(file('core/a.ts', `class A {\n  a() ${body(69)}\n}`)))).toEqual([2])
    expect(sizeFindings(file('core/a.ts', `export function a() ${body(68)}`))).toEqual([])
  })

  test('a suite of tests may be long, one test may not', () => {
    const suite = (count: number): string =>
      `describe('a', () => {\n  test('b', () => ${body(count)})\n${'\n'.repeat(80)}})`
    expect(sizeFindings(file('test/a.test.ts', suite(3)))).toEqual([])
    expect(lines(sizeFindings(file('test/a.test.ts', suite(70))))).toEqual([2])
  })

  test('five positional parameters are one too many', () => {
    expect(lines(sizeFindings(file('core/a.ts', 'export const a = (b, c, d, e, f) => b')))).toEqual([1])
    expect(sizeFindings(file('core/a.ts', 'export const a = (b, c, d, e) => b'))).toEqual([])
  })
})

describe('ambient reads', () => {
  test.each([
    'Date.now()',
    'new Date()',
    'performance.now()',
    'Math.random()',
    'setTimeout(f, 1)',
    'setInterval(f, 1)',
    'process.env.HOME',
    'AbortSignal.timeout(5)',
    "import { setTimeout } from 'node:timers/promises'",
  ])('%s is found', (text) => {
    expect(lines(ambientFindings(file('connectors/a.ts', `\n${text}`)))).toEqual([2])
    expect(ambientFindings(file('core/clock.ts', text))).toEqual([])
    expect(ambientFindings(file('cli/a.ts', text))).toEqual([])
  })

  test('the same words in comments and texts, and a date made of data, are not', () => {
    expect(ambientFindings(file('core/a.ts', "import { setImmediate } from 'node:timers/promises'"))).toEqual([])
    expect(ambientFindings(file('core/a.ts', "// Date.now()\nconst a = 'Math.random()'\nnew Date(0)"))).toEqual([])
  })
})

describe('leftovers', () => {
  // Each has a ~ in it, so that this file is not found itself.
  test.each([
    '// TO~DO later',
    '/* FIX~ME */',
    '// XX~X',
    "describe.on~ly('a')",
    '// @ts-ig~nore',
    '// eslint-dis~able-next-line foo',
    '// oxlint-dis~able',
    '// biome-ig~nore lint: because',
    "const path = '/ho~me/someone/data'",
    'run it from /ro~ot/onceward',
  ])('%s is found', (marked) => {
    expect(lines(leftoverFindings(file('docs/a.md', `\n\n${marked.replace('~', '')}\n`)))).toEqual([3])
  })

  test('ordinary words and relative paths are not', () => {
    expect(leftoverFindings(file('a.ts', "const only = 1\nopen('./home/a')\nopen('/var/lib/onceward')\n"))).toEqual([])
  })
})

describe('names', () => {
  test.each([
    ['core/utils/a.ts', ''],
    ['core/helpers/a.ts', ''],
    ['core/CamelCase.ts', ''],
    ['core/snake_case.ts', ''],
    ['core/a.ts', 'export default 1'],
  ])('%s with "%s" is found', (path, text) => {
    expect(lines(namingFindings(file(path, text)))).toEqual([1])
  })

  test('kebab-case files with named exports are fine', () => {
    expect(namingFindings(file('core/ports/ordered-kv.ts', 'export const a = 1'))).toEqual([])
    expect(namingFindings(file('vitest.config.ts', 'export default 1'))).toEqual([])
  })
})

describe('the whole repo', () => {
  test('a file that nobody imports is found, an entry point is not', () => {
    const main = file('cli/main.ts', "import './a.ts'\nspawn(node, [new URL('./child.ts', import.meta.url)])")
    const files = [main, file('cli/a.ts', ''), file('cli/child.ts', ''), file('cli/b.ts', '')]
    expect(orphanFindings(files).map(({ path }) => path)).toEqual(['cli/b.ts'])
  })

  test('a folder map must list what is there, and nothing else', () => {
    const readme = file('README.md', 'Map:\n\n    core/      the leaf\n    engine/    gone\n')
    const found = folderMapFindings(readme, ['core', 'rules', 'node_modules'])
    expect(found.map(({ message }) => message.split(/[,;]/)[0])).toEqual([
      'the folder map does not list rules/',
      'the folder map lists engine/',
    ])
  })

  describe('the list of errors', () => {
    const kinds = { ONCEWARD_E_A: { blame: 'user', retry: false }, ONCEWARD_E_B: { blame: 'external', retry: true } }
    const row = (code: string, blame: string, retry: string): string =>
      `| \`${code}\` | ${blame} | ${retry} | Something is wrong here. | Do something about it. |`
    const a = row('ONCEWARD_E_A', 'yours', 'no')
    const b = row('ONCEWARD_E_B', 'the surroundings', 'yes')

    test('is fine where each code stands once, in order', () => {
      expect(errorsDocFindings(file('docs/errors.md', `${a}\n${b}\n`), kinds)).toEqual([])
    })

    test.each([
      ['a missing code', a],
      ['an unknown code', `${a}\n${b}\n${row('ONCEWARD_E_C', 'yours', 'no')}`],
      ['a wrong blame', `${row('ONCEWARD_E_A', 'Onceward', 'no')}\n${b}`],
      ['a wrong retry', `${row('ONCEWARD_E_A', 'yours', 'yes')}\n${b}`],
      ['a code twice', `${a}\n${a}\n${b}`],
      ['another order', `${b}\n${a}`],
      ['nothing to do', `${a.replace('Do something about it.', '')}\n${b}`],
    ])('%s is found', (_, text) => {
      expect(errorsDocFindings(file('docs/errors.md', text), kinds)).toHaveLength(1)
    })
  })
})
