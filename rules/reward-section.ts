import type { Node } from 'yaml'
import { CASH_TYPES } from '../core/cost.ts'
import type { Json } from '../core/model/event.ts'
import type { Reward } from '../core/model/reward.ts'
import { DAY_MS, SECOND_MS } from '../core/durations.ts'
import type { Reset, RewardFormulas, RewardLimits, Trigger } from './compiled.ts'
import type { Scope } from './expression-text.ts'
import { type AmountFormula, amountFormula, MONEY_MAX } from './reward-amount.ts'
import { readFormula } from './score-section.ts'
import { jsonOf } from './yaml-json.ts'
import {
  type Entries,
  type Entry,
  type NumberBounds,
  numberAt,
  readChoice,
  readDuration,
  readList,
  readMap,
  readNumber,
  readText,
  required,
} from './yaml-reader.ts'
import { isTextScalar, type YamlSource } from './yaml-source.ts'

/** The currency of a cash reward that names none. */
export const DEFAULT_CURRENCY = 'EUR'
export const REWARD_TYPE = {
  pattern: /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/,
  hint: 'a reward type is one word, such as fs, cash, bonus_cash, coupon or loot',
}
export const CURRENCY_CODE = { pattern: /^[A-Z]{3}$/, hint: 'write the three letters of ISO 4217, such as EUR' }
/** Rewards whose value is a count of things. */
const COUNTED_TYPES: readonly string[] = ['fs', 'free_spins']

export const TRIGGER_KEYS = ['on_progress', 'limits'] as const
export const PROGRESS_KEYS = ['threshold', 'reward', 'reset'] as const
export const LIMIT_KEYS = ['cool_down', 'per_day', 'per_week', 'per_month', 'ever'] as const
const COOL_DOWN_MAX_MS = 366 * DAY_MS

export const MONEY = { min: 0, max: MONEY_MAX, decimals: 2 } as const
const THRESHOLDS_MAX = 1_000

export const RESETS: readonly Reset[] = ['never', 'daily', 'weekly', 'monthly']

/** `reward_trigger`: what is given, and when. undefined, with problems reported, where it is wrong. */
export function readTrigger(source: YamlSource, entry: Entry, scope: Scope): Trigger | undefined {
  const trigger = readMap(source, entry.value, 'reward_trigger', TRIGGER_KEYS)
  const hint = 'write on_progress: { threshold: [100], reward: [{ type: fs, value: 10 }] }'
  const progress = trigger && required(source, trigger, 'on_progress', { node: entry.key, hint })
  const keys = progress && readMap(source, progress.value, 'on_progress', PROGRESS_KEYS)
  const limits = readLimits(source, trigger?.get('limits'))
  if (progress === undefined || keys === undefined) return undefined
  const threshold = required(source, keys, 'threshold', { node: progress.key, hint: 'write threshold: [100, 300]' })
  const reward = required(source, keys, 'reward', { node: progress.key, hint: 'write reward: { type: fs, value: 10 }' })
  const reset = readChoice(source, keys.get('reset'), RESETS) ?? 'never'
  const thresholds = threshold && readThresholds(source, threshold)
  const read = reward && readRewards(source, reward, scope)
  if (thresholds === undefined || read === undefined || reward === undefined) return undefined
  const [first, second] = read
  const rewards = first !== undefined && second === undefined ? thresholds.map(() => first) : read
  if (rewards.length !== thresholds.length) {
    const message = `there are ${thresholds.length} thresholds and ${rewards.length} rewards`
    const fix = `write one reward for each threshold (${thresholds.length}), or one for all`
    source.report(reward.value, { code: 'ONCEWARD_E_RULE_REWARD_COUNT', message, hint: fix })
    return undefined
  }
  const formulas = new Map(rewards.flatMap((each, i) => (each.formulas === undefined ? [] : [[i, each.formulas]])))
  return {
    thresholds,
    rewards: rewards.map((each) => each.reward),
    reset,
    ...(formulas.size === 0 ? {} : { formulas }),
    ...(limits === undefined ? {} : { limits }),
  }
}

/** `limits`: how often a user gets rewards of this rule. */
function readLimits(source: YamlSource, entry: Entry | undefined): RewardLimits | undefined {
  const keys = entry && readMap(source, entry.value, 'limits', LIMIT_KEYS)
  if (keys === undefined) return undefined
  const most = (name: string): number | undefined =>
    readNumber(source, keys.get(name), { min: 1, max: 1_000_000, decimals: 0 })
  const coolDownMs = readDuration(source, keys.get('cool_down'), { min: SECOND_MS, max: COOL_DOWN_MAX_MS })
  const [perDay, perWeek, perMonth, ever] = [most('per_day'), most('per_week'), most('per_month'), most('ever')]
  return {
    ...(coolDownMs === undefined ? {} : { coolDownMs }),
    ...(perDay === undefined ? {} : { perDay }),
    ...(perWeek === undefined ? {} : { perWeek }),
    ...(perMonth === undefined ? {} : { perMonth }),
    ...(ever === undefined ? {} : { ever }),
  }
}

function readThresholds(source: YamlSource, entry: Entry): readonly number[] | undefined {
  const nodes = readList(entry)
  if (nodes.length === 0 || nodes.length > THRESHOLDS_MAX) {
    const message = `threshold is a number or a list of 1 to ${THRESHOLDS_MAX} numbers`
    source.report(entry.value, { code: 'ONCEWARD_E_RULE_WRONG_VALUE', message })
    return undefined
  }
  const thresholds: number[] = []
  let good = true
  for (const node of nodes) {
    const value = numberAt(source, node, { name: 'a threshold', min: 1, max: Number.MAX_SAFE_INTEGER, decimals: 0 })
    const last = thresholds.at(-1)
    if (value !== undefined && last !== undefined && value <= last) {
      source.report(node, {
        code: 'ONCEWARD_E_RULE_WRONG_VALUE',
        message: `thresholds go up, but ${value} comes after ${last}`,
        hint: 'write them in ascending order, each once; rewards stand in the same order',
      })
      good = false
    }
    if (value === undefined) good = false
    else thresholds.push(value)
  }
  return good ? thresholds : undefined
}

interface ReadReward {
  readonly reward: Reward
  readonly formulas?: RewardFormulas
}

function readRewards(source: YamlSource, entry: Entry, scope: Scope): readonly ReadReward[] | undefined {
  const nodes = readList(entry)
  if (nodes.length === 0) {
    source.report(entry.value, {
      code: 'ONCEWARD_E_RULE_REWARD_COUNT',
      message: 'reward is an empty list',
      hint: 'write reward: [{ type: fs, value: 10 }]',
    })
    return undefined
  }
  const rewards = nodes.map((node) => readReward(source, node, scope))
  const good = rewards.filter((reward) => reward !== undefined)
  return good.length === rewards.length ? good : undefined
}

function readReward(source: YamlSource, node: Node, scope: Scope): ReadReward | undefined {
  const before = source.problems.length
  const entries = readMap(source, node, 'a reward')
  if (entries === undefined) return undefined
  const type = readText(
    source,
    required(source, entries, 'type', { node, hint: 'write type: fs, bonus_cash, coupon, …' }),
    REWARD_TYPE,
  )
  const amount = type === undefined ? NOTHING : readAmount(source, entries, { node, type, scope })
  const currency = readText(source, entries.get('currency'), CURRENCY_CODE)
  const cost = numberOrFormula(source, entries.get('cost'), MONEY, scope)
  const wagering = readNumber(source, entries.get('wagering'), { min: 0, max: 1_000_000 })
  const attributes = readAttributes(source, entries)
  if (type === undefined || source.problems.length > before) return undefined
  const money = currency ?? (CASH_TYPES.has(type) ? DEFAULT_CURRENCY : undefined)
  const reward = {
    type,
    ...(amount.number === undefined ? {} : { amount: amount.number }),
    ...(money === undefined ? {} : { currency: money }),
    ...(cost.number === undefined ? {} : { cost: cost.number }),
    ...(wagering === undefined ? {} : { wagering }),
    ...attributes,
  }
  if (amount.formula === undefined && cost.formula === undefined) return { reward }
  const formulas = {
    ...(amount.formula === undefined ? {} : { amount: amount.formula }),
    ...(cost.formula === undefined ? {} : { cost: cost.formula }),
  }
  return { reward, formulas }
}

interface NumberOrFormula {
  readonly number?: number | undefined
  readonly formula?: AmountFormula
}

const NOTHING: NumberOrFormula = {}

function readAmount(
  source: YamlSource,
  entries: Entries,
  { node, type, scope }: { node: Node; type: string; scope: Scope },
): NumberOrFormula {
  const misnamed = entries.get('amount')
  if (misnamed !== undefined) {
    const message = 'a reward has no key "amount"'
    source.report(misnamed.key, { code: 'ONCEWARD_E_RULE_UNKNOWN_KEY', message, hint: 'did you mean value?' })
    return NOTHING
  }
  if (CASH_TYPES.has(type)) {
    const value = required(source, entries, 'value', { node, hint: `${type} needs its amount: value: 2.50` })
    return numberOrFormula(source, value, { ...MONEY, min: 0.01 }, scope)
  }
  const counted = COUNTED_TYPES.includes(type)
  const bounds = counted ? { min: 1, max: Number.MAX_SAFE_INTEGER, decimals: 0 } : MONEY
  return numberOrFormula(source, entries.get('value'), bounds, scope)
}

/** A text that is no number is a formula; `decimals` says whether it gives money or a count. */
function numberOrFormula(
  source: YamlSource,
  entry: Entry | undefined,
  bounds: NumberBounds,
  scope: Scope,
): NumberOrFormula {
  if (entry === undefined) return NOTHING
  const { value } = entry
  const written = isTextScalar(value) && !Number.isFinite(Number(value.value))
  if (!written) return { number: readNumber(source, entry, bounds) }
  const formula = readFormula(source, entry, scope)
  if (formula?.located !== undefined) scope.notes?.amounts.push(formula.located)
  return formula === undefined
    ? NOTHING
    : { formula: amountFormula(formula.code, bounds.decimals === 0 ? 'count' : 'money') }
}

const OWN_KEYS: readonly string[] = ['type', 'value', 'amount', 'currency', 'cost', 'wagering']

/** Whatever else the reward says, as it stands. */
function readAttributes(source: YamlSource, entries: Entries): Record<string, Json> {
  const attributes: Record<string, Json> = {}
  for (const [name, { value }] of entries) {
    if (OWN_KEYS.includes(name)) continue
    const json = jsonOf(value)
    if (json === undefined) {
      source.report(value, {
        code: 'ONCEWARD_E_RULE_WRONG_TYPE',
        message: `${name} is a text, a number, true, false, a list or a map of such`,
      })
    } else attributes[name] = json
  }
  return attributes
}
