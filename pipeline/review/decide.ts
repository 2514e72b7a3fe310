/**
 * What becomes of one dead letter: pure, from the letter, what was decided so far, the command, and what is known. The
 * executor (./reviewer.ts) carries it out.
 *
 * R1  a letter is decided once, whoever decides at the same time
 * R2  what a decision sends stands on its topic if and only if the decision stands
 * R3  nothing is sent that would be set aside again for its schema or its time, as both are now; nothing late that no rule
 *     would score
 * R4  nothing is sent that nobody has vouched for: no call whose signature does not hold, no tick
 * R5  money moves in the ledger alone: of a reward task nothing is sent to the log, for the ledger knows it already
 * R6  what is refused stays open, and nothing is written about it
 * R7  a dry run opens no transactional id, so that it stops nobody's work
 */
import { FUTURE_MS_MAX } from '../../core/durations.ts'
import type { DlqStep, Reprocessed } from '../../core/model/dlq.ts'
import type { PlayerEvent } from '../../core/model/event.ts'
import { partitionOf } from '../../core/partitioner.ts'
import type { OutRecord } from '../../core/ports/log.ts'
import { REPROCESSED_HEADER, type Topics } from '../../core/topics.ts'
import type { Normalized } from '../../operators/normalize.ts'
import { isAboutProtection } from '../../operators/protection-event.ts'
import { REPROCESSED_BYTES_MAX } from '../../operators/reprocessed.ts'
import type { Fix } from './fix.ts'
import type { Letter } from './letter.ts'
import type { Whole } from './letters.ts'
import { prospectsOfLate, prospectsOfOthers, type Whereabouts } from './prospects.ts'
import type { Decision } from './review-record.ts'

export type Deciding = { readonly actor: string; readonly reason: string | undefined } & (
  | { readonly name: 'reprocess' | 'drop' }
  | { readonly name: 'fix'; readonly fix: Fix }
)

export interface Facts {
  /** What stands on the topic of reviews. */
  readonly decision: Decision | undefined
  readonly whole: Whole
  /** Unix ms: what is sent gets it as its ingest time. */
  readonly now: number
}

/** What is the same for all letters of a command. */
export interface Surroundings {
  readonly topics: Topics
  /** Of the events topic. */
  readonly partitions: number
  readonly normalize: (raw: Buffer | null) => Normalized
  /** What is known of the workers of a partition of the events topic. */
  readonly whereabouts: (partition: number) => Whereabouts
  /** Whether the ledger can be asked. */
  readonly ledger: boolean
}

export type Verdict =
  | {
      readonly kind: 'send'
      readonly to: 'reprocessed' | 'fixed'
      readonly record: OutRecord & { readonly value: Buffer }
      readonly notes: readonly string[]
    }
  /** The ledger sends the reward again, or says why it does not. */
  | { readonly kind: 'resend'; readonly taskId: string }
  | { readonly kind: 'drop'; readonly notes: readonly string[] }
  | { readonly kind: 'refuse'; readonly detail: string }
  | { readonly kind: 'decided'; readonly decision: Decision }

export function decide(letter: Letter, command: Deciding, facts: Facts, around: Surroundings): Verdict {
  if (facts.decision !== undefined) return { kind: 'decided', decision: facts.decision }
  if (command.name === 'drop') return drop(letter, command.reason)
  switch (letter.about) {
    case 'call':
      return refuse(
        'the signature of this call does not hold, so nobody knows who has sent it; ask the provider to send it again, and drop it',
      )
    case 'tick':
      return refuse('a tick moves the time of its partition and is no event; workers write new ones, so drop it')
    case 'task':
      return decideTask(letter, command, around)
    case 'event':
      return decideEvent(letter, command, facts, around)
    default:
      return letter.about satisfies never
  }
}

function drop(letter: Letter, reason: string | undefined): Verdict {
  if (reason === undefined || reason.trim() === '') return refuse('a drop needs a reason')
  if (letter.about !== 'task' || letter.cause === 'schema') return { kind: 'drop', notes: [] }
  return { kind: 'drop', notes: [`reward ${letter.taskId ?? 'unknown'} stays as it is in the ledger`] }
}

/**
 * A reward that its pool refused stands in the ledger as failed, like one that its partner refused: a second record of the
 * same task changes nothing of it and would only be dead-lettered again (connectors/ledger/booking.ts). So the ledger sends
 * both again itself, asking the gates and the pool anew; a task is paid once there, however often it is asked for.
 */
function decideTask(letter: Letter, command: Deciding, { ledger }: Surroundings): Verdict {
  if (command.name === 'fix') {
    return refuse(
      'it is a reward, and no event: what somebody is owed is not edited; issue one by hand: onceward rewards issue',
    )
  }
  if (letter.cause !== 'payout' && letter.cause !== 'budget_closed') {
    return refuse(
      'the sink cannot read this record of a reward, and its bytes have not changed; mend whoever writes them, issue the reward by hand (onceward rewards issue), and drop it',
    )
  }
  const { taskId } = letter
  if (taskId === null) return refuse('the letter holds no reward_task_id, so the ledger cannot be asked for it')
  if (!ledger) return refuse(`the ledger sends it again: add --db, or type onceward rewards resend ${taskId}`)
  return { kind: 'resend', taskId }
}

function decideEvent(letter: Letter, command: Deciding, facts: Facts, around: Surroundings): Verdict {
  const { whole, now } = facts
  const { source } = letter.record
  if (source !== null && source.topic !== around.topics.events) {
    return refuse(`it came from ${source.topic}, where nothing is ever sent back to`)
  }
  if (!whole.ok) return refuse(whole.detail)
  const mended = command.name === 'fix' ? command.fix(whole.bytes) : { ok: true as const, bytes: whole.bytes }
  if (!mended.ok) return refuse(mended.detail)
  const normalized = around.normalize(mended.bytes)
  if (normalized.kind === 'rejected') {
    const still = command.name === 'fix' ? 'the fixed event is not valid' : 'it is not valid by the schemas of now'
    const next = command.name === 'fix' ? '' : '; mend it: onceward dlq fix'
    return refuse(`${still}: ${normalized.detail}${next}`)
  }
  const { event } = normalized
  if (event.ts > now + FUTURE_MS_MAX) {
    const from = new Date(event.ts - FUTURE_MS_MAX).toISOString()
    return refuse(`its ts ${new Date(event.ts).toISOString()} still lies ahead; it is accepted from ${from} on`)
  }
  const { header, ...record } = recordOf({ letter, command, event, bytes: mended.bytes, now, around })
  if (header.length > REPROCESSED_BYTES_MAX) {
    return refuse(
      `it was sent back ${letter.record.history?.length ?? 0} times already, and its history holds no more; drop it`,
    )
  }
  const whereabouts = around.whereabouts(record.partition)
  const late = wasLate(letter) ? prospectsOfLate(event, whereabouts) : undefined
  if (late?.ok === false) return refuse(late.detail)
  const notes = [...changesOf(letter, event), ...(late?.notes ?? prospectsOfOthers(event, whereabouts))]
  const headers = { [REPROCESSED_HEADER]: header }
  return { kind: 'send', to: command.name === 'fix' ? 'fixed' : 'reprocessed', record: { ...record, headers }, notes }
}

/** Whether somebody has seen by now that it comes late: only then do workers let it count (operators/late.ts). */
function wasLate({ cause, record: { history } }: Letter): boolean {
  return cause === 'late' || history?.some(({ was }) => was === 'late') === true
}

/** What a person should see before it is agreed to. */
function changesOf(letter: Letter, event: PlayerEvent): string[] {
  const changes: string[] = []
  if (letter.eventId !== null && letter.eventId !== event.eventId) {
    changes.push(`another event_id: ${letter.eventId} becomes ${event.eventId}`)
  }
  if (letter.userId !== null && letter.userId !== event.userId) {
    changes.push(`another player: ${letter.userId} becomes ${event.userId}`)
  }
  if (letter.record.from?.startsWith('gateway/') === true) {
    changes.push("it goes past the gateway: what it says of its player and address is the sender's own word")
  }
  if (isAboutProtection(event)) changes.push('it tells what its player may have: look at what came after it')
  return changes
}

interface Sending {
  readonly letter: Letter
  readonly command: Deciding
  readonly event: PlayerEvent
  readonly bytes: Buffer
  readonly now: number
  readonly around: Surroundings
}

/** As a producer would write it, keyed by player; the header tells what it was before. */
function recordOf({ letter, command, event, bytes, now, around }: Sending): OutRecord & {
  readonly value: Buffer
  readonly header: Buffer
} {
  const step: DlqStep = {
    letter: letter.id,
    was: letter.cause,
    action: command.name === 'fix' ? 'fix' : 'reprocess',
    actor: command.actor,
    at: new Date(now).toISOString(),
  }
  const reprocessed: Reprocessed = { history: [...(letter.record.history ?? []), step] }
  return {
    topic: around.topics.events,
    partition: partitionOf(event.userId, around.partitions),
    key: event.userId,
    value: bytes,
    timestamp: now,
    header: Buffer.from(JSON.stringify(reprocessed)),
  }
}

function refuse(detail: string): Verdict {
  return { kind: 'refuse', detail }
}
