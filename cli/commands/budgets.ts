import { type Command, command } from '../command.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { json, LEDGER, onePool } from '../settings/office.ts'
import { setting } from '../settings/setting.ts'
import { REGISTRY } from '../settings/registry.ts'
import { BROKER_ADDRESS, prefix, schemas } from '../settings/shared.ts'

const budgets = command({
  name: 'budgets',
  group: 'Rewards',
  summary: 'show what each pool has, what is spent and reserved of it, and when it runs dry',
  description: `
    One line for each pool and period: the budget (its hard cap) and soft cap, what was paid, what is reserved for rewards
    that are on their way or in doubt, what is left, and what was let through above the budget by hand or because a partner
    turned out to have paid. It runs dry when all goes on as since the first reward of the period.`,
  examples: [
    { line: 'ONCEWARD_DB=postgres://... onceward budgets', says: 'all of them' },
    { line: 'onceward budgets --pool nov_season --json', says: 'one, for a program' },
  ],
  settings: [...LEDGER, onePool, json],
  async run(context) {
    const { listBudgets } = await import('../budgets/list.ts')
    await listBudgets(context)
  },
})

const from = setting('from', {
  type: 'text',
  placeholder: 'TIME',
  help: 'only rewards whose event is of this day (UTC) or time or later, such as 2025-11-03',
})
const until = setting('until', {
  type: 'text',
  placeholder: 'TIME',
  help: 'only rewards whose event is before this day (UTC) or time',
})
const by = setting('by', {
  type: 'text',
  default: 'pool',
  placeholder: 'pool|rule|type',
  help: 'what is told apart: pool, rule or type',
  pattern: { test: /^(pool|rule|type)$/, right: 'pool, rule or type' },
})
const count = { type: 'integer', min: 0, max: 10_000_000_000 } as const
const actives = setting('actives', {
  ...count,
  placeholder: 'N',
  help: 'how many players were active in the time, where you know it',
})
const payers = setting('payers', { ...count, placeholder: 'N', help: 'how many of them pay, where you know it' })
const brokers = setting('brokers', {
  type: 'list',
  placeholder: 'HOST:PORT,...',
  help: 'Kafka brokers, to count the players with an event in the time, and those with payer_flag among them',
  pattern: BROKER_ADDRESS,
})
const playersMax = setting('players-max', {
  type: 'integer',
  default: '5000000',
  min: 1,
  max: 16_000_000,
  help: 'most different players that are counted, in memory, about 100 bytes each',
})

const cost = command({
  name: 'budgets cost',
  group: 'Rewards',
  summary: 'show what rewards cost for each player: of those rewarded, of all active, of all who pay',
  description: `
    From the ledger: what was paid, by the event time of the reward, and what is still open (reserved, on its way or in
    doubt); how many different players and payers got something, and what each cost. The unit figures are of what was paid.

    The cost for each active player and each payer needs their number: given with --actives and --payers, or counted from
    the events topic with --brokers, exactly, by event time (what retention has deleted is not counted).`,
  examples: [
    { line: 'onceward budgets cost --from 2025-11-01 --until 2025-12-01 --by rule', says: 'November by rule' },
    {
      line: 'onceward budgets cost --from 2025-11-03 --until 2025-11-04 --brokers localhost:9092',
      says: 'a day, with the active players counted',
    },
  ],
  settings: [
    from,
    until,
    by,
    actives,
    payers,
    brokers,
    prefix,
    schemas,
    ...REGISTRY,
    playersMax,
    ...LEDGER,
    json,
    ...KAFKA_SECURITY,
  ],
  async run(context) {
    const { showCosts } = await import('../budgets/costs.ts')
    await showCosts(context)
  },
})

export const BUDGETS: readonly Command[] = [budgets, cost]
