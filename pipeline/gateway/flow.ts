import { unreachable } from '../../core/assert.ts'

/**
 * What the gateway does with events on their way to the bus: a pure state machine, so that no order of arrivals, answers and
 * failures can put on the bus what was refused.
 *
 * One send is under way at a time; what comes meanwhile waits and goes together in the next one. Held here:
 *
 * G2  what is refused was never handed to the log: only what waits is refused, and what was sent is answered by its send alone.
 * G4  what waits is bounded in bytes, and in time by the patience with the send before it.
 */
export type Phase =
  /** Nothing is under way. */
  | 'idle'
  | 'sending'
  /** The send under way has not been answered for as long as patience goes. Whatever comes is refused until it is. */
  | 'stuck'
  /** A send has failed, and the bus has not answered since. */
  | 'lost'
  | 'ended'

export interface Flow {
  readonly phase: Phase
  /** Bytes that wait for the next send. */
  readonly waitingBytes: number
  /** Nothing new is taken; it ends with what waits. */
  readonly closing: boolean
}

export type Fact =
  | { readonly kind: 'arrived'; readonly bytes: number }
  /** The first of what waits were handed to the log. */
  | { readonly kind: 'sent'; readonly bytes: number }
  | { readonly kind: 'acknowledged' }
  /** The send came to an end that is none; `appended` says whether something of it may be there. */
  | { readonly kind: 'failed'; readonly appended: 'nothing' | 'unknown' }
  | { readonly kind: 'patience-over' }
  /** The bus answers again. */
  | { readonly kind: 'reopened' }
  | { readonly kind: 'closing' }

export type Order =
  /** Keep what has arrived. */
  | 'queue'
  /** Tell who has just come that nothing was taken. */
  | 'refuse'
  /** Hand the first of what waits to the log. */
  | 'send'
  /** Tell all who wait that nothing was taken. */
  | 'refuse-waiting'
  | 'confirm-sent'
  /** Tell those of the send that nothing was taken. */
  | 'refuse-sent'
  /** Tell those of the send that nobody knows. */
  | 'doubt-sent'
  /** Ask the bus until it answers. */
  | 'reopen'

export interface Decision {
  readonly flow: Flow
  /** In this order. */
  readonly orders: readonly Order[]
}

export const IDLE: Flow = { phase: 'idle', waitingBytes: 0, closing: false }

/** A fact that cannot be in a phase, such as an answer where nothing was sent, changes nothing. */
export function decideFlow(flow: Flow, fact: Fact, waitingBytesMax: number): Decision {
  switch (fact.kind) {
    case 'arrived':
      return arrived(flow, fact.bytes, waitingBytesMax)
    case 'sent':
      return { flow: { ...flow, phase: 'sending', waitingBytes: flow.waitingBytes - fact.bytes }, orders: [] }
    case 'acknowledged':
      return acknowledged(flow)
    case 'failed':
      return failed(flow, fact.appended)
    case 'patience-over':
      return patienceOver(flow)
    case 'reopened':
      return flow.phase === 'lost' ? to(flow, 'idle') : to(flow, flow.phase)
    case 'closing':
      return closing(flow)
    default:
      return unreachable(fact)
  }
}

function to(flow: Flow, phase: Phase, ...orders: readonly Order[]): Decision {
  const emptied = orders.includes('refuse-waiting') ? { waitingBytes: 0 } : {}
  return { flow: { ...flow, ...emptied, phase }, orders }
}

function isUnderWay({ phase }: Flow): boolean {
  return phase === 'sending' || phase === 'stuck'
}

function arrived(flow: Flow, bytes: number, waitingBytesMax: number): Decision {
  const waitingBytes = flow.waitingBytes + bytes
  if (flow.phase === 'idle' && !flow.closing) return { flow: { ...flow, waitingBytes }, orders: ['queue', 'send'] }
  const fits = flow.phase === 'sending' && !flow.closing && waitingBytes <= waitingBytesMax
  return fits ? { flow: { ...flow, waitingBytes }, orders: ['queue'] } : to(flow, flow.phase, 'refuse')
}

function acknowledged(flow: Flow): Decision {
  if (!isUnderWay(flow)) return to(flow, flow.phase)
  if (flow.waitingBytes > 0) return to(flow, 'idle', 'confirm-sent', 'send')
  return to(flow, flow.closing ? 'ended' : 'idle', 'confirm-sent')
}

/** What waits is refused as well: whatever ended the send is in the way of the next one. */
function failed(flow: Flow, appended: 'nothing' | 'unknown'): Decision {
  if (!isUnderWay(flow)) return to(flow, flow.phase)
  const told: Order = appended === 'nothing' ? 'refuse-sent' : 'doubt-sent'
  if (flow.closing) return to(flow, 'ended', told, 'refuse-waiting')
  return to(flow, 'lost', told, 'refuse-waiting', 'reopen')
}

function patienceOver(flow: Flow): Decision {
  if (flow.phase !== 'sending') return to(flow, flow.phase)
  if (flow.closing) return to(flow, 'ended', 'refuse-waiting', 'doubt-sent')
  return to(flow, 'stuck', 'refuse-waiting')
}

function closing(flow: Flow): Decision {
  const closing = { ...flow, closing: true }
  if (flow.phase === 'idle' || flow.phase === 'lost') return to(closing, 'ended')
  return flow.phase === 'stuck' ? to(closing, 'ended', 'doubt-sent') : to(closing, flow.phase)
}
