import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { createClient } from '../../sdk/index.ts'
import { fileStorage } from '../../sdk/node/file-storage.ts'
import { GatewayModel } from './gateway-model.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'onceward-sdk-'))
  folders.push(made)
  return join(made, 'queue')
}

test('keys and values come back as they were, whatever is in them', () => {
  const storage = fileStorage(folder())
  const keys = ['onceward:https://a.example|x', '../..', 'ключ 🎰', 'a b']
  for (const key of keys) storage.setItem(key, `value of ${key}`)
  const found = new Set(Array.from({ length: storage.length }, (_, index) => storage.key(index)))
  expect(found).toEqual(new Set(keys))
  for (const key of keys) expect(storage.getItem(key)).toBe(`value of ${key}`)
  storage.removeItem('../..')
  storage.removeItem('../..')
  expect(storage.length).toBe(3)
  expect(storage.key(99)).toBeNull()
  expect(storage.getItem('../..')).toBeNull()
})

test('what was half written when the process ended is not there', () => {
  const path = folder()
  fileStorage(path).setItem('whole', '1')
  writeFileSync(join(path, 'half new'), '{"event')
  const storage = fileStorage(path)
  expect(storage.length).toBe(1)
  expect(storage.key(0)).toBe('whole')
})

test('events outlive the process that tracked them', async () => {
  const path = folder()
  const gateway = new GatewayModel('key')
  let up = false
  const options = {
    url: 'https://events.example',
    key: 'key',
    user: { id: 'u_1' },
    fetch: (url: string, { body, headers }: { body: string; headers: Readonly<Record<string, string>> }) => {
      if (!up) return Promise.reject(new Error('away'))
      const answer = gateway.take({ url, body, authorization: headers['authorization'] })
      return Promise.resolve({ status: answer.status, headers: { get: () => null }, text: async () => answer.body })
    },
  }
  const first = createClient({ ...options, storage: fileStorage(path) })
  const ids = [first.track('login'), first.track('mission_view', { mission_id: 7 })]
  expect(await first.close()).toBe(2)
  up = true
  const second = createClient({ ...options, storage: fileStorage(path) })
  expect(await second.flush()).toBe(0)
  await second.close()
  expect(gateway.bus).toEqual(ids)
  expect(readdirSync(path)).toEqual([])
})
