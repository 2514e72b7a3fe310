import { hash } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'
import type { Log, LogRecord, OutRecord, TransactionalProducer } from '../../core/ports/log.ts'
import { type Topics, topicNames } from '../../core/topics.ts'
import { foldControl, planPublication, recordsOf } from '../../rules/control.ts'
import type { RuleSource } from '../../rules/rule-file.ts'
import { admit, type Asked, type PlanReading, readPlan, type ReplayPlan } from './plan.ts'
import { committedRecords, firstRecord, missingTopic, partitionsOf } from './records.ts'
import { parsePlace, type PartitionFacts, type PartitionSpan, type Place, type SpanReading, spanOf } from './span.ts'
import { createOutputTopics, createPlanTopics, planTopic, replayTopics, topicsOfReplay } from './topics.ts'

export interface ReplayRequest {
  readonly log: Log
  readonly clock: Clock
  /** A name of its own: group, changelog and topics of the replay bear it. */
  readonly application: string
  /** What the real topics' names begin with. */
  readonly prefix: string
  readonly from: string
  readonly to: string
  /** Undefined: those of the control topic as they are when the replay begins. */
  readonly rules: readonly RuleSource[] | undefined
  readonly reorderWindowMs: number
  readonly dedupeWindowMs: number
}

export interface PreparedReplay {
  readonly plan: ReplayPlan
  readonly real: Topics
  readonly own: Topics
  /** True where it began before. */
  readonly continued: boolean
  /** Sentences: what retention has deleted of what is replayed, or of what it will be compared with. */
  readonly gaps: readonly string[]
}

/** Looks whether the replay may run, and what it is; writes nothing. Throws ONCEWARD_E_REPLAY_REFUSED, _USAGE. */
export async function prepareReplay(request: ReplayRequest): Promise<PreparedReplay> {
  const { log, application, prefix } = request
  const real = topicNames(prefix)
  const own = replayTopics(application, real)
  const info = await log.topic(real.events)
  if (info === undefined) throw missingTopic(real.events)
  const events = partitionsOf(real.events, info.partitions)
  const asked = askedOf(request, real)
  const known = new Set(await log.listTopics())
  const admission = admit({
    application,
    asked,
    plan: known.has(planTopic(application)) ? await storedPlan(log, application) : undefined,
    members: await log.members(application),
    processed: (await log.committed(application, events)).some((offset) => offset !== undefined),
    taken: takenTopics(application, own).filter((topic) => known.has(topic)),
    isPrefix: `${application}.` === prefix || known.has(`${application}.events.raw`),
  })
  if (admission.kind === 'refuse') throw new OncewardError('ONCEWARD_E_REPLAY_REFUSED', admission.reason)
  if (admission.kind === 'continue') {
    const gaps = await historyGaps(log, real, admission.plan.spans)
    return { plan: admission.plan, real, own, continued: true, gaps }
  }
  const { spans, gaps, whole } = await chooseSpans(log, request, info.partitions)
  const plan: ReplayPlan = {
    type: 'replay.planned',
    application,
    ...asked,
    spans,
    whole,
    planned_at: new Date(request.clock.now()).toISOString(),
  }
  return { plan, real, own, continued: false, gaps: [...gaps, ...(await historyGaps(log, real, spans))] }
}

/**
 * Creates the replay's topics, and writes its plan and its rules in one transaction: from then on both are fixed. Does
 * nothing again where that was done before.
 */
export async function establishReplay(request: ReplayRequest, prepared: PreparedReplay): Promise<void> {
  const { log, application } = request
  const { own, real } = prepared
  if (!prepared.continued) {
    await createPlanTopics(log, application, own)
    const producer = await log.transactional(`${application}.plan`)
    try {
      // Whoever else was about to write a plan is fenced now; what they wrote before is there to be read.
      const other = await storedPlan(log, application)
      if (other === undefined) await writePlan(producer, request, prepared)
      else {
        throw new OncewardError(
          'ONCEWARD_E_REPLAY_REFUSED',
          `somebody else has just begun a replay "${application}"; start the command again to continue it`,
        )
      }
    } finally {
      await producer.close()
    }
  }
  await createOutputTopics(log, application, { own, real })
}

async function writePlan(producer: TransactionalProducer, request: ReplayRequest, prepared: PreparedReplay) {
  const { clock, application } = request
  const rules = await ruleRecords(request, prepared)
  const plan: OutRecord = {
    topic: planTopic(application),
    partition: 0,
    key: 'plan',
    value: JSON.stringify(prepared.plan),
    timestamp: clock.now(),
  }
  await producer.commit({ records: [...rules, plan] })
}

/** The rules that were given, as they would be published first of all, or a copy of what the control topic says now. */
async function ruleRecords(request: ReplayRequest, { own, real }: PreparedReplay): Promise<OutRecord[]> {
  const { log, rules, clock } = request
  const nowMs = clock.now()
  const record = (key: LogRecord['key'] | string, value: Buffer | string): OutRecord => ({
    topic: own.control,
    partition: 0,
    key,
    value,
    timestamp: nowMs,
  })
  if (rules !== undefined) {
    const plan = planPublication(foldControl([]), rules, { nowMs })
    return recordsOf(plan).map(({ key, value }) => record(key, value))
  }
  const copies: OutRecord[] = []
  for await (const records of committedRecords(log, { topic: real.control, partition: 0 })) {
    for (const { key, value } of records) if (value !== null) copies.push(record(key, value))
  }
  if (foldControl(copies.map(({ value }) => ({ value, place: real.control }))).set.versions.length === 0) {
    throw new OncewardError(
      'ONCEWARD_E_REPLAY_REFUSED',
      `no rules are published on ${real.control}; publish some with a worker, or give --rules DIR`,
    )
  }
  return copies
}

async function storedPlan(log: Log, application: string): Promise<PlanReading | undefined> {
  const first = await firstRecord(log, { topic: planTopic(application), partition: 0 })
  return first === undefined ? undefined : readPlan(first.value)
}

/** Without the two that a stop between creating topics and writing the plan leaves behind. */
function takenTopics(application: string, own: Topics): readonly string[] {
  return topicsOfReplay(application, own).filter((topic) => topic !== planTopic(application) && topic !== own.control)
}

function askedOf(request: ReplayRequest, real: Topics): Asked {
  return {
    events: real.events,
    from: request.from,
    to: request.to,
    rules: request.rules === undefined ? 'control' : fingerprint(request.rules),
    reorder_window_ms: request.reorderWindowMs,
    dedupe_window_ms: request.dedupeWindowMs,
  }
}

function fingerprint(rules: readonly RuleSource[]): string {
  const lines = rules
    .map(({ rule, contentHash, segments = [] }) => {
      const named = segments.map((segment) => ` ${segment.segmentId} ${segment.contentHash}`).sort()
      return `${rule.ruleId} ${rule.version} ${contentHash}${named.join('')}`
    })
    .sort()
  return hash('sha256', lines.join('\n'), 'hex')
}

/** Which part of each partition lies between two places. Throws ONCEWARD_E_SETTING_INVALID. */
export async function chooseSpans(
  log: Log,
  request: Pick<ReplayRequest, 'from' | 'to' | 'prefix'>,
  partitions: number,
): Promise<SpanReading & { ok: true }> {
  const asked = { from: place('--from', request.from), to: place('--to', request.to) }
  const topic = topicNames(request.prefix).events
  const ids = partitionsOf(topic, partitions)
  const bounds = await log.bounds(ids)
  const facts = await Promise.all(
    ids.map(async (id, index): Promise<PartitionFacts> => {
      const oldest = await firstRecord(log, id)
      return {
        partition: id.partition,
        bounds: bounds[index] ?? { earliest: 0, end: 0 },
        oldestTs: oldest?.timestamp,
        fromAt: asked.from.kind === 'time' ? await log.offsetAt(id, asked.from.ms) : undefined,
        toAt: asked.to.kind === 'time' ? await log.offsetAt(id, asked.to.ms) : undefined,
      }
    }),
  )
  const reading = spanOf(asked, facts, topic)
  if (!reading.ok) throw new OncewardError('ONCEWARD_E_SETTING_INVALID', reading.problem)
  return reading
}

function place(flag: string, text: string): Place {
  const read = parsePlace(text)
  if (read !== undefined) return read
  throw new OncewardError(
    'ONCEWARD_E_SETTING_INVALID',
    `${flag}: "${text}" is no place; write beginning, end, an RFC 3339 time, an offset, or partition:offset,...`,
  )
}

/** Where scores or reward tasks of the span may have been deleted already: what is gone looks as if it were never issued. */
async function historyGaps(log: Log, real: Topics, spans: readonly PartitionSpan[]): Promise<string[]> {
  const begins = new Map<number, number>()
  for (const { partition, start, end } of spans) {
    const first = await firstRecord(log, { topic: real.events, partition }, { from: start, end })
    if (first !== undefined) begins.set(partition, first.timestamp)
  }
  const gaps: string[] = []
  for (const topic of [real.rewards, real.scores]) {
    const info = await log.topic(topic)
    if (info === undefined) throw missingTopic(topic)
    const ids = partitionsOf(topic, info.partitions)
    for (const [index, { earliest }] of (await log.bounds(ids)).entries()) {
      const id = ids[index]
      if (earliest === 0 || id === undefined) continue
      const oldest = await firstRecord(log, id)
      // A partition of the events writes to the partition of the same number, where there is one.
      const begin = begins.get(id.partition) ?? Math.min(...begins.values())
      if (!Number.isFinite(begin) || (oldest !== undefined && oldest.timestamp <= begin)) continue
      const kept =
        oldest === undefined ? 'none is left' : `the oldest left is of ${new Date(oldest.timestamp).toISOString()}`
      gaps.push(
        `partition ${id.partition} of ${topic}: retention has deleted records, ${kept}, and the events replayed begin at ${new Date(begin).toISOString()}`,
      )
    }
  }
  return gaps
}
