import { describe, expect, test } from 'vitest'
import { MapStorage, type Page, World } from './world.ts'

function trackSome(page: Page, count: number): string[] {
  return Array.from({ length: count }, () => page.track())
}

describe('a page that closes', () => {
  test('sends what it has by beacon, and the next page makes sure of it', async () => {
    const world = new World()
    const page = world.open()
    const ids = trackSome(page, 3)
    await world.pass(100)
    page.close()
    await world.pass(100)
    expect(world.requests).toMatchObject([{ ids, beacon: true }])
    expect(world.gateway.bus).toEqual(ids)
    world.open()
    await world.pass(3000)
    expect(world.gateway.bus).toEqual(ids)
    expect(world.storage.length).toBe(0)
  })

  test.each([
    ['before its lock is there', false],
    ['later', true],
  ])('loses nothing where the beacon is lost: %s', async (_, later) => {
    const world = new World()
    world.fate = () => 'lost'
    const page = world.open()
    if (later) await world.pass(10)
    const ids = trackSome(page, 3)
    page.close()
    await world.pass(100)
    world.fate = () => 'through'
    world.open()
    await world.pass(3000)
    expect(world.gateway.bus).toEqual(ids)
  })

  test('takes along what other listeners of the page track at the very end', async () => {
    const world = new World()
    const page = world.open()
    await world.pass(10)
    const ids = [page.track()]
    page.happens('left')
    ids.push(page.track())
    page.happens('hidden')
    ids.push(page.track())
    page.crash()
    await world.pass(100)
    expect(world.gateway.bus).toEqual(ids)
    expect(world.storage.length).toBe(3)
  })

  test('sends no more than the browser takes; the rest waits', async () => {
    const world = new World()
    const page = world.open()
    await world.pass(0)
    world.fate = (beacon) => (beacon ? 'through' : 'lost')
    const ids = Array.from({ length: 90 }, () => page.track({ note: 'x'.repeat(1000) }))
    await world.pass(1)
    page.close()
    await world.pass(100)
    const first = world.gateway.bus.length
    expect(first).toBeGreaterThan(40)
    expect(first).toBeLessThan(60)
    world.fate = () => 'through'
    world.open()
    await world.pass(10_000)
    expect(world.gateway.bus).toEqual(ids)
  })

  test('a page that is merely hidden sends each event by beacon once, and hears of it by a request', async () => {
    const world = new World()
    const page = world.open()
    await world.pass(10)
    const ids = trackSome(page, 2)
    for (let times = 0; times < 3; times++) page.happens('hidden')
    await world.pass(3000)
    expect(world.requests.map(({ beacon }) => beacon)).toEqual([true, false])
    expect(page.accepted).toEqual(ids)
    expect(world.gateway.bus).toEqual(ids)
  })
})

describe('several pages', () => {
  test('events of pages that are gone go first, the oldest page first', async () => {
    const world = new World()
    world.hasBeacon = false
    const ids: string[] = []
    // Two at the same time, so that storage has them mixed.
    const [one, other] = [world.open(), (await world.pass(5), world.open())]
    await world.pass(5)
    const late = trackSome(other, 2)
    ids.push(...trackSome(one, 2), ...late)
    other.crash()
    one.crash()
    const last = world.open()
    ids.push(...trackSome(last, 2))
    await world.pass(3000)
    expect(world.gateway.bus).toEqual(ids)
    expect(last.accepted).toEqual(ids)
  })

  test('a page takes over what one that dies beside it leaves', async () => {
    const world = new World()
    const dying = world.open({ flushMs: 1e9 })
    const ids = trackSome(dying, 2)
    await world.pass(10)
    const living = world.open()
    await world.pass(30_000)
    expect(world.requests).toEqual([])
    dying.crash()
    await world.pass(13_000)
    expect(world.gateway.bus).toEqual(ids)
    expect(living.accepted).toEqual(ids)
  })

  test('what was taken over is queued once, however often the page looks', async () => {
    const world = new World()
    world.fate = () => 'lost'
    world.hasBeacon = false
    const dying = world.open()
    const ids = trackSome(dying, 2)
    dying.close()
    const heir = world.open()
    await world.pass(45_000)
    expect(heir.client.pending).toBe(2)
    world.fate = () => 'through'
    await world.pass(60_000)
    expect(heir.accepted).toEqual(ids)
  })

  test('being online again is a reason to look for what others left', async () => {
    const world = new World()
    const living = world.open()
    const dying = world.open({ flushMs: 1e9 })
    await world.pass(1000)
    const ids = trackSome(dying, 2)
    dying.crash()
    await world.pass(60_000)
    living.happens('online')
    await world.pass(3000)
    expect(living.accepted).toEqual(ids)
  })

  test('clients of other gateways leave each other alone', async () => {
    const world = new World()
    const one = world.open({ url: 'https://a.example', flushMs: 1e9 })
    one.track()
    await world.pass(10)
    one.crash()
    const other = world.open({ url: 'https://a.example|b' })
    world.open({ url: 'https://a' })
    await world.pass(60_000)
    expect(world.requests).toEqual([])
    expect(other.client.pending).toBe(0)
    expect(world.storage.length).toBe(1)
  })
})

describe('the back-forward cache', () => {
  test('a page that sleeps holds no lock, and others send what it had', async () => {
    const world = new World()
    world.hasBeacon = false
    const sleeper = world.open()
    await world.pass(10)
    const ids = trackSome(sleeper, 2)
    sleeper.sleep()
    await world.pass(10)
    expect(world.locked.size).toBe(0)
    world.open()
    await world.pass(3000)
    expect(world.gateway.bus).toEqual(ids)
    sleeper.wake()
    await world.pass(3000)
    expect(sleeper.client.pending).toBe(0)
    expect([...world.gateway.seen.values()]).toEqual([1, 1])
  })

  test('an answer that comes when the page is awake again settles what it has taken back from storage', async () => {
    const world = new World()
    Object.assign(world, { hasBeacon: false, keepsAnswers: true, latencyMs: 100 })
    const sleeper = world.open()
    await world.pass(10)
    const ids = trackSome(sleeper, 2)
    void sleeper.client.flush()
    await world.pass(10)
    sleeper.sleep()
    await world.pass(1000)
    sleeper.wake()
    await world.pass(5000)
    expect(sleeper.accepted).toEqual(ids)
    expect(sleeper.client.pending).toBe(0)
    expect(world.requests.length).toBe(1)
  })

  test('a page that goes to sleep before it has its lock does not get it then', async () => {
    const world = new World()
    world.open().sleep()
    await world.pass(10)
    expect(world.locked.size).toBe(0)
  })

  test('a page that wakes goes on with what it had, once, and with new events', async () => {
    const world = new World()
    world.fate = (beacon) => (beacon ? 'lost' : 'through')
    world.latencyMs = 100
    const sleeper = world.open()
    await world.pass(10)
    const ids = trackSome(sleeper, 2)
    void sleeper.client.flush()
    await world.pass(60)
    sleeper.sleep()
    await world.pass(1000)
    sleeper.wake()
    await world.pass(10)
    expect(world.locked.size).toBe(2)
    expect(sleeper.client.pending).toBe(2)
    ids.push(sleeper.track())
    await world.pass(20_000)
    expect(sleeper.client.pending).toBe(0)
    expect(world.gateway.bus).toEqual(ids)
    expect(world.storage.length).toBe(0)
  })
})

describe('storage', () => {
  test('that throws is told once, and events go out from memory', async () => {
    const world = new World()
    world.storage.failing = new Error('QuotaExceededError')
    const page = world.open()
    await world.pass(10)
    const ids = trackSome(page, 3)
    await world.pass(3000)
    expect(world.gateway.bus).toEqual(ids)
    expect(page.errors.map(({ code }) => code)).toEqual(['storage'])
    expect(page.errors[0]?.message).toContain('QuotaExceededError')
  })

  test('that works again gets what was not stored', async () => {
    const world = new World()
    const page = world.open({ flushMs: 1e9 })
    await world.pass(10)
    world.storage.failing = new Error('QuotaExceededError')
    page.track()
    page.track()
    world.storage.failing = undefined
    page.track()
    expect(world.storage.length).toBe(3)
  })

  test('with something in it that is no event of ours brings nothing down', async () => {
    const world = new World()
    const page = world.open({ flushMs: 1e9 })
    await world.pass(10)
    const id = page.track()
    const key = world.storage.key(0) ?? ''
    page.crash()
    const broken = key.replace(/\d{10}$/, '0000000007')
    world.storage.setItem(broken, '{"event_id":')
    world.storage.setItem('onceward:https://events.example|', 'x')
    world.storage.setItem('something else', 'x')
    const next = world.open()
    await world.pass(60_000)
    expect(next.accepted).toEqual([id])
    expect([...next.rejected.values()].map(({ reason }) => reason)).toEqual(['malformed'])
    expect(world.storage.length).toBe(2)
  })

  test('a session is that of the tab, also where the storage of the tab throws', async () => {
    const tab = new MapStorage()
    const contexts: unknown[] = []
    const world = new World()
    world.session = tab
    const open = (): void => {
      const page = world.open({ onAccepted: (events) => contexts.push(...events.map(({ context }) => context)) })
      page.track()
    }
    open()
    await world.pass(3000)
    open()
    await world.pass(3000)
    tab.failing = new Error('SecurityError')
    open()
    await world.pass(3000)
    expect(contexts.length).toBe(3)
    expect(contexts[1]).toEqual(contexts[0])
    expect(contexts[2]).not.toEqual(contexts[0])
  })
})
