import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openMemberMemory, type StoredMemberMemory } from '../../cli/member-memory.ts'
import type { Clock } from '../../core/clock.ts'
import { silentLogger } from '../../core/ports/logger.ts'

/** Time passes only where somebody sleeps. */
class SleptClock implements Clock {
  #elapsedMs = 0
  sleeping: () => Promise<void> = () => Promise.resolve()

  now(): number {
    return this.#elapsedMs
  }

  monotonic(): number {
    return this.#elapsedMs
  }

  async sleep(ms: number): Promise<void> {
    this.#elapsedMs += ms
    await this.sleeping()
  }
}

let clock = new SleptClock()
let folder = ''
beforeEach(() => {
  clock = new SleptClock()
  folder = mkdtempSync(join(tmpdir(), 'onceward-member-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const never = new AbortController().signal

function open(signal = never, logger = silentLogger): Promise<StoredMemberMemory> {
  return openMemberMemory({ folder, clock, logger, signal })
}

test('what one life was told the next one finds, the newest only', async () => {
  const first = await open()
  expect(first.former).toBeUndefined()
  // Many at once: the store would do them in any order.
  for (let n = 1; n <= 100; n++) first.remember(`onceward-${n}`)
  await first.close()
  const second = await open()
  expect(second.former).toBe('onceward-100')
  await second.close()
  const third = await open()
  expect(third.former).toBe('onceward-100')
  await third.close()
})

test.each(['', 'two words', 'x'.repeat(256), 'é'])('what can be no member id (%j) is no former life', async (id) => {
  const first = await open()
  first.remember(id)
  await first.close()
  const second = await open()
  expect(second.former).toBeUndefined()
  await second.close()
})

test('a folder that another process uses is refused, after a while in which that one may end', async () => {
  const first = await open()
  await expect(open()).rejects.toMatchObject({ code: 'ONCEWARD_E_STATE_LOCKED' })
  expect(clock.monotonic()).toBeGreaterThanOrEqual(10_000)
  first.remember('onceward-1')
  clock.sleeping = () => first.close()
  const second = await open()
  expect(second.former).toBe('onceward-1')
  await second.close()
})

test('a stop does not wait for it', async () => {
  const first = await open()
  const stop = new AbortController()
  stop.abort()
  await expect(open(stop.signal)).rejects.toMatchObject({ code: 'ONCEWARD_E_STATE_LOCKED' })
  expect(clock.monotonic()).toBe(0)
  await first.close()
})

test('a corrupt memory is moved aside and forgotten', async () => {
  const first = await open()
  first.remember('onceward-1')
  await first.close()
  const kept = join(folder, 'member')
  for (const name of readdirSync(kept)) if (/^(MANIFEST|CURRENT)/.test(name)) writeFileSync(join(kept, name), 'rubbish')
  const warnings: string[] = []
  const second = await open(never, { ...silentLogger, warn: (_fields, message) => void warnings.push(message) })
  expect(second.former).toBeUndefined()
  expect(warnings).toEqual(['what the worker remembers of its group was corrupt; it was moved aside'])
  await second.close()
})
