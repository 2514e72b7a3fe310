import { type Command, command } from '../command.ts'
import { allHoldTargets, HOLD_FILTERS, id, json, LEDGER, limit, MANDATE, override, policy } from '../settings/office.ts'
import { setting } from '../settings/setting.ts'

const group = 'Rewards'

const list = command({
  name: 'holds list',
  group,
  summary: 'show the rewards that wait for a review, those that wait longest first',
  description: `
    One line for each reward that is held: what it is, what it costs its pool, how long it has waited, who has taken it, how
    many of the people that it needs have approved it, and why it is held.`,
  examples: [
    { line: 'ONCEWARD_DB=postgres://... onceward holds list', says: 'what waits' },
    {
      line: 'onceward holds list --assignee nobody --older-than 4h --min-cost 500',
      says: 'what is large and nobody has taken',
    },
    { line: 'onceward holds list --held-by sharp_rise --json', says: 'for a program' },
  ],
  settings: [...LEDGER, ...HOLD_FILTERS, limit, json],
  async run(context) {
    const { listHolds } = await import('../holds/list.ts')
    await listHolds(context)
  },
})

const show = command({
  name: 'holds show',
  group,
  summary: 'show one reward as a reviewer needs it: the player, the pool, why it is held, its history and decisions',
  description: `
    All that the ledger knows of it: the player's KYC level and restrictions, the state of the pool, the reviews with who
    approved what and why, every move with its reason, and the audit log.`,
  examples: [{ line: 'onceward holds show rt_0123456789abcdef0123456789abcdef', says: 'before you decide' }],
  settings: [id, ...LEDGER, json],
  async run(context) {
    const { showReward } = await import('../rewards/show.ts')
    await showReward(context)
  },
})

const cost = setting('cost', {
  type: 'text',
  eachTime: true,
  placeholder: 'AMOUNT',
  help: 'what it costs its pool, for a reward that is held because nobody could work that out (no_rate)',
})

const approve = command({
  name: 'holds approve',
  group,
  summary: 'let held rewards be paid',
  description: `
    The player's KYC level and restrictions are checked first: what does not pass stays held, and says what is missing. Where
    a reward needs two people, the second approval counts, and must be another person's. The last approval reserves what the
    reward costs; more than its pool has is refused. --override with a reason goes past budget and KYC, is audited, and
    counts what it lets through as overrun; nothing goes past a player's self-exclusion.

    First it shows what would happen to each reward and what is left of each pool; it is done after a yes, or with --yes. Of
    two people who decide at once, one does, and the other is told who. Ends with 1 where anything was refused.`,
  examples: [
    {
      line: 'onceward holds approve rt_0123... --reason "checked with the player"',
      says: 'shows what would happen, and asks',
    },
    {
      line: 'onceward holds approve --pool nov_season --held-by breaker --reason "budget raised" --yes',
      says: 'all that the breaker holds',
    },
    {
      line: 'onceward holds approve --file approved.csv --reason "ticket 4711" --as ann --yes',
      says: 'those of a list',
    },
  ],
  settings: [...allHoldTargets, ...LEDGER, ...MANDATE, override, policy, cost],
  async run(context) {
    const { amountOf, decideHolds } = await import('../rewards/commands.ts')
    const { cost: text } = context.settings
    const cents = text === undefined ? undefined : amountOf('--cost', text)
    return decideHolds(context, 'approve', (mandate) => ({ ...mandate, name: 'approve', cost: cents }))
  },
})

const reject = command({
  name: 'holds reject',
  group,
  summary: 'void held rewards: they are never paid',
  description: `
    A decision that cannot be taken back: the reward is voided, with your reason in its history. First it shows what would
    happen; it is done after a yes, or with --yes.`,
  examples: [{ line: 'onceward holds reject rt_0123... --reason "stakes from a bot"', says: 'after a look at it' }],
  settings: [...allHoldTargets, ...LEDGER, ...MANDATE],
  async run(context) {
    const { decideHolds } = await import('../rewards/commands.ts')
    return decideHolds(context, 'reject', (mandate) => ({ ...mandate, name: 'reject' }))
  },
})

const to = setting('to', { type: 'text', required: true, placeholder: 'NAME', help: 'the person who is to decide' })

const assign = command({
  name: 'holds assign',
  group,
  summary: 'say who is to decide on held rewards',
  description: `
    Somebody else may decide all the same; holds list --assignee shows who has what.`,
  examples: [
    {
      line: 'onceward holds assign --pool vip_weekend --assignee nobody --to ann --reason "ann has the weekend" --yes',
      says: 'all that nobody has taken',
    },
  ],
  settings: [...allHoldTargets, to, ...LEDGER, ...MANDATE],
  async run(context) {
    const { decideHolds } = await import('../rewards/commands.ts')
    const { to: person } = context.settings
    return decideHolds(context, 'assign', (mandate) => ({ ...mandate, name: 'assign', to: person }))
  },
})

const unassign = command({
  name: 'holds unassign',
  group,
  summary: 'give held rewards back to whoever comes first',
  description: `
    The opposite of holds assign.`,
  examples: [{ line: 'onceward holds unassign --assignee ann --reason "ann is ill" --yes', says: 'all that ann had' }],
  settings: [...allHoldTargets, ...LEDGER, ...MANDATE],
  async run(context) {
    const { decideHolds } = await import('../rewards/commands.ts')
    return decideHolds(context, 'unassign', (mandate) => ({ ...mandate, name: 'unassign' }))
  },
})

/** The commands around reviews, in the order of the help page. */
export const HOLDS: readonly Command[] = [list, show, approve, reject, assign, unassign]
