import { fork } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readProblems } from '../../cli/schemas/registry.ts'
import { openEmbeddedRegistry } from '../../connectors/registry/embedded-registry.ts'
import type { SchemaRegistry } from '../../core/ports/registry.ts'
import { registryConformance } from './conformance.ts'
import { errorOf } from './support.ts'

const openIn = (dir: string, missing: 'refuse' | 'empty' | 'make' = 'make'): Promise<SchemaRegistry> =>
  openEmbeddedRegistry({ dir, problems: readProblems, missing })

registryConformance('in a folder', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'onceward-registry-'))
  return {
    judgesByLevel: true,
    oneVersionInRaces: true,
    open: () => openIn(dir),
    close: () => rm(dir, { recursive: true }),
  }
})

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'onceward-registry-'))
})
afterAll(() => rm(dir, { recursive: true }))

const schema = (n: number): string =>
  JSON.stringify({
    type: 'record',
    name: 'acme.thing',
    fields: Array.from({ length: n }, (_, i) => ({ name: `f${i}`, type: 'int', default: 0 })),
  })

test('processes that register at once give each schema one id, and lose none', { timeout: 60_000 }, async () => {
  const shared = join(dir, 'shared')
  const children = [0, 1, 2].map((offset) => {
    const child = fork(new URL('./registering-process.ts', import.meta.url), [shared, String(offset)], {
      execArgv: ['--import', 'tsx'],
    })
    return new Promise<number | null>((resolve) => child.once('exit', resolve))
  })
  expect(await Promise.all(children)).toEqual([0, 0, 0])
  const registry = await openIn(shared)
  const versions = await registry.versions('s')
  expect(versions).toEqual(Array.from({ length: 12 }, (_, i) => i + 1))
  const found = await Promise.all(versions.map((version) => registry.version('s', version)))
  expect(new Set(found.map((each) => each?.id)).size).toBe(12)
  expect(new Set(found.map((each) => each?.schema)).size).toBe(12)
  expect((await readdir(join(shared, 'ids'))).length).toBe(12)
})

test('a draft that a killed process left is no schema', async () => {
  const registry = await openIn(join(dir, 'drafts'))
  await registry.register('s', schema(1))
  await writeFile(join(dir, 'drafts', 'ids', '.half'), '{"type":"rec')
  await writeFile(join(dir, 'drafts', 'subjects', 's', '.half'), '{"id"')
  expect(await registry.versions('s')).toEqual([1])
  expect(await registry.register('s', schema(2))).toMatchObject({ version: 2, id: 2 })
})

test('names that mean something to a file system stay names', async () => {
  const folder = join(dir, 'names')
  const registry = await openIn(folder)
  for (const subject of ['..', '.', '../../escaped', 'a/b', '.hidden', 'ü*?']) {
    await registry.register(subject, schema(1))
    expect(await registry.subjects()).toContain(subject)
    expect(await registry.version(subject, 'latest')).toMatchObject({ subject, id: 1 })
  }
  expect((await readdir(dir)).includes('escaped')).toBe(false)
  expect(await errorOf(registry.register('x'.repeat(300), schema(1)))).toBe('ONCEWARD_E_REGISTRY_REFUSED')
  expect(await errorOf(registry.register('', schema(1)))).toBe('ONCEWARD_E_REGISTRY_REFUSED')
})

test('a folder that is not there is a mistake, or empty, as it is asked for', async () => {
  const folder = join(dir, 'nowhere')
  expect(await errorOf(openIn(folder, 'refuse'))).toBe('ONCEWARD_E_FILE_UNREADABLE')
  expect(await (await openIn(folder, 'empty')).subjects()).toEqual([])
  expect(await readdir(dir)).not.toContain('nowhere')
})

test('a level that the folder cannot hold is refused', async () => {
  const registry = await openIn(join(dir, 'levels'))
  expect(await errorOf(registry.setCompatibility('s', 'FULL'))).toBe('ONCEWARD_E_REGISTRY_REFUSED')
})
