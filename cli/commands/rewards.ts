import { type Command, command } from '../command.ts'
import {
  allRewardTargets,
  id,
  json,
  LEDGER,
  MANDATE,
  optionalWhy,
  override,
  policy,
  withoutReason,
} from '../settings/office.ts'
import { setting } from '../settings/setting.ts'

const group = 'Rewards'

const show = command({
  name: 'rewards show',
  group,
  summary: 'show all that the ledger knows of one reward',
  description: `
    By its task id or by the request id that the partner knows it by (which is looked for through the whole ledger: a second
    or so for a million rewards). Its state, player and pool, why it is frozen or held, every move, decision and alarm.`,
  examples: [
    {
      line: 'onceward rewards show rid_0123456789abcdef0123456789abcdef',
      says: 'the reward that a partner asks about',
    },
  ],
  settings: [id, ...LEDGER, json],
  async run(context) {
    const { showReward } = await import('../rewards/show.ts')
    await showReward(context)
  },
})

const what = {
  file: setting('file', {
    type: 'path',
    placeholder: 'FILE',
    help: 'CSV with a reward a line; - is the standard input',
  }),
  user: setting('user', { type: 'text', placeholder: 'ID', help: 'the player, for one reward without a file' }),
  type: setting('type', { type: 'text', placeholder: 'TYPE', help: 'cash, bonus_cash, fs, coupon, loot, …' }),
  amount: setting('amount', {
    type: 'text',
    placeholder: 'AMOUNT',
    help: 'money for cash and bonus_cash, a count for others',
  }),
  currency: setting('currency', { type: 'text', placeholder: 'CODE', help: 'of cash and bonus_cash, such as EUR' }),
  pool: setting('pool', { type: 'text', placeholder: 'ID', help: 'the budget that it is taken from' }),
  reference: setting('reference', {
    type: 'text',
    placeholder: 'TEXT',
    help: 'what it is for, such as a ticket: the same reference for the same player is the same reward, however often it is issued',
  }),
  kycLevel: setting('kyc-level', {
    type: 'integer',
    min: 0,
    max: 9,
    help: 'least KYC level, where more than the policy asks is needed',
  }),
  cost: setting('cost', {
    type: 'text',
    placeholder: 'AMOUNT',
    help: 'what it costs the pool, where the policy does not say it',
  }),
}

const issue = command({
  name: 'rewards issue',
  group,
  summary: 'give rewards by hand, through the same gates and budgets as all others',
  description: `
    One reward, described by flags, or those of a CSV with the columns user_id, type, amount, currency, pool and reference; and
    where you like reason, kyc_level, cost, wagering, geo, and reward.<attribute> for what else the reward says. One line that
    cannot be read, and nothing of the file is issued; all such lines are named.

    A reward's id follows from player and reference: the same file twice gives each reward once. What the player's KYC level
    or a restriction stops is booked as frozen; what the budget does not cover, or what is to be reviewed, as held. --override
    with a reason goes past budget and KYC, never past a self-exclusion, and never in place of a reviewer.

    First it shows what would become of each, what it costs and what is left of each pool; it is done after a yes, or with
    --yes, in transactions of at most 200 rewards. Ends with 1 where anything was refused.`,
  examples: [
    {
      line: 'onceward rewards issue --user u_123 --type bonus_cash --amount 5 --currency EUR --pool goodwill --reference ticket-4711 --reason "outage on Sunday"',
      says: 'one reward: shows what it would do, and asks',
    },
    {
      line: 'onceward rewards issue --file goodwill.csv --policy policy.yaml --reason "outage on Sunday" --as ann --yes',
      says: 'many',
    },
  ],
  settings: [...Object.values(what), ...LEDGER, ...withoutReason, optionalWhy, override, policy],
  async run(context) {
    const { issueRewards } = await import('../rewards/issue.ts')
    return issueRewards(context)
  },
})

const freeze = command({
  name: 'rewards freeze',
  group,
  summary: 'stop rewards: nothing more is sent of them until somebody releases them',
  description: `
    For what is reserved, held or with a partner. A call that is under way cannot be taken back and may still pay; its answer
    counts as what it is, and there is no other call. A reward that may have been paid keeps its reservation.

    With filters, all that could still be paid is meant. First it shows what would happen; it is done after a yes, or with --yes.`,
  examples: [
    {
      line: 'onceward rewards freeze --rule r_points_v2 --reason "wrong formula" --yes',
      says: 'all that a rule has given and nobody has paid yet',
    },
    { line: 'onceward rewards freeze --user u_123 --reason "account taken over" --yes', says: 'all of a player' },
  ],
  settings: [...allRewardTargets, ...LEDGER, ...MANDATE],
  async run(context) {
    const { commandRewards } = await import('../rewards/commands.ts')
    const statuses = ['pending', 'held', 'reserved', 'sent'] as const
    return commandRewards(context, { verb: 'freeze', statuses }, (mandate) => ({ ...mandate, name: 'freeze' }))
  },
})

const frozenBy = setting('frozen-by', {
  type: 'choice',
  choices: ['manual', 'sink', 'stream'],
  default: 'manual',
  help: 'with filters: those that a person (manual) froze, or the gates at the moment of the call (sink) or in the stream',
})

const release = command({
  name: 'rewards release',
  group,
  summary: 'let frozen rewards go: they are admitted like new ones',
  description: `
    The gates are asked first: what a player's KYC level stops is refused unless overridden, and what responsible gaming
    stops is refused always. Then the budget. What was held when it was frozen goes back to its review.

    First it shows what would happen; it is done after a yes, or with --yes.`,
  examples: [
    {
      line: 'onceward rewards release --rule r_points_v2 --reason "formula was right" --yes',
      says: 'what was frozen by hand',
    },
  ],
  settings: [...allRewardTargets, frozenBy, ...LEDGER, ...MANDATE, override, policy],
  async run(context) {
    const { commandRewards } = await import('../rewards/commands.ts')
    const order = { verb: 'release', statuses: ['frozen'] } as const
    return commandRewards(context, order, (mandate) => ({ ...mandate, name: 'release' }))
  },
})

const notPaid = setting('not-paid', {
  type: 'flag',
  eachTime: true,
  help: 'you have looked for the request id at the partner, and it has not paid: needed for what is in doubt',
})

const voidRewards = command({
  name: 'rewards void',
  group,
  summary: 'end rewards that are not to be paid, and give their reservation back',
  description: `
    For what was never sent, and for what failed. What may have been paid (a partner that did not answer) asks for a look at
    the partner first, and for --not-paid. A decision that cannot be taken back; should the partner turn out to have paid,
    that is booked all the same.

    With filters, frozen and failed rewards are meant. First it shows what would happen; it is done after a yes, or with --yes.`,
  examples: [
    {
      line: 'onceward rewards void rt_0123... --not-paid --reason "not in the statement of 3 November"',
      says: 'after a look at the partner',
    },
  ],
  settings: [...allRewardTargets, notPaid, ...LEDGER, ...MANDATE],
  async run(context) {
    const { commandRewards } = await import('../rewards/commands.ts')
    const { notPaid: looked } = context.settings
    const order = { verb: 'void', statuses: ['frozen', 'failed'] } as const
    return commandRewards(context, order, (mandate) => ({ ...mandate, name: 'void', notPaid: looked }))
  },
})

const resend = command({
  name: 'rewards resend',
  group,
  summary: 'send failed rewards again, under the same request id',
  description: `
    The id is the same, so a partner that has paid it pays nothing and answers as it did. The budget is asked again unless the
    reservation has stayed; so are the gates.

    With filters, failed rewards are meant. First it shows what would happen; it is done after a yes, or with --yes.`,
  examples: [
    { line: 'onceward rewards resend --type fs --reason "provider is back" --yes', says: 'all free spins that failed' },
  ],
  settings: [...allRewardTargets, ...LEDGER, ...MANDATE, override, policy],
  async run(context) {
    const { commandRewards } = await import('../rewards/commands.ts')
    const order = { verb: 'resend', statuses: ['failed'] } as const
    return commandRewards(context, order, (mandate) => ({ ...mandate, name: 'resend' }))
  },
})

/** The commands by which people work with rewards, in the order of the help page. */
export const REWARDS: readonly Command[] = [show, issue, freeze, release, voidRewards, resend]
