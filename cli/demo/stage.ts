import { startHealthServer } from '../../connectors/observe/health-server.ts'
import { createMetrics, type ObservedMetrics } from '../../connectors/observe/metrics.ts'
import type { Clock } from '../../core/clock.ts'
import { hasCode } from '../../core/errors.ts'
import type { PlayerChanged } from '../../core/model/player.ts'
import type { RewardRecord } from '../../core/model/reward.ts'
import { parseMoney } from '../../core/money.ts'
import type { HealthReport } from '../../core/ports/health.ts'
import type { Log } from '../../core/ports/log.ts'
import type { Logger } from '../../core/ports/logger.ts'
import type { Random } from '../../core/random.ts'
import { topicNames, type Topics } from '../../core/topics.ts'
import type { Normalized } from '../../operators/normalize.ts'
import { publishRules } from '../../pipeline/publish-rules.ts'
import type { RuleSource } from '../../rules/rule-file.ts'
import { problemsError } from '../load-rules.ts'
import { openSinkPolicy } from '../sink-policy.ts'
import { groupLag } from '../log-tools/lag.ts'
import { endsOf, followRecords, type TopicEnds } from './committed-records.ts'
import { APPLICATION, type Crew, startCrew } from './crew.ts'
import { type DataFolder, openDataFolder } from './data-folder.ts'
import type { Display } from './display.ts'
import { earnedIds } from './earned.ts'
import { type Infrastructure, openInfrastructure } from './infrastructure.ts'
import { RecentRewards } from './recent-rewards.ts'
import type { Resources } from './resources.ts'
import type { Pool } from './snapshot.ts'
import { Tally } from './tally.ts'

export interface StageOptions {
  /** Kept from one run to the next; undefined: a temporary folder. */
  readonly dir: string | undefined
  /** Of /metrics; undefined: METRICS_PORT, or any where that is taken. */
  readonly port: number | undefined
  readonly seed: number
  readonly rules: readonly RuleSource[]
  readonly normalize: (raw: Buffer | null) => Normalized
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly display: Display
  readonly signal: AbortSignal
}

/** All that is there before the first player comes. */
export interface Stage {
  readonly topics: Topics
  readonly folder: DataFolder
  readonly infrastructure: Infrastructure
  readonly crew: Crew
  readonly tally: Tally
  readonly recent: RecentRewards
  readonly before: Before
  readonly pools: readonly Pool[]
  readonly metricsUrl: string
}

/** What earlier runs left on the log. */
export interface Before {
  /** Rewards earned. */
  readonly tasks: number
  /** Events that no worker had processed. */
  readonly unprocessed: number
  readonly dlqEnds: TopicEnds
}

/** Where Prometheus looks for exporters by habit begins at 9100; this one is rarely taken. */
export const METRICS_PORT = 9464
const METRICS_HOST = '127.0.0.1'
const READY_POLL_MS = 25

export async function setStage(options: StageOptions, resources: Resources): Promise<Stage> {
  const { rules, clock, logger, display, signal } = options
  const topics = topicNames()
  const observatory = await openObservatory(options, resources)
  const folder = resources.keep(await openDataFolder(options.dir))
  const infrastructure = await openInfrastructure(
    { folder, topics, seed: options.seed, clock, logger, say: display.say },
    resources,
  )
  signal.throwIfAborted()
  const { log } = infrastructure
  const plan = await publishRules({ log, clock, logger, topic: topics.control, rules })
  if (plan.refused.length > 0) throw problemsError(plan.refused)
  const before = await lookBefore(log, topics)
  const tally = new Tally()
  const recent = new RecentRewards()
  await followRewards({ log, topics, recent, logger }, resources)
  display.say('starting two workers and the sink ...')
  const { metrics } = observatory
  const policy = resources.keep(openSinkPolicy(log, topics.control, { clock, logger, signal }))
  await policy.firstRead()
  const { policyAt } = policy
  const crew = resources.keep(
    startCrew({ ...options, infrastructure, topics, dir: folder.path, metrics, tally, recent, policyAt }),
  )
  observatory.watch(crew)
  await ready(crew, { clock, signal })
  return {
    topics,
    folder,
    infrastructure,
    crew,
    tally,
    recent,
    before,
    pools: poolsOf(rules),
    metricsUrl: observatory.url,
  }
}

interface Observatory {
  readonly metrics: ObservedMetrics
  readonly url: string
  watch(crew: Crew): void
}

async function openObservatory({ port, logger, display }: StageOptions, resources: Resources): Promise<Observatory> {
  const metrics = createMetrics({ role: 'demo' })
  let reasons = (): readonly string[] => ['the demo is starting']
  const health = (): HealthReport => ({ alive: true, ready: reasons().length === 0, reasons: reasons() })
  const serve = (at: number) => startHealthServer({ port: at, host: METRICS_HOST, metrics, health, logger })
  const server = await serve(port ?? METRICS_PORT).catch((error: unknown) => {
    if (port !== undefined || !hasCode(error, 'ONCEWARD_E_SETTING_INVALID')) throw error
    display.say(`port ${METRICS_PORT} is taken; the metrics are served on another one (--port chooses)`)
    return serve(0)
  })
  resources.keep(server)
  return {
    metrics,
    url: `http://${METRICS_HOST}:${server.port}/metrics`,
    watch: (crew) => {
      reasons = () => crew.waitingFor()
    },
  }
}

async function lookBefore(log: Log, topics: Topics): Promise<Before> {
  const tasks = (await earnedIds(log, topics.rewards)).length
  const lag = await groupLag(log, APPLICATION, topics.events)
  return { tasks, unprocessed: lag?.records ?? 0, dlqEnds: await endsOf(log, topics.dlq) }
}

/** Keeps the newest reward tasks at hand, for the view. */
async function followRewards(
  { log, topics, recent, logger }: Pick<Stage, 'topics' | 'recent'> & { log: Log; logger: Logger },
  resources: Resources,
): Promise<void> {
  const ending = new AbortController()
  const from = await endsOf(log, topics.rewards)
  const following = followRecords(log, { topic: topics.rewards, from, signal: ending.signal }, ({ value }) => {
    // The workers of this very process wrote it.
    recent.told(JSON.parse(value?.toString() ?? 'null') as RewardRecord | PlayerChanged)
  }).catch((error: unknown) => logger.warn({ err: error }, 'the list of the latest rewards stands still'))
  resources.defer(() => {
    ending.abort()
    return following
  })
}

async function ready(crew: Crew, { clock, signal }: Pick<StageOptions, 'clock' | 'signal'>): Promise<void> {
  while (crew.waitingFor().length > 0) {
    await Promise.race([clock.sleep(READY_POLL_MS, signal), crew.failed])
    signal.throwIfAborted()
  }
}

/** The pools that the rules name, with nothing spent. */
function poolsOf(rules: readonly RuleSource[]): readonly Pool[] {
  const pools = new Map<string, Pool>()
  for (const { rule } of rules) {
    const { budget_pool: poolId, budget_soft_cap: cap } = rule.guardrails
    if (poolId === undefined || pools.has(poolId)) continue
    pools.set(poolId, { poolId, spent: 0n, budget: cap === undefined ? null : parseMoney(cap) })
  }
  return [...pools.values()].sort((a, b) => (a.poolId < b.poolId ? -1 : 1))
}
