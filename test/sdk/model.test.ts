import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { failure } from './gateway-model.ts'
import { type Fate, type Page, World } from './world.ts'

const RUNS = Number(process.env['ONCEWARD_FUZZ'] ?? 400)

type Step =
  | { readonly do: 'track'; readonly page: number; readonly count: number; readonly reject: boolean }
  | { readonly do: 'open' }
  | { readonly do: 'close' | 'crash' | 'end' | 'hide' | 'sleep' | 'wake' | 'flush' | 'online'; readonly page: number }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'network'; readonly fates: readonly Fate[] }
  | { readonly do: 'clock'; readonly ms: number }

const page = fc.nat({ max: 3 })
const fate = fc.constantFrom<Fate>(
  'through',
  'through',
  'through',
  'lost',
  'unheard',
  'hangs',
  failure(503, 'LOG_UNAVAILABLE', { 'retry-after': '5' }),
  failure(429, 'LIMITED', { 'retry-after': '2' }),
  failure(503, 'LOG_UNAVAILABLE'),
  failure(408, 'REQUEST_MALFORMED'),
  failure(400, 'REQUEST_MALFORMED'),
  { status: 200, headers: {}, body: '<html>Welcome to our network</html>' },
  { status: 202, headers: {}, body: '{"accepted":1,"rejected":0,"events":[]}' },
)

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('track' as const),
      page,
      count: fc.integer({ min: 1, max: 9 }),
      reject: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(1, 9, 15, 100, 2000, 20_000) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('open' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'close' as const,
        'crash' as const,
        'end' as const,
        'hide' as const,
        'sleep' as const,
        'wake' as const,
        'flush' as const,
        'online' as const,
      ),
      page,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('network' as const),
      fates: fc.array(fate, { minLength: 1, maxLength: 6 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('clock' as const), ms: fc.integer({ min: -86_400_000, max: 86_400_000 }) }),
  },
)

/** What a run brought about. */
interface Run {
  readonly world: World
  /** By id: the page that tracked it. Those of which no page was told that they are rejected must arrive. */
  readonly tracked: ReadonlyMap<string, Page>
}

async function play(steps: readonly Step[], prepare: (world: World) => void): Promise<Run> {
  const world = new World(7)
  prepare(world)
  for (let pages = 0; pages < 2; pages++) await take({ do: 'open' }, world, new Map())
  const tracked = new Map<string, Page>()
  for (const step of steps) await take(step, world, tracked)
  // Whatever happened: once the network is there and somebody looks at the page again, all of it must settle.
  world.fate = () => 'through'
  for (const one of world.pages) if (one.state !== 'gone') one.close()
  await world.pass(1000)
  const last = world.open()
  await world.pass(120_000)
  expect(last.client.pending).toBe(0)
  return { world, tracked }
}

async function take(step: Step, world: World, tracked: Map<string, Page>): Promise<void> {
  if (step.do === 'open') return void world.open({ batchEvents: 5, batchBytes: 1500, queueEvents: 30 })
  if (step.do === 'pass') return world.pass(step.ms)
  if (step.do === 'clock') return void (world.epoch += step.ms)
  if (step.do === 'network') {
    let next = 0
    world.fate = () => step.fates[next++ % step.fates.length] ?? 'through'
    return undefined
  }
  const page = world.pages.at(step.page % Math.max(1, world.pages.length))
  if (page === undefined || page.state === 'gone') return undefined
  if (step.do === 'wake') return page.state === 'asleep' ? page.wake() : undefined
  if (page.state === 'asleep') return step.do === 'crash' ? page.crash() : undefined
  if (step.do === 'hide') return page.happens('hidden')
  if (step.do === 'online') return page.happens('online')
  if (step.do === 'end') return void page.client.close()
  if (step.do === 'flush') return void page.client.flush()
  if (step.do !== 'track') return page[step.do]()
  for (let index = 0; index < step.count; index++) tracked.set(page.track({ reject: step.reject && index === 0 }), page)
  // A crash in the very moment of opening, before the lock is there, may take what was not stored yet.
  return world.pass(0)
}

const told = (world: World): Map<string, string> =>
  new Map(world.pages.flatMap((one) => [...one.rejected].map(([id, { reason }]) => [id, reason] as const)))

test.each([
  ['with locks and beacons', () => {}],
  ['where answers wait for pages that sleep', (world: World) => void (world.keepsAnswers = true)],
  ['without locks', (world: World) => void (world.hasLocks = false)],
  ['without beacons', (world: World) => void (world.hasBeacon = false)],
  [
    'where a gateway takes little at once',
    (world: World) => void Object.assign(world.gateway, { eventsMax: 3, bytesMax: 900 }),
  ],
])('whatever happens to pages and network, each event arrives once or its loss is told: %s', async (_, prepare) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      const { world, tracked } = await play(steps, prepare)
      const { bus, conflicts } = world.gateway
      const rejected = told(world)
      expect(conflicts).toEqual([])
      expect(new Set(bus).size).toBe(bus.length)
      const arrived = new Set(bus)
      const missing = [...tracked.keys()].filter((id) => !arrived.has(id) && !rejected.has(id))
      // What a page that is gone was rejected for, by an answer that it never heard, nobody is told.
      expect(missing.filter((id) => !world.gateway.refused.has(id))).toEqual([])
      for (const one of world.pages) for (const id of one.accepted) expect(arrived).toContain(id)
      expect(world.storage.length).toBe(0)
    }),
    { numRuns: RUNS },
  )
})

test('with locks, pages whose clients live at the same time never send the same event', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      const { world } = await play(
        steps.filter((one) => one.do !== 'sleep' && one.do !== 'end'),
        () => {},
      )
      const first = new Map<string, Page>()
      for (const { page, ids, at } of world.requests) {
        for (const id of ids) {
          const other = first.get(id)
          if (other !== undefined && other !== page) expect(other.goneAt).toBeLessThanOrEqual(at)
          first.set(id, page)
        }
      }
    }),
    { numRuns: RUNS },
  )
})

test('without beacons, the events of one page arrive in the order in which they were tracked', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      const { world, tracked } = await play(
        // A clock that is set back lets a page's events look older than those of the page before it.
        steps.filter((one) => one.do !== 'sleep' && one.do !== 'clock'),
        (world) => void (world.hasBeacon = false),
      )
      for (const one of world.pages) {
        const own = [...tracked].filter(([, page]) => page === one).map(([id]) => id)
        const arrived = world.gateway.bus.filter((id) => tracked.get(id) === one)
        expect(arrived).toEqual(own.filter((id) => arrived.includes(id)))
      }
    }),
    { numRuns: RUNS },
  )
})

test('while the gateway asks to wait, nothing is sent to it, by no way', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const world = new World(3)
      const only = world.open({ batchEvents: 5 })
      let asked = -1
      world.fate = (beacon) => {
        if (beacon || world.random() < 0.5) return 'through'
        asked = world.elapsed + world.latencyMs
        return failure(503, 'LOG_UNAVAILABLE', { 'retry-after': '5' })
      }
      const answers = new Set<number>()
      for (const one of steps) {
        if (one.do === 'network' || one.do === 'open' || one.do === 'sleep' || one.do === 'close' || one.do === 'crash')
          continue
        await take(one, world, new Map())
        if (asked >= 0) answers.add(asked)
      }
      await world.pass(60_000)
      for (const at of answers) {
        const early = world.requests.filter((request) => request.at > at && request.at < at + 5000)
        expect(early).toEqual([])
      }
      expect(only.state).toBe('alive')
    }),
    { numRuns: RUNS },
  )
})
