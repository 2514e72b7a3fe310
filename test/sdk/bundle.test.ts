import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { runInNewContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PROJECT } from '../repo/source-files.ts'
import { builtSdk } from './built.ts'

const BYTES_MAX = 5000

let folder = ''
let printed = ''
beforeAll(async () => {
  ;({ folder, printed } = await builtSdk())
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test.each(['onceward.min.js', 'onceward.iife.min.js'])('%s is below 5,000 bytes, gzipped', (file) => {
  const bytes = gzipSync(readFileSync(join(folder, file)), { level: 9 }).length
  expect(bytes).toBeLessThan(BYTES_MAX)
  expect(printed).toContain(`${file}: `)
  expect(printed).toContain(`gzipped ${bytes}`)
})

test.each(['onceward.min.js', 'onceward.iife.min.js'])(
  '%s makes no code of texts, as a strict policy demands',
  (file) => {
    const text = readFileSync(join(folder, file), 'utf8')
    expect(text).not.toMatch(/\beval\b|new Function|\bFunction\(|\bimport\b|\brequire\(/)
  },
)

test('the script for a tag adds one name to the page', () => {
  const page: Record<string, unknown> = {}
  runInNewContext(readFileSync(join(folder, 'onceward.iife.min.js'), 'utf8'), page)
  expect(Object.keys(page)).toEqual(['Onceward'])
  expect(page['Onceward']).toMatchObject({ createClient: expect.any(Function) as unknown })
})

/** A program of somebody who has installed the package, and what the compiler says to it: `error` lines only. */
function compiled(program: string, known = 'es2022'): string[] {
  const home = join(folder, 'consumer')
  const installed = join(home, 'node_modules', 'onceward')
  rmSync(home, { recursive: true, force: true })
  mkdirSync(join(installed, 'dist'), { recursive: true })
  writeFileSync(join(installed, 'package.json'), readFileSync(join(PROJECT, 'package.json')))
  symlinkSync(folder, join(installed, 'dist', 'sdk'))
  writeFileSync(join(home, 'package.json'), '{"type":"module"}')
  writeFileSync(join(home, 'main.ts'), program)
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
  const flags = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2022', '--lib', known, '--types', '']
  try {
    execFileSync(process.execPath, [tsc, ...flags, 'main.ts'], { cwd: home, encoding: 'utf8' })
    return []
  } catch (error) {
    return (error as { stdout: string }).stdout.split('\n').filter((line) => line.includes('error'))
  }
}

describe('types, for who installs the package, with every check on and no library of the browser or Node', () => {
  const begin = `import { createClient } from 'onceward/sdk'
    const onceward = createClient<{ level_up: { level: number } }>({ url: 'https://a', key: 'k', user: { id: 'u' } })\n`

  test('events of the schemas, of a type parameter, and declared by merging', () => {
    expect(
      compiled(`${begin}
        declare module 'onceward/sdk' { interface EventPayloads { quest: { step: number } } }
        import { fileStorage } from 'onceward/sdk/node'
        createClient({ url: 'https://a', key: 'k', storage: fileStorage('queue') })
        const id: string = onceward.track('bet', { bet: 1, currency: 'EUR', round_id: 7, win: null })
        onceward.track('login')
        onceward.track('session_end', { reason: 'logout' }, { ts: new Date(), event_id: id })
        onceward.track('level_up', { level: 3 })
        onceward.track('quest', { step: 1 })
        onceward.identify({ id: 'u', geo: 'TR' })
        const pending: Promise<number> = onceward.flush()
        export { pending }
      `),
    ).toEqual([])
  })

  test('what the browser has may be given to it', () => {
    const program = `${begin}
      createClient({ url: 'https://a', key: 'k', fetch: globalThis.fetch, storage: globalThis.sessionStorage })`
    expect(compiled(program, 'es2022,dom')).toEqual([])
  })

  test.each([
    ["onceward.track('bet')", 'a payload that is needed'],
    ["onceward.track('bet', {})", 'a field that is needed'],
    ["onceward.track('bet', { bet: '1' })", 'a type of a field'],
    ["onceward.track('bet', { bet: 1, bett: 2 })", 'a field that there is not'],
    ["onceward.track('bets', { bet: 1 })", 'an event that there is not'],
    ["onceward.track('level_up', { level: 'x' })", 'a type of an own field'],
    ['onceward.identify({})', 'a user without an id'],
  ])('%s is refused: %s', (line) => {
    expect(compiled(`${begin}\n${line}\n`)).toHaveLength(1)
  })
})
