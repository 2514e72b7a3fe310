import { createHmac, createSecretKey } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compilePrivacy } from '../../pipeline/gateway/privacy.ts'
import type { JsonObject } from '../../core/model/event.ts'
import type { Privacy } from '../../core/ports/gateway.ts'
import { backend, bet, eventsOn, facts, intakeOn, lettersOn, memoryLog, schemas } from './harness.ts'

const KEY = createSecretKey('the key of the link tokens', 'utf8')

function scrub(privacy: Partial<Privacy>, event: object, hashKey = KEY): unknown {
  const compiled = compilePrivacy({ pass: undefined, hash: [], hashKey, ...privacy }, schemas)
  const before = JSON.stringify(event)
  const left = compiled === undefined ? event : compiled(event as JsonObject, 'bet')
  expect(JSON.stringify(event), 'what came stays as it is').toBe(before)
  return JSON.parse(JSON.stringify(left))
}

function tokenOf(text: string, key = KEY): string {
  return `lt_${createHmac('sha256', key).update(text).digest('base64url').slice(0, 32)}`
}

const event = {
  ...bet('e1'),
  version: '1.0.0',
  user: { id: 'u', geo: 'DE', email: 'a@example.com' },
  context: { ip: '203.0.113.7', session_id: 's', device: { os: 'iOS', browser: 'Safari' }, headers: { cookie: 'c' } },
  payload: { bet: 1, currency: 'EUR', card_number: '4111', iban: 'DE' },
  trace: { id: 't' },
}

describe('what may pass', () => {
  it('is everything where no list says otherwise', () => {
    expect(scrub({}, event)).toEqual(event)
  })

  it('is the envelope, what the schema declares of the payload, and what is listed', () => {
    const pass = ['user.geo', 'context.session_id', 'context.device.os', 'payload.card_number', 'trace']
    expect(scrub({ pass }, event)).toEqual({
      ...bet('e1'),
      version: '1.0.0',
      user: { id: 'u', geo: 'DE' },
      context: { session_id: 's', device: { os: 'iOS' } },
      payload: { bet: 1, currency: 'EUR', card_number: '4111' },
      trace: { id: 't' },
    })
  })

  it('is nothing else, whatever comes', () => {
    const anything = fc.dictionary(fc.string(), fc.jsonValue())
    fc.assert(
      fc.property(anything, anything, anything, (user, context, more) => {
        const left = scrub(
          { pass: ['user.geo'], hash: ['context.ip'] },
          { ...more, ...bet('e1'), user: { ...user, id: 'u' }, context },
        )
        const { user: kept, context: place, ...rest } = left as { user: object; context?: object }
        expect(['event_id', 'event_name', 'payload', 'ts', 'version']).toEqual(
          expect.arrayContaining(Object.keys(rest)),
        )
        expect(['id', 'geo']).toEqual(expect.arrayContaining(Object.keys(kept)))
        expect(['ip']).toEqual(expect.arrayContaining(Object.keys(place ?? {})))
      }),
    )
  })
})

describe('link tokens', () => {
  it('stand in the place of text, the same for the same text under the same key', () => {
    const hash = ['context.ip', 'user.email']
    const left = scrub({ hash }, event) as typeof event
    expect(left).toEqual({
      ...event,
      user: { ...event.user, email: tokenOf('a@example.com') },
      context: { ...event.context, ip: tokenOf('203.0.113.7') },
    })
    expect(scrub({ hash }, event, createSecretKey('another key', 'utf8'))).not.toEqual(left)
  })

  it('of what passes whole as well, and of what is not listed otherwise', () => {
    const left = scrub({ pass: ['context'], hash: ['context.ip', 'user.email'] }, event) as typeof event
    expect(left.context).toEqual({ ...event.context, ip: tokenOf('203.0.113.7') })
    expect(left.user).toEqual({ id: 'u', email: tokenOf('a@example.com') })
  })

  it('nothing that is no text gets by in its place', () => {
    const ips = [['203.0.113.7'], { v4: '203.0.113.7' }, true, null, 7]
    const left = ips.map(
      (ip) => (scrub({ hash: ['context.ip'] }, { ...event, context: { ip } }) as typeof event).context.ip,
    )
    expect(left).toEqual([undefined, undefined, undefined, null, tokenOf('7')])
  })
})

describe('a list that cannot be kept is refused', () => {
  const rows: readonly (readonly [Partial<Privacy>, RegExp])[] = [
    [{ pass: ['context..ip'] }, /is no path/],
    [{ pass: ['context.__proto__'] }, /every JavaScript object/],
    [{ hash: ['user.constructor.name'] }, /every JavaScript object/],
    [{ hash: ['user.id'] }, /rewards are paid to the id/],
    [{ hash: ['event_id'] }, /every event needs as it is/],
  ]
  it.each(rows)('%j', (privacy, message) => {
    expect(() => scrub(privacy, event)).toThrow(message)
  })

  it('and so is one without a key', () => {
    expect(() => compilePrivacy({ pass: undefined, hash: ['context.ip'] }, schemas)).toThrow(/hash_key_file/)
  })
})

describe('on the way to the bus', () => {
  it('comes after what the gateway adds', async () => {
    const log = await memoryLog()
    const intake = await intakeOn(log)
    const privacy = { pass: ['user.geo'], hash: ['context.ip'], hashKey: KEY }
    await intake.take({
      source: { ...backend, trusted: false, privacy },
      events: [event],
      facts: { ...facts, country: 'AT' },
    })
    const [left] = await eventsOn(log)
    expect(left).toMatchObject({ user: { id: 'u', geo: 'AT' }, context: { ip: tokenOf('203.0.113.7') } })
    await intake.close()
  })

  it('what it leaves is an event, or goes nowhere', async () => {
    const log = await memoryLog()
    const intake = await intakeOn(log)
    const privacy = { pass: [], hash: ['payload.bet'], hashKey: KEY }
    const answers = await intake.take({ source: { ...backend, privacy }, events: [event], facts })
    expect(answers).toMatchObject([
      { status: 'rejected', reason: 'schema', detail: expect.stringContaining('payload.bet') },
    ])
    expect([await eventsOn(log), (await lettersOn(log)).length]).toEqual([[], 1])
    await intake.close()
  })
})
