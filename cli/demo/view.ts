import { formatDuration } from '../../core/durations.ts'
import type { Reward } from '../../core/model/reward.ts'
import { formatCount } from '../progress.ts'
import { bar, type Line, paint, seg, type Segment, spread, type Style } from './paint.ts'
import type { RecentReward, RewardStatus } from './recent-rewards.ts'
import type { Pool, Snapshot } from './snapshot.ts'
import { money } from './summary.ts'

/** What does not change while it is watched. */
export interface ViewFrame {
  readonly players: number
  readonly rules: number
  /** What is going on: `playing`, `finishing: ...`. */
  readonly phase: string
  readonly elapsedMs: number
  /** Play is over. */
  readonly stopping: boolean
  /** undefined: until it is stopped. */
  readonly forMs: number | undefined
  readonly metricsUrl: string
  readonly data: string
  /** The newest lines that were logged, warnings and errors. */
  readonly logged: readonly string[]
}

export interface ViewSize {
  readonly columns: number
  readonly rows: number
  readonly color: boolean
  readonly unicode: boolean
}

const LABEL_COLUMNS = 10
const RUNNING = ' Ctrl-C stops it in order and prints what was earned and paid.'
const STOPPING = ' It stops in order and then prints what was earned and paid; Ctrl-C twice stops it at once.'
const BAR_COLUMNS_MAX = 32
const RECENT_MIN = 3

/** One frame: as many lines as fit, the most important ones first to stay. */
export function renderView(snapshot: Snapshot, frame: ViewFrame, size: ViewSize): string[] {
  const head = [...titleLines(frame, size), ...countLines(snapshot)]
  const pools = poolLines(snapshot.pools, size)
  const foot = footLines(snapshot, frame)
  const room = size.rows - head.length - pools.length - foot.length - 2
  const recent = recentLines(snapshot.recent, Math.max(RECENT_MIN, room))
  return [...head, [], ...pools, [], ...recent, ...foot]
    .slice(0, size.rows)
    .map((line) => paint(line, size.columns, size.color))
}

function titleLines(frame: ViewFrame, { columns, unicode }: ViewSize): Line[] {
  const { players, rules, phase, elapsedMs, forMs } = frame
  const time = `${formatDuration(Math.floor(elapsedMs / 1_000) * 1_000)}${forMs === undefined ? '' : ` of ${formatDuration(forMs)}`}`
  const arrow = unicode ? '→' : '->'
  const left = [seg(' Onceward demo ', 'title'), seg(` ${phase} `, 'title')]
  const flow = [`${formatCount(players)} players`, 'log', `workers (${rules} rules)`, 'reward tasks', 'sink', 'wallet']
  return [
    spread(left, [seg(` ${time} `, 'title')], { columns, fill: 'title' }),
    [seg(` ${flow.join(` ${arrow} `)}`, 'dim')],
    [],
  ]
}

function countLines({ events, scores, points, rewards, wallet }: Snapshot): Line[] {
  const dead = Object.entries(events.dlq).map(([reason, count]) => `${reason} ${formatCount(count)}`)
  return [
    labelled('EVENTS', [
      seg(formatCount(events.total), 'strong'),
      seg(' sent   '),
      seg(`${formatCount(events.perSecond)}/s`, 'strong'),
    ]),
    labelled('', [
      seg(`${formatCount(events.unique)} unique   ${formatCount(events.duplicates)} duplicates dropped   `),
      seg(`dead letters: ${dead.length === 0 ? 'none' : dead.join(', ')}`),
    ]),
    labelled('SCORES', [seg(formatCount(scores), 'strong'), seg(` scores   ${formatCount(points)} points`)]),
    labelled('REWARDS', [
      seg(formatCount(rewards.created), 'strong'),
      seg(' earned   '),
      seg(formatCount(rewards.paid), 'good'),
      seg(' paid   '),
      seg(formatCount(rewards.pending), rewards.pending > 0 ? 'busy' : 'plain'),
      seg(' pending   '),
      seg(formatCount(rewards.failed), rewards.failed > 0 ? 'bad' : 'plain'),
      seg(' failed   '),
      seg(formatCount(rewards.held), rewards.held > 0 ? 'busy' : 'plain'),
      seg(' held   '),
      seg(formatCount(rewards.frozen), rewards.frozen > 0 ? 'busy' : 'plain'),
      seg(' frozen'),
    ]),
    labelled('', [
      seg(
        `${formatCount(wallet.calls)} calls to the wallet, ${formatCount(wallet.retried)} of them failed (on purpose) and sent again`,
        'dim',
      ),
    ]),
  ]
}

function labelled(label: string, rest: Line): Line {
  return [seg(` ${label.padEnd(LABEL_COLUMNS - 1)}`, 'strong'), ...rest]
}

function poolLines(pools: readonly Pool[], { columns, unicode }: ViewSize): Line[] {
  const names = Math.max(0, ...pools.map(({ poolId }) => poolId.length))
  return pools.map((pool, index) => {
    const { poolId, spent, budget } = pool
    const text = budget === null ? money(spent) : `${money(spent)} of ${money(budget)}`
    const share = budget === null || budget === 0n ? undefined : Number(spent) / Number(budget)
    const width = Math.min(BAR_COLUMNS_MAX, columns - LABEL_COLUMNS - names - text.length - 14)
    const bars = share === undefined || width < 6 ? [] : bar(share, width, unicode)
    const percent = share === undefined ? '' : `${(share * 100).toFixed(1)} %`.padStart(8)
    return labelled(index === 0 ? 'BUDGET' : '', [
      seg(`${poolId.padEnd(names)}  `),
      ...bars,
      seg(percent, share !== undefined && share >= 0.9 ? 'bad' : 'strong'),
      seg(`  ${text}`),
    ])
  })
}

const STATUS_STYLE: Record<RewardStatus, Style> = { paid: 'good', pending: 'busy', failed: 'bad', frozen: 'busy' }

function recentLines(recent: readonly RecentReward[], room: number): Line[] {
  const lines = recent
    .slice(0, room)
    .map(({ task, status }, index) =>
      labelled(index === 0 ? 'LATEST' : '', [
        seg(status.padEnd(9), STATUS_STYLE[status]),
        seg(`${task.user_id.padEnd(12)} `),
        seg(rewardText(task.reward).padEnd(20), 'strong'),
        seg(` ${task.origin.rule_id} reached ${formatCount(task.origin.threshold)}`),
      ]),
    )
  const filler = Array.from({ length: room - lines.length }, (): Line => [])
  if (lines.length === 0 && filler.length > 0)
    filler[0] = labelled('LATEST', [seg('nobody has reached a threshold yet', 'dim')])
  return [...lines, ...filler]
}

/** `10 free spins`, `bonus_cash 2.00 EUR`, `loot rare`. */
export function rewardText(reward: Reward): string {
  const { type, amount, currency } = reward
  if (amount === undefined) {
    const named = reward['rarity'] ?? reward['code']
    return typeof named === 'string' ? `${type} ${named}` : type
  }
  if (currency !== undefined) return `${type} ${amount.toFixed(2)} ${currency}`
  return type === 'fs' ? `${formatCount(amount)} free spins` : `${formatCount(amount)} ${type}`
}

function footLines({ partitions }: Snapshot, frame: ViewFrame): Line[] {
  const workers = [...new Set(partitions.map(({ worker }) => worker))].sort((a, b) => a - b)
  const parts = workers.flatMap((worker): Segment[] => {
    const own = partitions.filter((each) => each.worker === worker)
    const lags = own.map(({ partition, lag }) => `p${partition} lag ${formatCount(lag)}`)
    return [seg(`worker ${worker}: `, 'strong'), seg(`${lags.join(', ')}   `)]
  })
  return [
    ...frame.logged.map((line) => labelled('LOG', [seg(line, 'bad')])),
    [],
    labelled('WORKERS', parts),
    labelled('METRICS', [seg(frame.metricsUrl)]),
    labelled('DATA', [seg(frame.data)]),
    [seg(frame.stopping ? STOPPING : RUNNING, 'dim')],
  ]
}

/** The same in one line, where there is no terminal to draw on. */
export function plainLine({ events, scores, rewards, partitions }: Snapshot, { elapsedMs, phase }: ViewFrame): string {
  const lag = partitions.reduce((sum, each) => sum + each.lag, 0)
  const dead = Object.values(events.dlq).reduce((sum, count) => sum + count, 0)
  return [
    formatDuration(Math.round(elapsedMs / 1_000) * 1_000).padStart(4),
    phase,
    `${formatCount(events.total)} events (${formatCount(events.perSecond)}/s)`,
    `${formatCount(events.duplicates)} duplicates`,
    `${formatCount(dead)} dead letters`,
    `${formatCount(scores)} scores`,
    `${formatCount(rewards.created)} rewards: ${formatCount(rewards.paid)} paid, ${formatCount(rewards.pending)} pending, ${formatCount(rewards.failed)} failed, ${formatCount(rewards.held)} held, ${formatCount(rewards.frozen)} frozen`,
    `lag ${formatCount(lag)}`,
  ].join('  ')
}
