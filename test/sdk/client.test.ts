import { afterEach, describe, expect, test, vi } from 'vitest'
import { surroundings } from '../../sdk/environment.ts'
import { createClient } from '../../sdk/index.ts'
import type { FetchInit } from '../../sdk/environment.ts'
import type { TrackedEvent } from '../../sdk/options.ts'
import { failure } from './gateway-model.ts'
import { KEY, type Page, World } from './world.ts'

afterEach(() => vi.unstubAllGlobals())

/** A page whose requests all get the answers of `fates`, one after the other, then go through. */
function pageWith(
  fates: World['fate'][] | readonly ReturnType<World['fate']>[],
  options: Parameters<World['open']>[0] = {},
) {
  const world = new World()
  const left = [...fates]
  world.fate = (beacon) => {
    const next = left.shift() ?? 'through'
    return typeof next === 'function' ? next(beacon) : next
  }
  return { world, page: world.open(options) }
}

function trackSome(page: Page, count: number): string[] {
  return Array.from({ length: count }, () => page.track())
}

describe('batches', () => {
  test('an event waits for others for two seconds', async () => {
    const { world, page } = pageWith([])
    const ids = trackSome(page, 3)
    await world.pass(1999)
    expect(world.requests).toEqual([])
    await world.pass(100)
    expect(world.requests.map((request) => request.ids)).toEqual([ids])
    expect(page.accepted).toEqual(ids)
    expect(page.client.pending).toBe(0)
  })

  test('fifty events go at once, and one request at a time', async () => {
    const { world, page } = pageWith([])
    await world.pass(0)
    const ids = trackSome(page, 120)
    await world.pass(1)
    expect(world.requests.map((request) => request.ids.length)).toEqual([50])
    await world.pass(100)
    expect(world.requests.map((request) => request.ids.length)).toEqual([50, 50, 20])
    expect(world.gateway.bus).toEqual(ids)
  })

  test('a body stays below the bytes that it may have, whatever its letters', async () => {
    const { world, page } = pageWith([], { batchBytes: 2000 })
    const bodies: number[] = []
    const take = world.gateway.take.bind(world.gateway)
    world.gateway.take = (request) => {
      bodies.push(Buffer.byteLength(request.body))
      return take(request)
    }
    for (let index = 0; index < 20; index++) page.track({ note: '日本語🎰'.repeat(index * 3) })
    await world.pass(10_000)
    expect(page.client.pending).toBe(0)
    expect(bodies.length).toBeGreaterThan(5)
    expect(Math.max(...bodies)).toBeLessThanOrEqual(2000)
  })

  test('a gateway that finds a request too large gets smaller ones, and one event that is too large alone is told', async () => {
    const { world, page } = pageWith([])
    world.gateway.bytesMax = 2500
    const small = trackSome(page, 20)
    const large = page.track({ note: 'x'.repeat(3000) })
    const more = trackSome(page, 20)
    await world.pass(60_000)
    expect(world.gateway.bus).toEqual([...small, ...more])
    expect([...page.rejected]).toEqual([[large, { reason: 'too_large', detail: '413: TOO_LARGE it is' }]])
  })

  test('of a request that is malformed, the one event at fault is found and told', async () => {
    const { world, page } = pageWith([])
    let broken = ''
    world.fate = () => {
      const last = world.requests.at(-1)
      return last?.ids.includes(broken) === true ? failure(400, 'REQUEST_MALFORMED') : 'through'
    }
    const ids = trackSome(page, 40)
    broken = ids[23] ?? ''
    await world.pass(60_000)
    expect(world.gateway.bus).toEqual(ids.filter((id) => id !== broken))
    expect([...page.rejected.entries()].map(([id, { reason }]) => [id, reason])).toEqual([[broken, 'malformed']])
  })

  test('answers are taken in their order', async () => {
    const { world, page } = pageWith([])
    const ids = [false, true, false, true].map((reject) => page.track({ reject }))
    await world.pass(3000)
    expect(page.accepted).toEqual([ids[0], ids[2]])
    expect([...page.rejected]).toEqual([
      [ids[1], { reason: 'schema', detail: 'as asked' }],
      [ids[3], { reason: 'schema', detail: 'as asked' }],
    ])
  })
})

describe('failures', () => {
  test('what failed goes again with the same ids, at growing intervals, and nothing younger before it', async () => {
    const { world, page } = pageWith(['lost', 'unheard', failure(503, 'LOG_UNAVAILABLE'), failure(429, 'LIMITED')])
    const first = trackSome(page, 2)
    await world.pass(2500)
    const second = trackSome(page, 1)
    await world.pass(60_000)
    expect(world.gateway.bus).toEqual([...first, ...second])
    expect(world.requests.every(({ ids }) => ids[0] === first[0])).toBe(true)
    const waits = page.errors.map(({ retryInMs }) => retryInMs ?? 0)
    waits.forEach((wait, index) => {
      expect(wait).toBeGreaterThanOrEqual(500 * 2 ** index)
      expect(wait).toBeLessThanOrEqual(1000 * 2 ** index)
    })
    expect(page.errors.map(({ code }) => code)).toEqual(['unreachable', 'unreachable', 'unavailable', 'unavailable'])
  })

  test('a wait never grows beyond a minute', async () => {
    const { world, page } = pageWith(Array.from({ length: 20 }, () => 'lost' as const))
    page.track()
    await world.pass(30 * 60_000)
    expect(page.client.pending).toBe(0)
    expect(Math.max(...page.errors.map(({ retryInMs }) => retryInMs ?? 0))).toBeLessThanOrEqual(60_000)
  })

  test('a request without an answer is given up after its time', async () => {
    const { world, page } = pageWith(['hangs'])
    page.track()
    await world.pass(2000 + 14_999)
    expect(page.errors).toEqual([])
    await world.pass(1)
    expect(page.errors.map(({ message }) => message)).toEqual(['Error: no answer within 15000 ms'])
    await world.pass(2000)
    expect(page.client.pending).toBe(0)
  })

  test('the gateway is not asked before the time that it named, not even when it is online again or flushed', async () => {
    const { world, page } = pageWith([failure(503, 'LOG_UNAVAILABLE', { 'retry-after': '30' })])
    page.track()
    await world.pass(2100)
    page.happens('online')
    const flushed = page.client.flush()
    page.happens('hidden')
    await world.pass(29_000)
    expect(world.requests.length).toBe(1)
    await world.pass(3000)
    expect(await flushed).toBe(0)
  })

  test('a wait of its own ends when the browser is online again, or at a flush', async () => {
    const { world, page } = pageWith(['lost', 'lost', 'lost', 'lost'], { retryMs: 50_000 })
    page.track()
    await world.pass(2100)
    page.happens('online')
    await world.pass(50)
    expect(world.requests.length).toBe(2)
    const flushed = page.client.flush()
    await world.pass(50)
    expect(world.requests.length).toBe(3)
    expect(await flushed).toBe(1)
  })

  test('a refused key stops the sending and keeps the events for the next page', async () => {
    const { world, page } = pageWith([], { key: 'pk_wrong' })
    const ids = trackSome(page, 2)
    await world.pass(3000)
    expect(page.errors).toEqual([{ code: 'refused', message: '401: UNAUTHENTICATED it is' }])
    ids.push(page.track())
    expect(await page.client.flush()).toBe(3)
    page.close()
    await world.pass(600_000)
    expect(world.requests.length).toBe(1)
    world.open()
    await world.pass(3000)
    expect(world.gateway.bus).toEqual(ids)
  })
})

describe('what is wrong is told, and not thrown', () => {
  const cycle: { self?: unknown } = {}
  cycle.self = cycle

  test.each([
    ['a cycle', { note: cycle }, 'unserializable'],
    ['a BigInt', { note: 1n }, 'unserializable'],
    [
      'a payload that throws',
      {
        get note() {
          throw new Error('no')
        },
      },
      'unserializable',
    ],
    ['more than a request may have', { note: 'x'.repeat(60_000) }, 'too_large'],
  ])('%s', async (_, payload, reason) => {
    const { world, page } = pageWith([])
    const id = page.track(payload)
    expect(id).toMatch(/^[0-9a-f-]{36}$/)
    expect([...page.rejected].map(([rejected, why]) => [rejected, why.reason])).toEqual([[id, reason]])
    const fine = page.track()
    await world.pass(3000)
    expect(world.gateway.bus).toEqual([fine])
  })

  test('a time that is none', () => {
    const { page } = pageWith([])
    const id = page.client.track('test', {}, { ts: new Date(Number.NaN) })
    expect(page.rejected.get(id)?.reason).toBe('unserializable')
  })

  test('nobody who plays, and a client that is closed', async () => {
    const { world, page } = pageWith([], { user: undefined })
    const before = page.track()
    page.client.identify({ id: 'u_2' })
    const known = page.track()
    const closed = page.client.close()
    await world.pass(100)
    expect(await closed).toBe(0)
    const after = page.track()
    expect([...page.rejected].map(([id, { reason }]) => [id, reason])).toEqual([
      [before, 'no_user'],
      [after, 'closed'],
    ])
    expect(world.gateway.bus).toEqual([known])
  })

  test('callbacks that throw', async () => {
    const thrower = (): never => {
      throw new Error('of the page')
    }
    const { world, page } = pageWith(['lost'], { onAccepted: thrower, onRejected: thrower, onError: thrower })
    page.track({ reject: true })
    page.track()
    page.track({ note: 1n })
    await world.pass(10_000)
    expect(page.client.pending).toBe(0)
  })

  test('a full queue: the oldest gives way, but not what is on its way', async () => {
    const { world, page } = pageWith(['unheard'], { queueEvents: 5, batchEvents: 2 })
    await world.pass(0)
    const ids = trackSome(page, 2)
    await world.pass(1)
    ids.push(...trackSome(page, 5))
    expect([...page.rejected].map(([id, { reason }]) => [id, reason])).toEqual([
      [ids[2], 'overflow'],
      [ids[3], 'overflow'],
    ])
    await world.pass(60_000)
    expect(world.gateway.bus).toEqual([...ids.slice(0, 2), ...ids.slice(4)])
  })
})

describe('what an event carries', () => {
  /** The first event of the one request that `act` leads to, and how it was sent. */
  async function sent(
    options: Partial<Parameters<typeof createClient>[0]>,
    act: (client: ReturnType<typeof createClient>) => void,
  ) {
    const requests: { url: string; init: FetchInit }[] = []
    const client = createClient({
      url: 'https://events.example/',
      key: KEY,
      user: { id: 'u_1', platform: 'web' },
      fetch: (url, init) => {
        requests.push({ url, init })
        return Promise.reject(new Error('enough'))
      },
      ...options,
    })
    act(client)
    await client.flush()
    await client.close()
    const [request] = requests
    if (request === undefined) throw new Error('nothing was sent')
    const [event] = JSON.parse(request.init.body) as TrackedEvent[]
    return { ...request, event }
  }

  test('id, name, time, user, session and payload; and no cookie, nor a redirect that would drop the body', async () => {
    let id = ''
    const { url, init, event } = await sent({}, (client) => {
      id = client.track('bet', { bet: 0.5, currency: 'EUR' })
    })
    expect(url).toBe('https://events.example/v1/events')
    expect(init).toMatchObject({
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      credentials: 'omit',
      redirect: 'error',
    })
    expect(event).toEqual({
      event_id: id,
      event_name: 'bet',
      ts: expect.stringMatching(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      user: { id: 'u_1', platform: 'web' },
      context: { session_id: expect.stringMatching(/^[0-9a-f-]{36}$/) },
      payload: { bet: 0.5, currency: 'EUR' },
    })
  })

  test('an id and a time of its own, the context that was given, no session where none is wanted', async () => {
    const { event } = await sent({ session: false, context: { device_fp: 'fp_1' } }, (client) =>
      client.track('login', { success: true }, { event_id: 'round-7', ts: new Date(0) }),
    )
    expect(event).toMatchObject({ event_id: 'round-7', ts: '1970-01-01T00:00:00.000Z' })
    expect(event?.context).toEqual({ device_fp: 'fp_1' })
  })

  test('the user who played when it was tracked', async () => {
    const { init } = await sent({}, (client) => {
      client.track('login')
      client.identify({ id: 'u_2' })
      client.track('login')
    })
    expect((JSON.parse(init.body) as TrackedEvent[]).map(({ user }) => user.id)).toEqual(['u_1', 'u_2'])
  })

  test('a UUID of version 4, also on pages without randomUUID', () => {
    vi.stubGlobal('crypto', { getRandomValues: (bytes: Uint8Array) => bytes.fill(255) })
    expect(surroundings().uuid()).toBe('ffffffff-ffff-4fff-bfff-ffffffffffff')
    vi.stubGlobal('crypto', { getRandomValues: (bytes: Uint8Array) => bytes.fill(0) })
    expect(surroundings().uuid()).toBe('00000000-0000-4000-8000-000000000000')
  })
})

describe('the end', () => {
  test('closing sends what is queued, and leaves nothing that runs', async () => {
    const { world, page } = pageWith([])
    const id = page.track()
    const closed = page.client.close()
    await world.pass(100)
    expect(await closed).toBe(0)
    expect(world.gateway.bus).toEqual([id])
    expect(world.locked.size).toBe(0)
  })

  test('what cannot be sent any more waits in storage; without storage it is told', async () => {
    const { world, page } = pageWith(['lost'])
    page.track()
    void page.client.close()
    await world.pass(100)
    expect(world.storage.length).toBe(1)
    expect(page.rejected.size).toBe(0)

    const bare = pageWith(['lost'])
    bare.world.storage.failing = new Error('QuotaExceededError')
    const id = bare.page.track()
    void bare.page.client.close()
    await bare.world.pass(100)
    expect(bare.page.rejected.get(id)?.reason).toBe('closed')
  })

  test('closing does not wait for a gateway that has asked for an hour', async () => {
    const { world, page } = pageWith([failure(503, 'LOG_UNAVAILABLE', { 'retry-after': '3600' })])
    page.track()
    await world.pass(3000)
    expect(await page.client.close()).toBe(1)
  })
})
