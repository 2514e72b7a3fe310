import type { PlayerEvent } from '../core/model/event.ts'
import type { CompiledRule } from './compiled.ts'
import { fieldReader, type FieldReader } from './event-fields.ts'

/** Most fields that rules are looked up by; what is asked of others is left to the rules. */
const FIELDS_MAX = 3
/** Fewer rules than this are judged faster than they are looked up. */
const RULES_MIN = 4
/** Most answers kept; where events bring more combinations they are worked out again. */
const ANSWERS_MAX = 10_000

/** A field whose value tells which of its rules an event can match. */
interface IndexedField {
  readonly read: FieldReader
  /** A number for each value that some rule asks for; 0 stands for all others. */
  readonly numbers: ReadonlyMap<unknown, number>
  /** What each rule that is looked up by this field asks for. */
  readonly wanted: ReadonlyMap<CompiledRule, ReadonlySet<number>>
}

interface Answer {
  /** By the number of the next field's value. */
  readonly next: (Answer | undefined)[]
  rules: readonly CompiledRule[] | undefined
}

/**
 * Looks rules up by what their filters ask of single fields, so that an event is judged by the few that it can match and
 * not by all. Each rule is looked up by at most one field; the rest of it is its own filters' affair.
 */
export class RuleIndex {
  readonly #rules: readonly CompiledRule[]
  readonly #fields: readonly IndexedField[]
  #answers: Answer = { next: [], rules: undefined }
  #answered = 0

  /** `rules`: in the order in which they are judged. */
  constructor(rules: readonly CompiledRule[]) {
    this.#rules = Object.freeze([...rules])
    this.#fields = indexedFields(rules)
  }

  /** All rules. */
  get rules(): readonly CompiledRule[] {
    return this.#rules
  }

  /** The rules that the event can match, in their order. Without allocation where the same values came before. */
  candidates(event: PlayerEvent): readonly CompiledRule[] {
    if (this.#fields.length === 0) return this.#rules
    let answer = this.#answers
    for (const field of this.#fields) {
      const number = field.numbers.get(field.read(event)) ?? 0
      answer = answer.next[number] ??= { next: [], rules: undefined }
    }
    return (answer.rules ??= this.#workOut(event))
  }

  #workOut(event: PlayerEvent): readonly CompiledRule[] {
    if (++this.#answered > ANSWERS_MAX) {
      this.#answers = { next: [], rules: undefined }
      this.#answered = 0
    }
    const numbers = this.#fields.map(({ read, numbers: known }) => known.get(read(event)) ?? 0)
    const fits = (rule: CompiledRule): boolean =>
      this.#fields.every(({ wanted }, i) => wanted.get(rule)?.has(numbers[i] ?? 0) ?? true)
    return Object.freeze(this.#rules.filter(fits))
  }
}

/** The field that most rules ask something of, then the one that most of the others do, and so on. */
function indexedFields(rules: readonly CompiledRule[]): readonly IndexedField[] {
  const fields: IndexedField[] = []
  let left = rules
  while (fields.length < FIELDS_MAX) {
    const counts = new Map<string, number>()
    for (const path of left.flatMap(pathsOf)) counts.set(path, (counts.get(path) ?? 0) + 1)
    const [path, asking] = [...counts].reduce((most, count) => (count[1] > most[1] ? count : most), ['', 0])
    if (asking < RULES_MIN) break
    fields.push(indexedField(path, left))
    left = left.filter((rule) => !pathsOf(rule).includes(path))
  }
  return fields
}

function pathsOf({ equalities = [] }: CompiledRule): readonly string[] {
  return [...new Set(equalities.map(({ path }) => path.join('.')))]
}

function indexedField(path: string, rules: readonly CompiledRule[]): IndexedField {
  const numbers = new Map<unknown, number>()
  const wanted = new Map<CompiledRule, ReadonlySet<number>>()
  for (const rule of rules) {
    const equality = rule.equalities?.find((candidate) => candidate.path.join('.') === path)
    if (equality === undefined) continue
    for (const value of equality.values) if (!numbers.has(value)) numbers.set(value, numbers.size + 1)
    wanted.set(rule, new Set(equality.values.map((value) => numbers.get(value) ?? 0)))
  }
  return { read: fieldReader(path.split('.')), numbers, wanted }
}
