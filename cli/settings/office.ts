import { setting } from './setting.ts'
import { allowNonDurableDb, db } from './shared.ts'

/** Settings of the commands by which people work with rewards; one object each, so that they mean the same everywhere. */

const as = setting('as', {
  type: 'text',
  placeholder: 'NAME',
  help: 'who does this, kept for ever; ONCEWARD_ACTOR, or the user of the operating system, where it is left out',
})

const actor = setting('actor', {
  type: 'text',
  placeholder: 'NAME',
  help: 'the same as --as, meant to be set once as the variable ONCEWARD_ACTOR; --as wins',
})

export const json = setting('json', { type: 'flag', help: 'print JSON, for programs' })

const why = setting('reason', {
  type: 'text',
  required: true,
  placeholder: 'TEXT',
  help: 'why, kept for ever in the history of the reward and in the audit log',
})

export const optionalWhy = setting('reason', {
  type: 'text',
  placeholder: 'TEXT',
  help: 'why, for each reward whose line gives no reason of its own; kept for ever',
})

const yes = setting('yes', {
  type: 'flag',
  eachTime: true,
  help: 'carry it out after the dry run without asking; without it, nothing is changed unless you confirm on a terminal',
})

export const override = setting('override', {
  type: 'flag',
  eachTime: true,
  help: 'go past the budget and the KYC level, audited with your reason; never past responsible gaming, never in place of a second person',
})

export const policy = setting('policy', {
  type: 'path',
  placeholder: 'FILE',
  help: 'payout policy (or a folder with its versions): pools, costs, KYC levels and reviews as it says; the terms that the ledger knows where it is left out',
})

const task = setting('task', {
  type: 'list',
  positional: true,
  placeholder: 'ID...',
  help: 'task ids (rt_…) or request ids (rid_…)',
})

export const id = setting('id', {
  type: 'text',
  required: true,
  positional: true,
  placeholder: 'ID',
  help: 'a task id (rt_…) or a request id (rid_…)',
})

const file = setting('file', {
  type: 'path',
  placeholder: 'FILE',
  help: 'CSV with a column id, reward_task_id or request_id, or one id a line; - is the standard input',
})

export const onePool = setting('pool', { type: 'text', placeholder: 'ID', help: 'only this pool' })
const pool = setting('pool', { type: 'text', placeholder: 'ID', help: 'only those of this pool' })
const type = setting('type', {
  type: 'text',
  placeholder: 'TYPE',
  help: 'only rewards of this type: cash, fs, …',
})
const user = setting('user', { type: 'text', placeholder: 'ID', help: 'only those of this player' })
const rule = setting('rule', {
  type: 'text',
  placeholder: 'ID',
  help: 'only those of this rule; manual: issued by hand',
})

const heldBy = setting('held-by', {
  type: 'text',
  placeholder: 'REASON',
  help: 'only those that this holds: large_prize, breaker, soft_cap, sharp_rise, budget_closed, no_rate, …',
})

const assignee = setting('assignee', {
  type: 'text',
  placeholder: 'NAME',
  help: 'only those assigned to this person; nobody: those that nobody has taken',
})

const olderThan = setting('older-than', {
  type: 'duration',
  min: 0,
  max: 3_650 * 86_400_000,
  help: 'only those that have waited at least so long, such as 4h or 2d',
})

const minCost = setting('min-cost', {
  type: 'text',
  placeholder: 'AMOUNT',
  help: 'only those that cost their pool at least so much',
})

export const limit = setting('limit', {
  type: 'integer',
  default: '50',
  min: 1,
  max: 100_000,
  help: 'how many are listed, those that wait longest first',
})

/** What connects to the ledger. */
export const LEDGER = [db, allowNonDurableDb] as const
/** Who does it, and whether at once. */
export const withoutReason = [as, actor, yes, json] as const
/** Who does it, why, and whether at once. */
export const MANDATE = [...withoutReason, why] as const
export const HOLD_FILTERS = [pool, type, user, heldBy, assignee, olderThan, minCost] as const
/** For which reviews a command is. */
export const allHoldTargets = [task, file, ...HOLD_FILTERS] as const
/** For which rewards a command is. */
export const allRewardTargets = [task, file, pool, type, user, rule] as const
