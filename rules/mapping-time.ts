import { readDate } from './dates.ts'
import { missing, present, type Value, type ValueCode, wrong } from './mapping-expression.ts'
import type { Json } from '../core/model/event.ts'

/** How a time is written in a body. */
export const TIME_UNITS = ['rfc3339', 's', 'ms'] as const
export type TimeUnit = (typeof TIME_UNITS)[number]

/** 2000-01-01T00:00:00Z and the end of 9999: whatever a number outside of this is, it is no time of that unit. */
const FROM_MS = 946_684_800_000
const UNTIL_MS = 253_402_300_800_000

const NUMBER = /^\d{1,16}(?:\.\d{1,9})?$/
const WITH_OFFSET = /(?:[Zz]|[+-]\d{2}:\d{2})$/

export interface TimeForm {
  readonly unit: TimeUnit
  /** Where a time without an offset is read; undefined: it must have one. */
  readonly zone: string | undefined
  /** The field, for messages. */
  readonly name: string
}

/** A time as RFC 3339 in UTC, with milliseconds. */
export function timeValue(code: ValueCode, form: TimeForm): ValueCode {
  const read = form.unit === 'rfc3339' ? fromText : fromNumber
  return (view) => {
    const value = code(view)
    if (value.kind !== 'value') return value
    return value.value === '' ? missing(`${form.name} is an empty text`) : read(value.value, form)
  }
}

function fromText(value: Json, { zone, name }: TimeForm): Value {
  if (typeof value === 'number') {
    const unit = value < FROM_MS ? 's' : 'ms'
    return wrong(`${name} is the number ${value}, not a text; where it is a Unix time, write unit: ${unit}`)
  }
  if (typeof value !== 'string') return wrong(`${name} is no time`)
  const date = readDate(value, zone ?? 'UTC')
  if (!date.ok) return wrong(`${name}: ${date.message.replaceAll(/\p{Cc}/gu, ' ')}; ${date.hint}`)
  if (zone === undefined && !WITH_OFFSET.test(value)) {
    return wrong(`${name} has no offset; write zone: and a name such as Europe/Istanbul, if it is always of that zone`)
  }
  return instant(date.range.from, `${name} is ${JSON.stringify(value)}, which`)
}

function fromNumber(value: Json, { unit, name }: TimeForm): Value {
  const number = typeof value === 'string' && NUMBER.test(value) ? Number(value) : value
  if (typeof number !== 'number') return wrong(`${name} is no number; a time in ${unit} is one`)
  const ms = unit === 's' ? number * 1_000 : number
  const other = unit === 's' ? 'ms' : 's'
  const range = `in ${unit} is not between the years 2000 and 9999; is it in ${other}?`
  return ms >= FROM_MS && ms < UNTIL_MS ? instant(ms, '') : wrong(`${name} is ${number}, which ${range}`)
}

function instant(ms: number, what: string): Value {
  if (ms >= 0 && ms < UNTIL_MS) return present(new Date(Math.floor(ms)).toISOString())
  return wrong(`${what} is not between the years 1970 and 9999`)
}
