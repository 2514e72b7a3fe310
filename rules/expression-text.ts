import type { Scalar } from 'yaml'
import { checkExpression, type SegmentNames } from './checker.ts'
import type { EventFields } from './field-check.ts'
import { parseExpression } from './parser.ts'
import type { Segments } from './segment.ts'
import type { Expression } from './syntax-tree.ts'
import type { WindowUses } from './window-spec.ts'
import type { YamlSource } from './yaml-source.ts'

/** What the expressions of one rule are read in. */
export interface Scope {
  /** IANA name: where dates and parts of now are read. */
  readonly zone: string
  readonly segments?: Pick<Segments, 'get'> | undefined
  /** Where given, a segment that is not among them is an error. */
  readonly knownSegments?: SegmentNames | undefined
  /** Where given, a field that is not among them is an error, and so is a type that does not fit. */
  readonly fields?: EventFields | undefined
  /** As `fields`, for the events that a window counts. */
  readonly fieldsOf?: ((eventNames: readonly string[]) => EventFields | undefined) | undefined
  /** Notes what was read, for those who look closer at it. */
  readonly notes?: Notes | undefined
  /** Notes what is looked at of recent events; without it that is refused. */
  readonly windows?: WindowUses | undefined
}

/** An expression and the text of the file that it was read from. */
export interface LocatedExpression {
  readonly scalar: Scalar<string>
  readonly expression: Expression
}

/** The expressions of a rule, in the order in which they were read. */
export interface Notes {
  readonly all: LocatedExpression[]
  /** Those that say how much a reward is. */
  readonly amounts: LocatedExpression[]
}

/** The checked expression that `scalar` holds; undefined, with problems reported, where it is wrong. */
export function readExpression(
  source: YamlSource,
  scalar: Scalar<string>,
  wanted: 'condition' | 'number',
  scope: Scope,
): LocatedExpression | undefined {
  const parsed = parseExpression(scalar.value)
  const context = {
    fields: scope.fields,
    segments: scope.knownSegments,
    windows: scope.windows !== undefined,
    fieldsOf: (eventName: string) => scope.fieldsOf?.([eventName]),
  }
  const faults = parsed.ok ? checkExpression(parsed.expression, wanted, scope.zone, context) : [parsed.fault]
  for (const fault of faults) source.reportFault(scalar, fault)
  const wrong = faults.some(({ severity }) => severity !== 'warning')
  if (!parsed.ok || wrong) return undefined
  const located = { scalar, expression: parsed.expression }
  scope.notes?.all.push(located)
  return located
}
