import { describe, expect, test } from 'vitest'
import { LatencyEvents } from '../../cli/bench/latency-events.ts'
import { LatencyFeed } from '../../cli/bench/latency-feed.ts'
import type { Clock } from '../../core/clock.ts'
import type { OutRecord } from '../../core/ports/log.ts'

const START = Date.UTC(2025, 10, 5)
const never = new AbortController().signal

/** Time passes by sleeping alone. */
class SleptTime implements Clock {
  #elapsed = 0
  now = (): number => START + this.#elapsed
  monotonic = (): number => this.#elapsed
  sleep = (ms: number): Promise<void> => {
    this.#elapsed += ms
    return Promise.resolve()
  }
}

/** A feed of 1,000 a second for two seconds to a broker that answers after `answerMs` of the n-th request. */
async function feedTo(answerMs: (request: number) => number) {
  const clock = new SleptTime()
  const sent: OutRecord[] = []
  let request = 0
  const producer = {
    send: async (records: readonly OutRecord[]) => {
      sent.push(...records)
      await clock.sleep(answerMs(request++))
      return []
    },
    close: () => Promise.resolve(),
  }
  const events = new LatencyEvents('feed')
  const feed = new LatencyFeed({ producer, clock, topic: 'events.raw', partitions: 4, rate: 1_000, events })
  const window = feed.measure(2)
  await feed.run(never)
  return { feed, window, sent }
}

describe('the feed of bench latency', () => {
  test('each event has the instant at which it was due, at an even distance', async () => {
    const { window, sent, feed } = await feedTo(() => 2)
    expect(sent.map(({ timestamp }) => timestamp)).toEqual(sent.map((_, i) => START + i))
    expect(feed.measured.events).toBe(2_000)
    expect(window.until - window.from).toBe(2_000)
    expect(feed.append.quantile(1)).toBeLessThanOrEqual(10)
    expect(feed.reached()).toBeGreaterThan(990)
  })

  test('a request that takes 700 ms neither moves the schedule nor hides what it kept waiting', async () => {
    const { sent, feed } = await feedTo((request) => (request === 100 ? 700 : 2))
    expect(sent.map(({ timestamp }) => timestamp)).toEqual(sent.map((_, i) => START + i))
    expect(feed.measured.events).toBe(2_000)
    // 700 of 2,000 events were kept waiting, the first of them all that time
    expect(feed.append.quantile(0.5)).toBeLessThan(50)
    expect(feed.append.quantile(0.8)).toBeGreaterThan(250)
    expect(feed.append.quantile(0.95)).toBeGreaterThan(550)
    expect(feed.append.quantile(1)).toBeGreaterThanOrEqual(700)
  })

  test('a broker that cannot take the rate is seen: what was reached, and how late the end came', async () => {
    const { feed } = await feedTo(() => 2_500)
    expect(feed.measured.events).toBe(2_000)
    expect(feed.reached()).toBeLessThan(800)
    expect(feed.appendedMs()).toBeGreaterThan(500)
  })
})

test('of a repeat, a broken event and one that no rule looks at nothing is expected', () => {
  const events = new LatencyEvents('known')
  const seen = new Set<string>()
  for (let i = 0; i < 20_000; i++) {
    const { line, scores, rewards } = events.next(START + i)
    const { event_id: id, event_name: name, payload, user, ts } = JSON.parse(line) as Record<string, unknown>
    const whole =
      typeof id === 'string' && payload !== undefined && ts !== 'yesterday' && Object.hasOwn(user as object, 'id')
    const counts = whole && !seen.has(id) && ['bet', 'spin', 'deposit'].includes(String(name))
    expect([line, scores > 0]).toEqual([line, counts])
    if (!counts) expect(rewards).toBe(0)
    if (typeof id === 'string') seen.add(id)
  }
})
