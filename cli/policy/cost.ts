import { unreachable } from '../../core/assert.ts'
import { type CostBasis, costBasis, costOf } from '../../core/cost.ts'
import { messageOf, OncewardError } from '../../core/errors.ts'
import type { PayoutPolicy } from '../../core/model/policy.ts'
import type { Reward } from '../../core/model/reward.ts'
import { formatMoney } from '../../core/money.ts'
import { rfc3339 } from '../../rules/control-instant.ts'
import { formatMicros } from '../../rules/decimal.ts'
import type { Context } from '../command.ts'
import { EXIT } from '../report.ts'
import { instantOf } from '../settings/rules-control.ts'
import type { ShowPolicySettings } from './show.ts'
import type { KnownPolicies } from './sources.ts'

export interface CostSettings extends ShowPolicySettings {
  readonly reward: string
}

/** What a reward costs its pool, and what says so. Answers the exit code: 1 where nobody knows. */
export async function costOfReward(known: KnownPolicies, context: Context<CostSettings>): Promise<number> {
  const { settings, clock, terminal } = context
  const at = instantOf(settings.at) ?? clock.now()
  const reward = readReward(settings.reward)
  const { policy } = known.timeline.at(at)
  const costing = costOf(reward, policy, at)
  const basis = costBasis(reward, policy, at)
  const because = becauseOf(basis, policy)
  const version = policy.version === '' ? null : policy.version
  if (settings.json) {
    const cost = costing.ok ? formatMoney(costing.cost) : null
    const detail = costing.ok ? because : costing.detail
    const result = { at: rfc3339(at), policy: version, cost, currency: policy.currency ?? null, by: basis.kind, detail }
    await terminal.print(`${JSON.stringify(result)}\n`)
  } else {
    const by = version === null ? 'no policy is in effect then' : `policy ${version}`
    const currency = policy.currency === undefined ? '' : ` ${policy.currency}`
    const line = costing.ok ? `${formatMoney(costing.cost)}${currency}: ${because}` : `unknown: ${costing.detail}`
    await terminal.print(`${line} (${by})\n`)
  }
  return costing.ok ? EXIT.fine : EXIT.failed
}

/** Both spellings of how much: `amount` as tasks have it, `value` as rules do. Throws ONCEWARD_E_SETTING_INVALID. */
function readReward(text: string): Reward {
  const refuse = (why: string): OncewardError =>
    new OncewardError('ONCEWARD_E_SETTING_INVALID', `--reward: ${why}; write {"type":"fs","amount":10}`)
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    throw refuse(`it is no JSON: ${messageOf(error)}`)
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw refuse('it is no JSON object')
  const { value, ...reward } = parsed as Record<string, unknown>
  if (typeof reward['type'] !== 'string') throw refuse('it has no type')
  if (value !== undefined && reward['amount'] !== undefined) throw refuse('value and amount are the same')
  return { ...(value === undefined ? {} : { amount: value }), ...reward } as Reward
}

function becauseOf(basis: CostBasis, policy: PayoutPolicy): string {
  switch (basis.kind) {
    case 'said':
      return 'the reward says so itself'
    case 'amount':
      return 'its amount'
    case 'rate': {
      const { currency, from, micros } = basis.rate
      const since = Number.isFinite(from) ? ` from ${rfc3339(from)} on` : ''
      return `${formatMoney(basis.amount)} ${currency}, of which one is ${formatMicros(micros)} ${policy.currency}${since}`
    }
    case 'no_rate':
      return 'there is no rate'
    case 'catalogue': {
      const { match, micros } = basis.unit
      const line = Object.entries(match).map(([name, is]) => `${name}: ${is}`)
      return `${formatMoney(basis.hundredths).replace('.00', '')} of { ${line.join(', ')}, unit_cost: ${formatMicros(micros)} }`
    }
    case 'nothing':
      return 'no line of the catalogue is about it'
    default:
      return unreachable(basis)
  }
}
