import { openEmbeddedLog } from '../../connectors/log/embedded/log.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import type { DlqRecord } from '../../core/model/dlq.ts'
import type { EventIntake, EventSource, RequestFacts } from '../../core/ports/gateway.ts'
import type { Log, LogRecord, OutRecord, Producer } from '../../core/ports/log.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { topicNames } from '../../core/topics.ts'
import { parseSchemas } from '../../operators/event-schema.ts'
import { type IntakeOptions, openIntake } from '../../pipeline/gateway/intake.ts'
import { memoryKv } from '../../state/memory-kv.ts'
import { ownSchemas } from '../events/support.ts'

export const topics = topicNames()
export const schemas = parseSchemas(ownSchemas)
export const PARTITIONS = 4

/** A log in memory with the topics that a gateway needs of others. */
export async function memoryLog(clock: Clock = systemClock): Promise<Log> {
  const log = await openEmbeddedLog({ kv: memoryKv(), clock })
  await log.createTopics([
    { topic: topics.events, partitions: PARTITIONS, cleanup: 'delete' },
    { topic: topics.dlq, partitions: 2, cleanup: 'delete' },
  ])
  return log
}

export function intakeOn(log: Log, options: Partial<IntakeOptions> = {}): Promise<EventIntake> {
  return openIntake({ log, topics, schemas, clock: systemClock, logger: silentLogger, ...options })
}

export const backend: EventSource = {
  name: 'backend',
  kind: 'key',
  events: undefined,
  trusted: true,
  privacy: { pass: undefined, hash: [] },
  deadLetters: true,
}

export const browser: EventSource = { ...backend, name: 'web', trusted: false, deadLetters: false }

export const facts: RequestFacts = { ip: '203.0.113.7', userAgent: undefined, country: undefined, receivedAt: 0 }

export interface TestEvent {
  readonly [field: string]: unknown
  readonly event_id: string
  readonly event_name: string
  readonly ts: string
  readonly user: Readonly<Record<string, unknown>>
  readonly payload: Readonly<Record<string, unknown>>
}

export function bet(id: string, more: Partial<TestEvent> = {}): TestEvent {
  return {
    event_id: id,
    event_name: 'bet',
    ts: '2026-11-28T09:00:00.000Z',
    user: { id: `u_${id.length}` },
    payload: { bet: 1 },
    ...more,
  }
}

export function deposit(id: string, user: string): TestEvent {
  return { ...bet(id), event_name: 'deposit', user: { id: user }, payload: { amount: 10 } }
}

/** All that stands on a topic, in the order of its partitions. */
export async function recordsOf(log: Log, topic: string): Promise<readonly LogRecord[]> {
  const { partitions } = (await log.topic(topic)) ?? { partitions: 0 }
  const records: LogRecord[] = []
  for (let partition = 0; partition < partitions; partition++) {
    const [bounds] = await log.bounds([{ topic, partition }])
    const reader = await log.reader({ topic, partition })
    for (let at = bounds?.earliest ?? 0; at < (bounds?.end ?? 0); ) {
      const batch = await reader.read(at)
      records.push(...batch.records)
      at = batch.nextOffset
    }
    await reader.close()
  }
  return records
}

export async function eventsOn(log: Log): Promise<readonly TestEvent[]> {
  return (await recordsOf(log, topics.events)).map(({ value }) => JSON.parse(String(value)) as TestEvent)
}

export async function lettersOn(log: Log): Promise<readonly DlqRecord[]> {
  return (await recordsOf(log, topics.dlq)).map(({ value }) => JSON.parse(String(value)) as DlqRecord)
}

/** What becomes of one send, in the hands of the test. */
export interface HeldSend {
  readonly records: readonly OutRecord[]
  /** Lets the log take it, and answers. */
  pass(): Promise<void>
  /** Lets the log take it, or not, and fails. */
  fail(error: Error, options?: { readonly appended: boolean }): Promise<void>
}

/** `log`, whose producers wait with each send to `topic` until the test decides. */
export function holdingLog(
  log: Log,
  topic: string,
): { readonly log: Log; next(): Promise<HeldSend>; readonly held: number } {
  const sends: HeldSend[] = []
  const waiting: ((send: HeldSend) => void)[] = []
  const hold = (producer: Producer): Producer => ({
    close: () => producer.close(),
    send: (records) => {
      if (!records.some((record) => record.topic === topic)) return producer.send(records)
      return new Promise((resolve, reject) => {
        const send: HeldSend = {
          records,
          pass: () => producer.send(records).then(resolve, reject),
          fail: async (error, { appended } = { appended: false }) => {
            if (appended) await producer.send(records)
            reject(error)
          },
        }
        const next = waiting.shift()
        if (next === undefined) sends.push(send)
        else next(send)
      })
    },
  })
  return {
    log: new Proxy(log, {
      get: (target, name) => {
        if (name === 'producer') return async () => hold(await target.producer())
        const member: unknown = Reflect.get(target, name)
        return typeof member === 'function' ? member.bind(target) : member
      },
    }),
    get held() {
      return sends.length
    },
    next: () => {
      const send = sends.shift()
      return send === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(send)
    },
  }
}

/** What a promise came to so far, without waiting for it. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'ok'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}
