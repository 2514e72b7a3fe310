import type { Node } from 'yaml'
import { nearest } from './problem.ts'
import { type Entry, readList, readText } from './yaml-reader.ts'
import type { YamlSource } from './yaml-source.ts'

/** The codes of ISO 3166-1 alpha-2, and XK, under which Kosovo is known everywhere else. */
const COUNTRIES: ReadonlySet<string> = new Set(
  `AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD
  CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG
  GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR
  KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF
  NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM
  SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK
  YE YT ZA ZM ZW`.split(/\s+/),
)

const ALIASES: ReadonlyMap<string, string> = new Map([
  ['UK', 'GB'],
  ['EN', 'GB'],
  ['EL', 'GR'],
])

/** What is wrong with a country, and what would be right; undefined: nothing. */
export function countryFault(text: string): { readonly message: string; readonly hint: string } | undefined {
  if (COUNTRIES.has(text)) return undefined
  const upper = text.toUpperCase()
  const meant = ALIASES.get(upper) ?? (COUNTRIES.has(upper) ? upper : undefined)
  const like = meant ?? (text.length > 2 ? nearest(upper, COUNTRIES) : undefined)
  const message = `there is no country ${JSON.stringify(text)}`
  const forms = 'write the two capital letters of ISO 3166, such as TR or BR'
  return { message, hint: like === undefined ? forms : `did you mean ${like}?` }
}

/** A country, or a list of countries, each once. undefined, with problems reported, where one is wrong or none is there. */
export function readCountries(source: YamlSource, entry: Entry | undefined): readonly string[] | undefined {
  if (entry === undefined) return undefined
  const nodes = readList(entry)
  if (nodes.length === 0) {
    source.report(entry.value, {
      code: 'ONCEWARD_E_RULE_WRONG_VALUE',
      message: `${entry.key.value} names at least one country`,
      hint: 'leave it out where all countries are meant',
    })
    return undefined
  }
  const countries = nodes.map((value) => readCountry(source, value, readText(source, { key: entry.key, value })))
  const good = countries.filter((country) => country !== undefined)
  return good.length === countries.length ? [...new Set(good)] : undefined
}

/** `text` stands at `node`; undefined, with a problem reported, where it is no country. */
export function readCountry(source: YamlSource, node: Node, text: string | undefined): string | undefined {
  const fault = text === undefined ? undefined : countryFault(text)
  if (fault === undefined) return text
  source.report(node, { code: 'ONCEWARD_E_RULE_WRONG_VALUE', ...fault })
  return undefined
}
