import { OncewardError } from '../../core/errors.ts'
import { divideMoney, formatMoney } from '../../core/money.ts'
import type { CostQuestion, CostView } from '../../core/ports/back-office.ts'
import { topicNames } from '../../core/topics.ts'
import type { Context } from '../command.ts'
import { type LedgerSettings, withOffice } from '../rewards/connection.ts'
import { oneLine } from '../rewards/outcomes.ts'
import { type KafkaSettings, withKafka } from '../runtime.ts'
import { type EventSettings, withEvents } from '../schemas/event-reading.ts'
import { dayOrTime } from '../settings/day-or-time.ts'
import { textTable } from '../text-table.ts'
import { type Actives, countActives } from './actives.ts'

export type CostSettings = LedgerSettings &
  EventSettings &
  Omit<KafkaSettings, 'brokers'> & {
    readonly brokers: KafkaSettings['brokers'] | undefined
    readonly prefix: string | undefined
    readonly from: string | undefined
    readonly until: string | undefined
    /** pool, rule or type. */
    readonly by: string
    readonly actives: number | undefined
    readonly payers: number | undefined
    readonly playersMax: number
    readonly json: boolean
  }

/** What rewards cost for each player: of those who got one, and of all who were active or pay. */
export async function showCosts(context: Context<CostSettings>): Promise<void> {
  const { settings, terminal } = context
  const range = { from: dayOrTime('--from', settings.from), until: dayOrTime('--until', settings.until) }
  if (settings.brokers !== undefined && (settings.actives !== undefined || settings.payers !== undefined)) {
    const message = 'the players are either counted (--brokers) or given (--actives, --payers), not both'
    throw new OncewardError('ONCEWARD_E_USAGE', message)
  }
  const views = await withOffice(context, (office) => office.costs({ ...range, by: groupOf(settings.by) }))
  const crowd = await crowdOf(context, range)
  const lines = views.map((view) => ({ view, figures: figuresOf(view, crowd) }))
  if (settings.json) {
    const costs = lines.map(({ view, figures }) => ({
      ...(view.group === null ? { all: true } : { [settings.by]: view.group }),
      ...figures,
    }))
    await terminal.print(
      `${JSON.stringify({ from: settings.from ?? null, until: settings.until ?? null, ...crowd, costs })}\n`,
    )
  } else await terminal.print(costText(views, crowd, settings.by))
}

function groupOf(by: string): CostQuestion['by'] {
  return by === 'rule' || by === 'type' ? by : 'pool'
}

type Crowd = Partial<Actives>

async function crowdOf(
  context: Context<CostSettings>,
  range: { readonly from: number | undefined; readonly until: number | undefined },
): Promise<Crowd> {
  const { settings, signal } = context
  const { brokers, actives, payers, playersMax } = settings
  if (brokers === undefined) {
    return { ...(actives === undefined ? {} : { actives }), ...(payers === undefined ? {} : { payers }) }
  }
  const { events } = topicNames(settings.prefix)
  return withEvents(context, ({ normalize, over }) =>
    withKafka({ ...context, settings: { ...settings, brokers } }, (log) =>
      countActives(over(log, events), { topic: events, normalize, ...range, playersMax, signal }),
    ),
  )
}

/** Cost for each of `players`; null where there is none. */
export function perHead(cost: bigint, players: number | undefined): string | null {
  return players === undefined || players === 0 ? null : formatMoney(divideMoney(cost, BigInt(players)))
}

function figuresOf({ rewards, paid, open, players, payers }: CostView, crowd: Crowd): Record<string, unknown> {
  return {
    rewards,
    paid: formatMoney(paid),
    open: formatMoney(open),
    rewarded_players: players,
    rewarded_payers: payers,
    per_rewarded_player: perHead(paid, players),
    per_rewarded_payer: perHead(paid, payers),
    per_active: perHead(paid, crowd.actives),
    per_payer: perHead(paid, crowd.payers),
  }
}

export function costText(views: readonly CostView[], crowd: Crowd, by: string): string {
  const heads = [
    by.toUpperCase(),
    'REWARDS',
    'PAID',
    'OPEN',
    'PLAYERS',
    'EACH',
    'PAYERS',
    'EACH',
    'PER ACTIVE',
    'PER PAYER',
  ]
  const rows = views.map(({ group, rewards, paid, open, players, payers }) => [
    group === null ? 'all' : oneLine(group === '' ? '(none)' : group),
    String(rewards),
    formatMoney(paid),
    formatMoney(open),
    String(players),
    perHead(paid, players) ?? '-',
    String(payers),
    perHead(paid, payers) ?? '-',
    perHead(paid, crowd.actives) ?? '-',
    perHead(paid, crowd.payers) ?? '-',
  ])
  const counted = [
    ...(crowd.actives === undefined ? [] : [`${crowd.actives} were active`]),
    ...(crowd.payers === undefined ? [] : [`${crowd.payers} pay`]),
  ]
  return `${textTable([heads, ...rows])}${counted.length === 0 ? '' : `\n${counted.join(', ')}\n`}`
}
