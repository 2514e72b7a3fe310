import assert from 'node:assert'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decideFlow, type Fact, type Flow, IDLE, type Order, type Phase } from '../../pipeline/gateway/flow.ts'

const MAX = 100

function flow(phase: Phase, more: Partial<Flow> = {}): Flow {
  return { phase, waitingBytes: 0, closing: false, ...more }
}

const arrived: Fact = { kind: 'arrived', bytes: 40 }
const unknown: Fact = { kind: 'failed', appended: 'unknown' }
const nothing: Fact = { kind: 'failed', appended: 'nothing' }
const acknowledged: Fact = { kind: 'acknowledged' }
const patienceOver: Fact = { kind: 'patience-over' }
const closing: Fact = { kind: 'closing' }
const reopened: Fact = { kind: 'reopened' }
const waits = { waitingBytes: 40 }
const ends = { closing: true }

type Row = readonly [name: string, before: Flow, fact: Fact, orders: readonly Order[], after: Flow]

describe('what becomes of events on their way to the bus', () => {
  const rows: readonly Row[] = [
    ['the first goes at once', flow('idle'), arrived, ['queue', 'send'], flow('idle', waits)],
    ['others wait for the send under way', flow('sending'), arrived, ['queue'], flow('sending', waits)],
    [
      'up to a bound',
      flow('sending', { waitingBytes: 61 }),
      arrived,
      ['refuse'],
      flow('sending', { waitingBytes: 61 }),
    ],
    [
      'and including it',
      flow('sending', { waitingBytes: 60 }),
      arrived,
      ['queue'],
      flow('sending', { waitingBytes: 100 }),
    ],
    ['none waits for a send that is stuck', flow('stuck'), arrived, ['refuse'], flow('stuck')],
    ['or for a bus that is lost', flow('lost'), arrived, ['refuse'], flow('lost')],
    ['or after the end', flow('ended', ends), arrived, ['refuse'], flow('ended', ends)],
    ['or once it is closing', flow('sending', ends), arrived, ['refuse'], flow('sending', ends)],
    ['what was acknowledged is confirmed', flow('sending'), acknowledged, ['confirm-sent'], flow('idle')],
    ['and what waited goes', flow('sending', waits), acknowledged, ['confirm-sent', 'send'], flow('idle', waits)],
    ['late is not never', flow('stuck'), acknowledged, ['confirm-sent'], flow('idle')],
    ['patience ends for those who wait', flow('sending', waits), patienceOver, ['refuse-waiting'], flow('stuck')],
    ['once', flow('stuck'), patienceOver, [], flow('stuck')],
    ['and not after the answer', flow('idle'), patienceOver, [], flow('idle')],
    [
      'what failed is in doubt',
      flow('sending', waits),
      unknown,
      ['doubt-sent', 'refuse-waiting', 'reopen'],
      flow('lost'),
    ],
    [
      'unless nothing of it is there',
      flow('sending', waits),
      nothing,
      ['refuse-sent', 'refuse-waiting', 'reopen'],
      flow('lost'),
    ],
    ['also when it was stuck', flow('stuck'), unknown, ['doubt-sent', 'refuse-waiting', 'reopen'], flow('lost')],
    ['a bus that is back is used', flow('lost'), reopened, [], flow('idle')],
    ['an end without anything is one', flow('idle'), closing, [], flow('ended', ends)],
    ['an end waits for the send', flow('sending', waits), closing, [], flow('sending', { ...waits, ...ends })],
    [
      'and for what waits behind it',
      flow('sending', { ...waits, ...ends }),
      acknowledged,
      ['confirm-sent', 'send'],
      flow('idle', { ...waits, ...ends }),
    ],
    ['then it is one', flow('sending', ends), acknowledged, ['confirm-sent'], flow('ended', ends)],
    [
      'but not for longer than patience',
      flow('sending', { ...waits, ...ends }),
      patienceOver,
      ['refuse-waiting', 'doubt-sent'],
      flow('ended', ends),
    ],
    ['not for a stuck one', flow('stuck'), closing, ['doubt-sent'], flow('ended', ends)],
    ['nor to reach it again', flow('sending', ends), unknown, ['doubt-sent', 'refuse-waiting'], flow('ended', ends)],
    ['nothing comes after the end', flow('ended', ends), reopened, [], flow('ended', ends)],
  ]

  it.each(rows)('%s', (...[, before, fact, orders, after]: Row) => {
    expect(decideFlow(before, fact, MAX)).toEqual({ flow: after, orders })
  })
})

/** Carries out the orders on lists of ids, as the bus does on callers. */
class Model {
  flow: Flow = IDLE
  waiting: number[] = []
  sent: number[] = []
  readonly handedOver = new Set<number>()
  readonly told = new Map<number, 'confirmed' | 'refused' | 'doubted'>()
  #next = 0

  tell(fact: Fact): void {
    const id = fact.kind === 'arrived' ? this.#next++ : -1
    const { flow, orders } = decideFlow(this.flow, fact, MAX)
    this.flow = flow
    for (const order of orders) this.#carryOut(order, id)
  }

  #carryOut(order: Order, arrivedId: number): void {
    if (order === 'queue') this.waiting.push(arrivedId)
    if (order === 'refuse') this.#tellAll([arrivedId], 'refused')
    if (order === 'refuse-waiting') this.#tellAll(this.waiting.splice(0), 'refused')
    if (order === 'refuse-sent') this.#tellAll(this.sent.splice(0), 'refused')
    if (order === 'confirm-sent') this.#tellAll(this.sent.splice(0), 'confirmed')
    if (order === 'doubt-sent') this.#tellAll(this.sent.splice(0), 'doubted')
    if (order === 'send') {
      assert.deepEqual(this.sent, [], 'one send at a time')
      this.sent = this.waiting.splice(0, 2)
      for (const id of this.sent) this.handedOver.add(id)
      this.tell({ kind: 'sent', bytes: this.sent.length * 40 })
    }
  }

  #tellAll(ids: readonly number[], what: 'confirmed' | 'refused' | 'doubted'): void {
    for (const id of ids) {
      assert(!this.told.has(id), 'each is told once')
      this.told.set(id, what)
    }
  }
}

describe('whatever comes in whatever order', () => {
  const fact = fc.oneof(
    { weight: 5, arbitrary: fc.constant(arrived) },
    fc.constantFrom<Fact>(acknowledged, unknown, patienceOver, reopened),
  )

  it('what is refused was never handed over, nobody is told twice, what waits is bounded, and the end tells all', () => {
    fc.assert(
      fc.property(fc.array(fact, { maxLength: 60 }), (facts) => {
        const model = new Model()
        const check = (): void => {
          for (const [id, what] of model.told) if (what === 'refused') expect(model.handedOver.has(id)).toBe(false)
          expect(model.flow.waitingBytes).toBe(model.waiting.length * 40)
          expect(model.flow.waitingBytes).toBeLessThanOrEqual(MAX)
          expect(model.sent.length > 0).toBe(model.flow.phase === 'sending' || model.flow.phase === 'stuck')
        }
        for (const each of facts) {
          model.tell(each)
          check()
        }
        model.tell(closing)
        check()
        // The watch over the send that is under way always ends it.
        while (model.flow.phase !== 'ended') model.tell(patienceOver)
        check()
        expect([...model.waiting, ...model.sent]).toEqual([])
        expect(model.told.size).toBe(facts.filter(({ kind }) => kind === 'arrived').length)
      }),
      { numRuns: Number(process.env['ONCEWARD_FUZZ'] ?? 2_000) },
    )
  })
})
