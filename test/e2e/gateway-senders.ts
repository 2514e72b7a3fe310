import { HttpConnection } from '../../cli/bench/gateway-connection.ts'
import { systemClock as clock } from '../../core/clock.ts'

/** What became of one event, over all attempts to send it. */
interface Told {
  accepted: boolean
  /** A status that says that it was not taken. */
  refused: boolean
  /** At least one attempt was not answered: it may be on the bus, more than once if it was sent again. */
  unanswered: boolean
}

interface Answers {
  readonly events?: readonly { readonly status: string; readonly event_id?: string; readonly reason?: string }[]
}

interface Sent {
  readonly event_id: string
  readonly [field: string]: unknown
}

const RETRY_MS = 20

/**
 * Senders that go on whatever they are answered, and write down what they were told of each event. One that gets no answer sends the
 * same events again until it has one, as an SDK does; one that is refused goes on with others, so that nothing refused is ever sent again.
 */
export class Senders {
  readonly told = new Map<string, Told>()
  readonly statuses = new Map<number, number>()
  readonly #run: string
  readonly #key: string
  readonly #port: () => number
  #stopping = false
  #lanes: readonly Promise<void>[] = []
  #next = 0

  constructor(options: { readonly run: string; readonly key: string; readonly port: () => number }) {
    this.#run = options.run
    this.#key = options.key
    this.#port = options.port
  }

  get accepted(): readonly string[] {
    return [...this.told].flatMap(([id, { accepted }]) => (accepted ? [id] : []))
  }

  start(lanes: number): void {
    this.#lanes = Array.from({ length: lanes }, (_, lane) => this.#lane(lane))
  }

  /** Ends once each sender has an answer to what it sent last. */
  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#lanes)
  }

  async #lane(lane: number): Promise<void> {
    while (!this.#stopping) {
      const events = Array.from({ length: 1 + ((lane * 7) % 20) }, () => this.#event())
      const connection = new HttpConnection({ port: this.#port(), path: '/v1/events', key: this.#key })
      await this.#send(connection, events)
      connection.close()
    }
  }

  async #send(first: HttpConnection, events: readonly Sent[]): Promise<void> {
    for (const { event_id } of events) this.told.set(event_id, { accepted: false, refused: false, unanswered: false })
    for (
      let connection = first;
      ;
      connection = new HttpConnection({ port: this.#port(), path: '/v1/events', key: this.#key })
    ) {
      try {
        const { status, body } = await connection.post(JSON.stringify(events))
        this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1)
        this.#hear(status, JSON.parse(body) as Answers, events)
        return
      } catch {
        for (const { event_id } of events) this.#of(event_id).unanswered = true
        await clock.sleep(RETRY_MS)
      } finally {
        connection.close()
      }
    }
  }

  #hear(status: number, answer: Answers, events: readonly Sent[]): void {
    for (const [i, { event_id }] of events.entries()) {
      const told = this.#of(event_id)
      if (answer.events?.[i]?.status === 'accepted') told.accepted = true
      else told.refused = true
    }
    if (status !== 202 && status !== 422 && status !== 409 && answer.events !== undefined)
      throw new Error(`events with ${status}`)
  }

  #of(id: string): Told {
    const told = this.told.get(id)
    if (told === undefined) throw new Error(`${id} was never sent`)
    return told
  }

  /** Every ninth is none. */
  #event(): Sent {
    const n = this.#next++
    const payload = n % 9 === 0 ? {} : { bet: 1 }
    const ts = new Date(clock.now()).toISOString()
    return { event_id: `${this.#run}-${n}`, event_name: 'bet', ts, user: { id: `u_${n % 50}` }, payload }
  }
}

/** What must hold of what stands on the bus, in sentences where it does not. */
export function whatIsWrong(told: Senders['told'], onBus: readonly string[]): readonly string[] {
  const times = new Map<string, number>()
  for (const id of onBus) times.set(id, (times.get(id) ?? 0) + 1)
  const wrong: string[] = []
  for (const [id, { accepted, refused, unanswered }] of told) {
    const there = times.get(id) ?? 0
    if (accepted && there === 0) wrong.push(`${id} was answered 202 and is nowhere`)
    if (refused && !accepted && !unanswered && there > 0) wrong.push(`${id} was refused and stands on the bus`)
    if (!unanswered && there > 1) wrong.push(`${id} was sent once and stands ${there} times on the bus`)
  }
  for (const id of times.keys()) if (!told.has(id)) wrong.push(`${id} was never sent`)
  return wrong
}
