import { parse } from 'yaml'
import { parseDuration } from '../../core/durations.ts'
import { messageOf } from '../../core/errors.ts'
import { isValidZone } from '../../rules/calendar.ts'
import { readDate } from '../../rules/dates.ts'
import { nearest } from '../../rules/problem.ts'
import { readClock } from './test-clock.ts'

type Fields = Readonly<Record<string, unknown>>

/** What a test expects; what is left out is not looked at. Fields of a list's items, too: each names those that count. */
export interface Expectation {
  readonly points?: number
  readonly scores?: readonly (number | Fields)[]
  readonly rewards?: readonly Fields[]
  readonly withheld?: readonly Fields[]
  readonly rejected?: readonly Fields[]
}

export interface RuleTest {
  readonly name: string
  /** Whole events, in the order of arrival. */
  readonly events: readonly Fields[]
  readonly expect: Expectation
}

export interface RuleTestFile {
  /** Names of the files of the rules under test, beside the test. */
  readonly rules: readonly string[]
  readonly tests: readonly RuleTest[]
}

const FILE_KEYS = ['rules', 'start', 'time_zone', 'user', 'payload', 'tests']
const TEST_KEYS = ['name', 'events', 'expect']
const EVENT_KEYS = ['at', 'event', 'id', 'user', 'payload', 'context', 'times', 'every']
const EXPECT_KEYS = ['points', 'scores', 'rewards', 'withheld', 'rejected']
const TIMES_MAX = 10_000

interface Defaults {
  readonly startMs: number
  readonly zone: string
  readonly user: Fields
  readonly payload: Fields
}

/** Reads a `*.test.yaml`. Throws an Error whose message is a sentence that says where and what would be right. */
export function readTestFile(name: string, text: string): RuleTestFile {
  let content: unknown
  try {
    content = parse(text)
  } catch (error) {
    throw new Error(`it is no YAML: ${messageOf(error)}`, { cause: error })
  }
  const file = fields(content, 'the file', FILE_KEYS)
  const zone = file['time_zone'] === undefined ? 'UTC' : scalar(file['time_zone'], 'time_zone')
  if (!isValidZone(zone)) throw new Error(`time_zone: there is no zone ${zone}; write one such as Europe/Istanbul`)
  const start = readDate(scalar(file['start'] ?? '2025-01-01', 'start'), zone)
  if (!start.ok) throw new Error(`start: ${start.message}; ${start.hint}`)
  const defaults: Defaults = {
    startMs: start.range.from,
    zone,
    user: userOf(file['user'], {}),
    payload: fields(file['payload'] ?? {}, 'payload'),
  }
  const own = name.replace(/\.test(\.ya?ml)$/i, '$1')
  const rules = file['rules'] === undefined ? [own] : list(file['rules'], 'rules').map((one) => scalar(one, 'rules'))
  return { rules, tests: list(file['tests'], 'tests').map((one, i) => readTest(one, `tests[${i}]`, defaults)) }
}

function readTest(value: unknown, place: string, defaults: Defaults): RuleTest {
  const test = fields(value, place, TEST_KEYS)
  if (typeof test['name'] !== 'string') throw new Error(`${place} needs a name: what it holds, in words`)
  const events: Fields[] = []
  let lastMs = defaults.startMs
  for (const [index, each] of list(test['events'] ?? [], `${place}.events`).entries()) {
    const read = readEvents(each, `${place}.events[${index}]`, { defaults, lastMs, number: events.length + 1 })
    events.push(...read.events)
    lastMs = read.lastMs
  }
  const expect = fields(test['expect'] ?? {}, `${place}.expect`, EXPECT_KEYS)
  if (Object.keys(expect).length === 0)
    throw new Error(`${place} expects nothing; write one of ${EXPECT_KEYS.join(', ')}`)
  return { name: test['name'], events, expect }
}

/** An event in short, or several: `times` of them, `every` so long. */
function readEvents(
  value: unknown,
  place: string,
  { defaults, lastMs, number }: { readonly defaults: Defaults; readonly lastMs: number; readonly number: number },
): { readonly events: Fields[]; readonly lastMs: number } {
  const short = fields(value, place, EVENT_KEYS)
  if (typeof short['event'] !== 'string') throw new Error(`${place} needs event: the name of the event, such as bet`)
  const at = short['at'] === undefined ? lastMs : readClock(scalar(short['at'], `${place}.at`), { ...defaults, lastMs })
  if (at === undefined) {
    throw new Error(
      `${place}.at is "${scalar(short['at'], place)}"; write day 3 at 10:00, +30s or 2025-11-03T10:00:00Z`,
    )
  }
  const times = Number(short['times'] ?? 1)
  if (!Number.isInteger(times) || times < 1 || times > TIMES_MAX) {
    throw new Error(`${place}.times is a whole number from 1 to ${TIMES_MAX}`)
  }
  const everyMs = short['every'] === undefined ? 1_000 : parseDuration(scalar(short['every'], `${place}.every`))
  const events = Array.from({ length: times }, (_, i) => ({
    event_id:
      short['id'] === undefined
        ? `event-${number + i}`
        : `${scalar(short['id'], `${place}.id`)}${times > 1 ? `-${i + 1}` : ''}`,
    event_name: short['event'],
    version: '1.0.0',
    ts: new Date(at + i * everyMs).toISOString(),
    user: { id: 'player', ...userOf(short['user'], defaults.user) },
    context: fields(short['context'] ?? {}, `${place}.context`),
    payload: { ...defaults.payload, ...fields(short['payload'] ?? {}, `${place}.payload`) },
  }))
  return { events, lastMs: at + (times - 1) * everyMs }
}

/** A text is the user's id. */
function userOf(value: unknown, defaults: Fields): Fields {
  if (value === undefined) return defaults
  return { ...defaults, ...(typeof value === 'string' ? { id: value } : fields(value, 'user')) }
}

function fields(value: unknown, place: string, known?: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${place} has keys and values`)
  const unknown = Object.keys(value).find((key) => known !== undefined && !known.includes(key))
  if (unknown === undefined) return value as Fields
  const meant = nearest(unknown, known ?? [])
  const hint = meant === undefined ? `allowed are ${known?.join(', ')}` : `did you mean ${meant}?`
  throw new Error(`${place} has no key ${unknown}; ${hint}`)
}

function list(value: unknown, place: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw new Error(`${place} is a list: begin each item with a dash`)
}

function scalar(value: unknown, place: string): string {
  if (typeof value === 'string' || typeof value === 'number') return String(value)
  throw new Error(`${place} is a text`)
}
