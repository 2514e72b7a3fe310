import { OncewardError } from '../../core/errors.ts'
import type { FixSpec } from '../../core/ports/review.ts'
import { compileFix, compileFixFlags, type FixReading } from '../../rules/mapping-fix.ts'
import { formatProblem } from '../../rules/problem.ts'
import { jsonOf } from './letter.ts'

/** Puts the bytes of one event right, or says why it cannot. Pure. */
export type Fix = (
  bytes: Buffer,
) => { readonly ok: true; readonly bytes: Buffer } | { readonly ok: false; readonly detail: string }

/** Throws ONCEWARD_E_MAPPING_INVALID with all that is wrong. */
export function fixOf(spec: FixSpec): Fix {
  if (spec.kind === 'event') {
    const bytes = Buffer.from(JSON.stringify(spec.event))
    return () => ({ ok: true, bytes })
  }
  const reading: FixReading =
    spec.kind === 'file' ? compileFix({ file: spec.name, text: spec.text }) : compileFixFlags(spec)
  if (!reading.ok) {
    throw new OncewardError('ONCEWARD_E_MAPPING_INVALID', reading.problems.map(formatProblem).join('\n'))
  }
  const { fix } = reading
  return (bytes) => {
    const event = jsonOf(bytes)
    if (event === undefined) {
      return {
        ok: false,
        detail: 'what came is no JSON object, so that it has no fields to change; write the whole event: --event FILE',
      }
    }
    const fixed = fix(event)
    return fixed.ok ? { ok: true, bytes: Buffer.from(JSON.stringify(fixed.event)) } : fixed
  }
}
