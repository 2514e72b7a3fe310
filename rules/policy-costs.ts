import { isMap, isScalar, type Node } from 'yaml'
import { CASH_TYPES } from '../core/cost.ts'
import { type ExchangeRate, KYC_DEFAULTS, type KycPolicy, type UnitCost } from '../core/model/policy.ts'
import { canonicalJson } from './yaml-json.ts'
import { readDate } from './dates.ts'
import { readMicros } from './decimal.ts'
import { KYC_LEVEL } from './guardrails-section.ts'
import { CURRENCY_CODE, REWARD_TYPE } from './reward-section.ts'
import { type Entries, type Entry, readList, readMap, readNumber, readText, required } from './yaml-reader.ts'
import type { YamlSource } from './yaml-source.ts'

const UNIT_COSTS_MAX = 1_000
const ATTRIBUTES_MAX = 10
const RATES_MAX = 5_000
const TEXT_LENGTH_MAX = 256

/** What of a reward says how much it is, and not what it is. */
const NOT_MATCHED: readonly string[] = ['value', 'amount', 'cost']

interface Line extends UnitCost {
  readonly node: Node
}

/** `catalogue`: the most specific match first; of those with as many attributes the one that is written first. */
export function readCatalogue(source: YamlSource, entry: Entry | undefined): readonly UnitCost[] {
  if (entry === undefined) return []
  const nodes = isMap(entry.value) ? [] : readList(entry)
  if (isMap(entry.value)) {
    const hint = 'begin each with a dash: - { type: fs, unit_cost: 0.10 }'
    source.report(entry.value, { code: 'ONCEWARD_E_RULE_WRONG_TYPE', message: 'catalogue is a list', hint })
  }
  if (nodes.length > UNIT_COSTS_MAX) {
    source.report(entry.key, wrong(`a catalogue has at most ${UNIT_COSTS_MAX} lines, this one ${nodes.length}`))
    return []
  }
  const lines = nodes.flatMap((node) => readLine(source, node) ?? [])
  const seen = new Set<string>()
  for (const { node, match } of lines) {
    const key = canonicalJson(match)
    if (seen.has(key)) source.report(node, wrong('a line of the catalogue for this reward stands above', 'leave one'))
    seen.add(key)
  }
  const size = ({ match }: UnitCost): number => Object.keys(match).length
  return lines.map(({ match, micros }) => ({ match, micros })).toSorted((a, b) => size(b) - size(a))
}

function readLine(source: YamlSource, node: Node): Line | undefined {
  const keys = readMap(source, node, 'a line of the catalogue')
  if (keys === undefined) return undefined
  const type = readText(source, required(source, keys, 'type', { node, hint: 'write type: fs' }), REWARD_TYPE)
  const cost = required(source, keys, 'unit_cost', { node, hint: 'write unit_cost: 0.10, what one of them costs' })
  const micros = readMicros(source, cost, 0n)
  const typeNode = keys.get('type')?.value
  if (type !== undefined && CASH_TYPES.has(type) && typeNode !== undefined) {
    const message = `${type} costs its amount and has no unit cost`
    source.report(typeNode, wrong(message, 'where a rule’s reward costs the pool less, the rule says so: cost: 1.80'))
  }
  const match = readMatch(source, keys)
  if (Object.keys(match).length > ATTRIBUTES_MAX) {
    source.report(node, wrong(`a line of the catalogue names at most ${ATTRIBUTES_MAX} attributes`))
  }
  return type === undefined || micros === undefined ? undefined : { node, match: { ...match, type }, micros }
}

function readMatch(source: YamlSource, keys: Entries): UnitCost['match'] {
  const match: Record<string, string | number | boolean> = {}
  for (const [name, { key, value }] of keys) {
    if (name === 'unit_cost' || name === 'type') continue
    const is: unknown = isScalar(value) ? value.value : undefined
    if (NOT_MATCHED.includes(name)) {
      const message = `a line of the catalogue cannot ask for ${name}: it says what one of them costs, however many there are`
      source.report(key, wrong(message, 'tell rewards apart by what they are, such as game_id, code or rarity'))
    } else if (typeof is === 'string' && is.length <= TEXT_LENGTH_MAX) match[name] = is
    else if (typeof is === 'boolean' || (typeof is === 'number' && Number.isFinite(is))) match[name] = is
    else {
      const message = `${name} is a text of at most ${TEXT_LENGTH_MAX} characters, a number, true or false`
      source.report(value, { code: 'ONCEWARD_E_RULE_WRONG_TYPE', message })
    }
  }
  return match
}

/** `rates`: by currency, each from a day on; newest first. Days are those of `zone`. */
export function readRates(
  source: YamlSource,
  entry: Entry | undefined,
  { currency, zone }: { readonly currency: string | undefined; readonly zone: string },
): readonly ExchangeRate[] {
  const keys = entry && readMap(source, entry.value, 'rates')
  if (entry === undefined || keys === undefined) return []
  const rates: ExchangeRate[] = []
  for (const [name, of] of keys) {
    if (!CURRENCY_CODE.pattern.test(name)) {
      source.report(of.key, wrong(`there is no currency ${JSON.stringify(name)}`, CURRENCY_CODE.hint))
    } else if (name === currency) {
      source.report(of.key, wrong(`${name} is the currency of the policy: its rate is always 1`, 'leave it out'))
    } else rates.push(...readRatesOf(source, of, zone))
  }
  if (rates.length > RATES_MAX) {
    source.report(entry.key, wrong(`a policy has at most ${RATES_MAX} rates, this one ${rates.length}`))
  }
  return rates.toSorted((a, b) => (a.from === b.from ? 0 : a.from < b.from ? 1 : -1))
}

/** One rate for all time, or rates by the day from which on they hold. */
function readRatesOf(source: YamlSource, entry: Entry, zone: string): readonly ExchangeRate[] {
  const currency = entry.key.value
  if (!isMap(entry.value)) {
    const micros = readMicros(source, entry, 1n)
    return micros === undefined ? [] : [{ currency, from: -Infinity, micros }]
  }
  const rates: ExchangeRate[] = []
  for (const [day, rate] of readMap(source, entry.value, `the rates of ${currency}`) ?? []) {
    const date = readDate(day, zone)
    const micros = readMicros(source, rate, 1n)
    if (!date.ok) source.report(rate.key, wrong(date.message, date.hint))
    else if (micros !== undefined) {
      const from = date.range.from
      if (rates.some((other) => other.from === from)) source.report(rate.key, wrong('another rate begins then, too'))
      rates.push({ currency, from, micros })
    }
  }
  return rates
}

/** `kyc`: least levels by reward type, over those of SPEC S7. */
export function readKyc(source: YamlSource, entry: Entry | undefined): KycPolicy {
  const keys = entry && readMap(source, entry.value, 'kyc')
  if (keys === undefined) return KYC_DEFAULTS
  const byType = new Map(KYC_DEFAULTS.byType)
  const named = { other: KYC_DEFAULTS.other, large_prize: KYC_DEFAULTS.largePrize, unknown: KYC_DEFAULTS.unknown }
  for (const [name, each] of keys) {
    const level = readNumber(source, each, KYC_LEVEL)
    if (!REWARD_TYPE.pattern.test(name)) {
      source.report(each.key, wrong(`${JSON.stringify(name)} is no type of reward`, REWARD_TYPE.hint))
    } else if (level !== undefined && isNamed(name)) named[name] = level
    else if (level !== undefined) byType.set(name, level)
  }
  const { other, large_prize: largePrize, unknown } = named
  return { byType, other, largePrize, unknown }
}

const NAMED = ['other', 'large_prize', 'unknown'] as const

function isNamed(name: string): name is (typeof NAMED)[number] {
  return NAMED.some((named) => named === name)
}

function wrong(message: string, hint?: string) {
  return { code: 'ONCEWARD_E_RULE_WRONG_VALUE', message, hint } as const
}
