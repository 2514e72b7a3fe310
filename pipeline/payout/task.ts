/**
 * Reads a record of `reward.tasks`. What comes from outside is never asserted: it is booked or rejected with a sentence.
 */
import { costOf as costUnder, CASH_TYPES } from '../../core/cost.ts'
import { messageOf } from '../../core/errors.ts'
import type { FreezeReason } from '../../core/gates.ts'
import type { Json, JsonObject } from '../../core/model/event.ts'
import { NO_POLICY, type PolicyVersion } from '../../core/model/policy.ts'
import type { Guardrails, HoldReason, Reward } from '../../core/model/reward.ts'
import type { Cents } from '../../core/money.ts'
import type { Arrival, LedgerTask, PlayerChange } from '../../core/ports/ledger.ts'
import type { LogRecord } from '../../core/ports/log.ts'
import { RAW_BYTES_MAX } from '../../operators/dead-letter.ts'
import {
  checkStorable,
  isAbsent,
  isObject,
  isText,
  kycLevel,
  list,
  moneyText,
  object,
  optionalBoolean,
  optionalMoney,
  optionalNumber,
  optionalText,
  optionalTime,
  sentence,
  text,
  time,
} from './fields.ts'
import { readPlayerChange } from './player-record.ts'
import type { Route } from './routing.ts'
import { termsOf } from './terms.ts'

export type ParsedRecord =
  | { readonly ok: true; readonly kind: 'reward'; readonly arrival: Arrival }
  | { readonly ok: true; readonly kind: 'player'; readonly change: PlayerChange }
  | { readonly ok: false; readonly detail: string; readonly userId?: string; readonly eventId?: string }

/** What the sink itself knows: its view of the policy, and who pays what. */
export interface TaskView {
  /** The policy in effect at event time `ts`, ms. */
  readonly policyAt: (ts: number) => PolicyVersion
  readonly route: (type: string) => Route | undefined
}

/** Bytes of a record, inclusive: what a dead letter holds whole. Workers write some hundred. */
export const TASK_BYTES_MAX = RAW_BYTES_MAX

/**
 * Accepts S12 as it stands: `rule_version`, `period` and `event_id` may be missing in tasks written by others, and so may
 * all that says what a reward costs and demands.
 */
export function parseRecord(record: LogRecord, view: TaskView): ParsedRecord {
  let value: Json | undefined
  try {
    const bytes = record.value?.length ?? 0
    if (bytes > TASK_BYTES_MAX) throw new Error(`it has ${bytes} bytes, and a task has at most ${TASK_BYTES_MAX}`)
    const raw = record.value?.toString() ?? ''
    value = JSON.parse(raw) as Json
    checkStorable(value)
    const whole = object(value, 'the record')
    if (whole['type'] === 'player.changed') return { ok: true, kind: 'player', change: readPlayerChange(whole) }
    return { ok: true, kind: 'reward', arrival: readArrival(whole, readTask(whole, { record, raw, view })) }
  } catch (error) {
    const userId = isObject(value) ? value['user_id'] : undefined
    const origin = isObject(value) ? value['origin'] : undefined
    const eventId = isObject(origin) ? origin['event_id'] : undefined
    const what =
      isObject(value) && value['type'] === 'player.changed' ? 'not a change of a player' : 'not a reward task'
    return {
      ok: false,
      detail: `${what}: ${messageOf(error)}`,
      ...(isText(userId) ? { userId } : {}),
      ...(isText(eventId) ? { eventId } : {}),
    }
  }
}

function readArrival(value: JsonObject, task: LedgerTask): Arrival {
  const type = value['type']
  switch (typeof type === 'string' ? type : '') {
    case 'reward_task.created':
      return { kind: 'created', task, released: optionalTime(value['released_at'], 'released_at') !== null }
    case 'reward_task.frozen':
      return {
        kind: 'frozen',
        task,
        reasons: list(value['reasons'], 'reasons').map((reason) => readReason(object(reason, 'a reason'))),
        expiresAt: optionalTime(value['expires_at'], 'expires_at'),
      }
    case 'reward_task.expired':
      return { kind: 'expired', task }
    default:
      throw new Error(
        'type must be "reward_task.created", "reward_task.frozen", "reward_task.expired" or "player.changed"',
      )
  }
}

function readReason(reason: JsonObject): FreezeReason {
  if (reason['gate'] === 'rg') {
    const until = optionalTime(reason['until'], 'until')
    return { gate: 'rg', restriction: text(reason['restriction'], 'restriction'), until }
  }
  if (reason['gate'] !== 'kyc') throw new Error('the gate of a reason must be "rg" or "kyc"')
  const level = reason['level']
  return {
    gate: 'kyc',
    required: kycLevel(reason['required'], 'required'),
    level: isAbsent(level) ? null : kycLevel(level, 'level'),
  }
}

interface Reading {
  readonly record: LogRecord
  readonly raw: string
  readonly view: TaskView
}

function readTask(task: JsonObject, { record, raw, view }: Reading): LedgerTask {
  const origin = object(task['origin'], 'origin')
  // The fields that are read as more than JSON are checked here and below.
  const reward = object(task['reward'], 'reward') as unknown as Reward
  const money = readMoney(object(task['reward'], 'reward'))
  const guardrails = readGuardrails(task['guardrails'])
  const poolId = optionalText(task['pool_id'], 'pool_id')
  const issuedAt = time(task['created_at'], 'created_at')
  const at = Date.parse(issuedAt)
  const question = {
    reward: withoutNulls(reward),
    guardrails,
    poolId,
    geo: optionalText(task['geo'], 'geo'),
    at,
    ...readDemands(task),
  }
  return {
    taskId: text(task['reward_task_id'], 'reward_task_id'),
    userId: text(task['user_id'], 'user_id'),
    poolId,
    ...money,
    ...termsOf(question, view.policyAt(at), view.route(money.type)),
    ruleId: text(origin['rule_id'], 'origin.rule_id'),
    ruleVersion: optionalText(origin['rule_version'], 'origin.rule_version'),
    threshold: optionalNumber(origin['threshold'], 'origin.threshold'),
    period: optionalText(origin['period'], 'origin.period'),
    eventId: optionalText(origin['event_id'], 'origin.event_id'),
    reward,
    guardrails,
    softCap: optionalMoney(
      object(task['guardrails'] ?? {}, 'guardrails')['budget_soft_cap'],
      'guardrails.budget_soft_cap',
    ),
    payer: optionalBoolean(task['payer'], 'payer'),
    origin: 'stream',
    issuedAt,
    source: { topic: record.topic, partition: record.partition, offset: record.offset },
    raw,
  }
}

/** What others leave empty is not there: so it is read here, and so it is costed. The reward is paid as it came. */
function withoutNulls(reward: Reward): Reward {
  return { type: reward.type, ...Object.fromEntries(Object.entries(reward).filter(([, value]) => value !== null)) }
}

function readMoney(reward: JsonObject): Pick<LedgerTask, 'type' | 'value' | 'currency'> {
  const type = text(reward['type'], 'reward.type')
  const amount = optionalMoney(reward['amount'], 'reward.amount')
  optionalMoney(reward['cost'], 'reward.cost')
  if (CASH_TYPES.has(type) && (amount === null || amount === 0n)) {
    throw new Error(`reward.amount of ${type} must be above zero`)
  }
  return { type, value: amount ?? 0n, currency: optionalText(reward['currency'], 'reward.currency') }
}

function readGuardrails(value: Json | undefined): Guardrails {
  const guardrails = object(value ?? {}, 'guardrails')
  const { kyc_min_level: level, geo } = guardrails
  if (!isAbsent(level)) kycLevel(level, 'guardrails.kyc_min_level')
  if (!isAbsent(geo)) for (const country of list(geo, 'guardrails.geo')) text(country, 'a country of guardrails.geo')
  return guardrails
}

/** What a task of our own says of its cost and of what it demands. */
function readDemands(task: JsonObject): {
  readonly cost: Cents | null
  readonly kycRequired: number | null
  readonly holds: readonly HoldReason[]
} {
  const { cost, kyc, holds } = task
  return {
    cost: isAbsent(cost) ? null : moneyText(cost, 'cost'),
    kycRequired: isAbsent(kyc) ? null : kycLevel(object(kyc, 'kyc')['required'], 'kyc.required'),
    holds: isAbsent(holds)
      ? []
      : list(holds, 'holds').map((each) => {
          const hold = object(each, 'a hold')
          return { by: text(hold['by'], 'by'), detail: sentence(hold['detail'], 'detail') }
        }),
  }
}

/** Hundredths that a reward costs its pool where there is no policy. Throws ONCEWARD_E_MONEY_INVALID. */
export function costOf(reward: Reward): Cents {
  const costing = costUnder(reward, NO_POLICY, 0)
  return costing.ok ? costing.cost : 0n
}
