import { createHash } from 'node:crypto'
import type { Node } from 'yaml'
import type { PayoutPolicy } from '../core/model/policy.ts'
import { readDate } from './dates.ts'
import { readMoney } from './decimal.ts'
import { readCatalogue, readKyc, readRates } from './policy-costs.ts'
import { readPools } from './policy-pools.ts'
import type { RuleProblem } from './problem.ts'
import { CURRENCY_CODE } from './reward-section.ts'
import { readZone } from './score-section.ts'
import { canonicalJson, isObject, jsonOf } from './yaml-json.ts'
import { type Entries, type Entry, readMap, readText, required } from './yaml-reader.ts'
import { type FileKind, type RuleFile, YamlSource } from './yaml-source.ts'

export const POLICY_KEYS = [
  'policy',
  'currency',
  'time_zone',
  'pools',
  'catalogue',
  'rates',
  'kyc',
  'large_prize',
  'review_from',
  'four_eyes_from',
  'meta',
] as const
export const POLICY_META_KEYS = ['version', 'effective_from', 'name', 'description', 'owner', 'ticket'] as const

const POLICY_KIND: FileKind = { noun: 'policy', begins: 'policy: payout', code: 'ONCEWARD_E_POLICY_INVALID' }
const NAME = {
  pattern: /^[A-Za-z0-9][\w.:-]{0,127}$/,
  hint: 'the name of a policy has letters, digits, _, ., : and -, at most 128',
}
const VERSION = {
  pattern: /^[A-Za-z0-9][\w.+-]{0,63}$/,
  hint: 'a version has letters, digits, _, ., + and -, such as "2.0"',
}

/** A policy as it was read from a file. */
export interface PolicySource extends RuleFile {
  /** What stands at `policy`: for people. */
  readonly name: string
  readonly policy: PayoutPolicy
  /** `meta.effective_from` in ms of event time; undefined where the file has none. */
  readonly effectiveFrom: number | undefined
  /** SHA-256, hex, over what the file says; comments, blanks and the order of keys don't count. */
  readonly contentHash: string
}

export type PolicyReading =
  | { readonly ok: true; readonly policy: PolicySource }
  | { readonly ok: false; readonly problems: readonly RuleProblem[] }

/** True for a file that holds a payout policy and no rule. */
export function isPolicyFile({ text }: RuleFile): boolean {
  return /^["']?policy["']?\s*:/m.test(text)
}

/** Reads one policy file; answers every problem found (ONCEWARD_E_POLICY_INVALID), by place. Never throws on bad input. */
export function readPolicy(file: RuleFile): PolicyReading {
  const source = new YamlSource(file, POLICY_KIND)
  const root = source.parse()
  const read = root && readRoot(source, root)
  if (read === undefined || source.problems.length > 0) {
    return { ok: false, problems: source.problems.toSorted((a, b) => a.line - b.line || a.column - b.column) }
  }
  return { ok: true, policy: { file: file.file, text: file.text, ...read } }
}

type Read = Omit<PolicySource, keyof RuleFile>

function readRoot(source: YamlSource, root: Node): Read | undefined {
  const top = readMap(source, root, 'a policy', POLICY_KEYS)
  if (top === undefined) return undefined
  const owner = (hint: string): { node: Node; hint: string } => ({ node: root, hint })
  const name = readText(source, required(source, top, 'policy', owner('write policy: payout')), NAME)
  const currency = readText(source, required(source, top, 'currency', owner('write currency: EUR')), CURRENCY_CODE)
  const zone = readZone(source, top.get('time_zone'))
  const meta = readMeta(source, required(source, top, 'meta', owner('write meta: { version: "1.0" }')), zone)
  const pools = readPools(source, top.get('pools'), zone)
  const costs = { currency, zone }
  const policy = {
    currency,
    pools,
    closedWorld: true,
    catalogue: readCatalogue(source, top.get('catalogue')),
    rates: readRates(source, top.get('rates'), costs),
    kyc: readKyc(source, top.get('kyc')),
    largePrize: readMoney(source, top.get('large_prize')),
    reviewFrom: readMoney(source, top.get('review_from')),
    fourEyesFrom: readMoney(source, top.get('four_eyes_from')),
  }
  // A key that comes twice, say, cannot be hashed; it is told of already.
  if (source.problems.length > 0) return undefined
  if (name === undefined || currency === undefined || meta?.version === undefined) return undefined
  const { version, effectiveFrom } = meta
  return { name, policy: { version, ...policy }, effectiveFrom, contentHash: hashOf(source, root, version) }
}

interface Meta {
  readonly version: string | undefined
  readonly effectiveFrom: number | undefined
}

function readMeta(source: YamlSource, entry: Entry | undefined, zone: string): Meta | undefined {
  const meta = entry && readMap(source, entry.value, 'meta', POLICY_META_KEYS)
  if (entry === undefined || meta === undefined) return undefined
  for (const name of ['name', 'description', 'owner', 'ticket']) readText(source, meta.get(name))
  const version = required(source, meta, 'version', { node: entry.key, hint: 'write version: "1.0"' })
  return {
    version: readText(source, version, VERSION),
    effectiveFrom: readInstant(source, meta, { name: 'effective_from', zone }),
  }
}

/** The instant that a date or a date-time begins at, ms. */
function readInstant(
  source: YamlSource,
  entries: Entries,
  { name, zone }: { readonly name: string; readonly zone: string },
): number | undefined {
  const entry = entries.get(name)
  const text = readText(source, entry)
  if (entry === undefined || text === undefined) return undefined
  const date = readDate(text, zone)
  if (date.ok) return date.range.from
  source.report(entry.value, {
    code: 'ONCEWARD_E_RULE_WRONG_VALUE',
    message: `${name}: ${date.message}`,
    hint: date.hint,
  })
  return undefined
}

/**
 * Over the digits that are written, for two amounts that differ may be one float: 80000 and 80000.00 are the same, and so
 * is a version with and without quotes.
 */
function hashOf(source: YamlSource, root: Node, version: string): string {
  const content = jsonOf(root, ({ source: written, value }) => ({
    number: (written ?? String(value)).replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, ''),
  }))
  if (!isObject(content)) {
    source.report(root, { code: 'ONCEWARD_E_RULE_WRONG_TYPE', message: 'the file holds values that JSON cannot' })
    return ''
  }
  const meta = isObject(content['meta']) ? content['meta'] : {}
  const canonical = canonicalJson({ ...content, meta: { ...meta, version } })
  return createHash('sha256').update(canonical).digest('hex')
}
