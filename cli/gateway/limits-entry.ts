import type { Node } from 'yaml'
import type { SourceLimits } from '../../core/ports/gateway.ts'
import type { Fields, LocatedYaml } from '../partners/located-yaml.ts'

const KEYS = ['events_per_second', 'burst', 'per_address', 'body', 'batch'] as const

export const EVENTS_PER_SECOND = { default: 1_000, min: 1, max: 1_000_000 } as const
/** What a bucket holds where the file does not say it, as a multiple of what it gains in a second. */
const BURST_SECONDS = 2
export const BURST = { min: 1, max: 10_000_000 } as const
export const BODY_BYTES = { default: 256 * 1_024, min: 1_024, max: 8 * 1_024 * 1_024 } as const
/** 500 is the gateway's own bound: what one request can bring. */
export const BATCH = { default: 500, min: 1, max: 500 } as const

const UNITS: Readonly<Record<string, number>> = { B: 1, KiB: 1_024, MiB: 1_024 ** 2 }

/** The `limits:` of a source or a provider; undefined where it has none: the defaults count. Throws with the place. */
export function readLimits(yaml: LocatedYaml, node: Node | undefined): SourceLimits {
  if (node === undefined) return limitsOf({})
  const fields = yaml.map(node, 'limits', KEYS)
  return limitsOf({
    eventsPerSecond: fields.wholeNumber('events_per_second', EVENTS_PER_SECOND),
    burst: fields.wholeNumber('burst', BURST),
    perAddress: fields.wholeNumber('per_address', EVENTS_PER_SECOND),
    bodyBytes: bytesOf(fields),
    batch: fields.wholeNumber('batch', BATCH),
  })
}

function limitsOf(given: { readonly [Name in keyof SourceLimits]?: number | undefined }): SourceLimits {
  const eventsPerSecond = given.eventsPerSecond ?? EVENTS_PER_SECOND.default
  const batch = given.batch ?? BATCH.default
  return {
    eventsPerSecond,
    // A full request has to fit into a full bucket, or it could never be sent.
    burst: Math.max(given.burst ?? eventsPerSecond * BURST_SECONDS, batch),
    ...(given.perAddress === undefined ? {} : { perAddress: given.perAddress }),
    bodyBytes: given.bodyBytes ?? BODY_BYTES.default,
    batch,
  }
}

function bytesOf(fields: Fields): number | undefined {
  const right = 'write a size such as 256KiB or 1MiB'
  const text = fields.text('body', right)
  if (text === undefined) return undefined
  const [, digits, unit] = /^(\d{1,9}) ?(B|KiB|MiB)$/.exec(text) ?? []
  const bytes = Number(digits) * (UNITS[unit ?? ''] ?? Number.NaN)
  if (bytes >= BODY_BYTES.min && bytes <= BODY_BYTES.max) return bytes
  throw fields.wrong('body', `body is a size from 1KiB to 8MiB; ${right}`)
}
