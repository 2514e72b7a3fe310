import type { EmbeddedLog } from '../../connectors/log/embedded/log.ts'
import type { DlqRecord } from '../../core/model/dlq.ts'
import { requestIdOf } from '../../core/ids.ts'
import type { PlayerChanged } from '../../core/model/player.ts'
import type { RewardRecord, RewardTask } from '../../core/model/reward.ts'
import type { ScoreRecord } from '../../core/model/score.ts'
import type { LogRecord, PartitionReader } from '../../core/ports/log.ts'
import { REPROCESSED_HEADER, TICK_HEADER, type Topics } from '../../core/topics.ts'
import type { ControlRecord } from '../../rules/control.ts'
import { CapWatch } from './cap-watch.ts'
import type { MemoryLedger } from './ledger.ts'
import { type Expected, type ReferenceRecord, type ReferenceRule, reference } from './reference.ts'
import { Told } from './told.ts'
import { Violation } from './violation.ts'
import type { WalletPartner } from './wallet.ts'

export interface AuditOptions {
  readonly log: EmbeddedLog
  readonly topics: Topics
  readonly changelog: string
  readonly ledger: MemoryLedger
  readonly partner: WalletPartner
  /** All versions published so far. */
  readonly rules: readonly ReferenceRule[]
  readonly windowMs: number
  readonly rememberMs: number
}

interface Place {
  readonly reader: PartitionReader
  readonly partition: number
  position: number
}

/** Reads everything that is committed, as it comes, and checks what must hold at every instant. */
export class Audit {
  readonly #options: AuditOptions
  readonly #places = new Map<string, Place[]>()
  readonly #caps: CapWatch
  readonly events: ReferenceRecord[][] = []
  readonly scores = new Map<string, string>()
  readonly told = new Told()
  /** Scores of nothing for late events that were sent again, by reason. */
  readonly late: Record<string, number> = {}
  /** Dead letters about rewards may stand twice, so that they are counted by reward. */
  readonly dlq = { schema: 0, future: 0, late: 0, payout: new Set<string>(), budget_closed: new Set<string>() }
  /** Each partition's changelog, from its beginning: what compaction takes away is kept here. */
  readonly changelog: LogRecord[][] = []
  readonly #letters = new Set<string>()
  /** What was done to each record that was sent again, by its place; undefined: nobody can read it. */
  readonly #histories = new Map<string, unknown>()
  /** Event time of each version's first record, by `rule version`. */
  readonly #publishedAt = new Map<string, number>()

  constructor(options: AuditOptions) {
    this.#options = options
    this.#caps = new CapWatch(options.rules)
  }

  /** Checks what is committed up to now. Throws a Violation. */
  async check(): Promise<void> {
    const { topics, changelog, ledger, partner } = this.#options
    // First the later end of the line: what it holds must be in what is read after it.
    const booked = [...ledger.rows.keys()]
    const paid = [...partner.payouts.keys()]
    this.#checkLedger()
    await this.#read(topics.events, (record) => this.#event(record))
    await this.#read(topics.control, (record) => this.#published(valueOf(record) as Partial<ControlRecord>))
    await this.#read(topics.scores, (record) => this.#score(valueOf(record) as ScoreRecord))
    await this.#read(topics.rewards, (record) => this.told.take(valueOf(record) as RewardRecord | PlayerChanged))
    await this.#read(topics.dlq, (record) => this.#letter(valueOf(record) as DlqRecord))
    await this.#read(changelog, (record) => void (this.changelog[record.partition] ??= []).push(record))
    for (const id of booked)
      if (!this.told.rewards.has(id)) throw new Violation(`the ledger has ${id}, which nobody committed`)
    const requests = new Set([...ledger.rows.keys()].map(requestIdOf))
    for (const id of paid)
      if (!requests.has(id)) throw new Violation(`the wallet paid ${id}, which is not in the ledger`)
  }

  expected(): Expected {
    const { rules, windowMs, rememberMs } = this.#options
    return reference(this.events, { rules, windowMs, rememberMs, publishedAt: this.#publishedAt })
  }

  async #read(topic: string, take: (record: LogRecord) => void): Promise<void> {
    const { log } = this.#options
    let places = this.#places.get(topic)
    if (places === undefined) {
      const partitions = (await log.topic(topic))?.partitions ?? 0
      places = []
      for (let partition = 0; partition < partitions; partition++) {
        places.push({ reader: await log.reader({ topic, partition }), partition, position: 0 })
      }
      this.#places.set(topic, places)
    }
    for (const place of places) {
      for (;;) {
        const batch = await place.reader.read(place.position)
        for (const record of batch.records) take(record)
        if (batch.nextOffset === place.position) break
        place.position = batch.nextOffset
      }
    }
  }

  #event({ topic, partition, offset, timestamp, value, headers }: LogRecord): void {
    const tick = headers?.[TICK_HEADER]
    const header = headers?.[REPROCESSED_HEADER]?.toString()
    const history = header === undefined ? undefined : historyOf(header)
    if (header !== undefined) this.#histories.set(JSON.stringify({ topic, partition, offset }), history)
    const record = {
      timestamp,
      text: value?.toString() ?? '',
      ...(tick === undefined ? {} : { tick: Number(tick) }),
      ...(header === undefined ? {} : { again: history?.map(({ was }) => was) ?? ('unreadable' as const) }),
    }
    while (this.events.length <= partition) this.events.push([])
    this.events[partition]?.push(record)
  }

  #published({ type, rule_id, version, published_at = '' }: Partial<ControlRecord>): void {
    const name = `${rule_id} ${version}`
    if (type === 'rule.published' && !this.#publishedAt.has(name)) this.#publishedAt.set(name, Date.parse(published_at))
  }

  #score(score: ScoreRecord): void {
    const {
      scoring_key: id,
      event_id,
      user_id,
      rule_id,
      rule_version,
      points,
      progress,
      event_ts,
      withheld = [],
      reason,
    } = score
    const key = `${event_id}|${user_id}|${rule_id}`
    if (this.scores.has(key)) throw new Violation(`${key} was scored twice (scoring key ${id})`)
    const also = withheld.map(({ threshold, reason }) => `, ${threshold} withheld: ${reason}`).join('')
    const late = reason?.startsWith('late') === true ? `, ${reason}` : ''
    if (late !== '') this.late[reason ?? ''] = (this.late[reason ?? ''] ?? 0) + 1
    this.scores.set(key, `${rule_version} ${points} points, progress ${progress}${also}${late}`)
    const exceeded = this.#caps.add({ user: user_id, ruleId: rule_id, points, time: Date.parse(event_ts) })
    if (exceeded !== undefined) throw new Violation(exceeded)
  }

  #letter({ reason, source, raw, history }: DlqRecord): void {
    if (reason === 'payout' || reason === 'budget_closed') {
      // A crash between the letter and what is booked beside it repeats the letter.
      this.dlq[reason].add((JSON.parse(raw) as RewardTask).reward_task_id)
      return
    }
    if (reason === 'signature') throw new Violation('a worker checks no signatures')
    const place = JSON.stringify(source)
    if (this.#letters.has(place)) throw new Violation(`${place} went to the DLQ twice`)
    this.#letters.add(place)
    const known = JSON.stringify(this.#histories.get(place))
    if (JSON.stringify(history) !== known) throw new Violation(`${place} has lost its history, ${known}`)
    this.dlq[reason]++
  }

  #checkLedger(): void {
    const { ledger, partner } = this.#options
    const sums = new Map<string, { spent: bigint; reserved: bigint }>()
    for (const [id, { status, task, reserves, sentBefore }] of ledger.rows) {
      const open = status === 'reserved' || status === 'sent'
      if (open !== ledger.outbox.has(id)) {
        throw new Violation(`${id} is ${status} but ${ledger.outbox.has(id) ? '' : 'not '}in the outbox`)
      }
      if (open && !reserves) throw new Violation(`${id} is ${status}, and no money is set aside for it`)
      const paid = partner.payouts.has(requestIdOf(id))
      if (paid && !sentBefore) throw new Violation(`the wallet paid ${id}, which was never cleared`)
      if (status === 'succeeded' && !paid) {
        throw new Violation(`${id} is booked as paid, but the wallet has not paid it`)
      }
      const key = `${task.poolId} ${task.poolPeriod}`
      const sum = sums.get(key) ?? { spent: 0n, reserved: 0n }
      if (status === 'succeeded') sum.spent += task.cost
      if (reserves) sum.reserved += task.cost
      sums.set(key, sum)
    }
    for (const { poolId, period, spent, reserved, budget, overrun } of ledger.pools.rows()) {
      const sum = sums.get(`${poolId} ${period}`) ?? { spent: 0n, reserved: 0n }
      const name = `pool ${poolId} (${period})`
      if (spent !== sum.spent)
        throw new Violation(`${name} shows ${spent} cents spent, its paid rewards cost ${sum.spent}`)
      if (reserved !== sum.reserved) {
        throw new Violation(`${name} shows ${reserved} cents reserved, its rewards reserve ${sum.reserved}`)
      }
      if (budget !== null && spent + reserved > budget + overrun) {
        throw new Violation(`${name} gives ${spent} + ${reserved} of ${budget} cents, overrun ${overrun}`)
      }
      if (overrun > 0n) throw new Violation(`${name} is overrun by ${overrun} cents, though nobody paid by hand`)
    }
    const [conflict] = partner.conflicts
    if (conflict !== undefined) throw new Violation(`the wallet was asked for ${conflict} twice, with other contents`)
  }
}

interface Step {
  readonly was: string
}

/** What the header of a record that was sent again says; undefined where that is nothing. */
function historyOf(header: string): readonly Step[] | undefined {
  try {
    const { history } = JSON.parse(header) as { history: unknown }
    if (!Array.isArray(history) || history.length === 0) return undefined
    return history.every(({ was, letter }) => was && letter) ? (history as Step[]) : undefined
  } catch {
    return undefined
  }
}

function valueOf(record: LogRecord): unknown {
  return JSON.parse(record.value?.toString() ?? 'null')
}
