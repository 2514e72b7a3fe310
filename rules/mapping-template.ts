import type { Scalar } from 'yaml'
import type { Json } from '../core/model/event.ts'
import {
  missing,
  present,
  type ReadExpression,
  readExpressionValue,
  type Value,
  type ValueCode,
  wrong,
} from './mapping-expression.ts'
import type { Roots } from './mapping-view.ts'
import type { YamlSource } from './yaml-source.ts'

/** A text with `{fields}` in it. */
export interface Template {
  readonly code: ValueCode
  /** What stands in braces, in order. */
  readonly parts: readonly ReadExpression[]
  /** What it says where nothing stands in braces. */
  readonly constant: string | undefined
}

type Piece = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'braces'; text: string; start: number }

/**
 * `"gameco:{transaction_id}"`: an expression stands in each pair of braces, `{{` and `}}` are braces themselves. undefined,
 * with problems reported, where one is wrong.
 */
export function readTemplate(source: YamlSource, scalar: Scalar<string>, roots: Roots): Template | undefined {
  const pieces = piecesOf(source, scalar)
  if (pieces === undefined) return undefined
  const codes: ValueCode[] = []
  const parts: ReadExpression[] = []
  for (const piece of pieces) {
    if (piece.kind === 'text') {
      const text = present(piece.text)
      codes.push(() => text)
      continue
    }
    const read = readExpressionValue(source, scalar, roots, piece)
    if (read === undefined) continue
    parts.push(read)
    codes.push(asText(read.code, read.fields.map(({ name }) => name).join(', ')))
  }
  if (codes.length < pieces.length) return undefined
  const constant = parts.length > 0 ? undefined : pieces.map(({ text }) => text).join('')
  return { code: joined(codes), parts, constant }
}

function piecesOf(source: YamlSource, scalar: Scalar<string>): readonly Piece[] | undefined {
  const pieces: Piece[] = []
  const { value } = scalar
  const report = (start: number, message: string, hint: string): undefined => {
    source.reportFault(scalar, { code: 'ONCEWARD_E_RULE_SYNTAX', start, message, hint })
    return undefined
  }
  let text = ''
  let at = 0
  while (at < value.length) {
    const character = value.charAt(at)
    if (character !== '{' && character !== '}') {
      text += character
      at++
    } else if (value.charAt(at + 1) === character) {
      text += character
      at += 2
    } else if (character === '}') {
      return report(at, 'no { belongs to this }', 'write }} for a brace in the text')
    } else {
      const end = value.indexOf('}', at)
      if (end < 0) return report(at, 'this { is never closed', 'write {field}, or {{ for a brace in the text')
      pieces.push({ kind: 'text', text }, { kind: 'braces', text: value.slice(at + 1, end), start: at + 1 })
      text = ''
      at = end + 1
    }
  }
  return [...pieces, { kind: 'text', text }]
}

function joined(codes: readonly ValueCode[]): ValueCode {
  return (view) => {
    let text = ''
    for (const code of codes) {
      const value = code(view)
      if (value.kind !== 'value') return value
      text += writtenAs(value.value)
    }
    return present(text)
  }
}

/** Of what `asText` gives: a text. */
export function writtenAs(value: Json): string {
  return typeof value === 'string' ? value : ''
}

/** A text, a number or a condition as a text. An empty one is missing: two ids without their only field would be the same. */
export function asText(code: ValueCode, name: string): ValueCode {
  return (view) => {
    const value = code(view)
    return value.kind === 'value' ? textOf(value.value, name) : value
  }
}

function textOf(value: unknown, name: string): Value {
  if (typeof value === 'string') return value === '' ? missing(`${name} is an empty text`) : present(value)
  if (typeof value === 'boolean') return present(String(value))
  if (typeof value !== 'number') return wrong(`${name} is a list or an object, of which no text can be made`)
  if (Math.abs(value) <= Number.MAX_SAFE_INTEGER) return present(String(value))
  return wrong(`${name} is a number of more than 15 digits, which JSON does not keep exactly; have it sent as a text`)
}
