import { isScalar, isSeq, type Node } from 'yaml'
import { costBasis } from '../core/cost.ts'
import type { PayoutPolicy, PoolPolicy } from '../core/model/policy.ts'
import type { Reward } from '../core/model/reward.ts'
import type { CompiledRule } from './compiled.ts'
import { DEFAULT_POOL } from './guardrails-section.ts'
import { nearest } from './problem.ts'
import { overlap, type Period } from './reach.ts'
import type { RuleParts, RuleSource } from './rule-file.ts'
import { nodeAt } from './yaml-reader.ts'
import type { Finding } from './yaml-source.ts'

/** What is known of pools; what is undefined is not held against a rule. */
export interface KnownPools {
  /** Their names. */
  readonly pools?: readonly string[] | undefined
  /** The policies that they stand in. */
  readonly policies?: readonly PayoutPolicy[] | undefined
}

/** A pool that a rule names, whose players it pays, and where it is named. */
interface NamedPool {
  readonly poolId: string
  /** Undefined: all countries but those of `except`. */
  readonly country: string | undefined
  readonly path: readonly string[]
}

/** Reports what `guardrails` says that pays nobody, or does not mean what it looks like. `period`: when the rule can match. */
export function lintGuardrails(source: RuleSource, parts: RuleParts, known: KnownPools, period: Period): void {
  const { rule } = source
  const report = (path: readonly string[], finding: Finding): void => {
    parts.source.report(nodeAt(parts.top.get('guardrails')?.value, path) ?? 0, finding)
  }
  if (rule.guardrails.rg_limits_ok === false) report(['rg_limits_ok'], RG_ALWAYS)
  const countries = countriesOf(rule)
  const named = namedPools(rule, nodeAt(parts.top.get('guardrails')?.value, ['budget_pool']))
  lintCountries(rule, countries, report)
  lintCosts(source, parts, known)
  for (const pool of named) {
    const fault = unknownPool(pool.poolId, known)
    if (fault !== undefined) report(pool.path, fault)
    for (const terms of termsOf(pool.poolId, known)) {
      const doubt = wrongPlace(pool, terms, { rule, countries }) ?? wrongTime(terms, period)
      if (doubt !== undefined) report(pool.path, { code: 'ONCEWARD_E_RULE_UNREACHABLE', severity: 'warning', ...doubt })
    }
  }
}

const RG_ALWAYS: Finding = {
  code: 'ONCEWARD_E_RULE_UNUSED',
  severity: 'warning',
  message: 'responsible gaming is asked of every reward all the same: no rule can pay a self-excluded player',
  hint: 'leave rg_limits_ok out, or write true',
}

function namedPools({ guardrails, poolByGeo }: CompiledRule, node: Node | undefined): readonly NamedPool[] {
  const path = ['budget_pool']
  const own = [...(poolByGeo ?? [])].map(([country, poolId]) => ({ poolId, country, path: [...path, country] }))
  const { budget_pool: poolId } = guardrails
  if (poolId === undefined) return own
  return [...own, { poolId, country: undefined, path: isScalar(node) ? path : [...path, DEFAULT_POOL] }]
}

/** The countries whose players the rule can pay, by its geo and its filters; undefined: all. */
function countriesOf({ guardrails, equalities }: CompiledRule): readonly string[] | undefined {
  const asked = equalities?.find(({ path }) => path.join('.') === 'user.geo')?.values
  const { geo } = guardrails
  if (asked === undefined) return geo
  const texts = asked.map(String)
  return geo === undefined ? texts : geo.filter((country) => texts.includes(country))
}

type Report = (path: readonly string[], finding: Finding) => void

function lintCountries(rule: CompiledRule, countries: readonly string[] | undefined, report: Report): void {
  if (countries === undefined) return
  const unreachable = { code: 'ONCEWARD_E_RULE_UNREACHABLE', severity: 'warning' } as const
  if (countries.length === 0) {
    const message = 'the filters let no player of these countries through: nobody is paid'
    report(['geo'], { ...unreachable, message, hint: 'name the countries of the filter on user.geo, or leave geo out' })
    return
  }
  for (const country of rule.poolByGeo?.keys() ?? []) {
    if (countries.includes(country)) continue
    const message = `the rule pays no player in ${country}, so this pool is never asked`
    report(['budget_pool', country], { ...unreachable, message, hint: `add ${country} to geo, or leave it out here` })
  }
}

function unknownPool(poolId: string, { pools, policies }: KnownPools): Finding | undefined {
  if (pools === undefined && policies === undefined) return undefined
  const names = new Set([...(pools ?? []), ...(policies ?? []).flatMap((policy) => [...policy.pools.keys()])])
  if (names.has(poolId)) return undefined
  const like = nearest(poolId, names)
  return {
    code: 'ONCEWARD_E_RULE_UNKNOWN_POOL',
    message: `there is no pool "${poolId}"`,
    hint: like === undefined ? `pools are ${[...names].join(', ')}` : `did you mean ${like}?`,
  }
}

/** What the newest policy says of a pool. */
function termsOf(poolId: string, { policies }: KnownPools): readonly PoolPolicy[] {
  const newest = (policies ?? []).at(-1)?.pools.get(poolId)
  return newest === undefined ? [] : [newest]
}

/** A reward whose cost nobody knows eats a budget unseen, or waits for a person each time. */
function lintCosts({ rule }: RuleSource, parts: RuleParts, { policies }: KnownPools): void {
  const policy = policies?.at(-1)
  if (policy === undefined || rule.trigger === undefined) return
  const { rewards, formulas } = rule.trigger
  const node = nodeAt(parts.top.get('reward_trigger')?.value, ['on_progress', 'reward'])
  const nodes = isSeq<Node>(node) ? node.items : [node]
  const told = new Set<unknown>()
  for (const [i, reward] of rewards.entries()) {
    if (formulas?.get(i)?.cost !== undefined || told.has(reward)) continue
    told.add(reward)
    const { kind } = costBasis(reward, policy, Infinity)
    const doubt = kind === 'no_rate' ? noRate(reward, policy) : kind === 'nothing' ? noUnitCost(reward) : undefined
    if (doubt !== undefined) {
      parts.source.report(nodes[i] ?? nodes[0] ?? 0, { code: 'ONCEWARD_E_RULE_COST', severity: 'warning', ...doubt })
    }
  }
}

function noRate({ currency }: Reward, policy: PayoutPolicy): Doubt {
  return {
    message: `the policy has no exchange rate from ${currency} to ${policy.currency}: a person must look at each of these`,
    hint: `add rates: { ${currency}: … } to the policy, or say what it costs: cost: 1.80`,
  }
}

function noUnitCost({ type }: Reward): Doubt {
  return {
    message: `no line of the policy's catalogue is about this ${type}: it costs its pool nothing`,
    hint: `add - { type: ${type}, unit_cost: … } to the catalogue, or say what it costs: cost: 0`,
  }
}

type Doubt = Pick<Finding, 'message' | 'hint'>

function wrongPlace(
  { country }: NamedPool,
  { poolId, geo }: PoolPolicy,
  { rule, countries }: { readonly rule: CompiledRule; readonly countries: readonly string[] | undefined },
): Doubt | undefined {
  if (geo === undefined) return undefined
  const paid = country === undefined ? othersOf(rule, countries) : [country]
  if (paid === undefined || paid.some((each) => geo.includes(each))) return undefined
  const whom = paid.length === 0 ? 'nobody is left for it' : `the rule asks it for players in ${paid.join(', ')}`
  return {
    message: `pool ${poolId} pays in ${geo.join(', ')}, and ${whom}: no reward comes of it`,
    hint: 'add the country to the geo of the pool, or name another pool',
  }
}

/** The countries that have no pool of their own; undefined: too many to tell. */
function othersOf(
  { poolByGeo }: CompiledRule,
  countries: readonly string[] | undefined,
): readonly string[] | undefined {
  return countries?.filter((country) => poolByGeo?.has(country) !== true)
}

function wrongTime({ poolId, from, until }: PoolPolicy, period: Period): Doubt | undefined {
  const both = overlap(period, { from: from ?? -Infinity, until: until ?? Infinity })
  // A rule that never matches is told of by itself.
  if (both.from < both.until || period.from >= period.until) return undefined
  const pays = [from === undefined ? '' : ` from ${iso(from)}`, until === undefined ? '' : ` until ${iso(until)}`].join(
    '',
  )
  return {
    message: `pool ${poolId} pays${pays}, when the rule does not match: no reward comes of it`,
    hint: 'move the dates of the pool or of the rule, or name another pool',
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
