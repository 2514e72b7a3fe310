import type { Node } from 'yaml'
import type { Json } from '../core/model/event.ts'
import type { Guardrails, Reward } from '../core/model/reward.ts'
import type { Reset, Trigger } from './compiled.ts'
import { jsonOf } from './yaml-json.ts'
import {
  type Entries,
  type Entry,
  numberAt,
  readBoolean,
  readChoice,
  readList,
  readMap,
  readNumber,
  readText,
  required,
} from './yaml-reader.ts'
import type { YamlSource } from './yaml-source.ts'

/** The currency of a cash reward that names none. */
export const DEFAULT_CURRENCY = 'EUR'
/** Rewards whose value is money. */
export const CASH_TYPES: readonly string[] = ['cash', 'bonus_cash']
/** Rewards whose value is a count of things. */
const COUNTED_TYPES: readonly string[] = ['fs', 'free_spins']

/** Far above any prize, and exact to the cent as a binary number. */
const MONEY_MAX = 1_000_000_000_000
const MONEY = { min: 0, max: MONEY_MAX, decimals: 2 } as const
const THRESHOLDS_MAX = 1_000

const RESETS: readonly Reset[] = ['never', 'daily', 'weekly', 'monthly']

/** `reward_trigger`: what is given, and when. undefined, with problems reported, where it is wrong. */
export function readTrigger(source: YamlSource, entry: Entry): Trigger | undefined {
  const trigger = readMap(source, entry.value, 'reward_trigger', ['on_progress'])
  const hint = 'write on_progress: { threshold: [100], reward: [{ type: fs, value: 10 }] }'
  const progress = trigger && required(source, trigger, 'on_progress', { node: entry.key, hint })
  const keys = progress && readMap(source, progress.value, 'on_progress', ['threshold', 'reward', 'reset'])
  if (progress === undefined || keys === undefined) return undefined
  const threshold = required(source, keys, 'threshold', { node: progress.key, hint: 'write threshold: [100, 300]' })
  const reward = required(source, keys, 'reward', { node: progress.key, hint: 'write reward: { type: fs, value: 10 }' })
  const reset = readChoice(source, keys.get('reset'), RESETS) ?? 'never'
  const thresholds = threshold && readThresholds(source, threshold)
  const rewards = reward && readRewards(source, reward)
  if (thresholds === undefined || rewards === undefined || reward === undefined) return undefined
  const [first, second] = rewards
  if (first !== undefined && second === undefined) return { thresholds, rewards: thresholds.map(() => first), reset }
  if (rewards.length !== thresholds.length) {
    const message = `there are ${thresholds.length} thresholds and ${rewards.length} rewards`
    const fix = `write one reward for each threshold (${thresholds.length}), or one for all`
    source.report(reward.value, { code: 'ONCEWARD_E_RULE_REWARD_COUNT', message, hint: fix })
    return undefined
  }
  return { thresholds, rewards, reset }
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

function readRewards(source: YamlSource, entry: Entry): readonly Reward[] | undefined {
  const nodes = readList(entry)
  if (nodes.length === 0) {
    source.report(entry.value, {
      code: 'ONCEWARD_E_RULE_REWARD_COUNT',
      message: 'reward is an empty list',
      hint: 'write reward: [{ type: fs, value: 10 }]',
    })
    return undefined
  }
  const rewards = nodes.map((node) => readReward(source, node))
  const good = rewards.filter((reward) => reward !== undefined)
  return good.length === rewards.length ? good : undefined
}

function readReward(source: YamlSource, node: Node): Reward | undefined {
  const before = source.problems.length
  const entries = readMap(source, node, 'a reward')
  if (entries === undefined) return undefined
  const type = readText(
    source,
    required(source, entries, 'type', { node, hint: 'write type: fs, bonus_cash, coupon, …' }),
    {
      pattern: /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/,
      hint: 'a reward type is one word, such as fs, cash, bonus_cash, coupon or loot',
    },
  )
  const amount = type === undefined ? undefined : readAmount(source, entries, { node, type })
  const currency = readText(source, entries.get('currency'), {
    pattern: /^[A-Z]{3}$/,
    hint: 'write the three letters of ISO 4217, such as EUR',
  })
  const cost = readNumber(source, entries.get('cost'), MONEY)
  const wagering = readNumber(source, entries.get('wagering'), { min: 0, max: 1_000_000 })
  const attributes = readAttributes(source, entries)
  if (type === undefined || source.problems.length > before) return undefined
  const money = currency ?? (CASH_TYPES.includes(type) ? DEFAULT_CURRENCY : undefined)
  return {
    type,
    ...(amount === undefined ? {} : { amount }),
    ...(money === undefined ? {} : { currency: money }),
    ...(cost === undefined ? {} : { cost }),
    ...(wagering === undefined ? {} : { wagering }),
    ...attributes,
  }
}

function readAmount(
  source: YamlSource,
  entries: Entries,
  { node, type }: { node: Node; type: string },
): number | undefined {
  const misnamed = entries.get('amount')
  if (misnamed !== undefined) {
    const message = 'a reward has no key "amount"'
    source.report(misnamed.key, { code: 'ONCEWARD_E_RULE_UNKNOWN_KEY', message, hint: 'did you mean value?' })
    return undefined
  }
  if (CASH_TYPES.includes(type)) {
    const value = required(source, entries, 'value', { node, hint: `${type} needs its amount: value: 2.50` })
    return readNumber(source, value, { ...MONEY, min: 0.01 })
  }
  if (COUNTED_TYPES.includes(type)) {
    return readNumber(source, entries.get('value'), { min: 1, max: Number.MAX_SAFE_INTEGER, decimals: 0 })
  }
  return readNumber(source, entries.get('value'), MONEY)
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

const GUARDRAILS = ['kyc_min_level', 'rg_limits_ok', 'budget_pool', 'budget_soft_cap'] as const

/** `guardrails`: carried on every reward task. */
export function readGuardrails(source: YamlSource, entry: Entry | undefined): Guardrails {
  const keys = entry && readMap(source, entry.value, 'guardrails', GUARDRAILS)
  if (keys === undefined) return {}
  const kyc = readNumber(source, keys.get('kyc_min_level'), { min: 0, max: 10, decimals: 0 })
  const rg = readBoolean(source, keys.get('rg_limits_ok'))
  const pool = readText(source, keys.get('budget_pool'), {
    pattern: /^[A-Za-z0-9][\w.-]{0,127}$/,
    hint: "a pool's name has letters, digits, _, . and -",
  })
  const cap = readNumber(source, keys.get('budget_soft_cap'), MONEY)
  return {
    ...(kyc === undefined ? {} : { kyc_min_level: kyc }),
    ...(rg === undefined ? {} : { rg_limits_ok: rg }),
    ...(pool === undefined ? {} : { budget_pool: pool }),
    ...(cap === undefined ? {} : { budget_soft_cap: cap }),
  }
}
