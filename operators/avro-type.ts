import avro, { type Type } from 'avsc'

/** Digits of a decimal that a number holds exactly. */
const DECIMAL_DIGITS_MAX = 15
/** Bytes that such a decimal can be spread over; whoever sends more sends zeros. */
const DECIMAL_BYTES_MAX = 16

interface DecimalSchema {
  readonly precision?: unknown
  readonly scale?: unknown
}

/**
 * Avro's logical type `decimal` as a number, which is what rules count with. What a number would not hold exactly is
 * refused rather than rounded.
 */
class Decimal extends avro.types.LogicalType {
  readonly scale: number

  constructor(schema: avro.Schema, options?: unknown) {
    super(schema, options)
    const { precision, scale = 0 } = schema as DecimalSchema
    // Where this throws, avsc takes the type for the plain bytes that it is made of, as Avro's specification asks.
    if (!isWhole(precision, 1) || !isWhole(scale, 0) || scale > precision) throw new Error('no such decimal')
    this.scale = scale
  }

  protected override _fromValue(bytes: Buffer): number {
    const unscaled = bytes.length <= DECIMAL_BYTES_MAX ? wholeOf(bytes) : undefined
    if (unscaled === undefined || String(unscaled).replace('-', '').length > DECIMAL_DIGITS_MAX) {
      throw new Error(`a decimal of more than ${DECIMAL_DIGITS_MAX} digits`)
    }
    return Number(`${unscaled}e-${this.scale}`)
  }

  protected override _toValue(value: unknown): Buffer | undefined {
    if (typeof value !== 'number') return undefined
    const unscaled = Math.round(value * 10 ** this.scale)
    if (!Number.isSafeInteger(unscaled) || Number(`${unscaled}e-${this.scale}`) !== value) return undefined
    return bytesOf(BigInt(unscaled), this.underlyingType)
  }

  /** Another scale would be another number. */
  protected override _resolve(type: Type): ((value: unknown) => unknown) | undefined {
    return type instanceof Decimal && type.scale === this.scale ? (value) => value : undefined
  }
}

/** Whether a type is a decimal, and of which scale. */
export function decimalScale(type: Type): number | undefined {
  return type instanceof Decimal ? type.scale : undefined
}

/** What a logical type is made of. */
export function underlying(type: Type): Type {
  return type instanceof avro.types.LogicalType ? type.underlyingType : type
}

/** The type that a parsed schema declares; throws avsc's errors where it is none. */
export function avroType(schema: unknown): Type {
  return avro.Type.forSchema(schema as avro.Schema, {
    logicalTypes: { decimal: Decimal },
    // A field may have any name; with methods on records, `clone` or `compare` would be theirs.
    omitRecordMethods: true,
  })
}

/** The branches of a union; undefined where the type is none. */
export function branchesOf(type: Type): readonly Type[] | undefined {
  const { UnwrappedUnionType, WrappedUnionType } = avro.types
  return type instanceof UnwrappedUnionType || type instanceof WrappedUnionType ? type.types : undefined
}

/** What holds others: the types directly within it. */
export function innerTypes(type: Type): readonly Type[] {
  const { types } = avro
  if (type instanceof types.ArrayType) return [type.itemsType]
  if (type instanceof types.MapType) return [type.valuesType as Type]
  if (type instanceof types.RecordType) return type.fields.map((field) => field.type)
  return branchesOf(type) ?? []
}

function isWhole(value: unknown, least: number): value is number {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= 1_000
}

function wholeOf(bytes: Buffer): bigint {
  return bytes.length === 0 ? 0n : BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`))
}

function bytesOf(value: bigint, type: Type): Buffer {
  const length = type instanceof avro.types.FixedType ? type.size : 8
  const hex = BigInt.asUintN(length * 8, value).toString(16)
  return Buffer.from(hex.padStart(length * 2, '0'), 'hex')
}
