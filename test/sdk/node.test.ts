import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Log } from '../../core/ports/log.ts'
import { createClient } from '../../sdk/index.ts'
import { fileStorage } from '../../sdk/node/file-storage.ts'
import type { ClientError, Rejection } from '../../sdk/options.ts'
import { memoryLog } from '../intake/harness.ts'
import { PUBLIC_KEY, type RealGateway, realGateway } from './real-gateway.ts'

let log: Log
let gateway: RealGateway
let folder: string
beforeAll(async () => {
  log = await memoryLog()
  gateway = await realGateway(log, { port: 0, origins: [] })
})
afterAll(async () => {
  await gateway.close()
  await log.close()
})

test('a Node process sends to the real gateway: in order, each once, with the reasons of what is refused', async () => {
  const rejected: { readonly name: string; readonly why: Rejection }[] = []
  const accepted: string[] = []
  const client = createClient({
    url: gateway.url,
    key: PUBLIC_KEY,
    user: { id: 'u_node' },
    onAccepted: (events) => accepted.push(...events.map(({ event_id }) => event_id)),
    onRejected: ({ event_name }, why) => rejected.push({ name: event_name, why }),
  })
  const ids = Array.from({ length: 120 }, (_, step) => client.track('mission_view', { mission_id: step }))
  client.track('deposit', { amount: 5 })
  client.track('spin', { bet: 'much' } as never)
  client.track('mission_view', { mission_id: 0 }, { event_id: ids[0] })
  expect(await client.flush()).toBe(0)
  expect(await client.close()).toBe(0)

  expect(accepted).toEqual(ids)
  expect(rejected.map(({ name, why }) => [name, why.reason])).toEqual([
    ['deposit', 'forbidden'],
    ['spin', 'schema'],
    // The same id with another time is another event.
    ['mission_view', 'conflict'],
  ])
  for (const { why } of rejected) expect(why.detail).not.toBe('')
  const arrived = (await gateway.bus()).filter(({ user }) => user.id === 'u_node')
  expect(arrived.map(({ event_id }) => event_id)).toEqual(ids)
})

test('a wrong key is told, and nothing is lost', async () => {
  const errors: ClientError[] = []
  const client = createClient({
    url: gateway.url,
    key: 'wrong',
    user: { id: 'u_x' },
    onError: (error) => errors.push(error),
  })
  client.track('session_start')
  expect(await client.flush()).toBe(1)
  expect(errors.map(({ code, message }) => [code, message.slice(0, 3)])).toEqual([['refused', '401']])
  await client.close()
})

afterEach(async () => {
  if (folder) await rm(folder, { recursive: true, force: true })
})

test('what waits in a folder is sent once the gateway is there, and again without a double', async () => {
  folder = await mkdtemp(join(tmpdir(), 'onceward-sdk-node-'))
  const options = { key: PUBLIC_KEY, user: { id: 'u_folder' }, name: 'one' }
  const away = createClient({ ...options, url: 'http://127.0.0.1:1', storage: fileStorage(folder) })
  const ids = [away.track('session_start'), away.track('session_end', { reason: 'logout' })]
  expect(await away.close()).toBe(2)

  // The answer goes astray: the gateway has them, the client does not know.
  const unheard = createClient({
    ...options,
    url: gateway.url,
    storage: fileStorage(folder),
    fetch: async (...request) => {
      await (await fetch(...request)).text()
      throw new Error('the connection was cut')
    },
  })
  expect(await unheard.close()).toBe(2)

  const back = createClient({ ...options, url: gateway.url, storage: fileStorage(folder) })
  expect(await back.close()).toBe(0)
  const arrived = (await gateway.bus()).filter(({ user }) => user.id === 'u_folder')
  expect(arrived.map(({ event_id }) => event_id)).toEqual(ids)
})
