import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { OrderedKv } from '../../core/ports/ordered-kv.ts'
import { memoryKv } from '../../state/memory-kv.ts'
import { openRocksDb } from '../../state/rocksdb.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'onceward-state-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const b = (text: string): Buffer => Buffer.from(text)
const put = (key: string, value: string) => ({ type: 'put', key: b(key), value: b(value) }) as const

async function keys(
  kv: OrderedKv,
  range: { gte: string; lt: string; limit?: number; reverse?: boolean },
): Promise<string[]> {
  const found: string[] = []
  for await (const [key] of kv.range({ ...range, gte: b(range.gte), lt: b(range.lt) })) found.push(key.toString())
  return found
}

describe.each([
  ['rocksdb', () => openRocksDb(join(directory, 'db'))],
  ['memory', async () => memoryKv()],
])('an ordered store: %s', (_name, open) => {
  test('gives what was written, in order, within bounds', async () => {
    const kv = await open()
    await kv.write([put('b', '2'), put('a', '1'), put('d', ''), put('c', '3')])
    await kv.write([{ type: 'del', key: b('c') }, put('e', '5')])
    expect((await kv.getMany([b('a'), b('c'), b('d')])).map((value) => value?.toString())).toEqual(['1', undefined, ''])
    expect(await kv.getMany([])).toEqual([])
    expect(await keys(kv, { gte: 'a', lt: 'e' })).toEqual(['a', 'b', 'd'])
    expect(await keys(kv, { gte: 'a', lt: 'z', reverse: true, limit: 2 })).toEqual(['e', 'd'])
    await kv.clear({ gte: b('b'), lt: b('e') })
    expect(await keys(kv, { gte: 'a', lt: 'z' })).toEqual(['a', 'e'])
    await kv.close()
  })

  test('use after close is an error, not a crash; close is idempotent', async () => {
    const kv = await open()
    await kv.write([put('a', '1')])
    await Promise.all([kv.close(), kv.close()])
    await expect(kv.get(b('a'))).rejects.toThrow(/closed/)
    await expect(kv.write([put('a', '1')])).rejects.toThrow(/closed/)
    await expect(keys(kv, { gte: 'a', lt: 'z' })).rejects.toThrow(/closed/)
  })
})

describe('rocksdb', () => {
  test('close waits for what is under way', async () => {
    const kv = await openRocksDb(directory)
    const work = Promise.all(Array.from({ length: 200 }, (_, i) => kv.write([put(`k${i}`, 'v')])))
    await kv.close()
    await work
    const again = await openRocksDb(directory)
    expect(await keys(again, { gte: 'k', lt: 'l' })).toHaveLength(200)
    await again.close()
  })

  test('a second opening of the same directory is refused with a way out', async () => {
    const kv = await openRocksDb(directory)
    await expect(openRocksDb(directory)).rejects.toMatchObject({ code: 'ONCEWARD_E_STATE_LOCKED' })
    await kv.close()
  })
})
