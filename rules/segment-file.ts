import { createHash } from 'node:crypto'
import type { Node } from 'yaml'
import { readDate } from './dates.ts'
import { compileCondition } from './expression.ts'
import { IdSet } from './id-set.ts'
import type { RuleProblem } from './problem.ts'
import { readZone } from './score-section.ts'
import type { Membership } from './segment.ts'
import { allOf, readFilters } from './when-section.ts'
import { canonicalJson, isObject, jsonOf } from './yaml-json.ts'
import { type Entries, type Entry, readList, readMap, readText, required } from './yaml-reader.ts'
import { type RuleFile, YamlSource } from './yaml-source.ts'

/** Most users that a segment lists, and most characters of the file that lists them. */
export const SEGMENT_USERS_MAX = 1_000_000
export const SEGMENT_TEXT_MAX = 32_000_000
const USER_ID_LENGTH_MAX = 256

export const SEGMENT_KEYS = [
  'segment_id',
  'conditions',
  'users',
  'users_file',
  'time_zone',
  'effective_from',
  'name',
  'description',
  'owner',
] as const

const SEGMENT_ID = {
  pattern: /^[A-Za-z0-9][\w.:-]{0,127}$/,
  hint: 'a segment id has letters, digits, _, ., : and -, at most 128',
}

/** A segment as it was read from a file. */
export interface SegmentSource extends RuleFile {
  readonly segmentId: string
  /** Event time in ms; undefined where the file has none. */
  readonly effectiveFrom: number | undefined
  /** SHA-256, hex, over what the segment says; comments, blanks and the order of users don't count. */
  readonly contentHash: string
  /** How many users it lists; undefined where it has conditions. */
  readonly size: number | undefined
  readonly membership: Membership
}

export type SegmentReading =
  | { readonly ok: true; readonly segment: SegmentSource }
  | { readonly ok: false; readonly problems: readonly RuleProblem[] }

/** True for a file that holds a segment and no rule. */
export function isSegmentFile({ text }: RuleFile): boolean {
  return /^["']?segment_id["']?\s*:/m.test(text)
}

/** Reads one segment file; answers every problem found. Never throws on bad input. */
export function readSegment(file: RuleFile): SegmentReading {
  const source = new YamlSource(file)
  const root = source.parse()
  const segment = root && readRoot(source, root, file)
  if (segment !== undefined && source.problems.length === 0) return { ok: true, segment }
  return { ok: false, problems: source.problems }
}

/** Who is in it. */
interface Members {
  readonly membership: Membership
  /** In order, each once. */
  readonly ids?: readonly string[]
}

function readRoot(source: YamlSource, root: Node, file: RuleFile): SegmentSource | undefined {
  const top = readMap(source, root, 'a segment', SEGMENT_KEYS)
  if (top === undefined) return undefined
  const segmentId = readText(
    source,
    required(source, top, 'segment_id', { node: root, hint: 'write segment_id: vip' }),
    SEGMENT_ID,
  )
  const zone = readZone(source, top.get('time_zone'))
  const effectiveFrom = readFrom(source, top.get('effective_from'), zone)
  for (const name of ['name', 'description', 'owner']) readText(source, top.get(name))
  const members = readMembers(source, root, top, { file, zone })
  if (segmentId === undefined || members === undefined || source.problems.length > 0) return undefined
  return {
    ...file,
    segmentId,
    effectiveFrom,
    contentHash: hashOf(root, members),
    size: members.ids?.length,
    membership: members.membership,
  }
}

function readFrom(source: YamlSource, entry: Entry | undefined, zone: string): number | undefined {
  const text = readText(source, entry)
  if (entry === undefined || text === undefined) return undefined
  const date = readDate(text, zone)
  if (date.ok) return date.range.from
  source.report(entry.value, {
    code: 'ONCEWARD_E_RULE_WRONG_VALUE',
    message: `effective_from: ${date.message}`,
    hint: date.hint,
  })
  return undefined
}

function readMembers(
  source: YamlSource,
  root: Node,
  top: Entries,
  { file, zone }: { readonly file: RuleFile; readonly zone: string },
): Members | undefined {
  const given = [top.get('conditions'), top.get('users'), top.get('users_file')].filter((entry) => entry !== undefined)
  const [entry, second] = given
  if (entry === undefined || second !== undefined) {
    source.report(second?.key ?? root, {
      code: entry === undefined ? 'ONCEWARD_E_RULE_MISSING_KEY' : 'ONCEWARD_E_RULE_WRONG_VALUE',
      message: 'a segment has either conditions, or users, or a users_file',
      hint: 'write conditions: [user.payer_flag], users: [u_1, u_2] or users_file: vip.txt',
    })
    return undefined
  }
  switch (entry.key.value) {
    case 'conditions':
      return readConditions(source, entry, zone)
    case 'users':
      return listed(source, entry, readUsers(source, entry))
    default:
      return readUsersFile(source, entry, file)
  }
}

function readConditions(source: YamlSource, entry: Entry, zone: string): Members {
  // Segments do not ask for segments: nothing can go round in circles.
  const scope = { zone, knownSegments: new Map<string, never>() }
  const read = readFilters(source, entry, scope)
  const truth = (wanted: boolean) =>
    read.map(({ expression, scalar }) => compileCondition(expression, wanted, { zone, text: scalar.value }))
  const inside = allOf(truth(true))
  const outside = truth(false)
  return { membership: (event) => (inside(event) ? true : outside.some((no) => no(event)) ? false : undefined) }
}

function readUsers(source: YamlSource, entry: Entry): readonly string[] {
  return readList(entry).flatMap((value) => readText(source, { key: entry.key, value }, USER_ID) ?? [])
}

const USER_ID = { pattern: /^[^\p{Cc}]{1,256}$/u, hint: `a user id has 1 to ${USER_ID_LENGTH_MAX} characters` }

/** One user id on each line; blank lines and lines that begin with # are left out. */
function readUsersFile(source: YamlSource, entry: Entry, { users }: RuleFile): Members | undefined {
  const name = readText(source, entry, {
    pattern: /^[\w][\w.-]{0,127}$/,
    hint: 'name a text file in the same folder, such as vip.txt',
  })
  if (name === undefined) return undefined
  const report = (message: string, hint: string): undefined => {
    source.report(entry.value, { code: 'ONCEWARD_E_RULE_WRONG_VALUE', message, hint })
    return undefined
  }
  if (users === undefined) return report(`there is no file ${name} beside this one`, 'add it: one user id on each line')
  if (users.length > SEGMENT_TEXT_MAX) {
    return report(
      `${name} has ${users.length} characters, at most ${SEGMENT_TEXT_MAX} are allowed`,
      'split the segment',
    )
  }
  const lines = users.split('\n').map((line) => line.trim())
  const wrong = lines.findIndex((line) => line !== '' && !USER_ID.pattern.test(line))
  if (wrong >= 0) return report(`line ${wrong + 1} of ${name} is no user id`, USER_ID.hint)
  return listed(
    source,
    entry,
    lines.filter((line) => line !== '' && !line.startsWith('#')),
  )
}

function listed(source: YamlSource, entry: Entry, written: readonly string[]): Members | undefined {
  const ids = [...new Set(written)].sort()
  if (ids.length > SEGMENT_USERS_MAX) {
    source.report(entry.value, {
      code: 'ONCEWARD_E_RULE_WRONG_VALUE',
      message: `a segment lists at most ${SEGMENT_USERS_MAX} users, this one ${ids.length}`,
      hint: 'split it into several, and write user in segment("a") or user in segment("b")',
    })
    return undefined
  }
  const set = new IdSet(ids)
  return { ids, membership: ({ userId }) => set.has(userId) }
}

/** Users count by who they are, not by where they are written. */
function hashOf(root: Node, { ids }: Members): string {
  const hash = createHash('sha256')
  const content = jsonOf(root)
  const { users: _users, users_file: _file, ...rest } = isObject(content) ? content : {}
  hash.update(canonicalJson(rest))
  for (const id of ids ?? []) hash.update(`\n${id}`)
  return hash.digest('hex')
}
