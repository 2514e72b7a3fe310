import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { OrderedKv } from '../../core/ports/ordered-kv.ts'
import { openRocksDb } from '../../state/rocksdb.ts'

let directory = ''
let path = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'onceward-corruption-'))
  path = join(directory, 'partition-0003')
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const key = (name: string): Buffer => Buffer.from(name)

/** A database with one table file and a log. */
async function filled(): Promise<void> {
  for (const round of ['a', 'b']) {
    const kv = await openRocksDb(path)
    await kv.write(
      Array.from({ length: 500 }, (_, n) => ({
        type: 'put' as const,
        key: key(`${round}${String(n).padStart(4, '0')}`),
        value: Buffer.from(`${round} ${n} `.repeat(20)),
      })),
    )
    await kv.close()
  }
}

function spoil(name: RegExp, change: (bytes: Buffer) => Buffer | undefined): void {
  for (const file of readdirSync(path).filter((one) => name.test(one))) {
    const changed = change(readFileSync(join(path, file)))
    if (changed === undefined) rmSync(join(path, file))
    else writeFileSync(join(path, file), changed)
  }
}

const garbage = (from: number, to: number) => (bytes: Buffer) => bytes.fill(7, from, Math.min(to, bytes.length))

interface Moved {
  readonly aside: string
  readonly reason: string
}

const moves: Moved[] = []
beforeEach(() => void moves.splice(0))
const open = (): Promise<OrderedKv> => openRocksDb(path, { setAside: (moved) => void moves.push(moved) })

async function count(kv: OrderedKv): Promise<number> {
  let entries = 0
  for await (const _ of kv.range({ gte: key('a'), lt: key('z') })) entries++
  return entries
}

describe('a database that can be made again', () => {
  test.each<[string, RegExp, (bytes: Buffer) => Buffer | undefined]>([
    ['CURRENT is garbage', /^CURRENT$/, garbage(0, 100)],
    ['CURRENT is empty', /^CURRENT$/, () => Buffer.alloc(0)],
    ['the manifest is garbage', /^MANIFEST/, garbage(10, 40)],
    ['the manifest is gone', /^MANIFEST/, () => undefined],
  ])('%s: it is moved aside, with all that is in it, and an empty one is opened', async (_name, file, change) => {
    await filled()
    const before = readdirSync(path).filter((name) => name.endsWith('.sst'))
    spoil(file, change)
    const kv = await open()
    expect(moves).toEqual([{ aside: `${path}.corrupt-1`, reason: expect.stringContaining('partition-0003') }])
    expect(readdirSync(`${path}.corrupt-1`)).toEqual(expect.arrayContaining(before))
    expect(await count(kv)).toBe(0)
    await kv.close()
  })

  test.each<[string, (bytes: Buffer) => Buffer | undefined]>([
    ['a block of a table is garbage', garbage(100, 400)],
    ['a table is cut short', (bytes) => bytes.subarray(0, 100)],
    ['a table is gone', () => undefined],
  ])('%s: the read fails as corrupt, and opening again moves it aside', async (_name, change) => {
    await filled()
    spoil(/\.sst$/, change)
    const kv = await open()
    expect(moves).toEqual([])
    await expect(kv.get(key('a0001'))).rejects.toMatchObject({ code: 'ONCEWARD_E_STATE_CORRUPT', retry: true })
    await expect(count(kv)).rejects.toMatchObject({ code: 'ONCEWARD_E_STATE_CORRUPT' })
    await kv.close()
    const again = await open()
    expect(moves).toMatchObject([{ aside: `${path}.corrupt-1` }])
    expect(await count(again)).toBe(0)
    await again.close()
  })

  test('damage on which RocksDB ends the process: the fourth opening moves it aside', async () => {
    await filled()
    // What an opening leaves behind that the process did not survive.
    writeFileSync(join(path, 'OPENING'), '2')
    const healthy = await open()
    expect(await count(healthy)).toBe(1_000)
    await healthy.close()
    expect(existsSync(join(path, 'OPENING'))).toBe(false)
    writeFileSync(join(path, 'OPENING'), '3')
    const kv = await open()
    expect(moves).toMatchObject([{ reason: 'the process ended 3 times in a row while it was opened' }])
    expect(await count(kv)).toBe(0)
    await kv.close()
  })

  test('one that is locked is not moved', async () => {
    const kv = await open()
    await expect(open()).rejects.toMatchObject({ code: 'ONCEWARD_E_STATE_LOCKED' })
    expect(moves).toEqual([])
    await kv.close()
  })

  test('a second one has a place of its own', async () => {
    await filled()
    spoil(/^CURRENT$/, garbage(0, 100))
    await (await open()).close()
    spoil(/^CURRENT$/, garbage(0, 100))
    await (await open()).close()
    expect(moves.map(({ aside }) => aside)).toEqual([`${path}.corrupt-1`, `${path}.corrupt-2`])
  })
})

test('a database that cannot be made again is left where it is', async () => {
  await filled()
  spoil(/^CURRENT$/, garbage(0, 100))
  await expect(openRocksDb(path)).rejects.toMatchObject({ code: 'ONCEWARD_E_STATE_UNUSABLE' })
  expect(readdirSync(directory)).toEqual(['partition-0003'])
})
