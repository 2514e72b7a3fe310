import type { FrozenRewardTask, RewardTask } from '../../core/model/reward.ts'
import { NO_POLICIES, type PolicyTimeline } from '../../core/model/policy.ts'
import type { LogRecord } from '../../core/ports/log.ts'
import type { OrderedKv } from '../../core/ports/ordered-kv.ts'
import { loadSchemas } from '../../connectors/files/schemas.ts'
import { isEarned } from '../../operators/earned.ts'
import { parseSchemas } from '../../operators/event-schema.ts'
import { EVER } from '../../operators/event-time.ts'
import { createNormalizer } from '../../operators/normalize.ts'
import { type BatchOutput, emptyOutput } from '../../operators/operator.ts'
import { BATCH_LIMITS, type BatchLimits, type BatchResult, runBatch } from '../../pipeline/batch.ts'
import { createTopology, type Topology } from '../../pipeline/topology.ts'
import type { CompiledRule, RuleSet } from '../../rules/compiled.ts'
import { NO_WINDOWS } from '../../rules/window-index.ts'
import { memoryKv } from '../../state/memory-kv.ts'
import { PartitionStore } from '../../state/partition-store.ts'
import { STORE_FORMAT, type Stamp } from '../../state/stamp.ts'
import { StagedState } from '../../state/staged-state.ts'
import { parseHeldKey } from '../../state/stores.ts'

export const normalize = createNormalizer(parseSchemas(await loadSchemas()))

/** A rule for tests, without the language: what is not given is a rule that gives a point for every login. */
export function testRule(rule: Partial<CompiledRule> & { readonly ruleId: string }): CompiledRule {
  return {
    version: '1.0',
    eventNames: ['login'],
    ordering: 'any',
    timeZone: 'UTC',
    matches: () => true,
    points: () => ({ ok: true, points: 1 }),
    caps: {},
    guardrails: {},
    ...rule,
  }
}

/** A rule set in which every rule is in effect at any time. */
export function testRules(rules: readonly CompiledRule[], policy: PolicyTimeline = NO_POLICIES): RuleSet {
  return {
    at: (eventName) => rules.filter((rule) => rule.eventNames.includes(eventName)),
    candidates: ({ eventName }) => rules.filter((rule) => rule.eventNames.includes(eventName)),
    hasStrict: (eventName) => rules.some((rule) => rule.ordering === 'strict' && rule.eventNames.includes(eventName)),
    windows: NO_WINDOWS,
    policy,
    versions: rules.map((rule) => ({ rule, effectiveFrom: undefined })),
  }
}

export interface Line {
  readonly value: string
  /** ms; default: an ingest time far ahead of any event. */
  readonly ingestTs?: number
  readonly tick?: number
  /** The header of a record that was sent again, as text. */
  readonly again?: string
}

const STAMP: Stamp = {
  format: STORE_FORMAT,
  application: 't',
  partition: 0,
  inputOffset: 0,
  changelogOffset: 0,
  writtenAt: 0,
}

/** One partition's engine without a log: batches in, outputs out, state in a store that can be reopened. */
export class TestEngine {
  readonly output: BatchOutput = emptyOutput()
  kv: OrderedKv = memoryKv()
  readonly #topology: Topology = createTopology({ normalize })
  readonly #rules: RuleSet
  #state = new StagedState(this.kv)
  #offset = 0
  #watermark: number | undefined
  #keptFrom: number | undefined = EVER
  readonly #limits: Omit<BatchLimits, 'records'>
  readonly #changelog: LogRecord[] = []
  /** Held events or timers whose turn has come wait for the next batch. */
  overdue = false
  /** Told of each batch. */
  onBatch: (result: BatchResult) => void = () => undefined

  constructor(rules: readonly CompiledRule[] | RuleSet, limits: Partial<BatchLimits> = {}) {
    this.#rules = 'versions' in rules ? rules : testRules(rules)
    this.#limits = { ...BATCH_LIMITS, ...limits }
  }

  /** Forgets everything that is not in the store, as a restart does. */
  restart(): void {
    this.#state = new StagedState(this.kv)
  }

  /** Loses the store and makes it anew from the changelog. */
  async rebuild(): Promise<void> {
    this.kv = memoryKv()
    await new PartitionStore(this.kv).apply(this.#changelog, () => STAMP)
    this.restart()
  }

  async feed(lines: readonly Line[]): Promise<BatchOutput> {
    const records: LogRecord[] = lines.map(({ value, ingestTs, ...line }, index) => ({
      topic: 'events.raw',
      partition: 0,
      offset: this.#offset + index,
      timestamp: ingestTs ?? Number.MAX_SAFE_INTEGER,
      key: null,
      value: Buffer.from(value),
      ...headersOf(line),
    }))
    const first = await this.#state.firstHeld()
    const result = await runBatch(this.#topology, this.#state, {
      records,
      nextOffset: this.#offset + lines.length,
      rules: this.#rules,
      reorderWindowMs: 60_000,
      watermark: this.#watermark,
      keptFrom: this.#keptFrom,
      heldSince: first === undefined ? undefined : parseHeldKey(first).ts,
      nextTimer: await this.#state.firstTimer(),
      expireSeen: true,
      limits: this.#limits,
    })
    const changes = this.#state.changes(result.nextOffset)
    await new PartitionStore(this.kv).write(changes, this.#state.indexOps(), STAMP)
    for (const { key, value } of changes) {
      this.#changelog.push({ topic: 'changelog', partition: 0, offset: 0, timestamp: 0, key, value })
    }
    this.#state.settled()
    this.onBatch(result)
    this.#offset = result.nextOffset
    this.#watermark = result.watermark
    this.#keptFrom = result.keptFrom
    this.overdue = result.overdue
    this.output.scores.push(...result.output.scores)
    this.output.rewards.push(...result.output.rewards)
    this.output.dlq.push(...result.output.dlq)
    const counts = this.output.counts
    for (const name of Object.keys(counts) as (keyof typeof counts)[]) counts[name] += result.output.counts[name]
    if (result.records < lines.length) await this.feed(lines.slice(result.records))
    return result.output
  }

  /** Moves event time so far that nothing is held any more. */
  async finish(): Promise<BatchOutput> {
    const output = await this.feed([{ value: '', tick: (this.#watermark ?? 0) + 60_001 }])
    while (this.overdue) await this.feed([])
    return output
  }

  /** Sum of points by `user|rule`, those above zero. */
  points(): Record<string, number> {
    const sums: Record<string, number> = {}
    for (const { value } of this.output.scores) {
      if (value.points === 0) continue
      const key = `${value.user_id}|${value.rule_id}`
      sums[key] = (sums[key] ?? 0) + value.points
    }
    return sums
  }

  /** The first record about each reward: it was earned, whether the gates let it pass or not. */
  earned(): (RewardTask | FrozenRewardTask)[] {
    return this.output.rewards.flatMap(({ value }) => (isEarned(value) ? [value] : []))
  }

  /** `user|rule|period|threshold`, sorted; without the period where progress never resets. */
  rewards(): string[] {
    return this.earned()
      .map(({ user_id, origin }) =>
        [user_id, origin.rule_id, ...(origin.period === 'all' ? [] : [origin.period]), origin.threshold].join('|'),
      )
      .sort()
  }
}

function headersOf({ tick, again }: Pick<Line, 'tick' | 'again'>): Pick<LogRecord, 'headers'> {
  if (tick !== undefined) return { headers: { 'onceward-tick': Buffer.from(String(tick)) } }
  return again === undefined ? {} : { headers: { 'onceward-reprocessed': Buffer.from(again) } }
}

export interface EventFields {
  readonly id: string
  readonly user?: string
  readonly name?: string
  /** ms */
  readonly ts: number
  readonly payload?: object
  /** null: the event names no country. */
  readonly geo?: string | null
  readonly payer?: boolean
}

export function eventLine({
  id,
  user = 'u',
  name = 'login',
  ts,
  payload = {},
  geo = 'TR',
  payer,
}: EventFields): string {
  return JSON.stringify({
    event_id: id,
    event_name: name,
    version: '1.2.0',
    ts: new Date(ts).toISOString(),
    user: { id: user, ...(geo === null ? {} : { geo }), ...(payer === undefined ? {} : { payer_flag: payer }) },
    payload,
  })
}

/** An event for each player of the lines that tells their KYC level, as early as the earliest line: so rewards are paid. */
export function kycOf(lines: readonly string[], level = 2): string[] {
  const events = lines.map((text) => JSON.parse(text) as { ts: string; user: { id: string } })
  const ts = events.reduce((first, event) => Math.min(first, Date.parse(event.ts)), Number.POSITIVE_INFINITY)
  const payload = { kyc_level: level, status: 'verified' }
  return [...new Set(events.map(({ user }) => user.id))].map((user) =>
    eventLine({ id: `kyc-${user}`, user, name: 'kyc_status_changed', ts, payload }),
  )
}
