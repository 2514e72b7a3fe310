import { isUtf8 } from 'node:buffer'
import avro, { type Type } from 'avsc'
import { branchesOf, underlying } from './avro-type.ts'

/**
 * Walks a value in Avro's binary encoding before anything decodes it. avsc reads beyond the end of what it was given, and
 * trusts counts: six bytes that announce 2^40 items keep it busy, or out of memory, for as long as it lives. After this
 * walk each length lies within the bytes, each count is paid for, each branch and symbol exists, and text is UTF-8.
 */
export type Walk = (raw: Buffer, start: number) => Walked

export type Walked =
  | {
      readonly ok: true
      /** One past the last byte of the value. */
      readonly end: number
      /** The first field with a whole number that a number does not hold exactly, if there is one. */
      readonly inexact: string | undefined
    }
  /** `problem`: what is wrong, to stand after "the event". */
  | { readonly ok: false; readonly problem: string }

/** Builds the walk over values of `type`; types that contain themselves are fine. `depthMax`: levels of records, lists and maps. */
export function boundsOf(type: Type, depthMax: number): Walk {
  const step = new StepBuilder().build(type)
  return (raw, start) => {
    const cursor = new Cursor(raw, start, depthMax)
    try {
      step(cursor)
    } catch (error) {
      if (error instanceof Malformed) return { ok: false, problem: cursor.describe(error) }
      throw error
    }
    return { ok: true, end: cursor.at, inexact: cursor.inexact }
  }
}

type Step = (cursor: Cursor) => void

class Malformed extends Error {}

const INT_MIN = -(2 ** 31)
const INT_MAX = 2 ** 31 - 1
const VARINT_BYTES_MAX = 10
/**
 * avsc 5.7.9 reads and writes longs as floating-point numbers of twice the size, so that those below lose their last bit,
 * which is the sign: it takes -(2^52 + 1) for 2^52.
 */
export const LONG_LEAST = -(2 ** 52)

class Cursor {
  readonly raw: Buffer
  at: number
  /** The field begun last, for messages. */
  field = ''
  inexact: string | undefined
  /** Items that may still come: each costs the sender a byte, or what takes no bytes could be announced without end. */
  #items: number
  #levels: number

  constructor(raw: Buffer, start: number, depthMax: number) {
    this.raw = raw
    this.at = start
    this.#items = raw.length
    this.#levels = depthMax
  }

  describe({ message }: Malformed): string {
    return this.field === '' ? message : `${message}, in or after the field "${this.field}"`
  }

  enter(): void {
    if (--this.#levels < 0) throw new Malformed('is nested too deep; send it flatter')
  }

  leave(): void {
    this.#levels++
  }

  skip(bytes: number): void {
    if (bytes > this.raw.length - this.at) throw new Malformed('ends before its last field')
    this.at += bytes
  }

  /** A whole number of 64 bits; exact up to 2^53 on both sides, and beyond it rounded. */
  long(): number {
    const first = this.#byte()
    // The lowest bit is the sign (zigzag), so that the number itself begins at the next one.
    let half = (first & 0x7f) >> 1
    let factor = 64
    let byte = first
    for (let n = 2; byte >= 0x80; n++) {
      byte = this.#byte()
      if (n > VARINT_BYTES_MAX || (n === VARINT_BYTES_MAX && byte > 1)) {
        throw new Malformed('has a whole number of more than 64 bits')
      }
      half += (byte & 0x7f) * factor
      factor *= 128
    }
    return (first & 1) === 1 ? -half - 1 : half
  }

  #byte(): number {
    const byte = this.raw[this.at++]
    if (byte === undefined) throw new Malformed('ends before its last field')
    return byte
  }

  length(): number {
    const length = this.long()
    if (length < 0 || length > this.raw.length - this.at) {
      throw new Malformed(`announces ${length} bytes where ${this.raw.length - this.at} are left`)
    }
    return length
  }

  /** The blocks of a list or a map, `item` once for each of their items. */
  blocks(item: Step): void {
    this.enter()
    for (let count = this.long(); count !== 0; count = this.long()) {
      const size = count < 0 ? this.length() : undefined
      const end = size === undefined ? undefined : this.at + size
      const items = Math.abs(count)
      this.#items -= items
      if (this.#items < 0) throw new Malformed(`announces ${items} items, more than its bytes can hold`)
      for (let n = 0; n < items; n++) item(this)
      if (end !== undefined && end !== this.at) throw new Malformed('has a list whose size is not what it announces')
    }
    this.leave()
  }
}

class StepBuilder {
  readonly #records = new Map<Type, Step>()

  build(type: Type): Step {
    const { types } = avro
    const branches = branchesOf(type)
    if (branches !== undefined) return this.#union(branches)
    const plain = underlying(type)
    if (plain !== type) return this.build(plain)
    if (type instanceof types.RecordType) return this.#record(type)
    if (type instanceof types.ArrayType) {
      const item = this.build(type.itemsType)
      return (cursor) => cursor.blocks(item)
    }
    if (type instanceof types.MapType) {
      const value = this.build(type.valuesType as Type)
      return (cursor) =>
        cursor.blocks((each) => {
          mapKey(each)
          value(each)
        })
    }
    if (type instanceof types.EnumType) return indexBelow(type.symbols.length, 'symbol of an enum')
    if (type instanceof types.FixedType) {
      const { size } = type
      return (cursor) => cursor.skip(size)
    }
    return primitive(type)
  }

  #union(branches: readonly Type[]): Step {
    const steps = branches.map((branch) => this.build(branch))
    return (cursor) => {
      const index = cursor.long()
      const step = steps[index]
      if (step === undefined) throw new Malformed(`names branch ${index} of a union of ${steps.length}`)
      step(cursor)
    }
  }

  #record(type: InstanceType<typeof avro.types.RecordType>): Step {
    const known = this.#records.get(type)
    if (known !== undefined) return known
    const names: string[] = []
    const steps: Step[] = []
    const step: Step = (cursor) => {
      cursor.enter()
      for (let i = 0; i < steps.length; i++) {
        cursor.field = names[i] ?? ''
        steps[i]?.(cursor)
      }
      cursor.leave()
    }
    this.#records.set(type, step)
    for (const field of type.fields) {
      names.push(field.name)
      steps.push(this.build(field.type))
    }
    return step
  }
}

function primitive(type: Type): Step {
  switch (type.typeName) {
    case 'null':
      return () => undefined
    case 'boolean':
      return (cursor) => {
        const byte = cursor.raw[cursor.at]
        cursor.skip(1)
        if (byte !== 0 && byte !== 1) throw new Malformed(`has the byte ${byte} where true or false belongs`)
      }
    case 'int':
      return (cursor) => {
        const value = cursor.long()
        if (value < INT_MIN || value > INT_MAX) throw new Malformed('has a whole number of more than 32 bits as an int')
      }
    case 'long':
      return (cursor) => {
        const value = cursor.long()
        if (value < LONG_LEAST)
          throw new Malformed('has a whole number below -2^52, which is not read exactly; send it as text')
        // avsc's own bound, which is one below that of JSON; it is held where the field is read.
        if (value >= Number.MAX_SAFE_INTEGER) cursor.inexact ??= cursor.field
      }
    case 'float':
      return (cursor) => cursor.skip(4)
    case 'double':
      return (cursor) => cursor.skip(8)
    case 'bytes':
      return (cursor) => cursor.skip(cursor.length())
    default:
      return text
  }
}

function indexBelow(count: number, what: string): Step {
  return (cursor) => {
    const index = cursor.long()
    if (index < 0 || index >= count) throw new Malformed(`names ${what} number ${index}, of ${count}`)
  }
}

/** Answers where the text begins. */
function text(cursor: Cursor): number {
  const { raw } = cursor
  const length = cursor.length()
  const start = cursor.at
  cursor.at += length
  for (let at = start; at < cursor.at; at++) {
    // Most text is ASCII, for which no part of the bytes needs to be made.
    if ((raw[at] ?? 0) < 0x80) continue
    if (isUtf8(raw.subarray(at, cursor.at))) break
    throw new Malformed('has text that is not UTF-8')
  }
  return start
}

const PROTO = Buffer.from('__proto__')

/** avsc puts map entries into a plain object, where this one name does not make an entry. */
function mapKey(cursor: Cursor): void {
  const start = text(cursor)
  if (cursor.at - start === PROTO.length && PROTO.equals(cursor.raw.subarray(start, cursor.at))) {
    throw new Malformed('has an entry named __proto__')
  }
}
