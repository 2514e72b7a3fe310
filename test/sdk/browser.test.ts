import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { openKafkaLog } from '../../connectors/log/kafka/kafka-log.ts'
import { systemClock } from '../../core/clock.ts'
import type { Log } from '../../core/ports/log.ts'
import { topicNames } from '../../core/topics.ts'
import { memoryLog } from '../intake/harness.ts'
import { kafkaForTests, startKafka, type TestKafka } from '../support/kafka.ts'
import { builtSdk } from './built.ts'
import { chromiumForTests, launch, servePage, type ServedPage } from './chromium.ts'
import { type RealGateway, realGateway } from './real-gateway.ts'

/** The page's time-outs are the client's own: back-offs of some seconds. */
const UNTIL = { timeout: 40_000, interval: 50 }

let browser: Browser
let folder = ''

describe.skipIf(!chromiumForTests())('the example page in Chromium', () => {
  beforeAll(async () => {
    ;[browser, { folder }] = await Promise.all([launch(), builtSdk()])
  })
  afterAll(async () => {
    await browser.close()
    await rm(folder, { recursive: true, force: true })
  })

  describe('over a log in memory', () => {
    scenarios(() => memoryLog())
  })

  describe.skipIf(!kafkaForTests().available)('over a real Kafka', () => {
    let kafka: TestKafka
    beforeAll(async () => {
      kafka = await startKafka()
    })
    afterAll(() => kafka.stop())

    acceptance(async () => {
      const log = await openKafkaLog({ brokers: kafka.brokers.split(','), clock: systemClock })
      const topics = topicNames()
      await log.createTopics([
        { topic: topics.events, partitions: 4, cleanup: 'delete' },
        { topic: topics.dlq, partitions: 2, cleanup: 'delete' },
      ])
      return log
    })
  })
})

/** A gateway and a browser's profile for each test. */
function around(openLog: () => Promise<Log>): { readonly world: () => BrowserWorld } {
  let world: BrowserWorld | undefined
  beforeEach(async () => {
    world = await BrowserWorld.open(await openLog())
  })
  afterEach(async () => {
    await world?.close()
    world = undefined
  })
  return {
    world: () => {
      if (world === undefined) throw new Error('no world is open')
      return world
    },
  }
}

/** The line: it sends events, goes offline and back, reloads while it is offline, closes with events unsent. */
function acceptance(openLog: () => Promise<Log>): void {
  const { world } = around(openLog)

  test('every event arrives once, whatever becomes of network and page', async () => {
    const first = await world().visit()
    await spin(first, 3)
    await settled(first)

    await world().goOffline()
    await expect.poll(() => first.textContent('#network'), UNTIL).toBe('offline')
    await spin(first, 4)
    await world().note(first)
    await first.reload()
    await spin(first, 2)
    await expect.poll(() => count(first, 'queued'), UNTIL).toBeGreaterThanOrEqual(7)
    await world().note(first)

    await world().goOnline()
    await settled(first)
    await allArrived(world())

    await first.close()

    // Closed with events unsent: what the browser sends by itself arrives, though nobody hears of it.
    const second = await world().visit()
    await spin(second, 5)
    await world().note(second)
    await second.close()
    await allArrived(world())

    // Closed while nothing can be sent: it waits for the next visit.
    const third = await world().visit()
    await world().goOffline()
    await spin(third, 3)
    await world().note(third)
    await third.close()
    await world().goOnline()
    const last = await world().visit()
    await settled(last)
    await world().note(last)
    await allArrived(world())
    expect(await world().stored()).toEqual([])
    expect(world().complaints).toEqual([])
  })
}

function scenarios(openLog: () => Promise<Log>): void {
  acceptance(openLog)
  const { world } = around(openLog)

  test('what a page may not claim is rejected, and the reason is shown', async () => {
    const page = await world().visit()
    await page.click('#cheat')
    await settled(page)
    expect(await count(page, 'rejected')).toBe(1)
    expect(await page.textContent('li[data-state=rejected]')).toMatch(/^depositforbidden: /)
  })

  test('a gateway that is away for a while gets everything when it is back', async () => {
    const page = await world().visit()
    await settled(page)
    await world().stopGateway()
    await spin(page, 3)
    await expect.poll(() => page.textContent('#trouble'), UNTIL).toContain('again in')
    await world().startGateway()
    await settled(page)
    await world().note(page)
    await allArrived(world())
  })

  test('a tab takes over what another one leaves, and tabs side by side send nothing twice', async () => {
    const [one, other] = [await world().visit(), await world().visit()]
    await Promise.all([settled(one), settled(other)])
    await one.route(`${world().gateway.url}/**`, (route) => route.abort())
    await spin(one, 3)
    await spin(other, 3)
    await Promise.all([world().note(one), world().note(other)])
    await settled(other)
    await one.close()
    await allArrived(world())
    await expect.poll(() => world().stored(), UNTIL).toEqual([])
  })

  test('a page that only goes out of sight goes on where it was', async () => {
    const page = await world().visit()
    await settled(page)
    await spin(page, 3)
    await page.goto('about:blank')
    await page.goBack()
    await spin(page, 1)
    await settled(page)
    await world().note(page)
    await allArrived(world())
    expect(await world().stored()).toEqual([])
  })
}

class BrowserWorld {
  /** Ids that pages have shown. */
  readonly tracked = new Set<string>()
  /** Of pages: errors, and what their security policy forbids. */
  readonly complaints: string[] = []
  readonly context: BrowserContext
  gateway: RealGateway
  readonly #log: Log
  readonly #page: ServedPage

  private constructor(parts: { context: BrowserContext; gateway: RealGateway; log: Log; page: ServedPage }) {
    this.context = parts.context
    this.gateway = parts.gateway
    this.#log = parts.log
    this.#page = parts.page
  }

  static async open(log: Log): Promise<BrowserWorld> {
    const bundle = join(folder, 'onceward.iife.min.js')
    // The page has to know the gateway's port, the gateway the page's.
    const early = await realGateway(log, { port: 0, origins: [] })
    const page = await servePage({ gateway: early.url, bundle })
    await early.close()
    const gateway = await realGateway(log, { port: early.port, origins: [page.url] })
    const context = await browser.newContext()
    // Chromium does not know where a page comes from that was opened offline (see `goOffline`), and would ask its user whether it
    // may call a gateway on this machine.
    await context.grantPermissions(['local-network-access'])
    return new BrowserWorld({ context, gateway, log, page })
  }

  async visit(): Promise<Page> {
    const page = await this.context.newPage()
    page.on('pageerror', (error) => this.complaints.push(String(error)))
    page.on('console', (line) => {
      if (/security policy|refused/i.test(line.text())) this.complaints.push(line.text())
    })
    await page.goto(this.#page.url)
    return page
  }

  /** The page's own files are kept, as by a service worker, so that it opens all the same. */
  async goOffline(): Promise<void> {
    await this.context.route(`${this.#page.url}/**`, async (route) => {
      const answer = await fetch(route.request().url())
      const headers = Object.fromEntries(answer.headers)
      await route.fulfill({ status: answer.status, headers, body: Buffer.from(await answer.arrayBuffer()) })
    })
    await this.context.setOffline(true)
  }

  async goOnline(): Promise<void> {
    await this.context.unrouteAll({ behavior: 'wait' })
    await this.context.setOffline(false)
  }

  /** Remembers what the page has tracked, as far as it may arrive. */
  async note(page: Page): Promise<void> {
    const ids = await page.$$eval('li:not([data-state=rejected])', (rows) => rows.map((row) => row.dataset.id ?? ''))
    for (const id of ids) this.tracked.add(id)
  }

  /** Ids on events.raw, one for each record. */
  async arrived(): Promise<string[]> {
    return (await this.gateway.bus()).map(({ event_id }) => event_id)
  }

  /** Noted, and not on events.raw yet. */
  async missing(): Promise<string[]> {
    const ids = new Set(await this.arrived())
    return [...this.tracked].filter((id) => !ids.has(id))
  }

  /** The events that wait in the storage of the page's origin. */
  async stored(): Promise<string[]> {
    const { origins } = await this.context.storageState()
    const names = origins.flatMap(({ localStorage }) => localStorage.map(({ name }) => name))
    return names.filter((name) => name.startsWith('onceward:'))
  }

  async stopGateway(): Promise<void> {
    await this.gateway.close()
  }

  async startGateway(): Promise<void> {
    this.gateway = await realGateway(this.#log, { port: this.gateway.port, origins: [this.#page.url] })
  }

  async close(): Promise<void> {
    await this.context.close()
    await this.#page.close()
    await this.gateway.close()
    await this.#log.close()
  }
}

async function spin(page: Page, times: number): Promise<void> {
  for (let time = 0; time < times; time++) await page.click('#spin')
}

async function count(page: Page, what: 'sent' | 'queued' | 'rejected'): Promise<number> {
  return Number(await page.textContent(`#${what}`))
}

async function settled(page: Page): Promise<void> {
  await expect.poll(() => count(page, 'queued'), UNTIL).toBe(0)
}

/** Waits until every event that was noted is on the bus; each stands there once. */
async function allArrived(world: BrowserWorld): Promise<void> {
  await expect.poll(() => world.missing(), UNTIL).toEqual([])
  const ids = await world.arrived()
  expect(ids.toSorted()).toEqual([...new Set(ids)].toSorted())
}

vi.setConfig({ testTimeout: 120_000 })
