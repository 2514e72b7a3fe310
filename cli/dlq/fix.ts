import { OncewardError } from '../../core/errors.ts'
import type { JsonObject } from '../../core/model/event.ts'
import type { FixSpec } from '../../core/ports/review.ts'
import { readText } from '../rewards/targets.ts'

export interface FixSettings {
  readonly letter: readonly string[] | undefined
  readonly set: readonly string[] | undefined
  readonly unset: readonly string[] | undefined
  readonly when: string | undefined
  readonly allowIds: boolean
  readonly mapping: string | undefined
  readonly event: string | undefined
}

/** Throws ONCEWARD_E_USAGE, and ONCEWARD_E_FILE_UNREADABLE. */
export async function fixFrom(settings: FixSettings): Promise<FixSpec> {
  const { letter, set, unset, when, allowIds, mapping, event } = settings
  const flags = [set, unset, when].some((value) => value !== undefined)
  if (Number(flags) + Number(mapping !== undefined) + Number(event !== undefined) !== 1) {
    const ways = '--set and --unset, or --mapping FILE, or --event FILE'
    throw new OncewardError('ONCEWARD_E_USAGE', `say in one way how the event is put right: ${ways}`)
  }
  if (mapping !== undefined) return { kind: 'file', name: mapping, text: await readText('--mapping', mapping) }
  if (event === undefined) return { kind: 'changes', set: set ?? [], unset: unset ?? [], when, allowIds }
  if (letter?.length !== 1) {
    throw new OncewardError('ONCEWARD_E_USAGE', '--event holds one event, so it is for one letter: write its id')
  }
  return { kind: 'event', event: eventIn(event, await readText('--event', event)) }
}

function eventIn(path: string, text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject
  } catch {
    // Said below.
  }
  throw new OncewardError('ONCEWARD_E_FILE_UNREADABLE', `--event: ${path} holds no JSON object; write the whole event`)
}
