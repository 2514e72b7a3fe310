import { OncewardError } from '../../core/errors.ts'
import type { FixSpec } from '../../core/ports/review.ts'

/** Puts the bytes of one event right, or says why it cannot. Pure. */
export type Fix = (
  bytes: Buffer,
) => { readonly ok: true; readonly bytes: Buffer } | { readonly ok: false; readonly detail: string }

/** Throws ONCEWARD_E_MAPPING_INVALID. */
export function fixOf(spec: FixSpec): Fix {
  if (spec.kind === 'event') {
    const bytes = Buffer.from(JSON.stringify(spec.event))
    return () => ({ ok: true, bytes })
  }
  throw new OncewardError('ONCEWARD_E_MAPPING_INVALID', 'nothing says how the event is to be put right')
}
