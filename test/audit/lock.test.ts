import { mkdtemp, readdir, readFile, rm, unlink, utimes, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { lockFolder } from '../../connectors/audit/lock.ts'
import { fastClock } from '../support/clocks.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'onceward-lock-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const locked = { code: 'ONCEWARD_E_STATE_LOCKED' }
const clock = fastClock(100)
const left = (number: number, holder: object): Promise<void> =>
  writeFile(join(folder, `lock.${number}`), JSON.stringify({ token: 't', started: '', pid: 1, ...holder }))

describe('the lock of a stream', () => {
  test('has one holder, and is free again', async () => {
    const lock = await lockFolder(folder, clock)
    await expect(lockFolder(folder, clock)).rejects.toMatchObject(locked)
    expect(lock.held()).toBe(true)
    await lock.release()
    await (await lockFolder(folder, clock)).release()
    expect(await readdir(folder)).toEqual([])
  })

  test('goes to one of many that ask at once', async () => {
    const asked = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(folder, clock)))
    const given = asked.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))
    expect(given.length).toBeLessThanOrEqual(1)
    for (const lock of given) await lock.release()
  })

  test.each([
    ['whose process is gone', { host: hostname(), pid: 4_194_303 }],
    ['whose number another process has now', { host: hostname(), pid: process.pid, started: '1' }],
    ['of another host that is silent', { host: 'elsewhere' }],
  ])('is taken over from a holder %s', async (_, holder) => {
    await left(3, holder)
    const lock = await lockFolder(folder, clock)
    expect(await readdir(folder)).toEqual(['lock.4'])
    expect(JSON.parse(await readFile(join(folder, 'lock.4'), 'utf8'))).toMatchObject({ pid: process.pid })
    await lock.release()
  })

  test('is not taken from a holder on another host that moves', async () => {
    await left(3, { host: 'elsewhere' })
    let seconds = 1_000
    const beats = setInterval(
      () => void utimes(join(folder, 'lock.3'), seconds, (seconds += 1)).catch(() => undefined),
      5,
    )
    await expect(lockFolder(folder, clock)).rejects.toMatchObject({
      ...locked,
      message: expect.stringMatching(/on elsewhere/),
    })
    clearInterval(beats)
  })

  test('is lost where somebody takes the file away', async () => {
    const lock = await lockFolder(folder, clock)
    await unlink(join(folder, 'lock.1'))
    await expect.poll(() => lock.held(), { timeout: 5_000 }).toBe(false)
    await lock.release()
  })
})
