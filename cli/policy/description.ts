import type { KycPolicy, PayoutPolicy, PoolPolicy, UnitCost } from '../../core/model/policy.ts'
import { type Cents, formatMoney } from '../../core/money.ts'
import { rfc3339 } from '../../rules/control-instant.ts'
import { formatMicros } from '../../rules/decimal.ts'
import { textTable } from '../text-table.ts'

/** A policy as it is understood, with what holds for each pool worked out, for people. */
export function policyText(policy: PayoutPolicy): string {
  const { largePrize, reviewFrom, fourEyesFrom, kyc, currency } = policy
  const sections = [
    [
      `currency              ${currency ?? 'none: costs are taken as they come'}\n`,
      `large prize from      ${money(largePrize)}\n`,
      `reviewed from         ${money(reviewFrom)}\n`,
      `by two people from    ${money(fourEyesFrom)}\n`,
      `KYC level at least    ${kycText(kyc)}\n`,
    ].join(''),
    poolsText(policy),
    policy.catalogue.length === 0 ? '' : textTable([['UNIT COST', 'OF'], ...policy.catalogue.map(unitRow)], 'texts'),
    ratesText(policy),
  ]
  return sections.filter((section) => section !== '').join('\n')
}

const POOL_HEADS = [
  'POOL',
  'BUDGET',
  'PERIOD',
  'ZONE',
  'SOFT CAP',
  'BREAKER',
  'LARGE',
  'REVIEW',
  'WHEN CLOSED',
  'COUNTRIES',
  'FROM',
  'BEFORE',
]

function poolsText(policy: PayoutPolicy): string {
  const rows = [...policy.pools.values()].map((pool) => [
    pool.poolId,
    formatMoney(pool.budget),
    pool.period,
    pool.timeZone,
    money(pool.softCap),
    `${pool.breakerPercent} % = ${formatMoney(breakerAt(pool))}`,
    money(pool.largePrize ?? policy.largePrize),
    money(pool.reviewFrom ?? policy.reviewFrom),
    pool.whenClosed,
    pool.geo?.join(',') ?? 'all',
    instant(pool.from),
    instant(pool.until),
  ])
  return rows.length === 0
    ? 'no pools: every reward that names one is held\n'
    : textTable([POOL_HEADS, ...rows], 'texts')
}

/** Where the breaker opens, rounded up to the cent: below it is below the percentage. */
export function breakerAt({ budget, breakerPercent }: PoolPolicy): Cents {
  return (budget * BigInt(breakerPercent) + 99n) / 100n
}

function unitRow({ match, micros }: UnitCost): string[] {
  const { type, ...rest } = match
  const attributes = Object.entries(rest).map(([name, is]) => `${name} ${is}`)
  return [formatMicros(micros), [String(type), ...attributes].join(', ')]
}

function ratesText({ rates, currency }: PayoutPolicy): string {
  if (rates.length === 0) return ''
  const rows = rates.map(({ currency: of, from, micros }) => [
    `1 ${of}`,
    `${formatMicros(micros)} ${currency ?? ''}`,
    Number.isFinite(from) ? rfc3339(from) : 'ever',
  ])
  return textTable([['RATE', 'IS', 'FROM'], ...rows], 'texts')
}

function kycText({ byType, other, largePrize, unknown }: KycPolicy): string {
  const types = [...byType].map(([type, level]) => `${type} ${level}`)
  const all = [...types, `others ${other}`, `large prizes ${largePrize}`].join(', ')
  return `${all}; a player whose level nobody has told counts as ${unknown}`
}

function money(cents: Cents | undefined): string {
  return cents === undefined ? '-' : formatMoney(cents)
}

function instant(ms: number | undefined): string {
  return ms === undefined ? '-' : rfc3339(ms)
}

/** The same for programs; money is decimal text. */
export function policyAsJson(policy: PayoutPolicy): object {
  const cents = (value: Cents | undefined): string | null => (value === undefined ? null : formatMoney(value))
  const time = (ms: number | undefined): string | null =>
    ms === undefined || !Number.isFinite(ms) ? null : rfc3339(ms)
  const { kyc } = policy
  return {
    version: policy.version,
    currency: policy.currency ?? null,
    large_prize: cents(policy.largePrize),
    review_from: cents(policy.reviewFrom),
    four_eyes_from: cents(policy.fourEyesFrom),
    kyc: {
      ...Object.fromEntries(kyc.byType),
      other: kyc.other,
      large_prize: kyc.largePrize,
      unknown: kyc.unknown,
    },
    pools: [...policy.pools.values()].map((pool) => ({
      pool_id: pool.poolId,
      budget: formatMoney(pool.budget),
      soft_cap: cents(pool.softCap),
      period: pool.period,
      time_zone: pool.timeZone,
      from: time(pool.from),
      before: time(pool.until),
      geo: pool.geo ?? null,
      when_closed: pool.whenClosed,
      breaker_percent: pool.breakerPercent,
      breaker_at: formatMoney(breakerAt(pool)),
      large_prize: cents(pool.largePrize ?? policy.largePrize),
      review_from: cents(pool.reviewFrom ?? policy.reviewFrom),
    })),
    catalogue: policy.catalogue.map(({ match, micros }) => ({ match, unit_cost: formatMicros(micros) })),
    rates: policy.rates.map(({ currency, from, micros }) => ({
      currency,
      from: time(from),
      rate: formatMicros(micros),
    })),
  }
}
