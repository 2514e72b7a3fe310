import { isMap } from 'yaml'
import { DAY_MS, MINUTE_MS } from '../core/durations.ts'
import type { Guardrails } from '../core/model/reward.ts'
import type { CompiledRule, SharpRise } from './compiled.ts'
import { readCountries, readCountry } from './country.ts'
import { MONEY } from './reward-section.ts'
import {
  type Entry,
  readBoolean,
  readChoice,
  readDuration,
  readMap,
  readNumber,
  readShare,
  readText,
  required,
} from './yaml-reader.ts'
import type { YamlSource } from './yaml-source.ts'

export const GUARDRAILS = [
  'kyc_min_level',
  'rg_limits_ok',
  'budget_pool',
  'budget_soft_cap',
  'geo',
  'frozen_expiry',
  'sharp_rise',
] as const
export const SHARP_RISE_KEYS = ['share', 'within'] as const
export const SHARP_RISE_WINDOWS = ['minute', 'hour', 'day'] as const

export const KYC_LEVEL = { min: 0, max: 10, decimals: 0 } as const
export const POOL_ID = {
  pattern: /^[A-Za-z0-9][\w.-]{0,127}$/,
  hint: "a pool's name has letters, digits, _, . and -",
}
/** The pool of the players whose country has none of its own. */
export const DEFAULT_POOL = 'default'

const FROZEN_EXPIRY = { min: MINUTE_MS, max: 3_650 * DAY_MS } as const
/** A share below one percent would call every crossing a sharp rise. */
const SHARE_MIN = 0.01

/** What `guardrails` makes of a rule. */
export type ReadGuardrails = Pick<CompiledRule, 'guardrails' | 'poolByGeo' | 'sharpRise'>

/** `guardrails`: conditions on paying. */
export function readGuardrails(source: YamlSource, entry: Entry | undefined): ReadGuardrails {
  const keys = entry && readMap(source, entry.value, 'guardrails', GUARDRAILS)
  if (keys === undefined) return { guardrails: {} }
  const kyc = readNumber(source, keys.get('kyc_min_level'), KYC_LEVEL)
  const rg = readBoolean(source, keys.get('rg_limits_ok'))
  const { pool, byGeo } = readPool(source, keys.get('budget_pool'))
  const cap = readNumber(source, keys.get('budget_soft_cap'), MONEY)
  const geo = readCountries(source, keys.get('geo'))
  const expiry = readDuration(source, keys.get('frozen_expiry'), FROZEN_EXPIRY)
  const sharpRise = readSharpRise(source, keys.get('sharp_rise'))
  const guardrails: Guardrails = {
    ...(kyc === undefined ? {} : { kyc_min_level: kyc }),
    ...(rg === undefined ? {} : { rg_limits_ok: rg }),
    ...(pool === undefined ? {} : { budget_pool: pool }),
    ...(cap === undefined ? {} : { budget_soft_cap: cap }),
    ...(geo === undefined ? {} : { geo }),
    ...(expiry === undefined ? {} : { frozen_expiry_ms: expiry }),
  }
  return {
    guardrails,
    ...(byGeo === undefined ? {} : { poolByGeo: byGeo }),
    ...(sharpRise === undefined ? {} : { sharpRise }),
  }
}

interface ReadPool {
  readonly pool?: string | undefined
  readonly byGeo?: ReadonlyMap<string, string>
}

/** A pool for all, or pools by the player's country. */
function readPool(source: YamlSource, entry: Entry | undefined): ReadPool {
  if (entry === undefined) return {}
  if (!isMap(entry.value)) return { pool: readText(source, entry, POOL_ID) }
  const keys = readMap(source, entry.value, 'budget_pool')
  if (keys === undefined) return {}
  if (keys.size === 0 && entry.value.items.length === 0) {
    source.report(entry.value, {
      code: 'ONCEWARD_E_RULE_WRONG_VALUE',
      message: 'budget_pool names no pool',
      hint: 'write budget_pool: nov_season, or budget_pool: { TR: nov_tr, default: nov_season }',
    })
  }
  const byGeo = new Map<string, string>()
  let pool: string | undefined
  for (const [name, each] of keys) {
    const id = readText(source, each, POOL_ID)
    if (name === DEFAULT_POOL) pool = id
    else {
      const country = readCountry(source, each.key, name)
      if (country !== undefined && id !== undefined) byGeo.set(country, id)
    }
  }
  return { pool, ...(byGeo.size === 0 ? {} : { byGeo }) }
}

function readSharpRise(source: YamlSource, entry: Entry | undefined): SharpRise | undefined {
  const keys = entry && readMap(source, entry.value, 'sharp_rise', SHARP_RISE_KEYS)
  if (entry === undefined || keys === undefined) return undefined
  const owner = { node: entry.key, hint: 'write sharp_rise: { share: 0.8, within: hour }' }
  const share = readShare(source, required(source, keys, 'share', owner), SHARE_MIN)
  const within = readChoice(source, required(source, keys, 'within', owner), SHARP_RISE_WINDOWS)
  return share === undefined || within === undefined ? undefined : { share, within }
}
