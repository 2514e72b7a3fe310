/** Reads a record of `reward.tasks`. What comes from outside is never asserted: it is booked or rejected with a sentence. */
import { messageOf } from '../../core/errors.ts'
import type { Json, JsonObject } from '../../core/model/event.ts'
import type { Reward } from '../../core/model/reward.ts'
import { type Cents, parseMoney } from '../../core/money.ts'
import type { LedgerTask } from '../../core/ports/ledger.ts'
import type { LogRecord } from '../../core/ports/log.ts'
import { RAW_BYTES_MAX } from '../../operators/dead-letter.ts'

export type ParsedTask =
  | { readonly ok: true; readonly task: LedgerTask }
  | { readonly ok: false; readonly detail: string; readonly userId?: string; readonly eventId?: string }

/** Types whose amount is money; their cost is the amount where the reward names none. */
const CASH_TYPES: ReadonlySet<string> = new Set(['cash', 'bonus_cash'])

const ID_LENGTH_MAX = 512
/** Bytes of a task, inclusive: what a dead letter holds whole. Workers write some hundred. */
export const TASK_BYTES_MAX = RAW_BYTES_MAX
const NESTING_MAX = 32

/** Accepts S12 as it stands: `rule_version`, `period` and `event_id` may be missing in tasks written by others. */
export function parseTask(record: LogRecord): ParsedTask {
  let value: Json | undefined
  try {
    const bytes = record.value?.length ?? 0
    if (bytes > TASK_BYTES_MAX) throw new Error(`it has ${bytes} bytes, and a task has at most ${TASK_BYTES_MAX}`)
    const raw = record.value?.toString() ?? ''
    value = JSON.parse(raw) as Json
    checkStorable(value, 0)
    return { ok: true, task: read(value, record, raw) }
  } catch (error) {
    const userId = isObject(value) ? value['user_id'] : undefined
    const origin = isObject(value) ? value['origin'] : undefined
    const eventId = isObject(origin) ? origin['event_id'] : undefined
    return {
      ok: false,
      detail: `not a reward task: ${messageOf(error)}`,
      ...(isText(userId) ? { userId } : {}),
      ...(isText(eventId) ? { eventId } : {}),
    }
  }
}

function read(value: Json, record: LogRecord, raw: string): LedgerTask {
  const task = object(value, 'the record')
  if (task['type'] !== 'reward_task.created') throw new Error('type must be "reward_task.created"')
  const origin = object(task['origin'], 'origin')
  const reward = object(task['reward'], 'reward')
  const guardrails = object(task['guardrails'] ?? {}, 'guardrails')
  const money = readMoney(reward)
  return {
    taskId: text(task['reward_task_id'], 'reward_task_id'),
    userId: text(task['user_id'], 'user_id'),
    poolId: optionalText(task['pool_id'], 'pool_id'),
    ...money,
    ruleId: text(origin['rule_id'], 'origin.rule_id'),
    ruleVersion: optionalText(origin['rule_version'], 'origin.rule_version'),
    threshold: optionalNumber(origin['threshold'], 'origin.threshold'),
    period: optionalText(origin['period'], 'origin.period'),
    eventId: optionalText(origin['event_id'], 'origin.event_id'),
    // The fields that are read as more than JSON have been checked above.
    reward: reward as unknown as Reward,
    guardrails,
    softCap: optionalMoney(guardrails['budget_soft_cap'], 'guardrails.budget_soft_cap'),
    issuedAt: time(task['created_at']),
    source: { topic: record.topic, partition: record.partition, offset: record.offset },
    raw,
  }
}

function readMoney(reward: JsonObject): Pick<LedgerTask, 'type' | 'value' | 'currency' | 'cost'> {
  const type = text(reward['type'], 'reward.type')
  const amount = optionalMoney(reward['amount'], 'reward.amount')
  const cost = optionalMoney(reward['cost'], 'reward.cost')
  if (CASH_TYPES.has(type) && (amount === null || amount === 0n)) {
    throw new Error(`reward.amount of ${type} must be above zero`)
  }
  return {
    type,
    value: amount ?? 0n,
    currency: optionalText(reward['currency'], 'reward.currency'),
    cost: costAmong(type, amount, cost),
  }
}

/** Hundredths that a reward costs its pool: what it says itself, or its amount where that is money. ONCEWARD_E_MONEY_INVALID. */
export function costOf({ type, amount, cost }: Pick<Reward, 'type' | 'amount' | 'cost'>): Cents {
  const cents = (money: number | undefined): Cents | null => (money === undefined ? null : parseMoney(money))
  return costAmong(type, cents(amount), cents(cost))
}

function costAmong(type: string, amount: Cents | null, cost: Cents | null): Cents {
  return cost ?? (CASH_TYPES.has(type) ? (amount ?? 0n) : 0n)
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function object(value: Json | undefined, name: string): JsonObject {
  if (!isObject(value)) throw new Error(`${name} must be an object`)
  return value
}

function isText(value: Json | undefined): value is string {
  return typeof value === 'string' && value !== '' && value.length <= ID_LENGTH_MAX
}

function text(value: Json | undefined, name: string): string {
  if (isText(value)) return value
  throw new Error(`${name} must be a text of 1 to ${ID_LENGTH_MAX} characters`)
}

function optionalText(value: Json | undefined, name: string): string | null {
  return value === undefined || value === null ? null : text(value, name)
}

function optionalNumber(value: Json | undefined, name: string): number | null {
  if (value === undefined || value === null) return null
  if (typeof value === 'number' && Number.isFinite(value)) return value
  throw new Error(`${name} must be a number`)
}

function optionalMoney(value: Json | undefined, name: string): Cents | null {
  if (value === undefined || value === null) return null
  if (typeof value !== 'number') throw new Error(`${name} must be a number`)
  const cents = parseMoney(value)
  if (cents < 0n) throw new Error(`${name} must not be negative`)
  return cents
}

function time(value: Json | undefined): string {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN
  if (Number.isNaN(ms)) throw new Error('created_at must be a time such as 2025-10-24T11:38:30Z')
  return new Date(ms).toISOString()
}

/** What JSONB cannot hold must not get as far as a batch, which it would take down with it. */
function checkStorable(value: Json | undefined, depth: number): void {
  if (depth > NESTING_MAX) throw new Error(`nested deeper than ${NESTING_MAX} levels`)
  if (typeof value === 'string' && /\0|\p{Surrogate}/u.test(value)) {
    throw new Error('a text holds the character U+0000 or half a surrogate pair, which Postgres cannot store')
  }
  if (typeof value !== 'object' || value === null) return
  for (const [name, part] of Object.entries(value)) {
    checkStorable(name, depth)
    checkStorable(part, depth + 1)
  }
}
