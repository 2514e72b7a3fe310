import type { Clock } from '../../core/clock.ts'
import { DAY_MS, HOUR_MS } from '../../core/durations.ts'
import type { Log, OutRecord } from '../../core/ports/log.ts'
import { changelogTopic, type Topics } from '../../core/topics.ts'
import { prepareWorkerTopics } from '../../pipeline/worker-topics.ts'
import { periodOf } from '../../rules/calendar.ts'
import { memoryKv } from '../../state/memory-kv.ts'
import { idHash } from '../../state/seen-ids.ts'
import { type Change, StagedState } from '../../state/staged-state.ts'
import { accountKey, ACCOUNTS, META, TASK_META_KEY } from '../../state/stores.ts'

export const RULE_ID = 'bench_rounds'
/** Counts rounds: an account has windows and progress, as real ones do. */
export const RULE_FILE = `
rule_id: ${RULE_ID}
when: { event_name: bet }
score: { formula: "1", caps: { per_hour: 60, per_day: 300 } }
reward_trigger: { on_progress: { threshold: 1000000, reward: { type: fs, value: 1 } } }
meta: { version: "1.0" }
`

/** Keys in one transaction, as in a large batch of a worker. */
const KEYS_PER_COMMIT = 2_000
/** Progress that every account has been given. */
export const PROGRESS = 17

export interface StateBuilder {
  readonly log: Log
  readonly clock: Clock
  readonly application: string
  readonly topics: Topics
}

/**
 * Writes what a worker that scored one event for each of `keys` users would have written: their accounts and the ids of
 * their events, spread over the last day, in transactions with the position in the input. By the state's own code, so that
 * the bytes are the same; the scores are left out, since nobody reads them back.
 */
export class RecoveryState {
  readonly #options: StateBuilder
  readonly #now: number
  /** Users so far, and so keys. */
  keys = 0
  #commits = 0

  constructor(options: StateBuilder) {
    this.#options = options
    this.#now = options.clock.now()
  }

  async grow(keys: number, progress: (done: number) => void, signal: AbortSignal): Promise<void> {
    const { log, application, topics } = this.#options
    await prepareWorkerTopics(this.#options)
    const commits = Math.ceil(keys / KEYS_PER_COMMIT)
    await this.#appendInput(commits)
    const producer = await log.transactional(`${application}.0`)
    try {
      const goal = this.keys + keys
      while (this.keys < goal) {
        signal.throwIfAborted()
        const changes = await this.#changes(Math.min(KEYS_PER_COMMIT, goal - this.keys))
        const positions = [{ topic: topics.events, partition: 0, offset: ++this.#commits }]
        await producer.commit({
          records: changes.map((change) => this.#record(change)),
          offsets: { group: application, positions },
        })
        progress(this.keys)
      }
    } finally {
      await producer.close()
    }
  }

  /** Appends a bet of the user with this number. */
  async bet(user: number): Promise<void> {
    const { log, clock, topics } = this.#options
    const now = clock.now()
    const event = {
      event_id: `bench-${user}-${now}`,
      event_name: 'bet',
      version: '1.0.0',
      ts: new Date(now).toISOString(),
      user: { id: userId(user), geo: 'TR', platform: 'web', payer_flag: true },
      context: { session_id: 's_bench' },
      payload: { game_id: 'g_bench', bet: 1, win: 0, currency: 'EUR', provider: 'bench' },
    }
    const producer = await log.producer()
    const place = { topic: topics.events, partition: 0, key: userId(user) }
    await producer.send([{ ...place, value: JSON.stringify(event), timestamp: now }])
    await producer.close()
  }

  /** Records that were processed already, as far as anyone can tell: the positions below point past them. */
  async #appendInput(count: number): Promise<void> {
    const producer = await this.#options.log.producer()
    const record: OutRecord = {
      topic: this.#options.topics.events,
      partition: 0,
      key: null,
      value: '',
      timestamp: this.#now,
    }
    await producer.send(Array.from({ length: count }, () => record))
    await producer.close()
  }

  async #changes(count: number): Promise<Change[]> {
    const state = new StagedState(memoryKv())
    state.begin()
    const users = Array.from({ length: count }, (_, i) => this.keys + i)
    for (const user of users) state.ask(ACCOUNTS, accountKey(userId(user), RULE_ID))
    state.ask(META, TASK_META_KEY)
    await state.load()
    for (const user of users) {
      const ts = this.#now - (user % 24) * HOUR_MS
      state.put(ACCOUNTS, accountKey(userId(user), RULE_ID), {
        progress: [periodOf('never', 'UTC', ts), PROGRESS],
        minutes: [],
        hours: [Math.floor(ts / HOUR_MS), 1],
        days: [Math.floor(ts / DAY_MS), 1],
      })
      state.remember(idHash(`event-${user}`), ts)
    }
    state.put(META, TASK_META_KEY, { inputOffset: this.#commits + 1, watermark: this.#now })
    this.keys += count
    return state.changes(this.#commits + 1)
  }

  #record({ key, value }: Change): OutRecord {
    return { topic: changelogTopic(this.#options.application), partition: 0, key, value, timestamp: this.#now }
  }
}

function userId(user: number): string {
  return `u_${String(user).padStart(9, '0')}`
}
