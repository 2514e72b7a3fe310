/**
 * What the intake costs by itself, without HTTP and without a broker: node --import tsx test/intake/bench.ts [BATCH].
 * Prints microseconds of CPU an event, for batches that were parsed before.
 */
import { openDevices } from '../../connectors/enrich/devices.ts'
import type { EventSource } from '../../core/ports/gateway.ts'
import type { Log } from '../../core/ports/log.ts'
import { backend, browser, facts, intakeOn, memoryLog } from './harness.ts'

const EVENTS = 400_000
/** Made, then measured: a heap full of events would be most of what is seen. */
const CHUNK = 10_000
const batch = Number(process.argv[2] ?? 100)

function eventOf(run: string, i: number): unknown {
  return {
    event_id: `01J8Z3Q5W6X7Y8Z9${run}${i}`,
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

async function measure(name: string, source: EventSource): Promise<void> {
  const log = forgetting(await memoryLog())
  const intake = await intakeOn(log, { devices: openDevices(), linkKey: Buffer.from('key') })
  const userAgent =
    'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile Safari/604.1'
  let micros = 0
  for (let made = 0; made < EVENTS; made += CHUNK) {
    const batches = Array.from({ length: CHUNK / batch }, (_, b) =>
      Array.from({ length: batch }, (_, i) => eventOf(name, made + b * batch + i)),
    )
    const started = process.cpuUsage()
    for (const events of batches) await intake.take({ source, events, facts: { ...facts, userAgent } })
    const { user, system } = process.cpuUsage(started)
    micros += user + system
  }
  process.stdout.write(`${name}: ${(micros / EVENTS).toFixed(2)} us of CPU an event\n`)
  await intake.close()
  await log.close()
}

await measure('trusted', backend)
await measure('untrusted', browser)
await measure('private', {
  ...browser,
  privacy: { pass: ['context.session_id', 'context.device_fp', 'user.geo', 'user.platform'], hash: ['context.ip'] },
})
