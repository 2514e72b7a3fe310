import type { Node } from 'yaml'
import type { PoolPolicy } from '../core/model/policy.ts'
import { formatMoney } from '../core/money.ts'
import { readCountries } from './country.ts'
import { readDate } from './dates.ts'
import { readMoney } from './decimal.ts'
import { DEFAULT_POOL, POOL_ID } from './guardrails-section.ts'
import { readZone } from './score-section.ts'
import { type Entries, type Entry, readChoice, readMap, readText, required } from './yaml-reader.ts'
import type { YamlSource } from './yaml-source.ts'

export const POOL_KEYS = [
  'budget',
  'soft_cap',
  'period',
  'time_zone',
  'from',
  'until',
  'geo',
  'when_closed',
  'breaker',
  'large_prize',
  'review_from',
  'description',
] as const
export const POOL_PERIODS = ['all', 'daily', 'weekly', 'monthly'] as const
export const WHEN_CLOSED = ['hold', 'dlq'] as const
/** Percent of the budget (SPEC S6). */
export const DEFAULT_BREAKER = 90
const POOLS_MAX = 1_000

/** `pools`: by pool id. `zone` is that of pools that name none. */
export function readPools(source: YamlSource, entry: Entry | undefined, zone: string): ReadonlyMap<string, PoolPolicy> {
  const pools = new Map<string, PoolPolicy>()
  const keys = entry && readMap(source, entry.value, 'pools')
  if (entry === undefined || keys === undefined) return pools
  if (keys.size > POOLS_MAX) {
    source.report(entry.key, wrong(`a policy has at most ${POOLS_MAX} pools, this one ${keys.size}`))
    return pools
  }
  for (const [poolId, pool] of keys) {
    if (!POOL_ID.pattern.test(poolId) || poolId === DEFAULT_POOL) {
      source.report(pool.key, wrong(`a pool cannot be named ${JSON.stringify(poolId)}`, POOL_ID.hint))
    }
    const read = readPool(source, pool, zone)
    if (read !== undefined) pools.set(poolId, { poolId, ...read })
  }
  return pools
}

function readPool(source: YamlSource, entry: Entry, outerZone: string): Omit<PoolPolicy, 'poolId'> | undefined {
  const keys = readMap(source, entry.value, `pool ${entry.key.value}`, POOL_KEYS)
  if (keys === undefined) return undefined
  const budget = readMoney(
    source,
    required(source, keys, 'budget', {
      node: entry.key,
      hint: 'write budget: 80000, the most that one period may cost',
    }),
  )
  const softCap = readMoney(source, keys.get('soft_cap'))
  if (budget !== undefined && softCap !== undefined && softCap > budget) {
    const message = `soft_cap ${formatMoney(softCap)} is above the budget ${formatMoney(budget)}: it would never be reached`
    source.report(keys.get('soft_cap')?.value ?? entry.key, wrong(message, 'lower soft_cap, or raise budget'))
  }
  const zoneEntry = keys.get('time_zone')
  const timeZone = zoneEntry === undefined ? outerZone : readZone(source, zoneEntry)
  const geo = readCountries(source, keys.get('geo'))
  readText(source, keys.get('description'))
  const span = readSpan(source, keys, timeZone)
  const rest = {
    softCap,
    period: readChoice(source, keys.get('period'), POOL_PERIODS) ?? 'all',
    timeZone,
    ...span,
    geo,
    whenClosed: readChoice(source, keys.get('when_closed'), WHEN_CLOSED) ?? 'hold',
    breakerPercent: readPercent(source, keys.get('breaker')) ?? DEFAULT_BREAKER,
    largePrize: readMoney(source, keys.get('large_prize')),
    reviewFrom: readMoney(source, keys.get('review_from')),
  } as const
  return budget === undefined ? undefined : { budget, ...rest }
}

/** `until` is the last day, or the last millisecond, that counts. */
function readSpan(source: YamlSource, keys: Entries, zone: string): Pick<PoolPolicy, 'from' | 'until'> {
  const read = (name: 'from' | 'until'): number | undefined => {
    const entry = keys.get(name)
    const text = readText(source, entry)
    if (entry === undefined || text === undefined) return undefined
    const date = readDate(text, zone)
    if (date.ok) return date.range[name]
    source.report(entry.value, wrong(`${name}: ${date.message}`, date.hint))
    return undefined
  }
  const [from, until] = [read('from'), read('until')]
  if (from !== undefined && until !== undefined && from >= until) {
    const at: Node | undefined = keys.get('until')?.value
    source.report(
      at ?? 0,
      wrong('until lies before from: the pool would never pay', 'until is the last day that counts'),
    )
  }
  return { from, until }
}

/** A whole percentage from 1 to 100, written 90% or 90. */
function readPercent(source: YamlSource, entry: Entry | undefined): number | undefined {
  const text = readText(source, entry)
  if (entry === undefined || text === undefined) return undefined
  const [, digits] = /^(\d{1,3})\s*%?$/.exec(text) ?? []
  const percent = digits === undefined ? Number.NaN : Number(digits)
  if (percent >= 1 && percent <= 100) return percent
  const message = `${entry.key.value} is a whole percentage of the budget from 1% to 100%, not ${JSON.stringify(text)}`
  source.report(entry.value, wrong(message, 'write 90%'))
  return undefined
}

function wrong(message: string, hint?: string) {
  return { code: 'ONCEWARD_E_RULE_WRONG_VALUE', message, hint } as const
}
