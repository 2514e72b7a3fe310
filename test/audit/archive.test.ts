import { createHash } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openS3Archive, type S3Options } from '../../connectors/archive/s3.ts'
import type { Archive, ToArchive } from '../../core/ports/archive.ts'
import { fastClock } from '../support/clocks.ts'
import { type FakeS3, KEY_ID, REGION, SECRET, startFakeS3 } from './fake-s3.ts'
import { type S3Server, s3ForTests, startS3 } from './s3-server.ts'

const UNTIL = Date.parse('2030-01-01T00:00:00Z')

function objectOf(text: string, key = 'audit/gateway-1/0000000000000001.audit'): ToArchive {
  const content = Buffer.from(text)
  return { key, content, sha256: createHash('sha256').update(content).digest('hex'), lockUntil: UNTIL }
}

const refused = { code: 'ONCEWARD_E_ARCHIVE_REFUSED' }
const unavailable = { code: 'ONCEWARD_E_ARCHIVE_UNAVAILABLE' }

describe('an archive in a bucket', () => {
  let s3: FakeS3
  const archives: Archive[] = []
  beforeEach(async () => {
    s3 = await startFakeS3()
  })
  afterEach(async () => {
    await Promise.all(archives.splice(0).map((archive) => archive.close()))
    await s3.close()
  })

  function open(options: Partial<S3Options> = {}): Archive {
    const keys = { accessKeyId: KEY_ID, secretAccessKey: SECRET }
    const archive = openS3Archive({
      bucket: 'audit',
      region: REGION,
      endpoint: s3.endpoint,
      ...keys,
      clock: fastClock(1_000),
      ...options,
    })
    archives.push(archive)
    return archive
  }

  test('keeps an object locked, says so, and knows it the next time', async () => {
    const archive = open()
    expect(await archive.look(objectOf('x').key)).toBeUndefined()
    expect(await archive.store(objectOf('x'))).toBe('stored')
    expect(await archive.look(objectOf('x').key)).toEqual({
      bytes: 1,
      sha256: objectOf('x').sha256,
      lockedUntil: UNTIL,
    })
    expect(await archive.store(objectOf('x'))).toBe('known')
    expect(s3.requests.filter((one) => one.startsWith('PUT'))).toHaveLength(1)
  })

  test('never replaces other content, not even where two store at once', async () => {
    const archive = open()
    await archive.store(objectOf('x'))
    await expect(archive.store(objectOf('y'))).rejects.toMatchObject(refused)
    const key = 'race'
    const both = await Promise.allSettled([archive.store(objectOf('1', key)), archive.store(objectOf('2', key))])
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(s3.overwritten).toBe(0)
    expect(s3.objects.get('/audit/audit/gateway-1/0000000000000001.audit')?.content.toString()).toBe('x')
  })

  test('reads the object where the server does not say its hash', async () => {
    s3.silent = true
    const archive = open()
    expect(await archive.store(objectOf('x'))).toBe('stored')
    const held = s3.objects.get('/audit/audit/gateway-1/0000000000000001.audit')
    if (held !== undefined) held.content = Buffer.from('y')
    await expect(archive.store(objectOf('x'))).rejects.toMatchObject(refused)
  })

  test('asks for the lock by itself where the server did not take it, and refuses a bucket without locks', async () => {
    s3.locks = 'asked for by itself'
    expect(await open().store(objectOf('x'))).toBe('stored')
    expect(await open().look(objectOf('x').key)).toMatchObject({ lockedUntil: UNTIL })
    s3.locks = 'none'
    await expect(open().store(objectOf('x', 'other'))).rejects.toMatchObject(refused)
  })

  test.each([500, 503, 429])('tries again after %d, and gives up after some tries', async (status) => {
    let left = 2
    s3.fault = () => (left-- > 0 ? status : undefined)
    expect(await open().store(objectOf('x'))).toBe('stored')
    s3.fault = () => status
    await expect(open({ tries: 2 }).look('k')).rejects.toMatchObject(unavailable)
  })

  test('does not wait for ever for an answer, nor for a server that is gone', async () => {
    s3.fault = () => 0
    await expect(open({ tries: 1, timeoutMs: 1_000 }).look('k')).rejects.toMatchObject(unavailable)
    await expect(open({ tries: 2, endpoint: 'http://127.0.0.1:1' }).look('k')).rejects.toMatchObject(unavailable)
  })

  test('tells what is wrong with the credentials', async () => {
    const wrong = open({ secretAccessKey: 'wrong' })
    await expect(wrong.store(objectOf('x'))).rejects.toMatchObject(refused)
    await expect(open({ accessKeyId: 'wrong' }).look('k')).rejects.toMatchObject(refused)
  })
})

describe.skipIf(!s3ForTests())('an S3 server that others have written', () => {
  let s3: S3Server
  let archive: Archive
  beforeAll(async () => {
    s3 = await startS3()
    await fetch(`${s3.endpoint}/locked`, { method: 'PUT', headers: { 'x-amz-bucket-object-lock-enabled': 'true' } })
    await fetch(`${s3.endpoint}/plain`, { method: 'PUT' })
    archive = openS3Archive({
      bucket: 'locked',
      region: REGION,
      endpoint: s3.endpoint,
      accessKeyId: KEY_ID,
      secretAccessKey: SECRET,
      clock: fastClock(10),
    })
  }, 120_000)
  afterAll(async () => {
    await archive?.close()
    await s3?.stop()
  })

  test('holds what was stored, locked', async () => {
    const object = objectOf('a line\n'.repeat(100_000))
    expect(await archive.store(object)).toBe('stored')
    expect(await archive.look(object.key)).toEqual({
      bytes: object.content.length,
      sha256: object.sha256,
      lockedUntil: UNTIL,
    })
    expect(await archive.store(object)).toBe('known')
    await expect(archive.store(objectOf('something else'))).rejects.toMatchObject(refused)
  })
})
