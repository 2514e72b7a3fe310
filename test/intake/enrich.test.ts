import { describe, expect, it } from 'vitest'
import { openDevices } from '../../connectors/enrich/devices.ts'
import type { GeoLookup } from '../../core/ports/enrich.ts'
import type { EventSource, RequestFacts } from '../../core/ports/gateway.ts'
import type { Log } from '../../core/ports/log.ts'
import type { IntakeOptions } from '../../pipeline/gateway/intake.ts'
import {
  backend,
  bet,
  browser,
  deposit,
  eventsOn,
  facts,
  intakeOn,
  memoryLog,
  recordsOf,
  type TestEvent,
  topics,
} from './harness.ts'

const geo: GeoLookup = { country: (ip) => ({ '203.0.113.7': 'DE', '198.51.100.1': 'tr' })[ip] }
const CHROME =
  'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36'
const device = { os: 'Android', browser: 'Chrome', type: 'mobile' }

interface Sent {
  readonly source: EventSource
  readonly facts?: Partial<RequestFacts>
  readonly options?: Partial<IntakeOptions>
  readonly log?: Log
}

/** What stands on the bus of an event. */
async function onBus(event: TestEvent, { source, facts: known, options, log }: Sent): Promise<TestEvent | undefined> {
  const bus = log ?? (await memoryLog())
  const intake = await intakeOn(bus, { geo, devices: openDevices(), ...options })
  await intake.take({ source, events: [event], facts: { ...facts, ...known } })
  await intake.close()
  return (await eventsOn(bus)).find(({ event_id }) => event_id === event.event_id)
}

const said = {
  ...bet('e1'),
  user: { id: 'u', geo: 'US', platform: 'ios', payer_flag: true, risk_flags: ['vip'] },
  context: { ip: '192.0.2.1', device: { os: 'said' }, session_id: 's' },
}

describe('what a browser says of its player', () => {
  it('is replaced by what the connection shows', async () => {
    expect(await onBus(said, { source: browser, facts: { userAgent: CHROME } })).toEqual({
      ...said,
      user: { id: 'u', geo: 'DE', platform: 'ios' },
      context: { ip: '203.0.113.7', device: { os: 'said' }, session_id: 's' },
    })
  })

  it('or dropped where that shows nothing', async () => {
    const event = await onBus(said, { source: browser, options: { geo: undefined } })
    expect(event?.user).toEqual({ id: 'u', platform: 'ios' })
  })

  it('or completed where it says nothing', async () => {
    const event = await onBus({ ...bet('e1'), user: { id: 'u' } }, { source: browser, facts: { userAgent: CHROME } })
    expect(event?.user).toEqual({ id: 'u', geo: 'DE', platform: 'android' })
    expect(event?.context).toEqual({ ip: '203.0.113.7', device })
    const empty = { ...bet('e2'), user: { id: 'u', geo: null, platform: null }, context: null }
    const filled = await onBus(empty, { source: browser, facts: { userAgent: CHROME } })
    expect(filled).toMatchObject({ user: { geo: 'DE', platform: 'android' }, context: { ip: '203.0.113.7', device } })
  })

  it('the country of a CDN counts over the database, unless it does not know it either', async () => {
    const countryOf = async (country: string) =>
      (await onBus(bet('e1'), { source: browser, facts: { country } }))?.user.geo
    expect(await countryOf('AT')).toBe('AT')
    expect(await countryOf('at')).toBe('AT')
    for (const unknown of ['XX', 'T1', 'Austria', '']) expect(await countryOf(unknown)).toBe('DE')
  })
})

describe('what a trusted source says', () => {
  it('stands', async () => {
    const event = { ...said, context: { ...said.context, ip: '203.0.113.7' } }
    expect(await onBus(event, { source: backend, facts: { userAgent: CHROME, country: 'AT' } })).toEqual(event)
  })

  it('its own address is not the player’s', async () => {
    const event = { ...bet('e1'), user: { id: 'u' } }
    expect(await onBus(event, { source: backend, facts: { userAgent: CHROME, country: 'AT' } })).toEqual(event)
    const webhook = { ...browser, kind: 'webhook', name: 'gameco' } as const
    expect(await onBus(event, { source: webhook, facts: { userAgent: CHROME, country: 'AT' } })).toMatchObject({
      user: { id: 'u' },
    })
  })

  it('but the one that it names leads to the country', async () => {
    const event = { ...bet('e1'), user: { id: 'u', geo: null }, context: { ip: '198.51.100.1' } }
    expect(await onBus(event, { source: backend })).toEqual({ ...event, user: { id: 'u', geo: 'TR' } })
  })
})

describe('who pays', () => {
  it('is known from the first deposit on that a trusted source tells of, and on every gateway', async () => {
    const log = await memoryLog()
    const flagOf = async (source: EventSource, id: string) =>
      (await onBus({ ...bet(id), user: { id: 'rich' } }, { source, log }))?.user.payer_flag
    expect(await flagOf(browser, 'before')).toBeUndefined()
    await onBus(deposit('d0', 'rich'), { source: browser, log })
    expect(await flagOf(browser, 'after a browser')).toBeUndefined()
    await onBus(deposit('d1', 'rich'), { source: backend, log })
    await onBus(deposit('d2', 'rich'), { source: backend, log })
    expect(await flagOf(browser, 'after')).toBe(true)
    expect(await flagOf(backend, 'after, from a server')).toBe(true)
    expect(
      (await onBus({ ...bet('said'), user: { id: 'rich', payer_flag: false } }, { source: backend, log }))?.user
        .payer_flag,
    ).toBe(false)
    expect((await recordsOf(log, topics.payers)).map(({ key }) => key?.toString())).toEqual(['rich'])
  })

  it('is known at once on the gateway that has seen it', async () => {
    const log = await memoryLog()
    const intake = await intakeOn(log)
    await intake.take({ source: backend, events: [deposit('d1', 'rich')], facts })
    await intake.take({ source: browser, events: [deposit('d2', 'poor')], facts })
    const bets = ['rich', 'poor', 'other'].map((id) => ({ ...bet(`of the ${id}`), user: { id } }))
    await intake.take({ source: backend, events: bets, facts })
    const flags = (await eventsOn(log)).map(({ event_id, user }) => [event_id, user.payer_flag])
    expect(flags.filter(([, flag]) => flag !== undefined)).toEqual([['of the rich', true]])
    await intake.close()
  })
})
