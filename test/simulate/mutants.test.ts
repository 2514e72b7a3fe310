import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Mutant, MUTANTS } from './mutants.ts'

const PROJECT = fileURLToPath(new URL('../../', import.meta.url))
const FOLDERS = ['core', 'rules', 'state', 'operators', 'pipeline', 'connectors', 'cli', 'schemas']
const SEEDS_MAX = 400
const AT_ONCE = 2

interface Verdict {
  readonly seed: number
  readonly violation?: string
}

let home = ''
const found: { readonly name: string; readonly seed: number; readonly violation: string }[] = []

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'onceward-mutants-'))
  // One copy that does not change while the mutants run.
  copySources(PROJECT, join(home, 'original'))
})

afterAll(() => {
  rmSync(home, { recursive: true, force: true })
  const table = found.map(({ name, seed, violation }) => `  seed ${String(seed).padStart(3)}  ${name}: ${violation}`)
  process.stdout.write(`\n${found.length} planted bugs, each with the first seed that finds it:\n${table.join('\n')}\n`)
})

describe.concurrent('the simulation finds', () => {
  test.each(MUTANTS.map((mutant, index) => [mutant.name, mutant, index] as const))(
    '%s',
    async (name, mutant, index) => {
      const verdict = await inTurn(() => firstFailure(mutant, index))
      expect(verdict?.violation, `none of ${SEEDS_MAX} seeds finds it`).toBeDefined()
      if (verdict?.violation === undefined) return
      found.push({ name, seed: verdict.seed, violation: verdict.violation.split('\n')[0]?.slice(0, 110) ?? '' })
    },
    600_000,
  )
})

/** The first seed that fails on a copy of the sources with the bug in it. */
async function firstFailure(mutant: Mutant, index: number): Promise<Verdict | undefined> {
  const copy = join(home, `mutant-${index}`)
  copySources(join(home, 'original'), copy)
  for (const { file, from, to } of mutant.edits) {
    const path = join(copy, file)
    const parts = readFileSync(path, 'utf8').split(from)
    if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times: ${from}`)
    writeFileSync(path, parts.join(to))
  }
  const verdict = await simulate(copy)
  rmSync(copy, { recursive: true, force: true })
  return verdict
}

async function simulate(copy: string): Promise<Verdict | undefined> {
  const args = ['simulate', '--seed', `1..${SEEDS_MAX}`, '--jobs', '1', '--json']
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), join(copy, 'cli/main.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => void (stderr += chunk.toString()))
  const closed = new Promise((resolve) => child.once('close', resolve))
  let last: Verdict | undefined
  for await (const line of createInterface({ input: child.stdout })) {
    last = JSON.parse(line) as Verdict
    if (last.violation !== undefined) break
  }
  child.kill('SIGKILL')
  await closed
  if (last?.violation === undefined && last?.seed !== SEEDS_MAX) {
    throw new Error(`the simulation ended after seed ${last?.seed}:\n${stderr}`)
  }
  return last.violation === undefined ? undefined : last
}

function copySources(from: string, to: string): void {
  mkdirSync(to)
  for (const folder of FOLDERS) cpSync(join(from, folder), join(to, folder), { recursive: true })
  cpSync(join(from, 'package.json'), join(to, 'package.json'))
  symlinkSync(join(PROJECT, 'node_modules'), join(to, 'node_modules'))
}

const queue: Promise<unknown>[] = Array.from({ length: AT_ONCE }, () => Promise.resolve())
let turn = 0

/** As many at once as there are cores to run them. */
function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const lane = turn++ % AT_ONCE
  const result = (queue[lane] ?? Promise.resolve()).then(work)
  queue[lane] = result.catch(() => undefined)
  return result
}
