import { OncewardError } from '../../core/errors.ts'
import type { AuditEntry, AuditLog } from '../../core/ports/audit.ts'
import type { AnswerLog, EventAnswer, EventIntake, StoredAnswer } from '../../core/ports/gateway.ts'

export type Request = Parameters<EventIntake['take']>[0]

export interface FakeIntake extends EventIntake {
  /** What was taken, in its order. */
  readonly requests: Request[]
  readonly letters: { readonly from: string; readonly detail: string; readonly raw: Buffer }[]
  /** How the next calls are answered; the default accepts what has an event_id. */
  behave: (request: Request) => Promise<readonly EventAnswer[]>
  available: boolean
}

/** The least that keeps the port's promises. */
export function fakeIntake(): FakeIntake {
  const requests: Request[] = []
  const letters: FakeIntake['letters'] = []
  return {
    requests,
    letters,
    available: true,
    behave: async ({ events }) => events.map(acceptIfNamed),
    async take(request) {
      const answers = await this.behave(request)
      requests.push(request)
      return answers
    },
    async setAside(letter) {
      letters.push(letter)
    },
    state() {
      return { pendingBytes: 0, available: this.available }
    },
    close: async () => undefined,
  }
}

function acceptIfNamed(event: unknown): EventAnswer {
  const id = typeof event === 'object' && event !== null && 'event_id' in event ? event.event_id : undefined
  return typeof id === 'string'
    ? { status: 'accepted', event_id: id }
    : { status: 'rejected', reason: 'schema', detail: 'event_id is missing' }
}

/** Keeps all answers, for ever. */
export function fakeAnswers(): AnswerLog {
  const kept = new Map<string, { readonly content: string; readonly answer: Promise<StoredAnswer> }>()
  return {
    async once({ id, content }, work) {
      const before = kept.get(id)
      if (before !== undefined) {
        if (before.content !== content) {
          throw new OncewardError('ONCEWARD_E_REQUEST_CONFLICT', `the request ${id} came before with other content`)
        }
        return { ...(await before.answer), replayed: true }
      }
      const answer = work()
      kept.set(id, { content, answer })
      try {
        return { ...(await answer), replayed: false }
      } catch (error) {
        kept.delete(id)
        throw error
      }
    },
  }
}

export interface FakeAudit extends AuditLog {
  readonly entries: AuditEntry[]
  /** What the next appends reject with. */
  failing: Error | undefined
}

export function fakeAudit(): FakeAudit {
  const entries: AuditEntry[] = []
  return {
    entries,
    failing: undefined,
    async append(more) {
      if (this.failing !== undefined) throw this.failing
      entries.push(...more)
    },
    close: async () => undefined,
  }
}
