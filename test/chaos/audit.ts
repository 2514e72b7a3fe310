import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import type { DlqRecord } from '../../core/model/dlq.ts'
import { requestIdOf } from '../../core/ids.ts'
import type { PlayerChanged } from '../../core/model/player.ts'
import type { RewardRecord } from '../../core/model/reward.ts'
import type { ScoreRecord } from '../../core/model/score.ts'
import { formatMoney } from '../../core/money.ts'
import type { Ledger } from '../../core/ports/ledger.ts'
import type { Log, LogRecord } from '../../core/ports/log.ts'
import { isEarned } from '../../operators/earned.ts'
import { TICK_HEADER } from '../../core/topics.ts'
import { type ReferenceResult, reference } from '../support/reference.ts'
import { DEDUPE_WINDOW_MS, type Installation } from './installation.ts'
import { type Gated, gated, type Standing, standings } from './protection.ts'
import { repeats, sameSet } from './sets.ts'
import { CHAOS_REFERENCE, REWARD_COSTS } from './workload.ts'

export interface Audit {
  readonly events: number
  readonly scores: number
  readonly rewards: number
  readonly frozen: number
  readonly released: number
  readonly duplicates: number
  readonly deadLetters: number
  readonly ticks: number
  readonly walletCalls: number
  /** Sentences; none where everything is as it must be. */
  readonly differences: readonly string[]
}

/** Compares what stands on the topics, in the ledger and at the wallet with a plain reference over the events' topic. */
export async function audit(installation: Installation, fed: ReadonlySet<string>): Promise<Audit> {
  const { log, topics, postgres, wallet } = installation
  const events = await readTopic(log, topics.events)
  const scores = (await readTopic(log, topics.scores)).map((record) => valueOf(record) as ScoreRecord)
  const told = (await readTopic(log, topics.rewards)).map((record) => valueOf(record) as RewardRecord | PlayerChanged)
  const rewards = told.filter(isEarned)
  const dlq = (await readTopic(log, topics.dlq)).map((record) => valueOf(record) as DlqRecord)
  const expected = expectation(events)
  const gates = gated(told, expected.players)
  const facts = { rewards, gates, players: expected.players }
  const differences = [
    ...sameSet('events on the topic', fed, new Set(expected.lines)),
    ...scoreDifferences(scores, expected),
    ...rewardDifferences(rewards, expected),
    ...gates.differences,
    ...dlqDifferences(dlq, expected.all),
  ]
  let booked: Booked = { paid: new Set(), stopped: new Set() }
  const ledger = openPostgresLedger({ url: postgres.url })
  try {
    const found = await ledgerDifferences(ledger, facts)
    differences.push(...found.differences)
    booked = found
  } finally {
    await ledger.close()
  }
  const { calls, found } = await walletDifferences(wallet, booked)
  return {
    events: expected.lines.length,
    scores: scores.filter(({ points }) => points > 0).length,
    rewards: rewards.length,
    frozen: gates.frozen,
    released: gates.released,
    duplicates: expected.all.duplicates,
    deadLetters: dlq.length,
    ticks: events.length - expected.lines.length,
    walletCalls: calls,
    differences: [...differences, ...found],
  }
}

/** How far ahead of its ingest an event may be. */
const FUTURE_MS = 300_000

interface Expectation {
  readonly lines: readonly string[]
  readonly all: ReferenceResult
  readonly atOnce: ReferenceResult
  readonly players: ReadonlyMap<string, Standing>
}

/** The reference sees what the workers saw: the records of the topic, partition by partition, and ticks as events. */
function expectation(records: readonly LogRecord[]): Expectation {
  const lines: string[] = []
  const input: { readonly line: string; readonly record: LogRecord }[] = []
  const homes = new Map<string, number>()
  const watermarks = new Map<number, number>()
  for (const record of records) {
    const { partition } = record
    const tick = record.headers?.[TICK_HEADER]
    const line = tick === undefined ? (record.value?.toString() ?? '') : tickAsEvent(record, Number(tick.toString()))
    const watermark = watermarks.get(partition) ?? Number.NEGATIVE_INFINITY
    const ts = timeOf(line)
    if (ts > watermark && ts <= record.timestamp + FUTURE_MS) watermarks.set(partition, ts)
    // A tick that moves nothing is none; an event in its place would be late, or not.
    if (tick !== undefined && !(ts > watermark)) continue
    if (tick === undefined) lines.push(line)
    input.push({ line, record })
    homes.set(tick === undefined ? (record.key?.toString() ?? '') : tickUser(partition), partition)
  }
  const run = (rules: Parameters<typeof reference>[1]['rules']): ReferenceResult =>
    reference(
      input.map(({ line }) => line),
      {
        rules,
        partitionOf: (user) => homes.get(user) ?? 0,
        rememberMs: DEDUPE_WINDOW_MS,
        ingestTime: (index) => input[index]?.record.timestamp ?? 0,
      },
    )
  return {
    lines,
    players: standings(
      input.map(({ line, record }) => ({
        text: line,
        horizon: watermarks.get(record.partition) ?? 0,
        ingestMs: record.timestamp,
      })),
    ),
    all: run([...CHAOS_REFERENCE.atOnce, ...CHAOS_REFERENCE.strict]),
    atOnce: run(CHAOS_REFERENCE.atOnce),
  }
}

/** Event time in ms; not a number where the line is no event. */
function timeOf(line: string): number {
  const ts = /"ts":"([^"]+)"/.exec(line)?.[1]
  return ts === undefined ? Number.NaN : Date.parse(ts)
}

function tickUser(partition: number): string {
  return `tick of partition ${partition}`
}

/** An event that no rule looks at moves the watermark as a tick does. */
function tickAsEvent({ partition, offset }: LogRecord, ts: number): string {
  const user = { id: tickUser(partition) }
  const id = `tick-${partition}-${offset}`
  return JSON.stringify({ event_id: id, event_name: 'login', ts: new Date(ts).toISOString(), user, payload: {} })
}

function scoreDifferences(scores: readonly ScoreRecord[], { all, atOnce }: Expectation): string[] {
  const points = new Map<string, number>()
  for (const score of scores) {
    const key = `${score.user_id}|${score.rule_id}`
    if (score.points > 0) points.set(key, (points.get(key) ?? 0) + score.points)
  }
  const strict: ReadonlySet<string> = new Set(CHAOS_REFERENCE.strict.map(({ ruleId }) => ruleId))
  // How caps cut single events of the strict lane depends on their order, the totals do not.
  const counted = scores.filter(({ rule_id, points }) => points > 0 && !strict.has(rule_id)).length
  return [
    ...repeats(
      'scoring key',
      scores.map(({ scoring_key }) => scoring_key),
    ),
    ...(counted === atOnce.scores ? [] : [`${counted} scores of rules that score at once, expected ${atOnce.scores}`]),
    ...sameSet(
      'totals',
      new Set(Object.entries(all.points).map(([key, sum]) => `${key} = ${sum}`)),
      new Set([...points].map(([key, sum]) => `${key} = ${sum}`)),
    ),
  ]
}

function rewardDifferences(rewards: readonly RewardRecord[], { all }: Expectation): string[] {
  const found = rewards.map(({ user_id, origin }) =>
    [user_id, origin.rule_id, ...(origin.period === 'all' ? [] : [origin.period]), origin.threshold].join('|'),
  )
  return [
    ...repeats(
      'reward_task_id',
      rewards.map(({ reward_task_id }) => reward_task_id),
    ),
    ...repeats('reward', found),
    ...sameSet('rewards', new Set(all.rewards), new Set(found)),
  ]
}

function dlqDifferences(dlq: readonly DlqRecord[], { dlq: expected }: ReferenceResult): string[] {
  const payouts = dlq.filter(({ reason }) => reason === 'payout').length
  const differences = payouts === 0 ? [] : [`${payouts} payouts in the DLQ, expected none`]
  for (const reason of ['schema', 'future', 'late'] as const) {
    const count = dlq.filter((record) => record.reason === reason).length
    if (count !== expected[reason]) differences.push(`${count} ${reason} in the DLQ, expected ${expected[reason]}`)
  }
  return differences
}

interface Booked {
  /** What is booked as paid. */
  readonly paid: ReadonlySet<string>
  /** Stopped before a call: an earlier one, whose answer was lost, may have paid it. */
  readonly stopped: ReadonlySet<string>
}

async function ledgerDifferences(
  ledger: Ledger,
  { rewards, gates, players }: { rewards: readonly RewardRecord[]; gates: Gated; players: Expectation['players'] },
): Promise<Booked & { readonly differences: readonly string[] }> {
  const rows = await ledger.latest(rewards.length * 2 + 100)
  const spent = new Map((await ledger.budgets()).map(({ poolId, spent }) => [poolId, spent]))
  const differences = rows.flatMap(({ taskId, userId, status }) => {
    // Whoever was excluded before the call is not called.
    const mayBeStopped = players.get(userId)?.excluded === true
    const fits = gates.payable.has(taskId)
      ? status === 'succeeded' || (status === 'frozen' && mayBeStopped)
      : status === 'frozen'
    return fits ? [] : [`${taskId} is ${status} in the ledger`]
  })
  const paid = new Set(rows.filter(({ status }) => status === 'succeeded').map(({ taskId }) => taskId))
  const owed = new Map<string, bigint>()
  for (const { origin, reward_task_id: id } of rewards) {
    const cost = REWARD_COSTS[`${origin.rule_id}|${origin.threshold}`]
    if (cost !== undefined && paid.has(id)) owed.set(cost.pool, (owed.get(cost.pool) ?? 0n) + BigInt(cost.cents))
  }
  const frozen = rows.filter(({ taskId, status }) => status === 'frozen' && gates.payable.has(taskId))
  return {
    paid,
    stopped: new Set(frozen.map(({ taskId }) => taskId)),
    differences: [
      ...sameSet('ledger rows', new Set(rewards.map((r) => r.reward_task_id)), new Set(rows.map((r) => r.taskId))),
      ...repeats(
        'ledger row',
        rows.map(({ taskId }) => taskId),
      ),
      ...differences,
      ...[...owed].flatMap(([pool, cents]) =>
        spent.get(pool) === cents
          ? []
          : [`pool ${pool} has spent ${formatMoney(spent.get(pool) ?? 0n)}, expected ${formatMoney(cents)}`],
      ),
    ],
  }
}

interface WalletStats {
  readonly calls: number
  readonly distinct: number
  readonly differing_repeats: number
  readonly bad_signatures: number
}

/** The wallet pays an id once however often it is asked, so each reward must have come under one id, with one body. */
async function walletDifferences(
  wallet: string,
  { paid: booked, stopped }: Booked,
): Promise<{ calls: number; found: string[] }> {
  const stats = (await (await fetch(`${wallet}/stats`)).json()) as WalletStats
  const paid = (await (await fetch(`${wallet}/payouts`)).text()).split('\n').filter((id) => id !== '')
  const doubtful = new Set([...stopped].map(requestIdOf))
  const found = [
    ...sameSet('payments', new Set([...booked].map(requestIdOf)), new Set(paid.filter((id) => !doubtful.has(id)))),
    ...repeats('payment', paid),
    ...(stats.distinct === paid.length
      ? []
      : [`the wallet counts ${stats.distinct} payments and lists ${paid.length}`]),
    ...(stats.differing_repeats === 0 ? [] : [`${stats.differing_repeats} calls repeated an id with another body`]),
    ...(stats.bad_signatures === 0 ? [] : [`${stats.bad_signatures} calls had a bad signature`]),
  ]
  return { calls: stats.calls, found }
}

/** Every committed record of a topic, partition by partition, in order. */
async function readTopic(log: Log, topic: string): Promise<LogRecord[]> {
  const info = await log.topic(topic)
  const ids = Array.from({ length: info?.partitions ?? 0 }, (_, partition) => ({ topic, partition }))
  const bounds = await log.bounds(ids)
  const records: LogRecord[] = []
  for (const [index, id] of ids.entries()) {
    const { earliest, end } = bounds[index] ?? { earliest: 0, end: 0 }
    const reader = await log.reader(id)
    try {
      for (let position = earliest; position < end; ) {
        const batch = await reader.read(position, { waitMs: 1_000, bytesMax: 4 << 20 })
        records.push(...batch.records)
        if (batch.nextOffset <= position) break
        position = batch.nextOffset
      }
    } finally {
      await reader.close()
    }
  }
  return records
}

function valueOf(record: LogRecord): unknown {
  return JSON.parse(record.value?.toString() ?? 'null')
}
