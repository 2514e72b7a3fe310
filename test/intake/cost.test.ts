import { createSecretKey } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { openDevices } from '../../connectors/enrich/devices.ts'
import type { EventSource } from '../../core/ports/gateway.ts'
import type { Log } from '../../core/ports/log.ts'
import { backend, browser, facts, intakeOn, memoryLog } from './harness.ts'

/** ONCEWARD_INTAKE_EVENTS=400000 on a machine of its own says what an event costs: some 9 to 14 us. */
const EVENTS = Number(process.env['ONCEWARD_INTAKE_EVENTS'] ?? 30_000)
/** Made, then measured: a heap full of events would be most of what is seen. */
const CHUNK = 10_000
const BATCH = 100
/** Far above what it is, and far below what a gateway at 30,000 events a second could bear, on a machine that does much else. */
const MICROS_MAX = 60
const IPHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile Safari/604.1'

function eventOf(i: number): unknown {
  return {
    event_id: `01J8Z3Q5W6X7Y8Z9${i}`,
    event_name: 'bet',
    version: '1.0.0',
    ts: '2026-11-28T09:00:00.123Z',
    user: { id: `user_${i % 5_000}`, geo: 'TR', platform: 'ios' },
    context: { session_id: 's_81723918273', device_fp: 'fp_918273918', ip: '203.0.113.7' },
    payload: { bet: 12.5, currency: 'EUR', game_id: 'book_of_dead', provider: 'gameco', round_id: `r_${i}` },
  }
}

/** `log`, whose producers acknowledge what they get and forget it. */
function forgetting(log: Log): Log {
  return new Proxy(log, {
    get: (target, name) => {
      if (name === 'producer') {
        return () => Promise.resolve({ send: () => Promise.resolve([]), close: () => Promise.resolve() })
      }
      const member: unknown = Reflect.get(target, name)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}

/** Microseconds of CPU that the intake takes for one event, in batches that were parsed before, without HTTP and without a broker. */
async function microsOf(source: EventSource): Promise<number> {
  const intake = await intakeOn(forgetting(await memoryLog()), { devices: openDevices() })
  let micros = 0
  for (let made = 0; made < EVENTS; made += CHUNK) {
    const batches = Array.from({ length: CHUNK / BATCH }, (_, b) =>
      Array.from({ length: BATCH }, (_, i) => eventOf(made + b * BATCH + i)),
    )
    const started = process.cpuUsage()
    for (const events of batches) await intake.take({ source, events, facts: { ...facts, userAgent: IPHONE } })
    const { user, system } = process.cpuUsage(started)
    micros += user + system
  }
  await intake.close()
  return micros / EVENTS
}

describe('an event costs little, whoever sends it', () => {
  const pass = ['context.session_id', 'context.device_fp', 'user.geo', 'user.platform']
  it.each<[string, EventSource]>([
    ['a back end', backend],
    ['a page', browser],
    [
      'a page, of whose events little may pass',
      { ...browser, privacy: { pass, hash: ['context.ip'], hashKey: createSecretKey('key', 'utf8') } },
    ],
  ])('%s', async (who, source) => {
    const micros = await microsOf(source)
    process.stdout.write(`${who}: ${micros.toFixed(1)} us of CPU an event\n`)
    expect(micros).toBeLessThan(MICROS_MAX)
  })
})
