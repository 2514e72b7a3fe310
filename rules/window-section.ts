import type { CompiledRule } from './compiled.ts'
import { WINDOWS_PER_RULE_MAX } from './window-lengths.ts'
import type { WindowUses } from './window-spec.ts'
import { type Entry, readChoice } from './yaml-reader.ts'
import type { YamlSource } from './yaml-source.ts'

/**
 * The lane of a rule, and what it looks at of recent events. What a window comes to depends on the order of events, so a
 * rule that looks at one is of the strict lane, whether it says so or not. So is one that limits its rewards.
 */
export function readOrdering(
  source: YamlSource,
  entry: Entry | undefined,
  when:
    | { readonly node: Entry['key']; readonly mayMatch: CompiledRule['matches']; readonly limited: boolean }
    | undefined,
  windows: WindowUses,
): Pick<CompiledRule, 'ordering' | 'windows' | 'mayMatch'> {
  const ordering = readChoice(source, entry, ['any', 'strict'] as const)
  if (when === undefined || (windows.size === 0 && !when.limited)) return { ordering: ordering ?? 'any' }
  if (entry !== undefined && ordering === 'any') {
    const what = windows.size === 0 ? 'limits its rewards' : 'looks at recent events'
    source.report(entry.value, {
      code: 'ONCEWARD_E_RULE_WRONG_VALUE',
      message: `a rule that ${what} is scored in order of event time: its ordering is strict`,
      hint: 'remove ordering, or write ordering: strict',
    })
  }
  if (windows.size === 0) return { ordering: 'strict' }
  if (windows.size > WINDOWS_PER_RULE_MAX) {
    source.report(when.node, {
      code: 'ONCEWARD_E_RULE_WRONG_VALUE',
      message: `a rule looks at recent events in at most ${WINDOWS_PER_RULE_MAX} ways, this one in ${windows.size}`,
      hint: 'split it into several rules',
    })
  }
  return { ordering: 'strict', windows: windows.specs, mayMatch: when.mayMatch }
}
